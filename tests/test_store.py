"""Finished runs: named by what determines them, read instead of repeated, refused when damaged."""

import errno
import json
import math
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ship import ship
from small import bytes_of

from repro import store
from repro.processes import STEERING, environment
from repro.rnn import SequenceRNN
from repro.settings import SettingsError, TutorSettings

SPEC: dict[str, Any] = {"trainer": "tutor", "version": 1, "settings": store.plain(TutorSettings()), "seed": 0}
KEY = store.key_of(SPEC)
NETWORKS = {"": SequenceRNN(5, 8, seed=3), "prior.": SequenceRNN(5, 8, seed=4)}


def made() -> store.Made:
    return {"curve": {"loss": [math.nan], "kl": [np.float64(0.1)]}}, NETWORKS


def never() -> Any:
    pytest.fail("what is finished was made again")


def test_a_key_depends_on_every_value_and_on_nothing_else() -> None:
    """Protects against reading another run, and from renaming all runs by a new switch that is off."""
    assert KEY == store.key_of(dict(reversed(SPEC.items()))) == store.key_of(SPEC | {"seed": np.int64(0)})
    others = [SPEC | {"seed": 1}, SPEC | {"version": 2}, SPEC | {"settings": store.plain(TutorSettings(eta=0.02))}]
    assert len({KEY, *map(store.key_of, others)}) == 4 and len(KEY) == 20 and int(KEY, 16)
    assert "train_prior" not in SPEC["settings"] and SPEC["settings"]["terminal_mask"] is True
    with pytest.raises(TypeError, match="cannot be written into a record"):
        store.key_of({"domain": object()})


def test_a_run_is_made_once_and_comes_back_as_it_went_in() -> None:
    """Protects the point of the store: numbers and networks are equal whether made now or read."""
    first, again = (store.finished(SPEC, make, with_weights=True) for make in (made, never))
    assert again.key == first.key == KEY and repr(again.numbers) == repr(first.numbers)  # a first loss is NaN
    assert again.numbers["spec"] == SPEC and store.find(store.key_of(SPEC | {"seed": 1})) is None
    assert {bytes_of(each.rnn(), each.rnn("prior.")) for each in (first, again)} == {bytes_of(*NETWORKS.values())}


@pytest.mark.parametrize(("name", "with_weights"), [("json", False), ("safetensors", True)])
def test_a_damaged_file_is_named_and_made_again(name: str, with_weights: bool) -> None:
    """Protects results from half a file."""
    store.finished(SPEC, made)
    path = store.cache_folder() / "runs" / f"{KEY}.{name}"
    path.write_bytes(path.read_bytes()[:-9])
    damaged = path.read_bytes()
    with pytest.warns(UserWarning, match=rf"{KEY}\.{name} is damaged"):
        assert store.find(KEY, with_weights) is None and path.read_bytes() == damaged  # another may be writing it
        store.finished(SPEC, made, with_weights)
    assert store.finished(SPEC, never, with_weights=True).rnn().cells == 8


def test_a_run_that_is_interrupted_while_it_is_written_is_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects against half a record: killed before its networks are written, or between them and its numbers."""
    for left in (0, 1):  # files that are still written
        writes = iter([store.write] * left)
        with monkeypatch.context() as patch, pytest.raises(StopIteration):  # in place of the kill
            patch.setattr(store, "write", lambda *file, writes=writes: next(writes)(*file))
            store.finished(SPEC, made)
        assert store.find(KEY) is None and len(list(store.cache_folder().rglob("*.*"))) == left
    assert store.finished(SPEC, made).rnn().cells == 8


def test_a_run_without_a_name_is_kept_nowhere() -> None:
    """Protects own rewards whose source cannot be read: each run is made, none is taken for another's."""
    with pytest.warns(UserWarning, match="no source that could name it: the run is made, and not kept"):
        record = store.finished(SPEC | {"domain": {"reward": None}}, made)
    assert record.rnn().cells == 8 and not list(store.cache_folder().rglob("*.*"))


