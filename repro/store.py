"""One place for every finished run, named by what determines it in words.

A spec is a plain dictionary: trainer, version, domain, prior, settings, seed; its key is the start of its sha256. What
this machine made lies in the cache (`.cache/`, or the folder in REPRO_CACHE), what is shipped under `results/`. A
finished run is read, never repeated. The environment sets more than REPRO_CACHE: see `repro.processes`.
"""

import dataclasses
import hashlib
import json
import os
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from safetensors.torch import load, save

from repro import ROOT
from repro.processes import environment
from repro.rnn import SequenceRNN
from repro.settings import need

# Raised by hand when numbers change, with a line in the changelog; tests/test_fingerprints.py sees that nobody forgets.
VERSIONS = {"prior": 1, "tutor": 1, "path": 1, "authors": 1, "road": 1, "evaluation": 1, "corpus": 1}
SHIPPED = ("priors", "policies")  # folders of results/ with networks, each a pair NAME.json, NAME.safetensors
T = TypeVar("T")
Spec = Mapping[str, Any]


def cache_folder() -> Path:
    """Where this machine's finished runs lie; SettingsError: REPRO_CACHE names no folder that can be written."""
    asked = os.environ.get("REPRO_CACHE")
    folder = Path(asked or ROOT / ".cache").expanduser()
    above = next(each for each in (folder, *folder.parents) if os.path.exists(each))
    fits = folder.is_absolute() and os.path.isdir(above) and os.access(above, os.W_OK)
    need(fits or not asked, f"REPRO_CACHE is {asked!r}: it must be the whole path of a folder that can be written")
    return folder


def named(spec: Spec) -> bool:
    """Whether all of a run has a name: a None in its domain is a reward without one."""
    return None not in spec.get("domain", {}).values()


def plain(settings: Any) -> dict[str, Any]:
    """Settings as a dictionary, without switches that are off and "cpu": what came later renames no run."""
    given = dataclasses.asdict(settings).items()
    return {name: value for name, value in given if value is not False and (name, value) != ("device", "cpu")}


def key_of(spec: Spec) -> str:
    """Twenty hexadecimal digits that name a spec."""
    return hashlib.sha256(json.dumps(spec, sort_keys=True, default=python_number).encode()).hexdigest()[:20]


def python_number(value: Any) -> Any:
    """A number of NumPy's as Python's; TypeError: what else JSON does not know."""
    if isinstance(value, (np.integer, np.floating, np.bool_)):
        return value.item()
    raise TypeError(f"{value!r} cannot be written into a record")


@dataclasses.dataclass(frozen=True)
class Record:
    """A finished run: its numbers, and its networks where they are at hand."""

    key: str
    numbers: dict[str, Any]  # `spec` among them
    weights: bytes | Path | None = None  # safetensors

    def rnn(self, prefix: str = "") -> SequenceRNN:
        """The network that the run ended with; with the prefix "prior." the one that was trained along."""
        if self.weights is None:
            raise FileNotFoundError(f"the run {self.key} is shipped without its network")
        content = self.weights.read_bytes() if isinstance(self.weights, Path) else self.weights
        heads = tuple(prefix + part for part in ("lstm.", "head."))
        tensors = {name.removeprefix(prefix): w for name, w in load(content).items() if name.startswith(heads)}
        rnn = SequenceRNN(*tensors["head.weight"].shape)
        rnn.load_state_dict(tensors)
        return rnn.eval()

    @property
    def weights_digest(self) -> str:
        """The digest of the run's networks: what a run that starts from them depends on."""
        return self.numbers["weights_sha256"][:20]

    def __reduce__(self) -> tuple[Any, ...]:
        """To another process, which may be on another machine, a record goes with its networks."""
        weights = self.weights.read_bytes() if isinstance(self.weights, Path) else self.weights
        return Record, (self.key, self.numbers, weights)


# numbers, and networks by prefix: "" for the policy or prior, and "prior." for one trained along
Made = tuple[dict[str, Any], Mapping[str, SequenceRNN]]


