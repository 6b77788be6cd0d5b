"""Small pictures and sounds: as sharp, as coloured and as audible as large ones."""

from __future__ import annotations

import io
import re

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from PIL import Image
from scipy.io import wavfile

from repro import pictures
from repro.music import events


def figure() -> Figure:
    """Bands of many colours, a curve, and a few pixels of a colour that nothing else has."""
    drawn, ax = plt.subplots(figsize=(10, 4))
    plt.close(drawn)
    ax.imshow(np.linspace(0, 1, 400).reshape(4, 100), aspect="auto", cmap="viridis", extent=(0, 1, 0, 0.5))
    ax.plot(np.linspace(0, 1, 50), np.linspace(0.6, 0.9, 50) ** 2, color="#0072B2")
    ax.plot([0.5], [0.95], "s", color="#ff0000", ms=2)
    ax.set_ylim(0, 1)
    return drawn


def test_a_figure_is_sharp_and_keeps_its_colours() -> None:
    """Protects what is seen: twice the report's column, white stays white, no pixel moves by more than 40 of 255."""
    drawn, buffer = figure(), io.BytesIO()
    drawn.savefig(buffer, format="png", dpi=pictures.WIDTH / 10)
    small = pictures.as_png(drawn, "here")
    before = np.asarray(Image.open(buffer).convert("RGB")).astype(int)
    after = np.asarray(Image.open(io.BytesIO(small)).convert("RGB")).astype(int)
    assert before.shape == after.shape and after.shape[1] == pictures.WIDTH and (after[0, 0] == 255).all()
    assert np.abs(before - after).max() <= 40 and np.abs(before - after).mean() < 2
    assert len(small) < 0.7 * len(buffer.getvalue())
    assert Image.open(io.BytesIO(small)).info["Source"] == "here"


def test_the_report_has_the_same_pixels() -> None:
    """Protects the report: WebP loses nothing of the PNG, and is smaller."""
    png = pictures.as_png(figure(), "here")
    webp, width, height = pictures.as_webp(png)
    assert Image.open(io.BytesIO(webp)).size == (width, height)
    pixels = [np.asarray(Image.open(io.BytesIO(data)).convert("RGB")) for data in (png, webp)]
    assert np.array_equal(*pixels) and len(webp) < len(png)


def test_an_svg_has_no_needless_digits() -> None:
    """Protects the size of vector figures, and their words: places have two decimals, labels stay as they are."""
    drawn = figure()
    drawn.axes[0].set_xlabel("x = 0.12345")
    svg = pictures.as_svg(drawn, "name", "here").decode()
    assert svg == pictures.as_svg(drawn, "name", "here").decode()
    assert not re.search(r' d="[^"]*\.\d{3}', svg) and "0.12345" in svg


def test_a_smaller_sound_sounds_alike() -> None:
    """Protects ears: at half the rate, less than a hundredth of a melody's energy is gone."""
    melody = events.to_audio(np.array([37, 1, 33, 1, 14, 1, 30, 0] * 4), 16_000)
    buffer = io.BytesIO()
    wavfile.write(buffer, 16_000, (melody * 32767).astype(np.int16))
    small = pictures.smaller_sound(buffer.getvalue())
    rate, heard = wavfile.read(io.BytesIO(small))
    assert rate == 8_000 and len(heard) == len(melody) // 2 and len(small) < 0.51 * len(buffer.getvalue())
    kept = (heard / 32767) ** 2
    assert abs(kept.sum() * 2 / (melody**2).sum() - 1) < 0.01
    assert pictures.smaller_sound(small) == small
