"""Writes what came out into a results folder: tables, figures, sounds, ledger, the numbers of all runs, the one page.

The same content gives the same bytes. `python -m repro.book.report` renews the tagged numbers in README.md.
"""

import base64
import hashlib
import io
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import matplotlib as mpl
import mistune
import nbformat
import pandas as pd
from IPython.display import Image as Shown
from matplotlib.figure import Figure
from PIL import Image, PngImagePlugin

from repro import ROOT, store
from repro.book import verdicts
from repro.book.tables import table_1, table_2
from repro.runs import Results
from repro.store import alone

# what is large is shipped of the one experiment of which it is drawn: probabilities of every event, measures by step
DRAWN_OF = {"probabilities": "as_notated", "by_step": "rebuilt", "strings": "terminal"}
UNDRAWN = {"fronts", "front_gamma_0.5", "front_gamma_1"}  # experiments whose curves are drawn nowhere
KEY = [*verdicts.RUN, "metric"]
INDEX = "provenance.csv"  # which notebook, parameters and commit made each file
COLUMNS = ["file", "sha256", "notebook", "parameters", "experiments", "commit"]
SOUND = re.compile(r"data:audio/wav;base64,([A-Za-z0-9+/=]+)")
TABLES = {"Table 1": ("music", "as_notated", table_1), "Table 2 (paper unverified)": ("molecules", "terminal", table_2)}
TABLE_NOTE = "Ours, means over seeds with the 95 % interval; in italics, the paper at its own setting, from other data."
REFERENCE = ROOT / "results" / "laptop"  # the results of which README.md speaks
NOT_LEAD = re.compile(r"\A(?:.*\n\n)?(?:[#|$*-].*)?", re.DOTALL)  # all but the last paragraph, if it is plain prose
NOT_CAPTION = re.compile(r"\A(?!\*[^*\s]).*|\n\n.*", re.DOTALL)  # all but the first, if it begins in italics
ASKED = "What is asked"  # no heading for figures: they answer
NAMED = re.compile(r"(?<!\[)`(\d\d_\w+)`")  # a notebook by its name, which is no link yet
SEEN = r"^## What we see.*\n([^\0]+?)(?=\n## |\n\0|\Z)"  # to the end of its cell
WIDTH = 1904  # pixels of a figure: twice the column of the page, so that it is sharp on fine displays


def write_table(results: Path, domain: str, frame: pd.DataFrame) -> Path:
    """Writes measures (KEY and value) into tables/DOMAIN.csv, sorted; rows of other experiments there are kept."""
    twice = frame[frame.duplicated(KEY)]
    if len(twice):
        raise ValueError(f"the table has {tuple(twice[KEY].iloc[0])} twice")
    return write_frame(results, domain, frame[[*KEY, "value"]], by=KEY)


@alone()
def write_frame(results: Path, name: str, frame: pd.DataFrame, by: Sequence[str] = ()) -> Path:
    """Writes a table into tables/NAME.csv; `by`: sorted by these, and rows with other values of the first are kept."""
    if by:
        before = verdicts.read_table(results, name, by)
        kept = [before[~before[by[0]].isin(frame[by[0]])]] if len(before) else []
        frame = pd.concat([*kept, frame]).sort_values([*by], kind="stable")
    text = frame.to_csv(index=False, float_format="%.8g", lineterminator="\n")
    return write_file(results, f"tables/{name}.csv", text.encode())


