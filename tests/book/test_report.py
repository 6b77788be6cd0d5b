"""What is written: sorted, unique, nothing of others lost; and the page: self-contained, escaped, in a browser."""

import io
import json
import math
import multiprocessing
import os
import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

import nbformat
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from PIL import Image

from repro import ROOT
from repro.book import report, verdicts

LAPTOP = ROOT / "results" / "laptop"


def rows(experiment: str, value: float) -> pd.DataFrame:
    models = [("psi", 1.0, 1), ("psi", 0.5, 2), ("prior", np.nan, 0)]
    return pd.DataFrame([(experiment, *model, "log_p", value) for model in models], columns=[*report.KEY, "value"])


def made(name: str, runs: dict[str, dict[str, Any]]) -> Any:  # an experiment with runs
    return SimpleNamespace(name=name, numbers=lambda: runs)


def test_runs_that_experiments_share_do_not_depend_on_their_order(tmp_path: Path) -> None:
    """Protects runs.json: a shared run belongs to both, whoever is written last, and stays while one of them has it."""
    first, second = made("terminal", {"shared": {"n": 1}, "a": {"n": 2}}), made("plain", {"shared": {"n": 1}, "b": {}})
    path = report.write_runs(tmp_path / "one", first, second, first)
    report.write_runs(tmp_path / "other", second)
    assert path.read_bytes() == report.write_runs(tmp_path / "other", first).read_bytes()
    assert json.loads(path.read_text())["shared"] == {"n": 1, "experiments": ["plain", "terminal"]}
    assert set(json.loads(report.write_runs(tmp_path / "one", made("terminal", {})).read_text())) == {"shared", "b"}


def test_a_table_keeps_other_experiments(tmp_path: Path) -> None:
    """Protects what other notebooks wrote: an experiment replaces its own rows and no others; order is fixed."""
    for experiment, value in (("as_notated", 1.0), ("rebuilt", 2.0), ("as_notated", 3.0)):
        path = report.write_table(tmp_path, "music", rows(experiment, value))
    table = pd.read_csv(path)
    assert list(table.columns) == ["experiment", "method", "c", "seed", "metric", "value"]
    assert table.groupby("experiment")["value"].unique().map(list).to_dict() == {"as_notated": [3.0], "rebuilt": [2.0]}
    assert table["seed"].tolist() == [0, 2, 1] * 2
    before = path.read_bytes()
    assert report.write_table(tmp_path, "music", rows("rebuilt", 2.0)).read_bytes() == before
    with pytest.raises(ValueError, match="as_notated.*twice"):
        report.write_table(tmp_path, "music", pd.concat([rows("as_notated", 1.0)] * 2))
    assert path.read_bytes() == before and len(list(tmp_path.rglob("*"))) == 2


def add(results: Path, number: int) -> None:
    os.environ["REPRO_JOURNAL"] = str(results / f"journal {number}")
    for turn in range(8):
        name = f"{number} {turn}"
        report.write_table(results, "music", rows(name, 1.0))
        report.write_runs(results, made(name, {name: {}}))
    report.record(results, f"notebook {number}", "", results / f"journal {number}", "code")


def test_pipelines_at_once_lose_no_rows_of_one_another(tmp_path: Path) -> None:
    """Protects tables, runs.json and provenance.csv where several processes add their rows at the same time."""
    with multiprocessing.get_context("fork").Pool(4) as pool:
        pool.starmap(add, [(tmp_path, number) for number in range(4)], chunksize=1)
    names = {f"{number} {turn}" for number in range(4) for turn in range(8)}
    assert {*pd.read_csv(tmp_path / "tables" / "music.csv")["experiment"]} == names == {*verdicts.read_runs(tmp_path)}
    assert {row["notebook"] for row in report.provenance(tmp_path)} == {f"notebook {number}" for number in range(4)}


