"""The methods as tables and figures name them, always in this order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

METHOD_NAMES = {"prior": "Note RNN", "q": "Q", "psi": "Psi", "g": "G", "rl_only": "RL only"}


def methods_in(values: Iterable[str]) -> list[str]:
    """The methods among values, in the order of METHOD_NAMES; an unknown one is an error that lists the known."""
    found = set(values)
    if unknown := sorted(found - METHOD_NAMES.keys()):
        raise ValueError(f"no colour for method {unknown[0]!r}: the known methods are {', '.join(METHOD_NAMES)}")
    return [method for method in METHOD_NAMES if method in found]


def method_name(method: str, names: Mapping[str, str] | None = None) -> str:
    """What readers see: names goes before METHOD_NAMES; a method in neither keeps its own name."""
    return {**METHOD_NAMES, **(names or {})}.get(method, method)
