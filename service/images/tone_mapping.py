"""Tone mapping from HDR (PQ and HLG) to sRGB, as a lookup table for 8-bit images.

In 8-bit PQ a step at diffuse white is about 4 % of light, which is invisible in a still. FFmpeg's
own conversion (out_transfer of swscale) takes four seconds per image and turns yellow into pink in
FFmpeg 8.1."""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Literal

from PIL import ImageFilter

Transfer = Literal["pq", "hlg"]
Colour = tuple[float, float, float]  # red, green, blue

DIFFUSE_WHITE = 203.0
"""cd/m² of diffuse white (ITU-R BT.2408 table 1), which becomes almost the white of the screen:
brighter light must stay distinguishable."""

PEAK = 1000.0
"""cd/m² where light clips: the usual peak of graded films, and the nominal peak of HLG (ITU-R
BT.2100 table 5)."""

_GRID = 33
"""Points of the table along each component, a size that video applications commonly use."""

# ITU-R BT.2087: linear light from BT.2020's primaries to BT.709's.
_TO_709 = (
    (1.6605, -0.5876, -0.0728),
    (-0.1246, 1.1329, -0.0083),
    (-0.0182, -0.1006, 1.1187),
)
_LUMINANCE = (0.2627, 0.6780, 0.0593)  # of BT.2020's primaries

# SMPTE ST 2084, as in ITU-R BT.2100 table 4
_M1, _M2 = 2610 / 16384, 2523 / 4096 * 128
_C1, _C2, _C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32

# ITU-R BT.2100 table 5
_A = 0.17883277
_B, _C = 1 - 4 * _A, 0.55991073


@lru_cache
def hdr_to_srgb_lut(transfer: Transfer) -> ImageFilter.Color3DLUT:
    """Return the table from full-range BT.2020 with this transfer function to sRGB."""
    if transfer == "pq":
        return _lut(_pq_eotf, _to_srgb)
    return _lut(_hlg_inverse_oetf, _hlg_scene_to_srgb)


def _lut(
    light: Callable[[float], float], to_srgb: Callable[[Colour], Colour]
) -> ImageFilter.Color3DLUT:
    points = [light(index / (_GRID - 1)) for index in range(_GRID)]
    # The first component changes fastest.
    colours = [to_srgb((red, green, blue)) for blue in points for green in points for red in points]
    return ImageFilter.Color3DLUT(_GRID, colours)


def _pq_eotf(code: float) -> float:
    """Return the light of the display in cd/m² (EOTF of SMPTE ST 2084)."""
    power = math.pow(code, 1 / _M2)
    return 10_000 * math.pow(max(power - _C1, 0.0) / (_C2 - _C3 * power), 1 / _M1)


def _pq_inverse_eotf(light: float) -> float:
    power = math.pow(light / 10_000, _M1)
    return math.pow((_C1 + _C2 * power) / (1 + _C3 * power), _M2)


def _hlg_inverse_oetf(code: float) -> float:
    """Return the light of the scene, from 0 to 1 (inverse OETF of HLG)."""
    if code <= 0.5:  # noqa: PLR2004 - BT.2100 table 5
        return code**2 / 3
    return (math.exp((code - _C) / _A) + _B) / 12


def _hlg_scene_to_srgb(scene: Colour) -> Colour:
    # BT.2100 table 5: HLG's OOTF, whose gamma is 1.2 at the nominal peak
    gain = PEAK * math.pow(_dot(_LUMINANCE, scene), 0.2)
    red, green, blue = scene
    return _to_srgb((red * gain, green * gain, blue * gain))


def _to_srgb(light: Colour) -> Colour:
    """Return the sRGB colour of linear BT.2020 light in cd/m²."""
    red, green, blue = (max(_dot(row, light), 0.0) for row in _TO_709)
    brightest = max(red, green, blue)
    if brightest == 0:
        return (0.0, 0.0, 0.0)
    # Scale all components by the same factor, to keep the hue.
    factor = _bt2390_rolloff(brightest) / brightest / DIFFUSE_WHITE
    return (
        _srgb_inverse_eotf(red * factor),
        _srgb_inverse_eotf(green * factor),
        _srgb_inverse_eotf(blue * factor),
    )


def _dot(row: Colour, colour: Colour) -> float:
    return row[0] * colour[0] + row[1] * colour[1] + row[2] * colour[2]


def _bt2390_rolloff(light: float) -> float:
    """Compress light of up to PEAK below DIFFUSE_WHITE (ITU-R BT.2390 §5.4.1, without black lift).

    Light up to 93 cd/m² stays unchanged.
    """
    peak = _pq_inverse_eotf(PEAK)
    code = min(_pq_inverse_eotf(light) / peak, 1.0)
    max_code = _pq_inverse_eotf(DIFFUSE_WHITE) / peak
    knee = 1.5 * max_code - 0.5
    if code <= knee:
        return light
    t = (code - knee) / (1 - knee)
    spline = (
        (2 * t**3 - 3 * t**2 + 1) * knee
        + (t**3 - 2 * t**2 + t) * (1 - knee)
        + (3 * t**2 - 2 * t**3) * max_code
    )
    return _pq_eotf(spline * peak)


def _srgb_inverse_eotf(light: float) -> float:
    """Return the sRGB value of linear light, both from 0 to 1 (IEC 61966-2-1)."""
    if light <= 0.0031308:  # noqa: PLR2004 - where the standard joins line and curve
        return 12.92 * light
    return min(1.055 * math.pow(light, 1 / 2.4) - 0.055, 1.0)