def test_figures_are_small_sharp_and_the_same_every_time(tmp_path: Path) -> None:
    """Protects what is seen (colours, white, twice the page's column) and the repository: no needless digit or byte."""
    drawn, ax = plt.subplots(figsize=(10, 4))
    plt.close(drawn)
    ax.imshow(np.linspace(0, 1, 400).reshape(4, 100), aspect="auto", cmap="viridis", extent=(0, 1, 0, 0.5))
    ax.plot([0.5], [0.95], "s", color="#ff0000", ms=2)  # a few pixels of a colour that nothing else has
    ax.set(ylim=(0, 1), xlabel="x = 0.12345", ylabel="height", title="several\nshades")
    drawn.savefig(buffer := io.BytesIO(), format="png", dpi=report.WIDTH / 10)
    shown = report.write_figure(tmp_path, "f", drawn)
    picture, (_, told) = shown.data, shown._repr_png_()
    assert told["alt"] == "several shades, height, x = 0.12345"  # for those who do not see it
    png, svg = ((tmp_path / "figures" / f"f.{kind}").read_bytes() for kind in ("png", "svg"))
    assert picture == png and len(png) < 0.7 * len(buffer.getvalue())
    before, after = (np.asarray(Image.open(file).convert("RGB")).astype(int) for file in (buffer, io.BytesIO(png)))
    assert before.shape == after.shape and after.shape[1] == report.WIDTH and (after[0, 0] == 255).all()
    assert np.abs(before - after).max() <= 40 and np.abs(before - after).mean() < 2
    assert not re.search(rb' d="[^"]*\.\d{3}', svg) and b"0.12345" in svg and b"figures/f, settings and commit" in svg
    report.write_figure(tmp_path / "again", "f", drawn)
    assert [(tmp_path / "again" / "figures" / f"f.{kind}").read_bytes() for kind in ("png", "svg")] == [png, svg]


