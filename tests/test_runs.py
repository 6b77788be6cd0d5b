"""Finished runs: found by what determines them, read instead of repeated, refused when damaged."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
import torch

from repro import runs
from repro.rnn import SequenceRNN
from repro.settings import TutorSettings


def test_digest_depends_on_every_setting() -> None:
    """Protects against reading the run of another setting; the order of names does not matter."""
    one = runs.digest(settings=TutorSettings(), seed=0)
    assert one == runs.digest(seed=0, settings=TutorSettings())
    assert one != runs.digest(settings=TutorSettings(eta=0.02), seed=0)
    assert one != runs.digest(settings=TutorSettings(), seed=1)


def test_source_digest_ignores_comments_but_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects finished runs from a better comment, and the user from a run of other code."""
    monkeypatch.syspath_prepend(tmp_path)
    texts = {
        "plain": "def f(x):\n    return x + 1\n",
        "commented": '"""Says more."""\n\n# why\ndef f(x):\n    """Adds one."""\n    return x + 1  # one\n',
        "changed": "def f(x):\n    return x + 2\n",
        "worded": 'def f(x):\n    return "x + 1"\n',
    }
    digests = {}
    for name, text in texts.items():
        (tmp_path / f"module_{name}.py").write_text(text)
        digests[name] = runs.source_digest((f"module_{name}",))
    assert digests["plain"] == digests["commented"]
    assert len({digests["plain"], digests["changed"], digests["worded"]}) == 3


def test_a_finished_run_is_found_with_its_weights() -> None:
    """Protects the whole point of the cache: numbers and network come back as they went in."""
    rnn = SequenceRNN(5, 8, seed=3)
    runs.save_record(runs.cache_folder() / "runs", "abc", "abc", {"seed": 1}, rnn)
    found = runs.find("abc", with_weights=True)
    assert found is not None and found.numbers["seed"] == 1
    assert all(torch.equal(a, b) for a, b in zip(found.rnn().parameters(), rnn.parameters(), strict=True))
    assert runs.weights_digest(found.rnn()) == runs.weights_digest(rnn)
    assert runs.find("abd") is None


def test_damaged_files_are_named_and_ignored() -> None:
    """Protects results from half a file: a warning names it, and the run is made again."""
    folder = runs.cache_folder() / "runs"
    runs.save_record(folder, "abc", "abc", {}, SequenceRNN(5, 8))
    weights = folder / "abc.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"oops")
    with pytest.warns(UserWarning, match=r"abc\.safetensors is damaged"):
        assert runs.find("abc", with_weights=True) is None
    (folder / "abc.json").write_text('{"digest": "ab')
    with pytest.warns(UserWarning, match=r"abc\.json is damaged"):
        assert runs.find("abc") is None


def test_fresh_ignores_older_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects --fresh: what was finished before the command started is not read, what it made itself is."""
    folder = runs.cache_folder() / "runs"
    runs.save_record(folder, "abc", "abc", {})
    monkeypatch.setenv("REPRO_FRESH_SINCE", str(time.time() + 5))
    assert runs.find("abc") is None
    os.utime(folder / "abc.json", (time.time() + 10,) * 2)
    assert runs.find("abc") is not None


def test_shipped_runs_and_when_they_are_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects --train-priors and --fresh, which ignore shipped priors and shipped policies, and nothing else."""
    for name in ("PRIORS", "POLICIES"):
        monkeypatch.setattr(runs, name, tmp_path / name)
        runs.save_record(tmp_path / name, "for-people", name, {}, SequenceRNN(5, 8))

    def found() -> list[bool]:
        return [runs.find(name, getattr(runs, name), with_weights=True) is not None for name in ("PRIORS", "POLICIES")]

    assert found() == [True, True]
    with monkeypatch.context() as patch:
        patch.setenv("REPRO_TRAIN_PRIORS", "1")
        assert found() == [False, True]
    monkeypatch.setenv("REPRO_FRESH_SINCE", str(time.time()))
    assert found() == [True, False]


def test_cached_makes_once_and_again_when_damaged() -> None:
    """Protects the corpora: converted once, read afterwards, made again with a warning when the file is broken."""
    made = []

    def load(path: Path) -> list[int]:
        try:
            return json.loads(path.read_text())
        except ValueError:
            raise ValueError(f"{path.name} is damaged") from None

    def get() -> list[int]:
        return runs.cached(
            "key", "list.json", lambda: made.append(1) or [1, 2], lambda v, p: p.write_text(json.dumps(v)), load
        )  # type: ignore[func-returns-value]

    assert get() == get() == [1, 2] and len(made) == 1
    (runs.cache_folder() / "key-list.json").write_text("[1,")
    with pytest.warns(UserWarning, match="key-list.json is damaged; it is made again"):
        assert get() == [1, 2]
    assert len(made) == 2 and get() == [1, 2]


def test_writing_where_nothing_can_be_written(tmp_path: Path) -> None:
    """Protects the user from a stack of errors: the sentence names the folder; nothing half-written stays."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="file.* cannot be written"):
        runs.write(tmp_path / "file" / "table.csv", b"x")
    runs.write(tmp_path / "new" / "table.csv", b"x")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["table.csv"]


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_many_keeps_the_order(jobs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects tables: results come in the order of the tasks, in one process or several."""
    monkeypatch.setenv("REPRO_JOBS", jobs)
    assert runs.many(pow, [(2, 3), (3, 2), (5, 1)], "powers") == [8, 9, 5]
