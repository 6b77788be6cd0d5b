"""One place for every finished run, found by the digest of what determines it.

A record is a pair of files, `NAME.json` (what determined it, its numbers) and, where it has weights,
`NAME.safetensors`. Records made on this machine lie in the cache (`.cache/`, or the folder in REPRO_CACHE); those that
are shipped lie under `results/`. A finished run is read, never repeated; an interrupted one leaves nothing behind.

The environment steers all runs of a command: REPRO_JOBS (processes), REPRO_FRESH_SINCE (a Unix time: runs recorded
before it are ignored), REPRO_TRAIN_PRIORS (shipped priors are ignored), REPRO_NO_BARS.
"""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import importlib.util
import io
import json
import os
import tempfile
import tokenize
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import joblib
import numpy as np
import torch
from safetensors.torch import load_file, save
from tqdm.auto import tqdm

from repro.rnn import SequenceRNN
from repro.settings import ROOT

T = TypeVar("T")
PRIORS, POLICIES = ROOT / "results" / "priors", ROOT / "results" / "policies"


def cache_folder() -> Path:
    """Where this machine's finished runs lie."""
    return Path(os.environ.get("REPRO_CACHE") or ROOT / ".cache")


def jobs() -> int:
    """How many processes work at once: REPRO_JOBS, or one a core."""
    return int(os.environ.get("REPRO_JOBS") or joblib.cpu_count())


@cache
def source_digest(modules: tuple[str, ...]) -> str:
    """The digest of what modules say, comments, docstrings and layout aside: a better comment trains nothing anew."""
    digest = hashlib.sha256()
    for module in sorted(modules):
        spec = importlib.util.find_spec(module)
        if spec is None or spec.origin is None:
            raise ValueError(f"there is no module {module}")
        digest.update(b"\0".join(word.encode() for word in _words(Path(spec.origin).read_text(encoding="utf-8"))))
    return digest.hexdigest()


def _words(source: str) -> Iterator[str]:
    """The tokens of a module without comments, docstrings and line ends."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        node.body[0].lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, documented) and node.body and ast.get_docstring(node, clean=False) is not None
    }
    layout = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.ENCODING, tokenize.ENDMARKER)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in layout and not (token.type == tokenize.STRING and token.start[0] in docstrings):
            yield token.string


def digest(**parts: Any) -> str:
    """Twenty hexadecimal digits that name what determines a run: settings, digests, numbers."""
    plain = json.dumps(parts, sort_keys=True, default=_plain)
    return hashlib.sha256(plain.encode()).hexdigest()[:20]


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, (np.integer, np.floating)):
        return value.item()
    raise TypeError(f"{value!r} cannot be written into a record")


def weights_digest(rnn: SequenceRNN) -> str:
    """The digest of a network's weights: what a run that starts from it depends on."""
    return hashlib.sha256(save(_tensors(rnn))).hexdigest()[:20]


def _tensors(rnn: SequenceRNN) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().contiguous() for name, tensor in rnn.state_dict().items()}


