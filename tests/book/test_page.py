"""The page: self-contained, escaped, and opened in a browser."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import nbformat
import numpy as np
import pytest
from scipy.io import wavfile

from repro import ROOT
from repro.book import report as page
from repro.music import events

LAPTOP = ROOT / "results" / "laptop"
SILENCE = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQIAAAAAAA=="  # one sample at 8 kHz
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
HOSTILE = "<img src=x onerror=alert(1)>"
SEEN = """() => ({images: document.images.length, scripts: document.scripts.length,
    broken: [...document.images].filter(image => !image.complete || !image.naturalWidth).length,
    wide: document.documentElement.scrollWidth, text: document.body.innerText})"""
HEARD = """async () => { const sounds = [...document.querySelectorAll('audio')];
    await Promise.all(sounds.map(sound => new Promise((good, bad) => {
        sound.addEventListener('loadedmetadata', good); sound.addEventListener('error', bad); sound.load(); })));
    return sounds.map(sound => sound.duration); }"""


def shows(data: dict[str, str]) -> Any:
    """A code cell with one output."""
    return nbformat.v4.new_code_cell("f()", outputs=[nbformat.v4.new_output("display_data", data)])


said = nbformat.v4.new_markdown_cell


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A results folder whose names and texts a hostile user has chosen."""
    folder = tmp_path / HOSTILE
    (folder / "notebooks").mkdir(parents=True)
    cells = [
        said(f"# Title {HOSTILE}"), said("## First figure\n\nprose above"),
        shows({"image/png": PIXEL, "text/plain": "<Figure>"}),
        said(f"*Made from **two** runs {HOSTILE} [x](javascript:alert(1)).* More of it.\n\nNot this."),
        shows({"text/html": f'<script>alert(1)</script><source src="data:audio/wav;base64,{SILENCE}">'}),
        shows({"image/png": PIXEL}), said("## Another heading\n\nNot a caption."),
        said(f"Made by the code of `abc` with c={HOSTILE}. See [x](../provenance.csv).", id="provenance"),
    ]  # fmt: skip
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "notebooks" / "02_<b>.ipynb")
    (folder / "notebooks" / "03_damaged.ipynb").write_text("{", encoding="utf-8")
    (folder / "notebooks" / "04_bad.failed.ipynb").write_text("{", encoding="utf-8")
    row = {
        "id": "x", "domain": "music", "experiment": "as_notated", "sentence": HOSTILE, "paper": "1", "paper_trust": "P",
        "ours": 1.0, "low": None, "high": None, "unit": "", "levels": "", "seeds": 1, "rule": "n: at least 0",
        "rule_before_runs": True, "rules_commit": "abcdefg subject", "verdict": "partly", "comment": "",
        "says": "x", "source": "text", "size": "not judged", "predicted": {}, "passes_too": [], "before": {},
        "confirmed": {},
    }  # fmt: skip
    (folder / "claims.json").write_text(json.dumps([row]), encoding="utf-8")
    return folder


def test_what_users_name_is_escaped(results: Path) -> None:
    """Protects readers of somebody's page: names of folders, notebooks and parameters are text and never tags; a
    damaged copy costs its own chapter, and a failed notebook is none.
    """
    text = page.write_page(results).read_text(encoding="utf-8")
    assert "<img src=x" not in text and "<script" not in text and "javascript:" not in text
    assert text.count("&lt;img src=x onerror=alert(1)&gt;") >= 6
    assert 'href="notebooks/02_%3Cb%3E.ipynb"' in text and 'href="provenance.csv"' in text
    assert "03_damaged is damaged and was left out" in text and "04_bad" not in text
    assert "No claim has been judged here yet" in page.write_page(results / "nothing").read_text(encoding="utf-8")


