"""Sequence Tutor, reproduced: an RNN learned from data is tuned by KL-control and stays near it."""

import hashlib
import os
import re
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent  # the repository: paths in settings are relative to it
PRESETS = ("smoke", "laptop", "paper")
PARAMETER = re.compile(r"^(\w+) *(?::[^=\n]+)?=(?!=)", re.MULTILINE)  # a line of a notebook's cell of parameters
OWN_RESULTS = "results/own"  # where results with changed settings go, so that the reference results stay
# what an outsider needs, and its room, which is read when it is first asked for: `import repro` stays fast
ROOMS = {
    "Domain": "domain", "Molecules": "molecules.domain", "Music": "music.domain", "Sequences": "own_inputs",
    "load_prior": "own_inputs", "fit": "own_inputs", "from_lstm": "own_inputs", "check": "own_inputs",
    "suggest_c": "own_inputs", "tune": "yours", "sample": "yours", "load": "yours",
}  # fmt: skip


class SettingsError(ValueError):
    """A setting that does not exist or cannot be used, in one sentence."""


def results_folder(where: Any, root: Path = ROOT) -> Path:
    """Where results go, from the repository's root on; SettingsError: no name of a folder, or one outside by `..`."""
    if not isinstance(where, (str, Path)) or not str(where).isprintable() or not str(where).strip():
        raise SettingsError(f"results is {where!r}: it must be the name of a folder")
    path = root / Path(where).expanduser()
    if not Path(where).is_absolute() and not Path(os.path.normpath(path)).is_relative_to(root):  # by a link it may be
        said = f"results is {str(where)!r}, outside of the repository"
        raise SettingsError(f"{said}: write the whole path if you mean that")
    return path


def own_results(given: Mapping[str, object]) -> str:
    """The folder of results with these settings, named after them, and by a digest where a name cannot hold them."""
    said = sorted((name, str(value)) for name, value in given.items())
    words = "_".join(map("=".join, said))
    name = re.sub(r"[^\w.,=-]+", "-", words)[:80]
    unclear = name != words or any(sign in value for _, value in said for sign in "_=")
    return f"{OWN_RESULTS}/{name}" + (f"-{hashlib.sha256(repr(said).encode()).hexdigest()[:8]}" if unclear else "")


def __getattr__(name: str) -> Any:
    """One of the names of ROOMS."""
    if name not in ROOMS:
        raise AttributeError(f"module 'repro' has no attribute {name!r}")
    return getattr(import_module(f"repro.{ROOMS[name]}"), name)


def __dir__() -> list[str]:
    """For completion in a notebook."""
    return sorted({*globals(), *ROOMS})
