"""Writes what came out: tables, figures, audio, verdicts and the numbers of all runs, into a results folder.

    python -m repro.report           # renews the tables and the tagged numbers in README.md
    python -m repro.report --ship    # the laptop's prior and one policy a method too

Only this module, `runs` and `pipeline` write files. The same content gives the same bytes. What a notebook writes here
in a pipeline gets its row in provenance.csv.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from IPython.display import Image
from matplotlib.figure import Figure
from scipy.io import wavfile

from repro import pictures, provenance, runs
from repro.claims import tables as verdict_tables
from repro.experiments import molecules as molecule_experiments, music as experiments
from repro.experiments.stages import Tuning
from repro.molecule_settings import MoleculeStudy, molecule_study
from repro.music import events
from repro.settings import study
from repro.tables.music import table_1

KEY = ["experiment", "method", "c", "seed", "metric"]
AUDIO_RATE = 16_000
TABLE_BEGINS, TABLE_ENDS = "<!-- Table 1, written by python -m repro.report -->", "<!-- end of Table 1 -->"
VERDICTS_BEGIN, VERDICTS_END = "<!-- verdicts, written by python -m repro.report -->", "<!-- end of the verdicts -->"


def write_table(results: Path, domain: str, frame: pd.DataFrame) -> Path:
    """Writes measures into tables/DOMAIN.csv, sorted; rows of other experiments that stand there are kept.

    Args:
        results: the results folder.
        domain: music or molecules.
        frame: experiment, method, c, seed, metric, value.

    Raises:
        ValueError: a value is there twice; the sentence names it.
    """
    twice = frame[frame.duplicated(KEY)]
    if len(twice):
        raise ValueError(f"the table has {tuple(twice[KEY].iloc[0])} twice")
    path = results / "tables" / f"{domain}.csv"
    if path.exists():
        before = pd.read_csv(path)
        frame = pd.concat([before[~before["experiment"].isin(frame["experiment"])], frame])
    text = frame.sort_values(KEY)[[*KEY, "value"]].to_csv(index=False, float_format="%.8g", lineterminator="\n")
    return _write(results, path, text.encode())


def write_frame(results: Path, name: str, frame: pd.DataFrame) -> Path:
    """Writes any other table, as it is, into tables/NAME.csv."""
    text = frame.to_csv(index=False, float_format="%.8g", lineterminator="\n")
    return _write(results, results / "tables" / f"{name}.csv", text.encode())


def write_figure(results: Path, name: str, figure: Figure) -> Image:
    """Writes figures/NAME.svg and .png, and returns the picture for the notebook to show: the bytes of the file."""
    source = f"figures/{name}, settings and commit in {provenance.INDEX}"
    png = pictures.as_png(figure, source)
    _write(results, results / "figures" / f"{name}.svg", pictures.as_svg(figure, name, source))
    _write(results, results / "figures" / f"{name}.png", png)
    return Image(png, width=round(100 * figure.get_figwidth()))  # points: half as wide as its pixels, or a little more


def write_melody(results: Path, name: str, melody: np.ndarray) -> Path:
    """Writes audio/NAME.mid and .wav (16 kHz mono, 16 bits) and returns the audio's path."""
    path = results / "audio" / f"{name}.wav"
    path.parent.mkdir(parents=True, exist_ok=True)
    midi = path.with_suffix(".mid")
    events.to_midi(melody, midi)
    _note(results, midi)
    buffer = io.BytesIO()
    wavfile.write(buffer, AUDIO_RATE, (events.to_audio(melody, AUDIO_RATE) * 32767).astype(np.int16))
    return _write(results, path, buffer.getvalue())


def write_claims(results: Path, domain: str, rows: pd.DataFrame, digests: list[str]) -> Path:
    """Writes verdicts of one domain into claims.json; other rows that stand there are kept, in their order."""
    before = {(row["domain"], row["id"]): row for row in verdict_tables.read(results)}
    for row in rows.to_dict("records"):
        comment = before.get((domain, row["id"]), {}).get("comment", "")
        before[domain, row["id"]] = row | {"domain": domain, "runs": digests, "comment": comment}
    return write_ledger(results, list(before.values()))


