"""An interrupted run goes on to the same bytes; a damaged checkpoint is never used."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small import bytes_of
from test_fingerprints import CASES, rnn, tuned

from repro import checkpoint, runs, store
from repro.checkpoint import Checkpoints
from repro.exact import BRACKETS
from repro.path import PathSettings
from repro.prior import train_prior
from repro.runs import Task
from repro.settings import PriorSettings
from repro.tutor import train

SPEC = {"trainer": "tutor", "version": 1, "seed": 0}
LENGTH = {"rounds": 40, "steps": 40, "environment_steps": 200}  # that 20 random moments fit in
# every trainer with every method and option that the fingerprints know
LEARNERS = {name: case.args for name, case in CASES.items() if isinstance(case, partial) and case.func is tuned}
Run = Callable[[Checkpoints | None, int], tuple[Any, ...]]


class Killed(Exception):
    """In place of a kill."""


def stop(after: int) -> Callable[..., None]:
    """What is told of every step, and ends the run in the middle of one."""
    told: list[object] = []

    def on_step(*_: object) -> None:
        told.append(_)
        if len(told) >= after:
            raise Killed

    return on_step


def learned(case: str, checkpoints: Checkpoints | None, steps: int) -> tuple[Any, ...]:
    kind, domain, settings = LEARNERS[case]
    length = {name: count for name, count in LENGTH.items() if hasattr(settings, name)}
    learner = kind(domain, rnn(domain), dataclasses.replace(settings, **length), 7)
    curve = train(learner, on_step=stop(steps), checkpoints=checkpoints)
    numbers = [generator.bit_generator.state for generator in (learner.play_numbers, learner.replay_numbers)]
    return bytes_of(learner.policy, learner.prior), curve.to_csv(), repr(curve.dtypes), numbers, learner.log_z


def predicted(window_events: int, checkpoints: Checkpoints | None, steps: int) -> tuple[Any, ...]:
    settings = PriorSettings(cells=8, steps=40, windows=16, window_events=window_events, l2=0.05, evaluate_every=7)
    corpora = BRACKETS.corpus(200, 0), BRACKETS.corpus(50, 1)
    made, curve = train_prior(*corpora, 4, settings, stop(steps), checkpoints)
    return bytes_of(made), curve.to_csv(), repr(curve.dtypes)


RUNS: dict[str, Run] = {name: partial(learned, name) for name in LEARNERS} | {
    f"prior, window of {events}": partial(predicted, events) for events in (4, 0)
}
SHORT = ("prior", "Tutor, psi, brackets", "Tutor, g, tones, prior", "PathTutor, psi, brackets",
         "AuthorsTutor, g, tones, prior", "RoadTutor, tb, ", "RoadTutor, a2po")  # fmt: skip
NEVER = 10**6


@pytest.fixture(autouse=True)
def every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPRO_CHECKPOINT_SECONDS", "0")
    monkeypatch.setenv("REPRO_NO_BARS", "1")


@pytest.mark.parametrize("name", [
    pytest.param(name, marks=[] if name.startswith(SHORT) else pytest.mark.long) for name in RUNS])  # fmt: skip
def test_a_run_that_is_interrupted_again_and_again_is_the_run(name: str) -> None:
    """Protects finished runs: ended at 20 random moments, each time with new objects, it has the same bytes."""
    # a field that changes as a learner learns, and is not kept, turns this red
    generator = np.random.default_rng(len(name))
    for _ in range(20):
        with pytest.raises(Killed):
            RUNS[name](Checkpoints(SPEC), int(generator.integers(1, 12 if name.startswith("Authors") else 4)))
    assert Checkpoints(SPEC).done > 9
    assert repr(RUNS[name](Checkpoints(SPEC), NEVER)) == repr(RUNS[name](None, NEVER))


def finish() -> None:
    made = PriorSettings(cells=8, steps=40, windows=16, window_events=0, evaluate_every=20)
    corpora = [BRACKETS.corpus(200, seed) for seed in range(3)]
    prior = runs.prior({"name": "brackets"}, made, lambda: BRACKETS.vocabulary, lambda: corpora)
    settings = PathSettings(steps=40, episodes=16, replayed=8, annealed=0.5, evaluate_every=7)
    runs.finish(Task(BRACKETS, prior, settings, 5, samples=50))


def finished(cache: Path) -> dict[str, Any]:
    """All that a finished run has left, but for the time that it took."""
    files = {file.name: file.read_bytes() for file in (cache / "runs").iterdir()}
    timeless = {"core_seconds": 0, "seconds": 0}
    return {name: repr(json.loads(content) | timeless) if name.endswith("json") else content
            for name, content in files.items()}  # fmt: skip


def test_a_run_that_is_killed_again_and_again_is_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects finished runs: a prior, its policy and samples, by processes that SIGKILL ends: the same files."""
    generator, kills = np.random.default_rng(0), 0
    monkeypatch.setenv("REPRO_CACHE", str(tmp_path / "killed"))
    while True:
        child = multiprocessing.get_context("fork").Process(target=finish)
        child.start()
        child.join(generator.uniform(0.02, 0.25) * (1 + kills / 20))  # ever longer, or a busy machine gets nowhere
        if not child.is_alive():
            break
        child.kill()
        child.join()
        kills += 1
    assert child.exitcode == 0 and kills > 3 and not list(folder().iterdir())
    monkeypatch.setenv("REPRO_CACHE", str(tmp_path / "whole"))
    monkeypatch.setenv("REPRO_CHECKPOINT_SECONDS", "60")
    finish()
    assert len(finished(tmp_path / "whole")) == 5 and finished(tmp_path / "killed") == finished(tmp_path / "whole")
    # two at once: both train the same bytes, and the last rename stays
    monkeypatch.setenv("REPRO_CACHE", str(tmp_path / "two"))
    two = [multiprocessing.get_context("fork").Process(target=finish) for _ in range(2)]
    for child in two:
        child.start()
    for child in two:
        child.join()
    assert [child.exitcode for child in two] == [0, 0] and finished(tmp_path / "two") == finished(tmp_path / "whole")


