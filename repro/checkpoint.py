"""Checkpoints, from which an interrupted run goes on: all that changes as it learns, about once per minute.

A checkpoint is one safetensors file in `checkpoints/` of the cache: tensors by number, and in its metadata JSON that
says what each of them is. Its name holds the run's key, a digest of this code, the steps made and the start of its
sha256. A run keeps its latest two; `store.finished` removes them. Writing one removes those untouched for 30 days.
"""

import hashlib
import json
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.numpy import save
from torch import Tensor, nn
from torch.optim import Optimizer

from repro import store
from repro.processes import environment

# of all that learns and pays: not of the book, which nothing here depends on
TEXTS = [path for path in sorted(Path(__file__).parent.rglob("*.py")) if path.parent.name != "book"]
CODE = hashlib.sha256(b"".join(path.read_bytes() for path in TEXTS)).hexdigest()
# of what is held: what never changes, what is the same network under a second name, and the data of a prior
FIXED = {"domain", "settings", "method", "original", "acting", "trained", "extra", "flat", "starts", "room"}
KEPT = 30 * 24 * 3600  # seconds that an interrupted run may wait; a file may have 245 MB
MAKE: dict[str, Callable[[np.ndarray], Any]] = {  # by the device of a tensor, or for NumPy's
    "cpu": torch.tensor, "cuda": partial(torch.tensor, device="cuda"), "array": np.array}  # fmt: skip


class Checkpoints:
    """The checkpoints of one run; it has none without a spec, or where its reward has no name."""

    def __init__(self, spec: store.Spec | None = None, clock: Callable[[], float] = time.process_time) -> None:
        """Looks for the latest one; `clock` measures what the run costs."""
        self.interval = environment("REPRO_CHECKPOINT_SECONDS")
        self.next = time.monotonic() + self.interval
        self.start = f"{store.key_of(spec)}.{CODE[:8]}." if spec and store.named(spec) else ""  # of its files' names
        self.done, self.clock, self.began, self.kept = 0, clock, clock(), dict[str, Any]()
        for path in reversed(self._files()):
            with suppress(FileNotFoundError):  # another process has finished the same run
                if path.stat().st_mtime < environment("REPRO_FRESH_SINCE"):
                    path.unlink()
                elif not self.kept and (kept := _read(path)):
                    self.done, self.kept, self.began = kept["done"], kept["held"], self.began - kept["seconds"]

    def spent(self) -> float:
        """Seconds of the run, those before an interruption too."""
        return self.clock() - self.began

    def over(self, numbers: range, held: Mapping[str, Any]) -> Iterator[int]:
        """The numbers of the steps that are left; `held`, all that a step changes, is first put back as it was then."""
        for name in self.kept:
            _put_back(held[name], self.kept[name])
        self.kept = {}
        for number in numbers[self.done :]:
            yield number
            self.done += 1
            if self.start and time.monotonic() >= self.next:
                self._keep({"held": held, "done": self.done, "seconds": self.spent()})

    def _files(self) -> list[Path]:
        return sorted((store.cache_folder() / "checkpoints").glob(f"{self.start}*.safetensors")) if self.start else []

    def _keep(self, state: dict[str, Any]) -> None:
        began, content = time.monotonic(), _packed(state)
        name = f"{self.start}{self.done:09}.{hashlib.sha256(content).hexdigest()[:20]}.safetensors"
        try:
            store.write(store.cache_folder() / "checkpoints" / name, content)
        except OSError as error:  # the run itself needs less room
            warnings.warn(f"this run keeps no checkpoint: {error}", stacklevel=3)
            self.start = ""
        for path in (store.cache_folder() / "checkpoints").glob("*"):
            with suppress(OSError):  # another process has removed it
                if path in self._files()[:-2] or path.stat().st_mtime < time.time() - KEPT:
                    path.unlink()
        # however slow the disk is, keeping takes a sixtieth of the time at most
        self.next = time.monotonic() + self.interval * max(1, time.monotonic() - began)


def _packed(state: dict[str, Any]) -> bytes:
    arrays: dict[str, np.ndarray] = {}

    def plain(value: Any) -> Any:  # of what JSON does not know
        if isinstance(value, (Tensor, np.ndarray)):
            kind, array = "array", value
            if isinstance(value, Tensor):
                kind, array = value.device.type, value.detach().cpu().numpy()
            arrays[str(len(arrays))] = np.asarray(array, order="C")
            return {kind: str(len(arrays) - 1)}
        if isinstance(value, (nn.Module, Optimizer)):
            return value.state_dict()
        if isinstance(value, np.random.Generator):
            return value.bit_generator.state
        if not type(value).__module__.startswith("repro."):
            return store.python_number(value)
        return {name: part for name, part in vars(value).items() if name not in FIXED}

    return save(arrays, {"state": json.dumps(state, default=plain)})  # the text first: writing it fills `arrays`


def _read(path: Path) -> Any:
    """What a checkpoint holds; a damaged one is named and set aside."""
    if not path.stem.endswith(hashlib.sha256(path.read_bytes()).hexdigest()[:20]):
        store.set_aside(path, "its digest differs", "and the one before it is used, if there is one")
        return None
    with safe_open(path, "np") as file:

        def whole(found: dict[str, Any]) -> Any:
            kind = next(iter(found), "")
            return MAKE[kind](file.get_tensor(found[kind])) if kind in MAKE else found

        return json.loads(file.metadata()["state"], object_hook=whole)


def _put_back(into: Any, kept: Any) -> Any:
    """What was kept. Objects that others hold too (networks, parameters, random states, lists) are filled in place."""
    if isinstance(into, nn.Module):
        into.load_state_dict(kept)
    elif isinstance(into, Optimizer):
        into.load_state_dict(kept | {"state": {int(number): each for number, each in kept["state"].items()}})
    elif isinstance(into, np.random.Generator):
        into.bit_generator.state = kept
    elif isinstance(into, Tensor) and into.requires_grad:
        into.data.copy_(kept)
    elif isinstance(into, list):
        into[:] = kept
    elif type(into).__module__.startswith("repro."):
        for name, part in kept.items():
            setattr(into, name, _put_back(getattr(into, name), part))
    else:
        return kept
    return into
