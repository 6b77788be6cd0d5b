"""From tasks to results on a tiny domain: what names a run, nothing made twice, frames that outsiders can rely on."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small import Coins, Ending

from repro import ROOT, runs, store
from repro.authors import AuthorsSettings
from repro.domain import Domain
from repro.path import PathSettings
from repro.roads import RoadSettings
from repro.runs import HeldOut, Task
from repro.settings import PriorSettings, TutorSettings

REAL = HeldOut({"sequences": "made up"}, lambda: [np.array([0, 1, 2, 2, 1]), np.array([2, 0, 1])], along=2)
PAPER = TutorSettings(rounds=2, games=8, batch_episodes=4, replay_episodes=16, evaluate_every=1, evaluation_games=8)
PATH = PathSettings(steps=2, episodes=8, evaluate_every=1)
AUTHORS = AuthorsSettings(environment_steps=40, batch=4, epsilon_steps=20, evaluate_every=20, evaluation_games=4)
ROAD = RoadSettings(method="a2po", steps=2, episodes=8, pool=8, evaluate_every=1)
GREEDY = replace(PAPER, method="g", play="epsilon_greedy")
ALONG = [replace(settings, method="g", train_prior=True) for settings in (PAPER, AUTHORS)]  # the prior learns too
LABEL = ["experiment", "method", "c", "seed", "metric"]
NEWER = Coins()
NEWER.version = NEWER.measures_version = 2


@pytest.fixture(autouse=True)
def one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPRO_JOBS", "1")


def prior(seed: int = 0, splits: Any = lambda: [[np.tile([0, 1, 2, 2], 20)]] * 3) -> store.Record:
    settings = PriorSettings(cells=8, steps=3, windows=4, window_events=4, seed=seed)
    return runs.prior({"name": "coins"}, settings, lambda: Coins.vocabulary, splits)


def tasks(domain: Domain, *settings: Any, **more: Any) -> list[Task]:
    tuned = [Task(domain, prior(), each, seed, 20, **more) for each in settings for seed in (5, 6)]
    return [Task(domain, prior(), samples=20, **more), *tuned]


def test_whatever_changes_a_policy_changes_its_name() -> None:
    """Protects against numbers of another run; what happens after training, and labels, change no name."""
    task = Task(Coins(), prior(), PAPER, 5, held_out=REAL)
    changes: list[dict[str, Any]] = [
        {}, {"settings": PATH}, {"settings": AUTHORS}, {"settings": replace(PAPER, eta=0.02)}, {"seed": 6},
        {"domain": Ending()}, {"domain": NEWER}, {"prior": prior(1)}, {"held_out": None}, {"observe": "measures"},
        {"held_out": replace(REAL, along=1)}, {"held_out": replace(REAL, spec={"others": 1})},
    ]  # fmt: skip
    assert len({store.key_of(replace(task, **change).spec) for change in changes}) == len(changes)
    assert replace(task, samples=50, c=0.1, labels={"a": 1}, held_out=replace(REAL, at_end=2)).spec == task.spec
    assert task.spec["version"] == store.VERSIONS["tutor"] and task.spec["domain"]["name"] == "coins"


def test_measures_are_named_by_policy_samples_and_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects against measures of another policy, of fewer samples or of older code; J depends on the prior's c."""
    task, ending = Task(Coins(), prior(), PAPER, 5, 20), Task(Ending(), prior(), samples=20)
    changes: list[dict[str, Any]] = [{}, {"seed": 6}, {"samples": 30}, {"domain": NEWER}, {"settings": None},
                                     {"held_out": replace(REAL, along=0, at_end=2)}]  # fmt: skip
    changed = [replace(task, **change) for change in changes] + [ending, replace(ending, c=0.3)]
    names = {store.key_of(each.measures_spec) for each in changed}
    monkeypatch.setitem(store.VERSIONS, "evaluation", 2)
    later = replace(task, labels={"a": 1})  # a new object: a task keeps its spec
    assert len(names) == 8 and store.key_of(later.measures_spec) not in names and later.spec == task.spec


def test_a_prior_is_trained_only_when_it_has_to_be() -> None:
    """Protects a clone from converting data it does not need: they are asked for once, then the prior is read."""
    one, two = prior(), prior(splits=lambda: pytest.fail("data were asked for"))
    assert one.weights_digest == two.weights_digest != prior(1).weights_digest


