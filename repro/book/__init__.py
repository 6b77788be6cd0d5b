"""The part that reports: published numbers, tables, claims and their verdicts, figures and the report."""

from importlib import import_module
from types import ModuleType


def __getattr__(room: str) -> ModuleType:
    """A room of the book, read when it is first asked for: `from repro import book`, then `book.tables`."""
    if room.startswith("_"):
        raise AttributeError(f"module 'repro.book' has no attribute {room!r}")
    return import_module(f"repro.book.{room}")