def write_ledger(results: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Writes the whole ledger into claims.json; what is not a number becomes null, as JSON wants it."""
    plain = [{k: None if isinstance(v, float) and np.isnan(v) else v for k, v in row.items()} for row in rows]
    return _write(results, results / "claims.json", (json.dumps(plain, indent=1, sort_keys=True) + "\n").encode())


def write_runs(results: Path, *tunings: Tuning) -> Path:
    """Writes the numbers of all runs of experiments by digest into runs.json, so that a clone trains nothing anew."""
    for tuning in tunings:
        records = [tuning.prior_measures, *(record for pair in tuning.policies for record in pair)]
        path = write_runs_of(results, tuning.name, {record.digest: record.numbers for record in records})
    return path


def write_runs_of(results: Path, experiment: str, numbers: dict[str, dict[str, Any]]) -> Path:
    """Writes one experiment's runs, numbers by digest, into runs.json; runs of other experiments there are kept.

    Experiments may share a run, as the measures of one prior: `experiments` of each run lists all that it belongs to,
    so that the file does not depend on which of them was written last.
    """
    path = results / "runs.json"
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    others = {key: [name for name in value["experiments"] if name != experiment] for key, value in before.items()}
    kept = {key: value | {"experiments": others[key]} for key, value in before.items() if others[key]}
    ours = {key: value | {"experiments": sorted([*others.get(key, []), experiment])} for key, value in numbers.items()}
    provenance.note(experiment=experiment)
    return _write(results, path, (json.dumps(kept | ours, sort_keys=True, separators=(",", ":")) + "\n").encode())


def _write(results: Path, path: Path, content: bytes) -> Path:
    runs.write(path, content)
    _note(results, path)
    return path


def _note(results: Path, path: Path) -> None:
    provenance.note(results=str(results), file=path.relative_to(results).as_posix())


def shown(path: Path) -> str:
    """A path as people read it: from the repository's root on, where it lies inside."""
    return str(path.relative_to(runs.ROOT)) if path.is_relative_to(runs.ROOT) else str(path)


def ship(tuning: Tuning, c: float, seed: int) -> list[Path]:
    """Copies the prior and one policy a method, with weights, to results/priors and results/policies."""
    shipped = [runs.ship(tuning.prior, runs.PRIORS, f"music-{tuning.name}")]
    for tuned, _ in tuning.policies:
        settings = tuned.numbers["settings"]
        if (settings["c"], tuned.numbers["seed"]) == (c, seed):
            name = f"music-{tuning.name}-{settings['method']}-c{c:g}-seed{seed}"
            shipped.append(runs.ship(tuned, runs.POLICIES, name))
    return shipped


def ship_smiles_rnns(study: MoleculeStudy) -> list[Path]:
    """Copies both SMILES RNNs to results/priors; the policies, 4.5 MB each, are not shipped."""
    made = (molecule_experiments.smiles_rnn(study), molecule_experiments.authors_smiles_rnn(study))
    names = ("molecules-regex", "molecules-authors")
    return [runs.ship(record, runs.PRIORS, name) for (record, _), name in zip(made, names, strict=True)]


def readme_table(results: Path, c: float) -> str:
    """Table 1 for README.md: a line a metric, ours with its interval above the paper's value."""
    frame = pd.read_csv(results / "tables" / "music.csv")
    table = table_1(experiments.at(frame[frame["experiment"] == "as_notated"], c))
    models = list(dict.fromkeys(model for model, _ in table.columns))
    lines = [f"| | {' | '.join(models)} |", f"|---|{'---|' * len(models)}"]
    for metric, row in table.iterrows():
        cells = [
            row[model, "ours"] + (f"<br>*{row[model, 'paper']}*" if row.get((model, "paper")) else "")
            for model in models
        ]
        lines.append(f"| {metric} | {' | '.join(cells)} |")
    return "\n".join(lines)


def renewed_readme(text: str, results: Path, c: float) -> str:
    """README.md with Table 1, the verdicts and the tagged numbers of its prose as the results have them."""
    rows = verdict_tables.read(results)
    text = _between(text, TABLE_BEGINS, TABLE_ENDS, readme_table(results, c))
    text = _between(text, VERDICTS_BEGIN, VERDICTS_END, verdict_tables.as_markdown(rows))
    return verdict_tables.with_numbers(text, rows)


def _between(text: str, begins: str, ends: str, content: str) -> str:
    before, _, rest = text.partition(begins)
    return f"{before}{begins}\n{content}\n{rest[rest.index(ends) :]}"


def main() -> None:
    """Renews README.md from the results of the laptop preset; with --ship, also its networks."""
    laptop = study("laptop")
    main_c, seeds = laptop.seeds_at[0]
    if "--ship" in sys.argv[1:]:
        for tuning in (experiments.as_notated(laptop), experiments.from_rebuilt(laptop)):
            for path in ship(tuning, main_c, seeds[0]):
                print(f"shipped {shown(path)}")
        for path in ship_smiles_rnns(molecule_study("laptop")):
            print(f"shipped {shown(path)}")
    readme = runs.ROOT / "README.md"
    runs.write(readme, renewed_readme(readme.read_text(encoding="utf-8"), laptop.results, main_c).encode())


if __name__ == "__main__":
    main()