def test_what_is_read_and_when(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects clones, --fresh (reads shipped priors and what it made) and --train-priors (reads all others)."""
    monkeypatch.setattr(store, "ROOT", tmp_path)
    for name in ("_shipped_networks", "shipped_numbers"):  # not as remembered from this repository
        monkeypatch.setattr(store, name, getattr(store, name).__wrapped__)
    specs = {"priors": {"trainer": "prior"}, "policies": SPEC, "numbers": {"trainer": "path"}, "own": {"seed": 5}}
    keys = {name: store.key_of(spec) for name, spec in specs.items()}
    for name in ("priors", "policies"):
        ship(store.finished(specs[name], made), name, "for-people")
    shipped = {keys["numbers"]: {"spec": specs["numbers"], "curve": []}, "damaged": {}}
    store.write(tmp_path / "results" / "laptop" / "runs.json", json.dumps(shipped).encode())
    monkeypatch.setenv("REPRO_CACHE", str(tmp_path / "of another machine"))
    store.finished(specs["own"], made)

    def found() -> list[str]:
        return [name for name, key in keys.items() if store.find(key, with_weights=name != "numbers") is not None]

    assert found() == [*specs]
    with pytest.raises(FileNotFoundError, match="is shipped without its network"):
        store.finished(specs["numbers"], never).rnn()
    # made again for its network, which another processor may give other last digits: tables stay as they are shipped
    with_network = store.finished(specs["numbers"], made, with_weights=True)
    assert with_network.rnn().cells == 8 and with_network.numbers != store.finished(specs["numbers"], never).numbers
    for moved, read in ((-60, ["priors", "numbers", "own"]), (60, ["priors"])):
        monkeypatch.setenv("REPRO_FRESH_SINCE", str(time.time() + moved))
        assert found() == read
    monkeypatch.delenv("REPRO_FRESH_SINCE")
    monkeypatch.setenv("REPRO_TRAIN_PRIORS", "1")
    assert found() == ["policies", "numbers", "own"]


def test_what_the_environment_sets_has_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects runs from a variable that is set to nothing (what is refused: test_bad_input)."""
    for name in STEERING:
        for given, read in (("", STEERING[name][0]), ("1", 1)):
            monkeypatch.setenv(name, given)
            assert environment(name) == read


def test_tables_are_cached_and_made_again_when_damaged() -> None:
    """Protects corpora: converted once, lists of events read as they were, a broken file reported and made again."""
    tunes = pd.DataFrame({"title": ["a", "b"], "events": [np.array([14, 1], np.uint8), np.array([], np.uint8)]})
    for make in (lambda: tunes, never):
        read = store.cached({"corpus": "abc"}, make)
        assert read["title"].tolist() == ["a", "b"] and read["events"].map(list).tolist() == [[14, 1], []]
    next(store.cache_folder().glob("*.parquet")).write_bytes(b"PAR1 no table")
    with pytest.warns(UserWarning, match=r"\.parquet is damaged \(\w+\); it is made again"):
        store.cached({"corpus": "abc"}, lambda: tunes[:1])
    assert [len(store.cached({"corpus": name}, lambda: tunes)) for name in ("abc", "other")] == [1, 2]


@pytest.mark.parametrize("reason", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG])
def test_a_full_disk_leaves_what_was_there(reason: int, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects results from a full disk, a quota, a folder that may only be read: one sentence, no half file; later the
    run goes through.
    """
    (table := own_cache / "table.csv").write_bytes(b"of yesterday")

    def half(path: Path, content: bytes) -> None:
        path.open("wb").write(content[: len(content) // 2])
        raise OSError(reason, os.strerror(reason))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", half)
        for use in (lambda: store.write(table, b"of today"), lambda: store.finished(SPEC, made)):
            with pytest.raises(OSError, match=rf"cannot be written \({os.strerror(reason)}\): make room, or go"):
                use()
    assert [*own_cache.rglob("*.*")] == [table] and table.read_bytes() == b"of yesterday"
    assert store.find(KEY) is None and store.finished(SPEC, made).rnn().cells == 8


def test_a_cache_that_is_none_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects finished runs: a cache that lies elsewhere in every folder, or cannot be written, is refused."""
    (tmp_path / "file").write_text("in the way")
    for place in ("cache", tmp_path / "file", tmp_path / "file" / "below", tmp_path):
        monkeypatch.setenv("REPRO_CACHE", str(place))
        monkeypatch.setattr(store.os, "access", lambda *_, place=place: place != tmp_path)  # all may be written by root
        with pytest.raises(SettingsError, match=f"REPRO_CACHE is '{place}': it must be the whole path of a folder"):
            store.find(KEY)
