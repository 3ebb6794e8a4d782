#!/bin/sh
# Makes the icons of service/static from favicon.svg there. Needs FFmpeg with librsvg, as Debian's is,
# and Pillow: run it from the repository's root where .venv is.
set -eu
static=service/static
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

draw() { # draw SVG PIXELS PNG
    ffmpeg -loglevel error -y -width "$2" -height "$2" -i "$1" -pix_fmt rgba "$work/large.png"
    # Of few colours: 64 of them, with their edges, are all that anybody sees.
    .venv/bin/python - "$work/large.png" "$3" <<'PYTHON'
import sys

from PIL import Image

picture = Image.open(sys.argv[1])
picture.quantize(64, Image.Quantize.FASTOCTREE).save(sys.argv[2], optimize=True)
PYTHON
}

# Systems that cut icons to a shape of their own want one that fills the square; and what is to
# survive any cut lies within the inner circle of 80 % (W3C manifest, "maskable").
# The film goes on to the edge.
sed -e 's/ rx="7"//' -e 's/h17v-3h-8.7/h40v-3h-31.7/' \
    -e 's/<path /<path transform="translate(16 16) scale(.85) translate(-16 -16)" /' \
    "$static/favicon.svg" >"$work/full.svg"
draw "$static/favicon.svg" 192 "$static/icon-192.png"
draw "$static/favicon.svg" 512 "$static/icon-512.png"
draw "$work/full.svg" 512 "$static/icon-maskable-512.png"
draw "$work/full.svg" 180 "$static/apple-touch-icon.png"

# For what knows no SVG, or asks for /favicon.ico without having read a page.
for size in 16 32 48; do
    ffmpeg -loglevel error -y -width $size -height $size -i "$static/favicon.svg" \
        -pix_fmt rgba "$work/$size.png"
done
.venv/bin/python - "$work" "$static/favicon.ico" <<'PYTHON'
import sys

from PIL import Image

sizes = [Image.open(f"{sys.argv[1]}/{size}.png") for size in (48, 16, 32)]
sizes[0].save(sys.argv[2], sizes=[picture.size for picture in sizes], append_images=sizes[1:])
PYTHON