def test_each_file_has_its_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects provenance.csv: notebooks share files, others' rows stay, a row keeps the commit that made its bytes,
    lost files go; where no pipeline listens, writing works all the same.
    """
    report.write_frame(tmp_path, "alone", rows("x", 1.0))
    assert (tmp_path / "tables" / "alone.csv").exists()
    monkeypatch.setenv("REPRO_JOURNAL", str(tmp_path / "journal"))

    def rows_of(notebook: str, value: float, commit: str) -> list[str]:
        (tmp_path / "journal").unlink(missing_ok=True)
        report.write_table(tmp_path, "music", rows(notebook, value))
        report.write_frame(tmp_path, notebook, rows(notebook, value))
        report.write_runs(tmp_path, made(notebook, {f"key of {notebook}": {}}))
        report.record(tmp_path, notebook, f"seeds={notebook}", tmp_path / "journal", commit)
        told = ("file", "parameters", "experiments", "commit")
        return [" ".join(row[name] for name in told) for row in report.provenance(tmp_path)]

    rows_of("a", 1.0, "old")
    before = rows_of("b", 1.0, "old")
    files = [("runs.json", "a"), ("runs.json", "b"), ("tables/a.csv", "a"), ("tables/b.csv", "b"),
             ("tables/music.csv", "a"), ("tables/music.csv", "b")]  # fmt: skip
    assert before == [f"{file} seeds={name} {name} old" for file, name in files]
    assert rows_of("a", 1.0, "new") == before
    (tmp_path / "tables" / "a.csv").unlink()
    after = [row.split()[0] for row in rows_of("b", 3.0, "new") if row.endswith("new")]
    assert after == ["tables/b.csv", "tables/music.csv"] and "tables/a.csv" not in str(report.provenance(tmp_path))


def test_readme_and_verdicts_say_what_the_results_say(tmp_path: Path) -> None:
    """Protects README.md and VERDICTS.md: both are those of results/laptop."""
    readme, rows = (ROOT / "README.md").read_text(encoding="utf-8"), verdicts.read_ledger(LAPTOP)
    assert readme == verdicts.with_numbers(readme, rows), "run python -m repro.book.report"
    committed = (LAPTOP / "VERDICTS.md").read_text(encoding="utf-8")
    for name in ("claims.json", "tables/music.csv", "tables/molecules.csv"):
        (tmp_path / "laptop" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(LAPTOP / name, tmp_path / "laptop" / name)
    assert report.write_page(tmp_path / "laptop").with_name("VERDICTS.md").read_text(encoding="utf-8") == committed
    assert "| reproduced" in committed and "## Table 1 at c = 0.5" in committed
    tables = [line for line in committed.splitlines() if line.startswith("|") or line.startswith("## Table 2")]
    table_2 = tables[tables.index("## Table 2 (paper unverified) at c = 0.25") + 1 :]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in table_2} == {8} and "<br>*30.3 %* |" in table_2[2]


def test_the_page_begins_with_what_readme_found() -> None:
    """Protects the first screen: README's picture and ten questions, with the numbers of the ledger at hand; a ledger
    that was made elsewhere, or none, has no answers of ours.
    """
    rows = verdicts.read_ledger(LAPTOP)
    found = report.found(LAPTOP, [row | {"levels": "as here"} if row["id"] == "tonic" else row for row in rows])
    assert len(found["answers"]) == 10 and found["answers"]["Does KL-control stay nearer to the prior?"] == "Yes."
    assert all("[" not in answer and "claim" not in answer for answer in found["answers"].values())
    assert "Q and Psi as here; 38.4 %" in found["text"] and found["picture"]["alt"].startswith("Reward against")
    assert report.found(ROOT / "results" / "own", rows) == report.found(LAPTOP, []) == {}


SILENCE = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQIAAAAAAA=="  # one sample at 8 kHz
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
HOSTILE = "<img src=x onerror=alert(1)>"
LATEX = r" $\href{x}{y}$ ../.. " + "x" * 255
SEEN = """() => ({images: document.images.length, scripts: document.scripts.length,
    broken: [...document.images].filter(image => !image.complete || !image.naturalWidth).length,
    wide: document.documentElement.scrollWidth, text: document.body.innerText})"""
HEARD = """async () => { const sounds = [...document.querySelectorAll('audio')];
    await Promise.all(sounds.map(sound => new Promise((good, bad) => {
        sound.addEventListener('loadedmetadata', good); sound.addEventListener('error', bad); sound.load(); })));
    return sounds.map(sound => sound.duration); }"""


said = nbformat.v4.new_markdown_cell


def shows(*data: dict[str, str]) -> Any:
    return nbformat.v4.new_code_cell("f()", outputs=[nbformat.v4.new_output("display_data", each) for each in data])


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A results folder whose names and texts a hostile user has chosen."""
    folder = tmp_path / HOSTILE
    (folder / "notebooks").mkdir(parents=True)
    cells = [
        said(f"# Title {HOSTILE}{LATEX}"), said("## First figure\n\nearlier prose\n\nprose above"),
        shows({"image/png": PIXEL, "text/plain": "<Figure>"}),
        said(f"*Made from **two** runs {HOSTILE} [x](javascript:alert(1)).* More.\n\n## What is asked\n\nNot this."),
        shows({"text/markdown": f"**{HOSTILE}**"},
              {"text/html": f'<script>alert(1)</script><source src="data:audio/wav;base64,{SILENCE}">'}),
        shows({"image/png": PIXEL}), said(f"## What we see, and more\n\n**Seen.** {HOSTILE}"), said("Not seen."),
        said(f"Made by the code of `abc` with c={HOSTILE}. See [x](../provenance.csv).", id="provenance"),
    ]  # fmt: skip
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "notebooks" / "02_<b>.ipynb")
    (folder / "notebooks" / "03_damaged.ipynb").write_text("{", encoding="utf-8")
    (folder / "notebooks" / "04_bad.failed.ipynb").write_text("{", encoding="utf-8")
    row = json.loads((LAPTOP / "claims.json").read_text(encoding="utf-8"))[0]
    report.write_ledger(folder, [row | {"sentence": HOSTILE, "low": math.nan}])
    return folder


def test_what_users_name_is_escaped(results: Path) -> None:
    """Protects readers of somebody's page: names of folders, notebooks and parameters are text and never tags; a
    damaged copy costs its own chapter, and a failed notebook is none. A caption begins in italics below; the last
    paragraph above leads in; a sound has the name above it; a picture shown twice is there once.
    """
    assert '"low": null' in (results / "claims.json").read_text(encoding="utf-8")  # JSON knows no NaN
    text = report.write_page(results).read_text(encoding="utf-8")
    assert "<img src=x" not in text and "<script" not in text and "javascript:" not in text
    assert text.count("&lt;img src=x onerror=alert(1)&gt;") >= 6
    assert 'alt="First figure: Made from two runs &lt;img' in text and "<summary>All rows</summary>" in text
    assert 'href="notebooks/02_%3Cb%3E.ipynb"' in text and 'href="provenance.csv"' in text
    assert "03_damaged is damaged and was left out" in text and "04_bad" not in text
    assert "No claim has been judged here yet" in report.write_page(results / "nothing").read_text(encoding="utf-8")
    chapter = report.chapter(results / "notebooks" / "02_<b>.ipynb")
    figure, sound = chapter["shown"]
    assert chapter["title"] == f"Title {HOSTILE}{LATEX}" and chapter["seen"].strip() == f"**Seen.** {HOSTILE}"
    caption = figure.pop("caption")
    assert figure == {"kind": "png", "data": PIXEL, "alt": "", "heading": "First figure", "lead": "prose above"}
    assert caption.startswith("*Made from **two** runs") and "Not this" not in caption
    assert sound == {"kind": "wav", "data": SILENCE, "alt": HOSTILE, "heading": "", "lead": "Not this.", "caption": ""}