def finished(spec: Spec, make: Callable[[], Made], with_weights: bool = False) -> Record:
    """The finished run of a spec: found, or made now and kept; not with a None in its domain, an unnamed reward."""
    # `with_weights`: a record without its networks does not do
    key, kept = key_of(spec), named(spec)
    if not kept:
        warnings.warn("this reward has no source that could name it: the run is made, and not kept", stacklevel=2)
    record = find(key, with_weights) if kept else None
    if record is None:
        numbers, networks = make()
        record = keep(cache_folder() / "runs" / f"{key}.json" if kept else None, {"spec": spec} | numbers, networks)
    # of a found one too: its process may have been killed before they went
    for left in (cache_folder() / "checkpoints").glob(f"*{key}*"):
        with suppress(OSError):  # another process was faster
            left.unlink()
    return record


def received(record: Record | None) -> Record | None:
    """A run that another process made, as this machine keeps it; one that came from another machine is written here."""
    if record is None or not named(record.numbers["spec"]):
        return record
    return find(record.key, record.weights is not None) or put(cache_folder() / "runs" / f"{record.key}.json", record)


def find(key: str, with_weights: bool = False) -> Record | None:
    """The finished run with this key: this machine's own first, then those that are shipped."""
    since = environment("REPRO_FRESH_SINCE")
    numbers = None if with_weights or since else shipped_numbers().get(key)
    own, shipped = cache_folder() / "runs" / f"{key}.json", _shipped_networks().get(key)
    recent = own.exists() and own.stat().st_mtime >= since
    if recent and (record := _read(own, with_weights)) and record.key == key:
        # numbers as on every machine: a run that was made again for its network may have other last digits here
        return dataclasses.replace(record, numbers=record.numbers | (numbers or {}))
    # REPRO_FRESH_SINCE leaves the shipped priors, which take long to train: they have a switch of their own
    ignored = environment("REPRO_TRAIN_PRIORS") if shipped and shipped.parent.name == "priors" else since
    if shipped and not ignored and (record := _read(shipped, with_weights)):
        return record
    return None if numbers is None else Record(key, numbers)


def read_record(path: Path) -> Record:
    """The record PATH.json with its networks, PATH.safetensors; FileNotFoundError lists those beside it."""
    file = path.with_name(f"{path.name}.json")  # a name may hold dots
    if os.path.exists(file) and (record := _read(file, with_weights=True)):  # Path's own raises for a long name
        return record
    known = ", ".join(sorted(each.stem for each in path.parent.glob("*.safetensors"))) or "nothing"
    raise FileNotFoundError(f"{shown(path.parent)} has no {path.name!r} that can be read: it has {known}")


@cache
def _shipped_networks() -> dict[str, Path]:
    paths = [path for name in SHIPPED for path in sorted((ROOT / "results" / name).glob("*.json"))]
    return {record.key: path for path in paths if (record := _read(path, with_weights=False)) is not None}


@cache
def shipped_numbers() -> dict[str, dict[str, Any]]:
    """The numbers of all committed runs, `results/*/runs.json`, by key."""
    numbers: dict[str, dict[str, Any]] = {}
    for path in sorted((ROOT / "results").glob("*/runs.json")):
        try:
            numbers |= {key: run for key, run in json.loads(path.read_bytes()).items() if "spec" in run}
        except (OSError, ValueError, TypeError, AttributeError, LookupError) as error:
            warnings.warn(f"{shown(path)} is damaged ({type(error).__name__}) and is ignored", stacklevel=2)
    return numbers


