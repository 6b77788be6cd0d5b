"""The report: self-contained, escaped, and opened in a browser."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import nbformat
import pytest
from browser import Browser

from repro import html_report
from repro.settings import ROOT

LAPTOP = ROOT / "results" / "laptop"
SILENCE = base64.b64decode("UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQIAAAAAAA==")  # one sample at 8 kHz
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
HOSTILE = "<img src=x onerror=alert(1)>"
SEEN = """({images: document.images.length, scripts: document.scripts.length,
    broken: [...document.images].filter(image => !image.complete || !image.naturalWidth).length,
    wide: document.documentElement.scrollWidth, text: document.body.innerText})"""


def notebook(path: Path, *cells: Any) -> None:
    """Writes an executed notebook."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(nbformat.v4.new_notebook(cells=list(cells)), path)


def shows(data: dict[str, str], source: str = "f()", **metadata: Any) -> Any:
    """A code cell with one output."""
    output = nbformat.v4.new_output("display_data", data)
    return nbformat.v4.new_code_cell(source, outputs=[output], metadata=metadata)


def said(text: str) -> Any:
    """A cell of prose."""
    return nbformat.v4.new_markdown_cell(text)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A results folder whose names and texts a hostile user has chosen."""
    folder = tmp_path / HOSTILE
    sound = base64.b64encode(SILENCE).decode()
    notebook(
        folder / "notebooks" / "02_<b>.ipynb",
        said(f"# Title {HOSTILE}"),
        shows({"text/plain": f"Settings(midi_folder='{HOSTILE}')"}, f"midi_folder = '{HOSTILE}'",
              tags=["injected-parameters"]),
        said("## First figure\n\nprose above"),
        shows({"image/png": PIXEL, "text/plain": "<Figure>"}),
        said(f"*Made from **two** runs {HOSTILE} [x](javascript:alert(1)).* More of it.\n\nNot this."),
        shows({"text/html": f'<script>alert(1)</script><source src="data:audio/wav;base64,{sound}">'}),
        shows({"image/png": PIXEL}),
        said("## Another heading\n\nNot a caption."),
    )  # fmt: skip
    (folder / "notebooks" / "03_damaged.ipynb").write_text("{", encoding="utf-8")
    (folder / "notebooks" / "04_bad.failed.ipynb").write_text("{", encoding="utf-8")
    (folder / "audio").mkdir()
    for name in ("psi_2", "psi_1", "prior_1", f"{HOSTILE}_1"):
        (folder / "audio" / f"{name}.wav").write_bytes(SILENCE)
    row = {
        "id": "x", "domain": "music", "experiment": "as_notated", "sentence": HOSTILE, "paper": "1", "paper_trust": "P",
        "ours": 1.0, "low": None, "high": None, "unit": "", "levels": "", "seeds": 1, "rule": "n: at least 0",
        "rule_before_runs": True, "rules_commit": "abcdefg subject", "verdict": "partly", "comment": "",
    }  # fmt: skip
    (folder / "claims.json").write_text(json.dumps([row]), encoding="utf-8")
    return folder


def test_what_users_name_is_escaped(results: Path) -> None:
    """Protects readers of somebody's report: names of folders, notebooks and melodies are text and never tags."""
    page = html_report.write(results).read_text(encoding="utf-8")
    assert "<img src=x" not in page and "<script" not in page and "javascript:" not in page
    assert page.count("&lt;img src=x onerror=alert(1)&gt;") >= 7
    assert 'href="notebooks/02_%3Cb%3E.ipynb"' in page


def test_figures_have_their_captions(results: Path) -> None:
    """Protects captions: italics below, else the prose above or below; a picture shown twice is there once."""
    chapter = html_report.chapter(results / "notebooks" / "02_<b>.ipynb")
    assert [(item.kind, item.heading) for item in chapter.items] == [("webp", "First figure"), ("wav", "First figure")]
    assert chapter.items[0].caption.startswith("*Made from **two** runs") and "Not this" not in chapter.items[0].caption
    assert chapter.items[1].caption == "Not this."
    assert chapter.settings.startswith("midi_folder = ") and "Settings(" in chapter.settings


def test_what_cannot_be_read_is_named(results: Path) -> None:
    """Protects a finished run: a damaged copy costs its own chapter; a failed notebook is none."""
    page = html_report.render(results)
    assert "03_damaged is damaged and was left out" in page and "04_bad" not in page


def test_melodies_are_in_order_and_fit(results: Path) -> None:
    """Protects listeners and the size: model by model, the prior first, and no more than there is room for."""
    assert [name for name, _ in html_report.sounds(results, 200)] == ["prior 1", "Psi 1", "Psi 2"]


def test_an_empty_folder_has_a_report(tmp_path: Path) -> None:
    """Protects `--only` on a fresh clone: nothing is there yet, and the report says so."""
    assert "No claim has been judged here yet" in html_report.render(tmp_path)


def test_the_committed_report_stands_alone() -> None:
    """Protects readers without network: all that it shows is in it, links lead to files that exist, and it is small."""
    page = (LAPTOP / "report.html").read_bytes()
    assert len(page) <= 5_500_000
    text = page.decode()
    places = set(re.findall(r'(?:src|href)="([^"]{0,200})', text))
    assert all(place.startswith(("data:", "#", "notebooks/", "provenance.csv")) for place in places)
    linked = {unquote(place) for place in places if place.startswith("notebooks/")}
    assert linked == {f"notebooks/{path.name}" for path in html_report.executed(LAPTOP)}
    assert all((LAPTOP / place).exists() for place in linked)
    assert "url(" not in text and "@import" not in text and 'name="viewport"' in text
    assert text.index('id="verdicts"') < text.index("<figure>")


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[[Path], Browser]]:
    """Opens pages in Chromium, and closes them."""
    pages: list[Browser] = []

    def opened(page: Path) -> Browser:
        pages.append(Browser(tmp_path / f"profile{len(pages)}"))
        pages[-1].open(page.as_uri())
        return pages[-1]

    yield opened
    for page in pages:
        page.close()


def problems(page: Browser) -> list[str]:
    """What a reader would miss: broken images, requests that leave the file, errors on the console."""
    seen = page.evaluate(SEEN)
    asked = [address.partition(":")[0] for address in page.requests()]
    found = ["a broken image"] * seen["broken"] + ["a script"] * seen["scripts"] + page.complaints()
    return found + [f"a request by {scheme}" for scheme in asked if scheme not in ("file", "data")]


def test_the_report_opens_in_a_browser(opened: Callable[[Path], Browser]) -> None:
    """Protects what people see: nothing asks the network, no console error, no broken image, no sideways scrolling."""
    page = opened(LAPTOP / "report.html")
    for width in (1280, 390):
        page.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 500
        )
        seen = page.evaluate(SEEN)
        assert seen["images"] >= 20 and seen["wide"] <= width
        assert "Is it true?" in seen["text"] and "not reproduced" in seen["text"]
    assert problems(page) == []


def test_a_page_with_faults_is_found_out(opened: Callable[[Path], Browser], tmp_path: Path) -> None:
    """Protects the test above: the browser does see each kind of fault."""
    page = tmp_path / "page.html"
    page.write_text(
        '<img src="data:image/png;base64,AAAA"><img src="gone.png"><img src="http://127.0.0.1:9/x.png">'
        "<script>console.error('no')</script>"
    )
    found = problems(opened(page))
    assert found.count("a broken image") == 3 and "a script" in found and "a request by http" in found
    assert {"Runtime.consoleAPICalled", "Network.loadingFailed"} <= set(found)
