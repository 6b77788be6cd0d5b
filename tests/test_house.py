"""The house: data walk down README's list of modules, and what CONTRIBUTING.md names is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
MODULES = sorted(path.relative_to(ROOT) for path in (ROOT / "repro").rglob("*.py") if path.name != "__init__.py")


def rows() -> list[str]:
    """The entries of README's table, in its order; those of one line share a number, their place in `places`."""
    text = (
        (ROOT / "README.md").read_text(encoding="utf-8").partition("| module | what it holds |")[2].partition("##")[0]
    )
    return [line.split(" | ")[0] for line in text.splitlines() if line.startswith("| `repro/")]


def places() -> dict[str, int]:
    """Every file and folder of the table with the number of its line."""
    return {name: number for number, row in enumerate(rows()) for name in re.findall(r"`([^`]+)`", row)}


def place(module: Path) -> int:
    """The line of a module, or of its package."""
    found = places()
    package = f"{module.parts[0]}/{module.parts[1]}/"
    return found[str(module) if len(module.parts) == 2 else package]


def imported(module: Path) -> set[Path]:
    """The modules of this package that a module imports anywhere in its text."""
    names: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / module).read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "repro":
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names if alias.name.startswith("repro.")}
    return {path for name in names if (path := Path(*name.split(".")).with_suffix(".py")) in set(MODULES)}


def test_every_module_is_in_the_list_once() -> None:
    """Protects the newcomer's map: no room without a line, no line without a room."""
    listed = [name for row in rows() for name in re.findall(r"`([^`]+)`", row)]
    assert len(listed) == len(set(listed))
    tops = {f"repro/{module.parts[1]}" + ("/" if len(module.parts) > 2 else "") for module in MODULES}
    assert set(listed) == tops


def test_imports_walk_down_the_list() -> None:
    """Protects the order: a module imports what stands on its own line or above."""
    upwards = [(str(one), str(other)) for one in MODULES for other in imported(one) if place(other) > place(one)]
    assert not upwards


def test_music_and_molecules_never_meet() -> None:
    """Protects the two domains from one another: neither imports the other."""
    for one, other in (("music", "molecules"), ("molecules", "music")):
        for module in MODULES:
            if module.parts[1] == one:
                assert not any(path.parts[1] == other for path in imported(module)), module


def test_figures_know_neither_files_nor_training() -> None:
    """Protects figures from reading and training: none imports runs, or what trains a policy."""
    forbidden = {Path("repro") / f"{name}.py" for name in ("runs", "tutor", "dueling", "ending", "prior", "authors")}
    for module in MODULES:
        if module.parts[1] == "figures":
            assert not imported(module) & forbidden, module


def test_what_contributing_names_is_there() -> None:
    """Protects the guide from rotting: every file and folder that it names exists."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([\w./-]*/[\w./-]*|[\w-]+\.(?:md|sh|toml))`", text))
    assert len(named) > 10
    assert not [name for name in sorted(named) if not (ROOT / name).exists()]
