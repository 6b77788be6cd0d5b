"""Many runs at once, with their progress; no process outlives its pipeline."""

import io
import os
import signal
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import joblib
from tqdm import std
from tqdm.auto import tqdm

T = TypeVar("T")
# what the environment may set: the default, whose type it has, the least, the most, and what it must be
STEERING: dict[str, tuple[float, float, float, str]] = {
    "REPRO_JOBS": (joblib.cpu_count(), 1, 10**6, "a whole number from 1 on"),  # processes, one per core; 1: this one
    "REPRO_NO_BARS": (0, 0, 1, "0 or 1"),
    "REPRO_PIPELINE": (0, 0, 2**31, "the number of a process"),  # with which this one ends
    "REPRO_TRAIN_PRIORS": (0, 0, 1, "0 or 1"),  # 1: shipped priors are ignored
    "REPRO_FRESH_SINCE": (0.0, 0, 1e12, "a Unix time in seconds"),  # what was recorded before it is ignored
    "REPRO_CHECKPOINT_SECONDS": (60.0, 0, 1e12, "a number of seconds"),  # of wall time between two checkpoints
}
EVERYWHERE = ("REPRO_TRAIN_PRIORS", "REPRO_FRESH_SINCE", "REPRO_CHECKPOINT_SECONDS")  # on other machines' workers too


def environment(name: str) -> Any:
    """A number that the environment sets, or its default; ValueError: it is not what it must be."""
    default, least, most, wanted = STEERING[name]
    asked = os.environ.get(name) or str(default)
    with suppress(ValueError):
        if least <= (number := type(default)(asked)) <= most:
            return number
    raise ValueError(f"{name} is {asked!r}: it must be {wanted}")


def _end_with(pipeline: int, parent: int) -> None:
    """Ends this process, a kernel or a worker, within a second of the pipeline that started it, however that ended."""
    with suppress(OSError):
        while os.getppid() == parent:  # a pipeline that nobody has waited for yet is still there for a signal
            os.kill(pipeline, 0)
            time.sleep(1)
    os.kill(os.getpid(), signal.SIGKILL)


if environment("REPRO_PIPELINE") and os.name == "posix":  # elsewhere signal 0 is no question
    threading.Thread(target=_end_with, args=(environment("REPRO_PIPELINE"), os.getppid()), daemon=True).start()


def progress(total: int, title: str, done: int = 0) -> Any:
    """A progress bar with the time left, from `done` on; none where REPRO_NO_BARS is set, as in a pipeline."""
    if _told:
        return _Told(total, _told[-1], done)
    return tqdm(total=total, initial=done, desc=title, disable=environment("REPRO_NO_BARS") == 1)


class _Told(std.tqdm):
    """The bar of one run of `many`: once per second it writes its progress into a file; an error there ends no run."""

    def __init__(self, total: int, place: Path, done: int) -> None:
        self.place = place
        super().__init__(total=max(1, total), initial=done, mininterval=1, miniters=1, file=io.StringIO())
        self.last_print_t = 0.0  # the first step is told at once

    def display(self, *_: object, **__: object) -> None:
        """Instead of a line on the screen."""
        with suppress(OSError):
            self.place.write_text(str(self.n / self.total))


_told: list[Path] = []  # in a process that works for `many`: where it says how far its run is


def _work(function: Callable[..., T], task: Any, place: Path, environ: dict[str, str]) -> T:
    os.environ.update(environ)
    _told.append(place)
    try:
        done = function(task)
        with suppress(OSError):
            place.write_text("1")
        return done
    finally:
        _told.pop()


def _watch(bar: Any, places: Sequence[Path], ended: threading.Event) -> None:
    over = False
    while not over:
        over = ended.wait(1)
        with suppress(OSError, ValueError):  # one that is being written
            bar.update(round(sum(float(place.read_text()) for place in places if place.exists()), 2) - bar.n)


@contextmanager
def workers(address: str | None) -> Iterator[Any]:
    """The way to the workers of a Dask scheduler, None without an address; ValueError: it is that of none."""
    if not address:
        yield None
        return
    try:
        from distributed import Client

        client = Client(address, timeout=10)
    except (ImportError, OSError, ValueError, TypeError) as error:
        wanted = "the address of a running Dask scheduler (its package: pip install -e '.[cluster]')"
        raise ValueError(f"REPRO_SCHEDULER is {address!r}: it must be {wanted}") from error
    with client:
        yield client


def many(function: Callable[..., T], tasks: Sequence[Any], title: str) -> list[T]:
    """What a function returns for each task, in order, from REPRO_JOBS processes, or the workers of REPRO_SCHEDULER."""
    address = os.environ.get("REPRO_SCHEDULER")
    count = max(1, min(environment("REPRO_JOBS"), len(tasks)))
    with tempfile.TemporaryDirectory() as folder, progress(len(tasks), title) as bar, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "A worker stopped")  # joblib replaces one that has grown: nothing is lost
        places, ended = [Path(folder) / str(place) for place in range(len(tasks))], threading.Event()
        watch = threading.Thread(target=_watch, args=(bar, places, ended), daemon=True)
        watch.start()
        environ = {name: os.environ.get(name, "") for name in EVERYWHERE} if address else {}
        work = [(function, task, place, environ) for task, place in zip(tasks, places, strict=True)]
        # workers leave Ctrl-C to this process, which ends them: half an answer would be waited for without end
        quiet: dict[str, Any] = {"initializer": signal.signal, "initargs": (signal.SIGINT, signal.SIG_IGN)}
        try:
            with workers(address) as client:
                if client and not client.nthreads():
                    print(f"the scheduler at {address} has no worker yet: waiting for one", flush=True)
                if client:  # not through joblib, which works here as long as there is but one worker
                    return client.gather([client.submit(_work, *each, pure=False) for each in work])
                return joblib.Parallel(count, batch_size=1, pre_dispatch="all", **quiet)(
                    joblib.delayed(_work)(*each) for each in work
                )
        except KeyboardInterrupt:
            again = "interrupted: finished runs are kept; run the same cell or command again to go on"
            raise KeyboardInterrupt(again) from None
        finally:
            ended.set()
            watch.join()