def test_figures_have_their_captions(results: Path) -> None:
    """Protects captions: the first paragraph below; a picture shown twice is there once."""
    figure, sound = page.chapter(results / "notebooks" / "02_<b>.ipynb")["shown"]
    caption = figure.pop("caption")
    assert figure == {"kind": "png", "data": PIXEL, "heading": "First figure"}
    assert caption.startswith("*Made from **two** runs") and "Not this" not in caption
    assert sound == {"kind": "wav", "data": SILENCE, "heading": "First figure", "caption": ""}


def test_a_smaller_sound_sounds_alike() -> None:
    """Protects ears: at half the rate, less than a hundredth of a melody's energy is gone."""
    melody, buffer = events.to_audio(np.array([37, 1, 33, 1, 14, 1, 30, 0] * 4), 16_000), io.BytesIO()
    wavfile.write(buffer, 16_000, (melody * 32767).astype(np.int16))
    small = page.small_sound(base64.b64encode(buffer.getvalue()).decode())
    rate, heard = wavfile.read(io.BytesIO(base64.b64decode(small)))
    assert rate == 8_000 and len(heard) == len(melody) // 2 and page.small_sound(small) == small
    assert abs(((heard / 32767) ** 2).sum() * 2 / (melody**2).sum() - 1) < 0.01


def test_the_committed_page_stands_alone() -> None:
    """Protects readers without network: all that it shows is in it, links lead to files that exist, and it is small."""
    text = (LAPTOP / "report.html").read_text(encoding="utf-8")
    assert len(text.encode()) <= 6_000_000 and text.index('id="verdicts"') < text.index("<figure>")
    places = {unquote(place) for place in re.findall(r'(?:src|href)="([^"]{0,200})', text)}
    links = {place for place in places if not place.startswith(("data:", "#"))}
    assert links == {"provenance.csv", *(f"notebooks/{path.name}" for path in (LAPTOP / "notebooks").glob("*.ipynb"))}
    assert "url(" not in text and "@import" not in text and 'name="viewport"' in text


def looked_at(chromium: Any, path: Path, width: int = 1280) -> tuple[dict[str, Any], list[str]]:
    """Opens a file in a window; returns what SEEN tells, and what went wrong or left the file."""
    found: list[str] = []
    with chromium.new_page(viewport={"width": width, "height": 900}) as opened:
        opened.on("console", lambda message: found.append(f"console: {message.text}"))
        opened.on("pageerror", lambda error: found.append(f"error: {error}"))
        opened.on("requestfailed", lambda request: found.append(f"failed: {request.url}"))
        opened.on("request", lambda request: found.append(request.url) if request.url[:4] == "http" else None)
        opened.goto(path.as_uri())
        seen = opened.evaluate(SEEN)
        seen["sounds"] = opened.evaluate(HEARD)
    return seen, found + ["a broken image"] * seen["broken"] + ["a script"] * seen["scripts"]


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_opens_in_a_browser(chromium: Any, width: int) -> None:
    """Protects what people see: no request, no complaint, no broken image, no sideways scrolling; sounds play."""
    seen, faults = looked_at(chromium, LAPTOP / "report.html", width)
    assert seen["images"] >= 20 and seen["wide"] <= width and faults == []
    assert "Is it true?" in seen["text"] and "not reproduced" in seen["text"]
    assert len(seen["sounds"]) >= 3 and min(seen["sounds"]) > 1


def test_a_page_with_faults_is_found_out(chromium: Any, tmp_path: Path) -> None:
    """Protects the test above: the browser does see each kind of fault."""
    (tmp_path / "page.html").write_text(
        '<img src="data:image/png;base64,AAAA"><img src="gone.png"><img src="http://127.0.0.1:9/x.png">'
        "<script>console.error('no'); throw 'no'</script>"
    )
    faults = looked_at(chromium, tmp_path / "page.html")[1]
    assert faults.count("a broken image") == 3 and {"a script", "console: no", "error: no"} <= set(faults)
    assert "http://127.0.0.1:9/x.png" in faults and "failed: http://127.0.0.1:9/x.png" in faults
