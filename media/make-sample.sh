#!/bin/sh
# Makes sample.mp4 beside itself: eight seconds, wholly generated, so that nobody else's rights
# are in it. The same FFmpeg and font give the same bytes: every random seed is fixed, x264 and
# the filters run on one thread, and no date or encoder name is written.
#
#   media/make-sample.sh [OUTPUT]
#
# FFMPEG and FONTS name another FFmpeg, or another folder with the DejaVu fonts.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
output=${1:-$here/sample.mp4}
ffmpeg=${FFMPEG:-ffmpeg}
fonts=${FONTS:-/usr/share/fonts/truetype/dejavu}
bold=$fonts/DejaVuSans-Bold.ttf
mono=$fonts/DejaVuSansMono.ttf
for font in "$bold" "$mono"; do
	[ -r "$font" ] || { echo "make-sample: no font $font (set FONTS)" >&2; exit 1; }
done

# The reel turns a third of a turn in two seconds and the film leaves it as fast as its rim
# moves: 200 px * pi/3 per second, rounded to 7 px a frame. Both are back at their first picture
# after eight seconds, so that a loop shows no jump in them.
# Distances in geq are turned into coverage by clip(radius - distance + .5, 0, 1): smooth edges.
disc="clip(200.5-hypot(X-210,Y-210),0,1)"
hub="clip(hypot(X-210,Y-210)-17.5,0,1)"
hole_a="clip(hypot(X-320,Y-210)-57.5,0,1)"
hole_b="clip(hypot(X-155,Y-114.74)-57.5,0,1)"
hole_c="clip(hypot(X-155,Y-305.26)-57.5,0,1)"
# One perforation in 48 px; the film's edges are straight.
film="1-gte(mod(X,48),16)*lt(mod(X,48),32)*between(Y,9,20)"

# One note each second, plucked, over a chord that swells and fades: D A D F# B A F# D.
note="(146.83*eq(k,0)+220*eq(k,1)+293.66*eq(k,2)+369.99*eq(k,3)+493.88*eq(k,4)+440*eq(k,5)+369.99*eq(k,6)+293.66*eq(k,7))"
note=$(printf '%s' "$note" | sed 's/eq(k/eq(floor(t)/g')
pluck="exp(-3.2*mod(t,1))*(1-exp(-180*mod(t,1)))"
voice="$pluck*(sin(2*PI*$note*t)+.35*sin(4*PI*$note*t)+.12*sin(6*PI*$note*t))"
left="sin(2*PI*73.42*t)+.6*sin(2*PI*146.5*t)+.4*sin(2*PI*220.3*t)"
right="sin(2*PI*73.42*t)+.6*sin(2*PI*147.1*t)+.4*sin(2*PI*219.7*t)"
swell="pow(sin(PI*t/8),.6)"

"$ffmpeg" -nostdin -hide_banner -loglevel error -y -filter_complex_threads 1 -filter_threads 1 \
	-f lavfi -i "gradients=s=1280x720:r=30:d=8:c0=0x0b1216:c1=0x16454a:c2=0x1d2440:c3=0x0b1216:n=4:x0=0:y0=720:x1=1280:y1=0:speed=0.006:seed=7" \
	-f lavfi -i "color=c=0xffcb2e:s=420x420:r=30:d=8" \
	-f lavfi -i "color=c=0xffcb2e:s=1008x30:r=30:d=8" \
	-f lavfi -i "aevalsrc=exprs='.16*$voice+.07*$swell*($left)|.16*$voice+.07*$swell*($right)':s=48000:d=8" \
	-filter_complex "
		[1:v]trim=end_frame=1,format=rgba,
			geq=r='r(X,Y)':g='g(X,Y)':b='b(X,Y)':a='255*$disc*$hub*$hole_a*$hole_b*$hole_c',
			loop=loop=239:size=1,setpts=N/30/TB,rotate=a='-PI/3*t':c=none[reel];
		[2:v]trim=end_frame=1,format=rgba,
			geq=r='r(X,Y)':g='g(X,Y)':b='b(X,Y)':a='255*($film)',
			loop=loop=239:size=1,setpts=N/30/TB,crop=950:30:'mod(48-mod(7*n,48),48)':0[film];
		[0:v]format=gbrp,noise=alls=5:all_seed=7:allf=t[ground];
		[ground][film]overlay=330:490:format=gbrp[threaded];
		[threaded][reel]overlay=120:110:format=gbrp,
		drawtext=fontfile='$bold':text='Reelay':fontsize=172:fontcolor=0xf5f7f7:x=556:y=262,
		drawtext=fontfile='$mono':fontsize=34:fontcolor=0xb9c6c9:x=570:y=560:
			text='%{eif\:floor(t)\:d}.%{eif\:floor(10*mod(t+0.001,1))\:d} s of 8',
		format=yuv420p[v];
		[3:a]afade=t=in:d=0.05,afade=t=out:st=7:d=1[a]" \
	-map '[v]' -map '[a]' -t 8 -map_metadata -1 -metadata title='Reelay sample' \
	-metadata:s:a:0 language=eng \
	-c:v libx264 -profile:v high -preset veryslow -crf 23 -tune film -threads 1 \
	-g 30 -keyint_min 30 -sc_threshold 0 -pix_fmt yuv420p \
	-color_primaries bt709 -color_trc bt709 -colorspace bt709 -color_range tv \
	-c:a aac -b:a 96k -ac 2 \
	-fflags +bitexact -flags:v +bitexact -flags:a +bitexact -movflags +faststart "$output"
