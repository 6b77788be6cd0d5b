"""The committed results: small, anonymous, each number with the words and each file with the row that made it."""

import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from scipy.io import wavfile

from repro import ROOT, store
from repro.book import report
from repro.music.domain import Music
from repro.music.events import AUDIO_RATE, HORIZON, STEP_SECONDS

RESULTS, LAPTOP, TEXTS = ROOT / "results", ROOT / "results" / "laptop", (".json", ".csv", ".ipynb", ".svg", ".html")
COMMITTED = [path for folder in ("laptop", "paper", "policies", "priors")  # what else lies there is git-ignored
             for path in sorted((RESULTS / folder).rglob("*")) if path.is_file()]  # fmt: skip


def versions(spec: dict[str, Any]) -> Iterator[tuple[str, int]]:
    kind = spec.get("trainer", "evaluation" if "policy" in spec else "domain" if "name" in spec else "corpus")
    yield from [(kind, spec["version"])] if "version" in spec else []
    for value in spec.values():
        yield from versions(value) if isinstance(value, dict) else ()


def test_every_run_is_named_by_its_words() -> None:
    """Protects finished runs: every key is that of its spec, in today's versions; measures are of a shipped policy."""
    runs, folders = store.shipped_numbers(), [RESULTS / folder for folder in store.SHIPPED]
    assert len(runs) >= 282 and [key for key, run in runs.items() if key != store.key_of(run["spec"])] == []
    networks = [json.loads(path.read_text()) for folder in folders for path in folder.glob("*.json")]
    assert all(store.find(store.key_of(run["spec"]), with_weights=True) for run in networks)  # of their digests too
    specs, today = [run["spec"] for run in (*runs.values(), *networks)], store.VERSIONS | {"domain": Music.version}
    assert {version for spec in specs for version in versions(spec)} == set(today.items())
    assert {spec["measures"] for spec in specs if "measures" in spec} == {Music.measures_version}
    assert {spec["prior"] for spec in specs if "prior" in spec} <= {run["weights_sha256"][:20] for run in networks}


def test_the_results_are_small_and_name_no_machine() -> None:
    """Protects who clones (35 MB together, 6 MB a file, 2 MB a notebook) and who ran them: no path of a machine."""
    limits, sizes = {".ipynb": 2_000_000, ".html": 7_000_000}, {path: path.stat().st_size for path in COMMITTED}
    assert sum(sizes.values()) <= 35_000_000
    assert [path.name for path, size in sizes.items() if size > limits.get(path.suffix, 6_000_000)] == []
    home = re.compile(rb"[\"' (=](?:/(?:home|root|Users|tmp|work|opt)/|[A-Z]:\\\\)")
    assert [path.name for path in COMMITTED if path.suffix in TEXTS and home.search(path.read_bytes())] == []


def test_tables_are_sorted_and_unique() -> None:
    """Protects outside readers: a row has one value, and rows of measures stand in a fixed order."""
    for path in (path for path in COMMITTED if path.suffix == ".csv"):
        table = pd.read_csv(path)
        assert len(table) and not table.duplicated([name for name in table if name != "value"]).any(), path.name
        if list(table.columns) == [*report.KEY, "value"] and path.stem in ("music", "molecules"):
            assert table.sort_values(report.KEY, kind="stable").equals(table), path.name


def test_every_shipped_prior_says_what_it_learned_from() -> None:
    """Protects users from a licence that they were not told: Essen's tunes are for non-commercial use only."""
    told = (RESULTS / "priors" / "README.md").read_text(encoding="utf-8").splitlines()
    for prior in (RESULTS / "priors").glob("*.safetensors"):
        (row,) = (line for line in told if line.startswith("| `") and f"`{prior.stem}`" in line)
        assert ("non-commercial" in row) == prior.stem.startswith("music-")


def test_each_file_has_its_row() -> None:
    """Protects readers who ask where a number comes from: digest, notebook, preset, and a commit that others have."""
    rows = [row for row in report.provenance(LAPTOP) if row["file"].partition("/")[0] in ("figures", "tables", "audio")]
    made = {path.relative_to(LAPTOP).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for folder in ("figures", "tables", "audio") for path in (LAPTOP / folder).iterdir()}  # fmt: skip
    assert made and {row["file"]: row["sha256"] for row in rows} == made
    assert all((ROOT / "notebooks" / f"{row['notebook']}.ipynb").exists() for row in rows)
    assert {row["parameters"] for row in rows} == {"preset=laptop"}
    assert not [row["commit"] for row in rows if row["commit"].endswith("+changes") or "version" in row["commit"]]


def test_sounds_can_be_heard() -> None:
    """Protects listeners: a sound is mono, 16 bits, as long as a melody and not silent, its MIDI file beside it."""
    sounds = sorted((LAPTOP / "audio").glob("*.wav"))
    assert len(sounds) == 10 and all(sound.with_suffix(".mid").stat().st_size > 50 for sound in sounds)
    for sound in sounds:
        rate, samples = wavfile.read(sound)
        assert rate == AUDIO_RATE and samples.dtype == np.int16, sound.name
        assert samples.shape == (HORIZON * STEP_SECONDS * rate,) and np.abs(samples).max() > 1000, sound.name