def write(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all.

    Raises:
        OSError: the folder cannot be written; the sentence names it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
            file.write(content)
        os.chmod(file.name, 0o644)
        os.replace(file.name, path)
    except OSError as error:
        raise OSError(f"{path.parent} cannot be written ({error.strerror}): choose another results folder") from error


@dataclasses.dataclass(frozen=True)
class Record:
    """A finished run: its numbers, and its weights where they are at hand."""

    digest: str
    numbers: dict[str, Any]
    folder: Path
    name: str

    def rnn(self) -> SequenceRNN:
        """The network that the run ended with."""
        tensors = load_file(self.folder / f"{self.name}.safetensors")
        vocabulary, cells = tensors["head.weight"].shape
        rnn = SequenceRNN(vocabulary, cells)
        rnn.load_state_dict(tensors)
        return rnn.eval()


def save_record(folder: Path, name: str, key: str, numbers: dict[str, Any], rnn: SequenceRNN | None = None) -> Record:
    """Writes a finished run, the weights first, so that a record without its weights cannot arise."""
    content: dict[str, Any] = {"digest": key, **numbers}
    if rnn is not None:
        weights = save(_tensors(rnn))
        write(folder / f"{name}.safetensors", weights)
        content["weights_sha256"] = hashlib.sha256(weights).hexdigest()
    text = json.dumps(content, sort_keys=True, default=_plain)
    write(folder / f"{name}.json", (text + "\n").encode())
    return Record(key, json.loads(text), folder, name)  # as it will be read


def ship(record: Record, folder: Path, name: str) -> Path:
    """Copies a finished run with its weights into a folder of the repository, under a name for people."""
    if (record.folder, record.name) != (folder, name):
        write(folder / f"{name}.safetensors", (record.folder / f"{record.name}.safetensors").read_bytes())
        write(folder / f"{name}.json", (record.folder / f"{record.name}.json").read_bytes())
    return folder / f"{name}.safetensors"


def read_record(path: Path, with_weights: bool) -> Record | None:
    """Reads a record; a damaged one is reported in a warning that names the file, and ignored."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        key = content["digest"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        warnings.warn(f"{_shown(path)} is damaged ({type(error).__name__}) and is ignored", stacklevel=2)
        return None
    if with_weights:
        weights = path.with_suffix(".safetensors")
        if not weights.exists():
            return None  # shipped for its numbers alone
        if hashlib.sha256(weights.read_bytes()).hexdigest() != content.get("weights_sha256"):
            warnings.warn(f"{_shown(weights)} is damaged (its digest differs) and is ignored", stacklevel=2)
            return None
    return Record(key, content, path.parent, path.stem)


def _shown(path: Path) -> str:
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def find(key: str, shipped: Path | None = None, with_weights: bool = False) -> Record | None:
    """The finished run with this digest: this machine's own first, then those that are shipped.

    Args:
        key: what `digest` returned.
        shipped: a folder of shipped records, `PRIORS` or `POLICIES`.
        with_weights: a record without its weights does not do.
    """
    since = float(os.environ.get("REPRO_FRESH_SINCE") or 0)
    own = cache_folder() / "runs" / f"{key}.json"
    if own.exists() and own.stat().st_mtime >= since:
        record = read_record(own, with_weights)
        if record is not None and record.digest == key:
            return record
    if os.environ.get("REPRO_TRAIN_PRIORS") if shipped == PRIORS else since:
        return None
    for path in sorted(shipped.glob("*.json")) if shipped is not None else ():
        record = read_record(path, with_weights)
        if record is not None and record.digest == key:
            return record
    if not with_weights and key in (numbers := _shipped_numbers()):
        return Record(key, numbers[key], POLICIES, key)
    return None


@cache
def _shipped_numbers() -> dict[str, dict[str, Any]]:
    """The numbers of all committed runs, `results/*/runs.json`, by digest."""
    numbers: dict[str, dict[str, Any]] = {}
    for path in sorted((ROOT / "results").glob("*/runs.json")):
        try:
            numbers |= json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, TypeError) as error:
            warnings.warn(f"{_shown(path)} is damaged ({type(error).__name__}) and is ignored", stacklevel=2)
    return numbers


def cached(key: str, name: str, make: Callable[[], T], keep: Callable[[T, Path], None], load: Callable[[Path], T]) -> T:
    """What `make` returns, read from the cache when it was made before; a damaged file is reported and made again.

    Args:
        key: the digest of all that determines it.
        name: the file's ending, as "tunes.npz".
        make: makes it.
        keep: writes it to a path.
        load: reads it from a path; raises ValueError for a damaged file.
    """
    path = cache_folder() / f"{key}-{name}"
    if path.exists():
        try:
            return load(path)
        except ValueError as error:
            warnings.warn(f"{error}; it is made again", stacklevel=2)
    value = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        keep(value, Path(folder) / path.name)
        os.replace(Path(folder) / path.name, path)
    return value


def progress(total: int, title: str) -> tqdm:
    """A progress bar with the time left; none where REPRO_NO_BARS is set, as when notebooks run in a pipeline."""
    return tqdm(total=total, desc=title, disable=bool(os.environ.get("REPRO_NO_BARS")))


def many(function: Callable[..., T], tasks: Sequence[tuple], title: str) -> list[T]:
    """Calls a function with each task's arguments, in as many processes as `jobs` says, under a progress bar.

    Returns:
        The results in the order of the tasks; one process is this one, so that nothing has to be started.
    """
    calls = (joblib.delayed(function)(*task) for task in tasks)
    results = []
    with progress(len(tasks), title) as bar:
        for result in joblib.Parallel(n_jobs=max(1, min(jobs(), len(tasks))), return_as="generator")(calls):
            results.append(result)
            bar.update()
    return results