def write_figure(results: Path, name: str, figure: Figure) -> Shown:
    """Writes figures/NAME.svg (coordinates to .01 point) and .png (128 colours); returns the latter, to be shown."""
    source = f"figures/{name}, settings and commit in {INDEX}"
    svg, drawn, png, text = io.StringIO(), io.BytesIO(), io.BytesIO(), PngImagePlugin.PngInfo()
    with mpl.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):  # the same ids every time, text as text
        figure.savefig(svg, format="svg", metadata={"Date": None, "Source": source})
    # paths and places with two decimals: half the size, and nobody sees it
    short = re.sub(r' (?:d|x|y)="[^"]*"', lambda found: re.sub(r"(\.\d\d)\d+", r"\1", found[0]), svg.getvalue())
    write_file(results, f"figures/{name}.svg", short.encode())
    figure.savefig(drawn, format="png", dpi=WIDTH / figure.get_figwidth())
    text.add_text("Source", source)
    few = Image.open(drawn).convert("RGB").quantize(128, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few.save(png, "PNG", optimize=True, pnginfo=text)
    write_file(results, f"figures/{name}.png", png.getvalue())
    panels = (", ".join(filter(None, (ax.get_title(), ax.get_ylabel(), ax.get_xlabel()))) for ax in figure.axes)
    alt = "; ".join(dict.fromkeys(" ".join(panel.split()) for panel in panels if panel))
    width = round(100 * figure.get_figwidth())  # points: about half as wide as its pixels
    return Shown(png.getvalue(), width=width, alt=alt)  # alt: title and axes of each panel


def write_ledger(results: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Writes the whole ledger into claims.json; what is not a number becomes null, as JSON wants it."""
    plain = json.loads(json.dumps([dict(row) for row in rows]), parse_constant=lambda _: None)
    return write_file(results, "claims.json", (json.dumps(plain, indent=1, sort_keys=True) + "\n").encode())


@alone()
def write_runs(results: Path, *experiments: Results, **records: Sequence[store.Record]) -> Path:
    """Writes the numbers of all runs (of `records`: in no Results) by key into runs.json; runs of others are kept."""
    runs, made = verdicts.read_runs(results), {experiment.name: experiment.numbers() for experiment in experiments}
    made |= {name: {record.key: record.numbers for record in finished} for name, finished in records.items()}
    for name, ours in made.items():
        # a run lists all experiments that share it, so that the file does not depend on who writes last; runs of this
        # one that it no longer has go, unless another has them
        others = {key: set(run["experiments"]) - {name} for key, run in runs.items()}
        runs = {key: {**run, "experiments": sorted(others[key])} for key, run in runs.items() if others[key]}
        for key, numbers in ours.items():
            runs[key] = {**numbers, "experiments": sorted(others.get(key, set()) | {name})}
    for run in runs.values():
        unseen = [part for part, drawn in DRAWN_OF.items() if drawn not in run["experiments"]]
        for part in unseen + ["curve"] * ({*run["experiments"]} <= UNDRAWN):
            run.pop(part, None)
    text = json.dumps(runs, sort_keys=True, separators=(",", ":")) + "\n"
    return write_file(results, "runs.json", text.encode(), list(made))


def write_file(results: Path, name: str, content: bytes, experiments: Sequence[str] = ()) -> Path:
    """Writes any file of a results folder, and notes it where a pipeline listens."""
    store.write(results / name, content)
    if journal := os.environ.get("REPRO_JOURNAL"):  # what belongs to the notebook that it runs
        with open(journal, "a", encoding="utf-8") as file:
            file.write(json.dumps({"results": str(results), "file": name, "experiments": experiments}) + "\n")
    return results / name


@alone()
def record(results: Path, notebook: str, parameters: str, journal: Path, commit: str) -> None:
    """Puts what a notebook wrote in place of its earlier rows of provenance.csv; rows of lost files go."""
    lines = journal.read_text(encoding="utf-8").splitlines() if journal.exists() else []
    noted = [json.loads(line) for line in lines]
    experiments = sorted({name for entry in noted for name in entry["experiments"]})
    told = {"notebook": notebook, "parameters": parameters, "experiments": " ".join(experiments), "commit": commit}
    before = {(row["file"], row["notebook"]): row for row in provenance(results)}
    rows = {key: row for key, row in before.items() if row["notebook"] != notebook}
    here = [entry["file"] for entry in noted if entry["results"] == str(results)]
    rows |= {(file, notebook): {"file": file, **told} for file in here}
    kept = []
    for key, row in sorted(rows.items()):
        if (path := results / row["file"]).is_file():
            now, then = {**row, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}, before.get(key, {})
            # where nothing else has changed, the first commit stays, unless nobody else can have it
            same = {**then, "commit": commit} == now and "+" not in then["commit"]
            kept.append(then if same else now)
    text = pd.DataFrame(kept, columns=COLUMNS).to_csv(index=False, lineterminator="\n")
    store.write(results / INDEX, text.encode())


def provenance(results: Path) -> list[dict[str, str]]:
    """The rows of provenance.csv, one per file and notebook; none where nothing has been recorded."""
    rows = store.results_in(
        results / INDEX, pd.DataFrame(columns=COLUMNS), lambda rows: [*rows.columns] == COLUMNS,
        lambda content: pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False),
    )  # fmt: skip
    return rows.to_dict("records")


def write_page(results: Path) -> Path:
    """Writes VERDICTS.md (ledger, tables) and report.html (executed notebooks too, but for failed ones); its path."""
    rows, shared = verdicts.read_ledger(results), {"name": results.name, "tables": tables(results)}
    store.write(results / "VERDICTS.md", verdicts.rendered("verdicts.md", rows, **shared).encode())
    paths = sorted((results / "notebooks").glob("[0-9][0-9]*.ipynb"))
    markdown = mistune.create_markdown(escape=True, plugins=["table"])
    text = verdicts.rendered(
        "page.html", rows, **shared, found=found(results, rows), index=INDEX if (results / INDEX).exists() else "",
        chapters=[chapter(path) for path in paths if not path.stem.endswith(".failed")],
        markdown=lambda text: markdown(NAMED.sub(r"[`\1`](#\1)", text)),  # a notebook has its chapter on the page
    )  # fmt: skip
    store.write(results / "report.html", text.encode())
    return results / "report.html"


def found(results: Path, rows: Sequence[verdicts.Entry]) -> dict[str, Any]:
    """What README.md says of these results, with their numbers: `picture`, `text` (Markdown), `answers` by question."""
    if results != REFERENCE or not rows:
        return {}
    text = verdicts.with_numbers((ROOT / "README.md").read_text(encoding="utf-8"), rows)
    text = re.sub("<!--.*?-->", "", text).replace("](results/laptop/", "](")  # links lead from the page's folder
    text = re.sub(r"\]\(notebooks/(\w+)\.ipynb\)", r"](#\1)", text.replace("[`report.html`](report.html)", "this page"))
    parts = re.findall(r"!\[(.+)\]\((.+)\)\n\n(.+)\n\n((?s:.+))\n## Run it", text)
    rows_of = [re.split(r" *(?<!\\)\| *", row)[1:-1] for row in re.findall(r"(?m)^\|.*$", parts[0][3] if parts else "")]
    if not rows_of or {len(row) for row in rows_of} != {len(rows_of[0])} or "answer" not in rows_of[0]:
        raise ValueError("README.md must have a picture, its caption and a table with an answer per row before Run it")
    alt, file, caption, text = parts[0]
    data = base64.b64encode((results / file).read_bytes()).decode()
    plain = [[re.sub(r"\[`([^]]+)`\]\(.*?\)", r"notebook \1", cell) for cell in row] for row in rows_of]
    answers = {row[0]: row[plain[0].index("answer")] for row in plain[2:]}
    return {"picture": {"data": data, "alt": alt, "caption": caption}, "text": text, "answers": answers}


def chapter(path: Path) -> dict[str, Any]:
    """An executed notebook for the page: name, title, link, made (commit, parameters), seen, shown; or its damage.

    `seen`: what stands under "What we see". `shown`: each figure and sound once, with kind (png or wav), data (base64),
    alt (of a sound its name), heading and last paragraph above (`lead`), caption below.
    """
    told = {"name": path.stem, "link": f"notebooks/{quote(path.name)}", "made": "", "seen": "", "shown": []}
    try:
        notebook = nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)
        nbformat.validate(notebook)
    except Exception:  # of a damaged file nbformat raises whatever it meets
        return told | {"title": f"{path.stem} is damaged and was left out"}
    cells = notebook.cells
    prose = ["".join(cell["source"]) if cell["cell_type"] == "markdown" else "" for cell in cells]
    # the last cell of a good copy tells how it was made; its links lead out of notebooks/, where the page lies
    made = prose.pop().replace("](../", "](") if cells and cells[-1].get("id") == "provenance" else ""
    title, seen = (re.findall(each, "\n\0\n".join(prose), re.MULTILINE) for each in (r"^# (.+)$", SEEN))
    heading, lead, name = "", "", ""
    shown: dict[str, dict[str, str]] = {}  # by content, for a notebook may show a figure twice
    for cell, text, below in zip(cells, prose, [*prose[1:], ""], strict=False):
        outputs = cell.get("outputs", ())
        heading = (re.findall(r"^##+ (.+)$", text, re.MULTILINE) or [heading])[-1].replace(ASKED, "")
        lead = NOT_LEAD.sub("", text) if text else lead
        for output in outputs:
            data = output.get("data", {})
            name = "".join(data.get("text/markdown", "")).strip("*") or name  # a sound may have its name above it
            sound = SOUND.search("".join(data.get("text/html", "")))
            content = sound[1] if sound else "".join(data.get("image/png", "")).replace("\n", "")
            if content and content not in shown:
                alt = name if sound else output["metadata"].get("image/png", {}).get("alt", "")
                shown[content] = {"kind": "wav" if sound else "png", "data": content, "alt": alt, "heading": heading,
                                  "lead": lead, "caption": NOT_CAPTION.sub("", below)}  # fmt: skip
        lead, name = ("", "") if outputs else (lead, name)
    return told | {"title": "".join(title[:1]) or path.stem, "made": made, "seen": "".join(seen[:1]),
                   "shown": list(shown.values())}  # fmt: skip


def finding(path: Path) -> str:
    """The first sentence under "What we see" of a notebook, without marks; "" where there is none."""
    sentence = re.match(r"\s*(?:\* )?(.+?[.!?])(?=\s|\*|$)", chapter(path)["seen"])
    return sentence[1].replace("**", "") if sentence else ""


def tables(results: Path) -> dict[str, str]:
    """Tables 1 and 2 at every temperature that was measured, as Markdown with a note, by title."""
    made = {}
    for title, (domain, experiment, texts) in TABLES.items():
        frame = verdicts.read_table(results, domain).query(f"experiment == '{experiment}'")
        prior = frame[frame["method"] == "prior"]
        for c, ours in frame.dropna(subset="c").groupby("c"):
            made[f"{title} at c = {c:g}"] = f"{TABLE_NOTE}\n\n{_as_markdown(texts(pd.concat([prior, ours])))}"
    return made


def _as_markdown(table: pd.DataFrame) -> str:
    """A line per metric: ours with its interval above the paper's."""
    theirs = {name: "*" + table[name] + "*" for name in table if name[1] != "ours"}
    texts = pd.DataFrame({**table, **theirs}).replace("**", "")
    cells = texts.T.groupby(level=0, sort=False).agg(lambda each: "<br>".join(filter(None, each))).T
    rows = [["", *cells.columns], ["---"] * (1 + cells.shape[1]), *([metric, *row] for metric, row in cells.T.items())]
    return "\n".join("| " + " | ".join(text.replace("|", r"\|") for text in row) + " |" for row in rows)


if __name__ == "__main__":
    readme, ledger = ROOT / "README.md", verdicts.read_ledger(REFERENCE)
    store.write(readme, verdicts.with_numbers(readme.read_text(encoding="utf-8"), ledger).encode())
