"""Copies the priors and policies that the repository ships into results/, after the runs of laptop were made anew.

python tests/ship.py
"""

import json
from pathlib import Path

from repro import bench, exact, experiments, store
from repro.studies import study


def ship(record: store.Record, folder: str, name: str) -> Path:
    """Copies a finished run with its networks to results/FOLDER, under a name for people."""
    path = store.ROOT / "results" / folder / f"{name}.json"
    if not isinstance(record.weights, Path):
        raise FileNotFoundError(f"the run {record.key} has no network to ship as {name}")
    store.write(path.with_suffix(".safetensors"), record.weights.read_bytes())
    store.write(path, (json.dumps(record.numbers, sort_keys=True) + "\n").encode())
    return path


def main() -> None:
    """The six priors, and one policy per method of the experiments on melodies and on the exact problems."""
    music, molecules, small = study("laptop"), study("laptop", "molecules"), study("laptop", "exact")
    shipped = {
        "music-as_notated": experiments.note_rnn(music),
        "music-rebuilt": experiments.rebuilt_note_rnn(music),
        "molecules-regex": experiments.smiles_rnn(molecules)[0],
        "molecules-authors": experiments.authors_smiles_rnn(molecules)[0],
    } | {f"exact-{problem.name}": bench.prior(problem) for problem in exact.EVERY}
    for name, record in shipped.items():
        print(f"shipped {store.shown(ship(record, 'priors', name))}")
    seed = music.seeds[0]
    for results in (experiments.as_notated(music), experiments.from_rebuilt(music)):
        for run in results.at(music.c[0], seed):
            name = f"music-{results.name}-{run.label['method']}-c{music.c[0]:g}-seed{seed}"
            ship(run.with_network(), "policies", name)
            print(f"shipped {name}")
    for run in bench.learned(small).at(small.c, seed):
        if (run.label["form"], run.label["gamma"]) == ("path", 1.0) and run.label["method"] in ("psi", "g"):
            name = f"exact-{run.label['domain']}-{run.label['method']}-c{small.c:g}-seed{seed}"
            ship(run.with_network(), "policies", name)
            print(f"shipped {name}")


if __name__ == "__main__":
    main()
