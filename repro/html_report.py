"""One HTML file that tells what came out: verdicts, every figure with its caption, sounds. No network, no script.

The figures are those of the executed notebooks, each with the italic caption below it. All text that a user may have
supplied (folder names, settings) is escaped by the template; captions pass through a Markdown reader that keeps no raw
HTML and no scripts in links.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
import mistune
from markupsafe import Markup

from repro import pictures, provenance, runs
from repro.claims import tables as verdict_tables

TEMPLATE = Path(__file__).with_name("report.html.jinja")
LARGEST = 5_500_000  # bytes; sounds that would make the file larger are left to the folder audio
SOUND = re.compile(r"data:audio/wav;base64,([A-Za-z0-9+/=]+)")
MODELS = {"prior": "prior", "q": "Q", "psi": "Psi", "g": "G", "rl_only": "RL only"}
caption_of = mistune.create_markdown(escape=True)


@dataclass(frozen=True)
class Item:
    """A figure or a sound of a notebook, with what is said about it."""

    kind: str  # webp or wav
    data: str  # base64
    heading: str
    caption: str  # Markdown
    width: int = 0  # of a picture, in pixels
    height: int = 0


@dataclass(frozen=True)
class Chapter:
    """An executed notebook as the report shows it."""

    title: str
    link: str  # relative to the report
    settings: str  # what the run was told and what the settings became
    commit: str  # of the code that made it
    items: tuple[Item, ...]


def write(results: Path) -> Path:
    """Writes RESULTS/report.html and returns its path."""
    path = results / "report.html"
    runs.write(path, render(results).encode())
    return path


def render(results: Path) -> str:
    """The report on a results folder, from its claims.json, executed notebooks and audio; missing ones are left out."""
    rows = verdict_tables.read(results)
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    page = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    chapters = [chapter(path) for path in executed(results)]
    room = LARGEST - sum(len(item.data) for one in chapters for item in one.items) - 200_000
    return page.render(
        name=results.name,
        counts=verdict_tables.counts(rows),
        count=len(rows),
        verdicts=Markup(verdict_tables.as_html(rows)),
        note=verdict_tables.NOTE,
        commits=sorted({row["rules_commit"] for row in rows if row["rules_commit"]}),
        chapters=chapters,
        index=provenance.INDEX if provenance.read(results) else "",
        sounds=list(sounds(results, room)),
        markdown=lambda text: Markup(caption_of(text)),
    )


def executed(results: Path) -> list[Path]:
    """The executed notebooks of a results folder, in order, without failed ones."""
    return sorted(p for p in (results / "notebooks").glob("[0-9][0-9]*.ipynb") if not p.stem.endswith(".failed"))


def chapter(path: Path) -> Chapter:
    """Reads an executed notebook: its title, settings, figures and sounds; a damaged one is named and left out."""
    link = f"notebooks/{quote(path.name)}"
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    except (ValueError, KeyError, TypeError):
        return Chapter(f"{path.stem} is damaged and was left out", link, "", "", ())
    prose = "\n".join(_source(cell) for cell in cells if cell["cell_type"] == "markdown")
    heading = re.search(r"^# (.+)$", prose, re.MULTILINE)
    made = provenance.MADE.search(prose)
    return Chapter(
        title=heading[1] if heading else path.stem,
        link=link,
        settings=_settings(cells),
        commit=made[1] if made else "",
        items=tuple(_items(cells)),
    )


def _source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def _outputs(cell: dict[str, Any]) -> Iterator[dict[str, str]]:
    for output in cell.get("outputs", ()):
        yield {kind: "".join(text) for kind, text in output.get("data", {}).items() if not isinstance(text, dict)}


def _settings(cells: Sequence[dict[str, Any]]) -> str:
    """The parameters that were injected, and what the cell of the settings shows."""
    told = [_source(cell) for cell in cells if "injected-parameters" in cell["metadata"].get("tags", ())]
    shown = [data["text/plain"] for cell in cells[:5] for data in _outputs(cell) if set(data) == {"text/plain"}]
    return "\n\n".join(text.strip() for text in (*told, *shown[:1]))


def _items(cells: Sequence[dict[str, Any]]) -> Iterator[Item]:
    """Every figure and sound, once, under the nearest heading above it."""
    heading, seen = "", set()
    for index, cell in enumerate(cells):
        if cell["cell_type"] == "markdown":
            found = re.findall(r"^##+ (.+)$", _source(cell), re.MULTILINE)
            heading = found[-1] if found else heading
        for data in _outputs(cell):
            sound = SOUND.search(data.get("text/html", ""))
            kind, content = ("wav", sound[1]) if sound else ("png", data.get("image/png", "").replace("\n", ""))
            mark = hashlib.sha256(content.encode()).digest()
            if content and mark not in seen:
                seen.add(mark)
                yield _item(kind, base64.b64decode(content), heading, _caption(cells, index))


def _item(kind: str, content: bytes, heading: str, caption: str) -> Item:
    """A figure as WebP or a sound at the report's rate: what a page of a few megabytes has room for."""
    if kind == "wav":
        return Item(kind, _base64(pictures.smaller_sound(content)), heading, caption)
    webp, width, height = pictures.as_webp(content)
    return Item("webp", _base64(webp), heading, caption, width, height)


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _caption(cells: Sequence[dict[str, Any]], index: int) -> str:
    """The paragraph in italics that follows an output; without one, the prose just above it, then that below it."""
    following = cells[index + 1] if index + 1 < len(cells) else None
    below = _prose(following) if following and following["cell_type"] == "markdown" else []
    above = _prose(next((cell for cell in reversed(cells[:index]) if cell["cell_type"] == "markdown"), None))
    if below and re.match(r"\*[^*\s]", below[0]):
        return below[0]
    return next((part for part in (*above[-1:], *below[:1]) if not part.startswith(("#", "|", "$$"))), "")


def _prose(cell: dict[str, Any] | None) -> list[str]:
    return _source(cell).strip().split("\n\n") if cell else []


def sounds(results: Path, room: int) -> Iterator[tuple[str, str]]:
    """Name and base64 of the melodies in audio/, model by model, as long as `room` characters hold them."""
    order = {name: place for place, name in enumerate(MODELS)}
    paths = [(*path.stem.rpartition("_")[::2], path) for path in (results / "audio").glob("*.wav")]
    for model, index, path in sorted(paths, key=lambda entry: (order.get(entry[0], len(order)), entry)):
        content = _base64(pictures.smaller_sound(path.read_bytes()))
        room -= len(content)
        if room >= 0:
            yield f"{MODELS.get(model, model)} {index}", content