def folder() -> Path:
    return store.cache_folder() / "checkpoints"


def drawn(checkpoints: Checkpoints, last: int = 9) -> list[float]:
    """The smallest run: nine random numbers."""
    numbers, generator = [], np.random.default_rng(0)
    for _ in checkpoints.over(range(last), {"numbers": numbers, "generator": generator}):
        numbers.append(float(generator.random()))
    return numbers


def test_a_damaged_one_is_named_and_set_aside_and_the_one_before_it_is_used() -> None:
    """Protects from half a file: cut short, or changed, at 50 positions."""
    drawn(Checkpoints(SPEC), 5)
    older, latest = sorted(folder().iterdir())
    content = latest.read_bytes()
    for number, place in enumerate(np.linspace(0, len(content) - 1, 50).astype(int)):
        changed = bytes([content[place] ^ 1]) + content[place + 1 :] if number % 2 else b""
        latest.write_bytes(content[:place] + changed)
        with pytest.warns(UserWarning, match=f"{latest.name} is damaged .* set aside as {latest.name}.damaged"):
            checkpoints = Checkpoints(SPEC)
        assert checkpoints.done == 4 and not latest.exists()
    assert drawn(checkpoints) == drawn(Checkpoints())
    for path in folder().glob("*.safetensors"):
        path.write_bytes(b"")
    with pytest.warns(UserWarning, match="is damaged"):
        assert older.exists() is False and Checkpoints(SPEC).done == 0


def test_when_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects from another run's: none of an unnamed reward, before --fresh or of other code, none within a minute."""
    unnamed = SPEC | {"domain": {"reward": None}}
    drawn(Checkpoints(unnamed), 5)
    assert Checkpoints(unnamed).done == 0 and not folder().exists()
    drawn(Checkpoints(SPEC), 5)
    assert Checkpoints(SPEC).done == 5 and Checkpoints(SPEC | {"seed": 1}).done == 0
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "CODE", "of another day")
        assert Checkpoints(SPEC).done == 0
    monkeypatch.setenv("REPRO_FRESH_SINCE", str(time.time() + 9))
    assert Checkpoints(SPEC).done == 0 and not list(folder().iterdir())
    monkeypatch.setenv("REPRO_CHECKPOINT_SECONDS", "60")
    drawn(Checkpoints(SPEC))
    assert not list(folder().iterdir())


def test_forgotten_ones_go() -> None:
    """Protects the disk: what nobody touched for 30 days goes when another run keeps one, damaged and half ones too."""
    drawn(Checkpoints(SPEC), 5)
    for name in ("older.safetensors", "older.safetensors.damaged", ".half", "recent.safetensors"):
        (folder() / name).write_bytes(b"")
        age = 0 if name.startswith("recent") else checkpoint.KEPT + 9
        os.utime(folder() / name, (0, time.time() - age))
    drawn(Checkpoints(SPEC | {"seed": 1}), 5)
    assert len(list(folder().iterdir())) == 5 and (folder() / "recent.safetensors").exists()
    assert Checkpoints(SPEC).done == 5


def test_a_full_disk_costs_the_checkpoints_and_not_the_run(own_cache: Path) -> None:
    """Protects long runs, whose records are small: one warning, and they go on."""
    (own_cache / "checkpoints").write_text("in the way")
    with pytest.warns(UserWarning, match="this run keeps no checkpoint: .* cannot be written") as told:
        assert len(drawn(Checkpoints(SPEC))) == 9
    assert len(told) == 1


def test_seconds_add_up() -> None:
    """Protects the costs that are reported: what was spent before an interruption counts."""
    ticks = iter(range(100))
    drawn(Checkpoints(SPEC, lambda: next(ticks)), 5)  # begins at 0, is kept at 1, 2, 3, 4, 5
    assert Checkpoints(SPEC, lambda: 40.0).spent() == 5
