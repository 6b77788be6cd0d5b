"""Sequence Tutor, reproduced: an RNN learned from data is tuned by KL-control and stays near it."""

from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent  # the repository: paths in settings are relative to it
PRESETS = ("smoke", "laptop", "paper")
OWN_RESULTS = "results/own"  # where results with changed settings go, so that the reference results stay
# what an outsider needs, each read with its room when it is first asked for: `import repro` stays fast
FROM = {
    "repro.own_prior": ("load_prior", "fit", "from_lstm"),
    "repro.own_domain": ("Sequences", "check", "suggest_c"),
    "repro.yours": ("tune", "sample", "load"),
    "repro.domain": ("Domain",), "repro.molecules.domain": ("Molecules",), "repro.music.domain": ("Music",),
}  # fmt: skip


def __getattr__(name: str) -> Any:
    """One of the names of FROM."""
    for module, names in FROM.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module 'repro' has no attribute {name!r}")


def __dir__() -> list[str]:
    """For completion in a notebook."""
    return sorted({*globals(), *(name for names in FROM.values() for name in names)})