def _read(path: Path, with_weights: bool) -> Record | None:
    """Reads a record; a damaged one is reported in a warning that names the file, and ignored."""
    weights = path.with_suffix(".safetensors")
    try:
        numbers = json.loads(path.read_bytes())
        key = key_of(numbers["spec"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        warnings.warn(f"{shown(path)} is damaged ({type(error).__name__}) and is ignored", stacklevel=2)
        return None
    if not weights.exists():
        return None if with_weights else Record(key, numbers)
    if with_weights and hashlib.sha256(weights.read_bytes()).hexdigest() != numbers.get("weights_sha256"):
        warnings.warn(f"{shown(weights)} is damaged (its digest differs) and is ignored", stacklevel=2)
        return None
    return Record(key, numbers, weights)


def keep(path: Path | None, numbers: dict[str, Any], networks: Mapping[str, SequenceRNN]) -> Record:
    """A made run as it will be read, with ten digits of each number, and written if it has a path."""
    tensors = {prefix + name: tensor.detach().contiguous()
               for prefix, rnn in networks.items() for name, tensor in rnn.state_dict().items()}  # fmt: skip
    weights = save(tensors) if tensors else None
    digest = {"weights_sha256": hashlib.sha256(weights).hexdigest()} if weights else {}
    long = json.dumps(numbers, default=python_number)  # the spec's numbers keep all digits
    short = json.loads(long, parse_float=lambda digits: float(f"{float(digits):.10g}"))
    text = json.dumps(short | digest | {"spec": numbers["spec"]}, sort_keys=True, default=python_number)
    record = Record(key_of(numbers["spec"]), json.loads(text), weights)
    return put(path, record) if path else record


def put(path: Path, record: Record) -> Record:
    """A record written as PATH.json and PATH.safetensors; the weights first, so that none is there without them."""
    if isinstance(record.weights, bytes):
        write(path.with_suffix(".safetensors"), record.weights)
        record = dataclasses.replace(record, weights=path.with_suffix(".safetensors"))
    write(path, (json.dumps(record.numbers, sort_keys=True) + "\n").encode())
    return record


def cached(spec: Spec, make: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    """A table that takes long to make, kept as parquet; a damaged file is reported and made again."""
    path = cache_folder() / f"{key_of(spec)}.parquet"
    if path.exists():
        try:
            return pd.read_parquet(path)
        except Exception as error:  # a damaged file raises whatever the reader meets first
            warnings.warn(f"{shown(path)} is damaged ({type(error).__name__}); it is made again", stacklevel=2)
    frame = make()
    write(path, frame.to_parquet())
    return frame


def results_in(path: Path, empty: T, whole: Callable[[T], bool], read: Callable[[bytes], Any] = json.loads) -> T:
    """What a file of results holds, or `empty`; a damaged one, or one of another kind, is named and set aside."""
    try:
        found = read(path.read_bytes())
        if type(found) is type(empty) and whole(found):
            return found
        problem = "it holds something else"
    except FileNotFoundError:
        return empty
    except (ValueError, TypeError, AttributeError, LookupError) as error:
        problem = type(error).__name__
    set_aside(path, problem, "and made again by the notebooks that write it")
    return empty


def set_aside(path: Path, problem: str, then: str) -> None:
    """Names a damaged file in a warning, and moves it out of the way."""
    aside = path.with_name(f"{path.name}.damaged")
    with _writing(path.parent), suppress(FileNotFoundError):  # another process was faster
        os.replace(path, aside)
    warnings.warn(f"{shown(path)} is damaged ({problem}): it is set aside as {aside.name}, {then}", stacklevel=3)


@contextmanager
def alone() -> Iterator[None]:
    """One process at a time, so that no row is lost between reading and writing; within itself it waits for ever."""
    with ExitStack() as held:
        with suppress(ImportError, OSError):  # no lock on Windows, nor where the cache has none or is read-only
            import fcntl

            cache_folder().mkdir(parents=True, exist_ok=True)
            file = held.enter_context(open(cache_folder() / "lock", "ab"))
            fcntl.flock(file, fcntl.LOCK_EX)
            held.callback(fcntl.flock, file, fcntl.LOCK_UN)  # also where a forked child has the file open
        yield


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OSError(f"{folder} cannot be written ({error.strerror}): make room, or go elsewhere") from error


def write(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all; an OSError names the folder that cannot be written."""
    with _writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name[:20]}.{uuid.uuid4().hex}")
        try:
            part.write_bytes(content)
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)


def shown(path: Path) -> str:
    """A path as people read it: from the repository's root on, where it lies inside."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)
