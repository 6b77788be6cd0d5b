"""Settings of every road: ten on brackets (results/roads_tuning.csv), two on molecules, five on melodies; of Table 2.

`repro/bench.toml` was chosen from them (results/roads_molecules_tuning.csv, roads_melodies_tuning.csv), and
memory and V of `repro/studies.toml` (molecules_tuning.csv): python tests/tune_roads.py [molecules | melodies | memory]
"""

import sys
from itertools import product

import pandas as pd

from repro import ROOT, bench, experiments, runs, store
from repro.music.domain import Music
from repro.roads import RoadSettings
from repro.settings import PolicySettings, TutorSettings, changed
from repro.studies import MoleculeStudy, RoadStudy

RATES = (3e-3, 1e-2, 3e-2, 1e-1, 3e-1)
MOLECULE_RATES = (1e-4, 3e-4)  # of the LSTM
MELODY_RATES = (8e-4, 2e-3, 5e-3, 1.25e-2, 3e-2)
MEASURES = ["objective", "valid", "unique_1k"]
DISTANCES = ["kl", "forward_kl"]


def settings_of(road: PolicySettings) -> dict[tuple[float, str, float], PolicySettings]:
    """Five rates, each with two memories, clips or, in the paper's form, rates of the target network."""
    second, values = "replayed", (0.0, 64.0)
    if isinstance(road, TutorSettings):
        second, values = "eta", (0.03, 0.1)
    elif isinstance(road, RoadSettings) and not road.mathematics.from_memory:
        second, values = "clip", (1.0, 10.0)
    return {(rate, second, value): changed(bench.at_rate(road, rate), {second: value})
            for rate, value in product(RATES, values)}  # fmt: skip


def on_molecules() -> None:
    """Runs two rates of every road on seed 0, writes the table, and says which is the better."""
    study, tables = MoleculeStudy(samples=4_000), []
    for rate in MOLECULE_RATES:
        tried = [changed(each, {"learning_rate": rate, "steps": 1_000, "evaluate_every": 50})
                 for each in bench.ON_MOLECULES.values() if isinstance(each, RoadSettings)]  # fmt: skip
        results = experiments.molecule_runs(study, "roads_molecules_tuning", tried, (0,))
        wide = results.table().query("method != 'prior'").pivot(index="method", columns="metric", values="value")
        seconds = {run.label["method"]: run.trained.numbers["core_seconds"] for run in results if run.trained}
        new = {run.label["method"]: run.task.settings.episodes for run in results}
        tables.append(wide[MEASURES].assign(rate=rate, new_per_step=new, core_seconds=seconds).reset_index())
    table = pd.concat(tables).sort_values(["method", "rate"])
    text = table.to_csv(index=False, float_format="%.6g", lineterminator="\n")
    store.write(ROOT / "results" / "roads_molecules_tuning.csv", text.encode())
    print(table.to_string(index=False))


def memory() -> None:
    """Runs Q, Psi and G of Table 2 with less and more memory and a smaller and a larger V, and writes the table."""
    study, tables = MoleculeStudy(samples=4_000), []
    for method, seeds in (("q", range(6)), ("psi", range(3)), ("g", range(3))):
        for replayed, cells in ((16, 64), (24, 128)):
            tried = changed(study.tuning(method), {"replayed": replayed, "value_cells": cells})
            results = experiments.molecule_runs(study, "molecules_tuning", [tried], tuple(seeds))
            wide = results.table().query("method != 'prior'").pivot(index="seed", columns="metric", values="value")
            seconds = {run.label["seed"]: run.trained.numbers["core_seconds"] for run in results if run.trained}
            chosen = {"method": method, "replayed": replayed, "value_cells": cells, "core_seconds": seconds}
            tables.append(wide[MEASURES].assign(**chosen).reset_index())
    text = pd.concat(tables).to_csv(index=False, float_format="%.6g", lineterminator="\n")
    store.write(ROOT / "results" / "molecules_tuning.csv", text.encode())
    print(text)


def on_melodies() -> None:
    """Runs five rates of every road on seed 0, writes the table with J, and says which is the best."""
    study, tables = RoadStudy(seeds=(0,), samples=2_000), []
    for rate in MELODY_RATES:
        tried = {name: bench.at_rate(bench.melody_settings(name, study.long_steps), rate) for name in study.roads}
        table = bench.on_melodies(study, tried).table()
        tables.append(table.pivot(index="road", columns="metric", values="value").assign(rate=rate).reset_index())
    table = pd.concat(tables).dropna(subset="road").sort_values(["road", "rate"])
    # J = E[r / c] - KL(pi || p), of whole melodies
    table["objective"] = table["task_reward"] / bench.MELODY_C - Music.horizon * table["kl"]
    table = table[["road", "rate", "objective", "task_reward", "kl", "held_out_nll"]]
    text = table.to_csv(index=False, float_format="%.6g", lineterminator="\n")
    store.write(ROOT / "results" / "roads_melodies_tuning.csv", text.encode())
    print(table.to_string(index=False))
    print(table.set_index("rate").groupby("road")["objective"].idxmax())


def main() -> None:
    """Runs the grid, writes the table, and says which settings are the best."""
    study = RoadStudy(seeds=(0, 1, 2), c=(0.5,), problems=("brackets",))
    tasks = []
    for name, road in bench.TUNED.items():
        for (rate, second, value), tried in settings_of(road).items():
            tasks += bench.on_road(name, tried, study, rate=rate, second=second, value=value)
    curves = runs.finish_all("roads_tuning", tasks).curves()
    last = curves.groupby(["road", "rate", "second", "value", "seed"], sort=False)[DISTANCES].last().reset_index()
    text = last.to_csv(index=False, float_format="%.8g", lineterminator="\n")
    store.write(ROOT / "results" / "roads_tuning.csv", text.encode())
    means = last.groupby(["road", "rate", "second", "value"], sort=False)[DISTANCES].mean().mean(axis=1)
    for road, of_road in means.groupby("road", sort=False):
        print(f"{road:20}{of_road.idxmin()[1:]}  {of_road.min():.4f}  of {of_road.round(4).tolist()}")


if __name__ == "__main__":
    {"molecules": on_molecules, "melodies": on_melodies, "memory": memory}.get(sys.argv[-1], main)()
