"""Many runs at once, how far they are, and that none outlives its pipeline.

The environment steers: REPRO_JOBS (processes), REPRO_NO_BARS, REPRO_PIPELINE (the process with which this one ends).
"""

import os
import signal
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import joblib
from tqdm.auto import tqdm

T = TypeVar("T")


def _end_with(pipeline: int) -> None:
    """Ends this process, a kernel or a worker, within a second of the pipeline that started it, however that ended."""
    while True:
        time.sleep(1)
        try:
            os.kill(pipeline, 0)
        except OSError:
            os.kill(os.getpid(), signal.SIGKILL)


if "REPRO_PIPELINE" in os.environ and os.name == "posix":  # elsewhere signal 0 is no question
    threading.Thread(target=_end_with, args=(int(os.environ["REPRO_PIPELINE"]),), daemon=True).start()


def progress(total: int, title: str) -> Any:
    """A progress bar with the time left; none where REPRO_NO_BARS is set, as when notebooks run in a pipeline."""
    if _told:
        return _Told(total)
    return tqdm(total=total, desc=title, disable=bool(os.environ.get("REPRO_NO_BARS")))


class _Told:
    """The bar of a run of `many`: it writes into a file, once per second, how much of the run is done."""

    def __init__(self, total: int) -> None:
        self.total, self.n, self.last = total, 0.0, 0.0

    def __enter__(self) -> "_Told":
        return self

    def __exit__(self, *_: object) -> None: ...

    def update(self, steps: float = 1) -> None:
        """So many more steps are done."""
        self.n += steps
        if _told and time.monotonic() > self.last + 1:
            self.last = time.monotonic()
            _told[-1].write_text(str(self.n / self.total))


_told: list[Path] = []  # in a process that works for `many`: where it says how far its run is


def _work(function: Callable[..., T], task: Any, place: Path) -> T:
    _told.append(place)
    try:
        return function(task)
    finally:
        _told.pop().write_text("1")


def _watch(bar: Any, places: Sequence[Path], ended: threading.Event) -> None:
    over = False
    while not over:
        over = ended.wait(1)
        done = sum(float(place.read_text() or 0) for place in places if place.exists())
        bar.update(round(done, 2) - bar.n)


def many(function: Callable[..., T], tasks: Sequence[Any], title: str) -> list[T]:
    """What a function returns for each task, in order, from REPRO_JOBS processes (one per core; one is this one)."""
    count = max(1, min(int(os.environ.get("REPRO_JOBS") or joblib.cpu_count()), len(tasks)))
    with tempfile.TemporaryDirectory() as folder, progress(len(tasks), title) as bar, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "A worker stopped")  # joblib replaces one that has grown: nothing is lost
        places, ended = [Path(folder) / str(place) for place in range(len(tasks))], threading.Event()
        watch = threading.Thread(target=_watch, args=(bar, places, ended), daemon=True)
        watch.start()
        work = (joblib.delayed(_work)(function, *each) for each in zip(tasks, places, strict=True))
        try:
            return joblib.Parallel(n_jobs=count)(work)
        except KeyboardInterrupt:
            again = "interrupted: finished runs are kept, and the same cell or command goes on"
            raise KeyboardInterrupt(again) from None
        finally:
            ended.set()
            watch.join()
