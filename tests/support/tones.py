"""Finds out, by its tone, which sound of a film is played or comes first in a file."""

import math
import subprocess
from array import array

from playwright.sync_api import Page

from support.firefox import Tab
from support.track_files import TONES

# Records what is heard of a playing video, and returns the loudest of the tones, null if there is
# none. Firefox's AudioContext does not run without a sound card; its recorder does.
RECORD = """async (player, aSecond) => {
    const capture = player.captureStream ? player.captureStream() : player.mozCaptureStream();
    const sound = capture.getAudioTracks();
    if (!sound.length) { await aSecond(); return null; }
    const recorder = new MediaRecorder(new MediaStream(sound));
    const parts = [];
    recorder.ondataavailable = (event) => parts.push(event.data);
    recorder.start();
    await aSecond();
    await new Promise((resolve) => { recorder.onstop = resolve; recorder.stop(); });
    const data = await new Blob(parts).arrayBuffer();
    const decoder = new OfflineAudioContext(1, 48000, 48000);
    const samples = (await decoder.decodeAudioData(data)).getChannelData(0);
    let [loudest, tone] = [0.002, null];
    for (const hertz of TONES) {
        let [real, imaginary] = [0, 0];
        samples.forEach((sample, at) => {
            real += sample * Math.cos(2 * Math.PI * hertz * at / 48000);
            imaginary += sample * Math.sin(2 * Math.PI * hertz * at / 48000);
        });
        const level = Math.hypot(real, imaginary) / samples.length;
        if (level > loudest) [loudest, tone] = [level, hertz];
    }
    return tone;
}""".replace("TONES", str(list(TONES)))

_RATE = 8000  # Hz, more than twice that of the highest tone

_HEARD = """async () => {
    const player = document.querySelector("video");
    const from = player.currentTime;
    return await (RECORD)(player, async () => {
        while (player.currentTime < from + 0.7 && !player.ended && !player.error)
            await new Promise((resolve) => setTimeout(resolve, 20));
    });
}""".replace("RECORD", RECORD)


def heard(page: Page | Tab) -> int | None:
    """Return the tone that the page's player plays: one of TONES, or None. It must be playing."""
    tone: int | None = page.evaluate(_HEARD)
    return tone


def tone_of(data: bytes) -> int | None:
    """Return the tone of the first sound of a file of these bytes, as FFmpeg decodes it."""
    command = ("ffmpeg", "-nostdin", "-v", "error", "-i", "pipe:0", "-map", "0:a:0", "-ac", "1",
               "-ar", str(_RATE), "-t", "1", "-f", "f32le", "-")  # fmt: skip
    done = subprocess.run(command, input=data, capture_output=True, check=True, timeout=600)
    samples = array("f", done.stdout)
    levels = {hertz: _level(samples, hertz) for hertz in TONES}
    loudest = max(TONES, key=levels.__getitem__)
    return loudest if levels[loudest] > 0.002 else None


def _level(samples: "array[float]", hertz: int) -> float:
    angles = [2 * math.pi * hertz * at / _RATE for at in range(len(samples))]
    real = sum(s * math.cos(a) for s, a in zip(samples, angles, strict=True))
    imaginary = sum(s * math.sin(a) for s, a in zip(samples, angles, strict=True))
    return math.hypot(real, imaginary) / max(1, len(samples))