@pytest.mark.parametrize(
    ("domain", "settings"), [(Coins(), (PAPER, PATH, AUTHORS, GREEDY, *ALONG)), (Ending(), (PAPER, PATH, ROAD))]
)
def test_one_process_or_two(domain: Domain, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects determinism and time: every trainer gives the same bytes, whatever ran before it in its process, no two
    seeds the same, and a second call makes nothing.
    """
    made = []
    for jobs in ("1", "2"):
        monkeypatch.setenv("REPRO_CACHE", str(tmp_path / jobs))
        monkeypatch.setenv("REPRO_JOBS", jobs)
        made.append(runs.finish_all("tiny", tasks(domain, *settings)))
    one, two = (repr([run | {"core_seconds": 0} for run in each.numbers().values()]) for each in made)
    assert one == two
    digests = {run.trained.weights_digest for run in made[0] if run.trained}
    assert len(digests) == 2 * len(settings)  # or equal bytes would mean nothing
    monkeypatch.setattr(store, "keep", lambda *_: pytest.fail("a finished run was made again"))
    assert runs.finish_all("tiny", tasks(domain, *settings)).table().equals(made[1].table())


def test_frames_are_long_and_unique_and_single_runs_are_found() -> None:
    """Protects outside readers: one value per row, the prior with seed 0 and no c, all metrics of every model; and
    notebooks and claims: one seed of all, and the labels of a run.
    """
    results = runs.finish_all("coins", tasks(Coins(), PAPER, labels={"gamma": 0.5}))
    table, curves = results.table(), results.curves()
    assert list(table.columns) == [*LABEL[:4], "gamma", *LABEL[4:], "value"] and not table.duplicated(LABEL).any()
    assert set(map(tuple, table[["method", "seed"]].to_numpy())) == {("prior", 0), ("psi", 5), ("psi", 6)}
    first = table[table["method"] == "prior"].set_index("metric")
    assert first["c"].isna().all() and first["value"]["kl"] == pytest.approx(0, abs=1e-6)
    assert set(first.index) == {"log_p", "kl", "entropy", "log_p_last", "task_reward"} and len(table) == 15
    parts = results.runs[0].measured.numbers["reward_parts"]  # type: ignore[union-attr]
    assert sum(parts.values()) == pytest.approx(first["value"]["task_reward"])
    assert set(curves["seed"]) == {5, 6} and {"method", "c", "task_reward"} <= set(curves)
    assert results.runs[2].label == {"method": "psi", "c": 0.5, "seed": 6, "gamma": 0.5}
    samples = results.at(0.5, 6).samples(seed=1, count=9)
    assert {name: drawn.shape for name, drawn in samples.items()} == {"prior": (9, 4), "psi": (9, 4)}
    assert [run.label["seed"] for run in results] == [5, 6]  # without the prior


@pytest.mark.parametrize("settings", [PAPER, PATH, AUTHORS], ids=lambda settings: type(settings).__name__)
def test_a_watched_run_is_the_run(settings: Any) -> None:
    """Protects comparisons: being asked for real sequences along the way changes neither weights nor curve."""
    seen, unseen = (runs.finish(Task(Coins(), prior(), settings, held_out=real))[0].numbers for real in (REAL, None))
    assert seen["weights_sha256"] == unseen["weights_sha256"]
    assert min(seen["curve"].pop("held_out_nll")) > 0 and repr(seen["curve"]) == repr(unseen["curve"])


@contextmanager
def cluster(folder: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A Dask scheduler's address and two workers, each with a cache of its own, as on other machines."""
    address = "tcp://127.0.0.1:{}"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = address.format(port := free.getsockname()[1])
    commands = [["scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"]]
    commands += [["worker", address, "--no-nanny", "--no-dashboard", "--nthreads", "1"]] * 2
    path, started = os.pathsep.join(map(str, (Path(__file__).parent, ROOT))), []
    for number, (name, *options) in enumerate(commands):
        environment = os.environ | {"REPRO_CACHE": str(folder / f"worker{number}"), "PYTHONPATH": path}
        started.append(subprocess.Popen([sys.executable, "-m", "dask", name, *options], env=environment, cwd=folder))
    try:
        yield address, started[1:]
    finally:
        for process in started:
            process.kill()
            process.wait()


def kill(worker: subprocess.Popen[bytes], runs: Path) -> None:
    """As soon as it has made a run."""
    while not any(runs.glob("*.json")):
        time.sleep(0.02)
    worker.kill()


def test_workers_on_other_machines_make_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects runs sent to a cluster: with one of two workers killed on the way every run is here, once, the same."""
    longer = [replace(settings, rounds=150, evaluate_every=150) for settings in (PAPER, replace(PAPER, method="g"))]
    made = {}
    with cluster(tmp_path) as (address, workers):
        for where in ("", address):
            (folder := tmp_path / f"own{len(made)}").mkdir()
            monkeypatch.setenv("REPRO_CACHE", str(folder))
            monkeypatch.setenv("REPRO_SCHEDULER", where)
            wanted = tasks(Coins(), *longer, replace(PAPER, method="q"))
            end = threading.Thread(target=kill, args=(workers[0], tmp_path / "worker1" / "runs"), daemon=True)
            if where:
                end.start()
            results = runs.finish_all("tiny", wanted)
            files = {path.name: path.suffix == ".json" or path.read_bytes() for path in (folder / "runs").iterdir()}
            made[where] = repr([run | {"core_seconds": 0} for run in results.numbers().values()]), files
        monkeypatch.setenv("REPRO_FRESH_SINCE", repr(since := time.time()))  # as --fresh does
        runs.finish_all("tiny", wanted)
        renewed = {path.stem for path in tmp_path.glob("worker*/runs/*") if path.stat().st_mtime >= since}
        assert renewed == {*results.numbers()}  # also where one worker of one thread is left
    assert made[""] == made[address] and workers[0].poll() is not None
