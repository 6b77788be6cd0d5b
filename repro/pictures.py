"""Figures and sounds as small as they can be without looking or sounding different.

A figure is drawn at twice the width that the report shows it at, so that it is sharp on a display with two pixels a
point, and its colours are reduced to 256, which makes PNGs of a third of the size. The octree keeps a colour that few
pixels have, as that of a single atom, which a median cut gives away; the median cut keeps the shades of a heat map,
of which the octree makes steps. In the report the same pixels stand as lossless WebP, a quarter smaller again.
Melodies have nothing above 4 kHz that could be heard (less than -39 dB: six partials of at most 988 Hz, the high ones
weak), so that there 8 kHz in 16 bits do.
"""

from __future__ import annotations

import base64
import io
import re

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from PIL import Image, PngImagePlugin
from scipy.io import wavfile

WIDTH = 1904  # pixels: twice the column of the report
SOUND_RATE = 8_000  # samples a second, in the report
MOST_MOVED = 1.0  # of 255, mean over pixels: what the octree may cost
INSIDE = re.compile(r"(data:image/png;base64,\s*)([A-Za-z0-9+/=\s]+)")  # a picture in an SVG
POINTS = re.compile(r' (?:d|x|y)="[^"]*"')  # attributes that hold places, of paths and markers


def as_svg(figure: Figure, name: str, source: str) -> bytes:
    """The figure as SVG: the same bytes every time, text as text, places to a hundredth of a point."""
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Source": source})
    shorter = POINTS.sub(lambda places: re.sub(r"(\.\d\d)\d+", r"\1", places[0]), buffer.getvalue())
    return INSIDE.sub(_smaller_inside, shorter).encode()


def as_png(figure: Figure, source: str) -> bytes:
    """The figure as PNG of WIDTH pixels and at most 256 colours, white and black among them exactly."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=WIDTH / figure.get_figwidth())
    picture = _with_fewer_colours(Image.open(buffer).convert("RGB"))
    text = PngImagePlugin.PngInfo()
    text.add_text("Source", source)
    small = io.BytesIO()
    picture.save(small, "PNG", optimize=True, pnginfo=text)
    return small.getvalue()


def _with_fewer_colours(drawn: Image.Image) -> Image.Image:
    picture = drawn.quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    palette = np.array(picture.getpalette("RGB")).reshape(-1, 3)
    for exact in (0, 255):
        nearest = np.abs(palette - exact).max(axis=1).argmin()
        if np.abs(palette[nearest] - exact).max() < 16:
            palette[nearest] = exact
    picture.putpalette(palette.astype(np.uint8).tobytes())
    moved = np.abs(np.asarray(picture.convert("RGB"), dtype=np.int16) - np.asarray(drawn, dtype=np.int16))
    if moved.max(axis=2).mean() > MOST_MOVED:
        return drawn.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    return picture


def _smaller_inside(found: re.Match[str]) -> str:
    """A picture within an SVG, base64 of PNG, with fewer colours; one with transparent parts stays."""
    picture = Image.open(io.BytesIO(base64.b64decode(found[2])))
    if picture.convert("RGBA").getchannel("A").getextrema() != (255, 255):
        return found[0]
    small = io.BytesIO()
    _with_fewer_colours(picture.convert("RGB")).save(small, "PNG", optimize=True)
    return found[1] + base64.b64encode(small.getvalue()).decode()


def as_webp(png: bytes) -> tuple[bytes, int, int]:
    """The same pixels as lossless WebP, with width and height.

    Raises:
        OSError: it is no picture.
    """
    picture = Image.open(io.BytesIO(png))
    small = io.BytesIO()
    picture.convert("RGBA" if picture.mode == "RGBA" else "RGB").save(small, "WEBP", lossless=True, quality=60)
    return small.getvalue(), picture.width, picture.height


def smaller_sound(wav: bytes) -> bytes:
    """Mono WAV of 16 bits at SOUND_RATE; what has no more samples a second stays as it is.

    Raises:
        ValueError: it is no WAV.
    """
    rate, samples = wavfile.read(io.BytesIO(wav))
    if rate <= SOUND_RATE:
        return wav
    from scipy.signal import resample_poly  # half a second, which no notebook needs to wait for

    heard = resample_poly(samples.astype(float), SOUND_RATE, rate).clip(-32768, 32767)
    buffer = io.BytesIO()
    wavfile.write(buffer, SOUND_RATE, heard.round().astype(np.int16))
    return buffer.getvalue()