def test_the_committed_page_stands_alone() -> None:
    """Protects readers without network: all that it shows is in it, and links lead to files that exist."""
    text = (LAPTOP / "report.html").read_text(encoding="utf-8")
    places = {unquote(place) for place in re.findall(r'(?:src|href)="([^"]{0,200})', text)}
    links = {place for place in places if not place.startswith(("data:", "#"))}
    copies = {f"notebooks/{path.name}" for path in (LAPTOP / "notebooks").glob("*.ipynb")}
    assert links == {"provenance.csv", "VERDICTS.md", *copies}
    ids = re.findall(r'<section id="([^"]+)', text)
    assert len(ids) == len({*ids}) and {place[1:] for place in re.findall(r'href="(#[^"]+)', text)} <= {*ids}
    assert "url(" not in text and "@import" not in text and not re.search('alt="(: |")', text)
    order = ("<figure>", "What we found</h2>", 'id="00_start_here"', 'id="table-1"', "<details>")
    places = [text.index(word) for word in order]
    assert places == sorted(places)
    seen = {path.stem: report.chapter(path)["seen"] for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert all(seen.values()) and not [name for name, text in seen.items() if "$" in text]  # no formula is drawn there


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_opens_in_a_browser(chromium: Any, width: int) -> None:
    """Protects what people see: no request, no complaint, no broken image, no sideways scrolling; sounds play, a figure
    that is tapped grows, and is as before when tapped again.
    """
    faults: list[str] = []
    with chromium.new_page(viewport={"width": width, "height": 900}) as opened:
        opened.on("console", lambda message: faults.append(message.text))
        opened.on("pageerror", lambda error: faults.append(str(error)))
        opened.on("request", lambda request: faults.append(request.url) if request.url[:4] == "http" else None)
        opened.goto((LAPTOP / "report.html").as_uri())
        seen, sounds = opened.evaluate(SEEN), opened.evaluate(HEARD)
        sizes = []
        for _ in range(3):
            sizes.append(opened.locator("figure img").first.bounding_box()["width"])
            opened.locator("figure label").first.click()
    assert faults == [] and (seen["broken"], seen["scripts"]) == (0, 0)
    assert seen["images"] >= 20 and seen["wide"] <= width and len(sounds) >= 3 and min(sounds) > 1
    assert "Are the rules learned?" in seen["text"] and "not reproduced" in seen["text"]
    assert sizes[0] == sizes[2] <= width and sizes[1] >= 960


ROW = json.loads((LAPTOP / "claims.json").read_text(encoding="utf-8"))[0]
TABLE = "experiment,method,c,seed,metric,value\nas_notated,psi,0.5,100,"
CUT = ("", '{"a": {"curve": []}}', '{"a": 1}', "null", '{"a": {"experim')
DAMAGED = {
    "runs.json": [*CUT, "[]"],
    "claims.json": [*CUT, *(json.dumps([row]) for row in ({"id": "key"}, ROW | {"ours": "x"}, ROW | {"verdict": 1},
                                                         ROW | {"levels": 2}))],
    "tables/music.csv": [TABLE, TABLE + "repeated,no\n", TABLE.replace("0.5", "half") + "kl,1\n", "a,b\n1,2\n", "\0"],
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_named_and_set_aside(tmp_path: Path, name: str) -> None:
    """Protects a results folder from a file that was cut or mistyped, and readers from words of pandas: one sentence
    names it, it is kept, and made again.
    """
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    for content in DAMAGED[name]:
        path.write_text(content, encoding="utf-8")
        with pytest.warns(UserWarning, match=f"{path.name} is damaged .* set aside as {path.name}.damaged") as said:
            report.write_runs(tmp_path) if name == "runs.json" else report.write_page(tmp_path)
        assert len(said) == 1 and path.with_name(f"{path.name}.damaged").read_text(encoding="utf-8") == content
        assert json.loads(path.read_bytes()) == {} if name == "runs.json" else not path.exists()
