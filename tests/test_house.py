"""The house: small, one name for one thing, imports downwards only, notebooks without noise."""

import ast
import re
import subprocess
import sys
from collections import Counter

import nbformat

from repro import ROOT

# Data walk along these rooms; a module imports only what stands before its own bar, a package also itself.
ORDER = """processes domain rnn | kl_control | settings | store | checkpoint | prior evaluation | tutor | path authors
| roads exact | studies | music/ molecules/ | runs | experiments | bench fronts own_inputs | yours
| book/paper | book/tables | book/claims book/plots | book/verdicts | book/melodies book/molecules
| book/report book/listening | pipeline"""
PLACES = {name: rank for rank, names in enumerate(ORDER.split("|")) for name in names.split()}
PACKAGES = tuple(name for name in PLACES if name.endswith("/"))
TEXTS = {path.relative_to(ROOT / "repro").with_suffix("").as_posix(): path.read_text(encoding="utf-8")
         for path in (ROOT / "repro").rglob("*.py")}  # fmt: skip
TREES = {name: ast.parse(text) for name, text in TEXTS.items()}
MODULES = {name: tree for name, tree in TREES.items() if not name.endswith("__init__")}
# the last two write where they are told: MIDI, and tunes for the program that converts them
WRITERS = {"store", "checkpoint", "processes", "book/report", "pipeline", "music/events", "music/corpus"}
WRITE = re.compile(r"write\w*\(|savefig\(|to_(csv|parquet|json|pickle)\(.|dump\(|open\(.*'[wax]b?'")
RAW = re.compile(r"^(\w+\(|[(\[{<])|Path\(")  # Study(...), a tuple, <object at 0x...>


def place(name: str) -> str:
    return next((package for package in PACKAGES if name.startswith(package)), name)


def imported(tree: ast.Module) -> set[str]:
    nodes = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    names = {str(getattr(node, "module", "")) for node in nodes}
    names |= {f"{getattr(node, 'module', '')}.{alias.name}".lstrip(".") for node in nodes for alias in node.names}
    return {path for name in names if (path := name.removeprefix("repro.").replace(".", "/")) in MODULES}


def test_it_is_small_and_a_name_means_one_thing() -> None:
    """Protects whoever reads it: 7,500 lines of Python (data in toml, 1,450, do not count among them), 41 modules with
    code, 300 lines each, 15 % of the lines docstrings.
    """
    lines = {name: len(text.splitlines()) for name, text in TEXTS.items()}
    words = [ast.get_docstring(node, clean=False) or "" for tree in TREES.values() for node in ast.walk(tree)
             if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))]  # fmt: skip
    assert {name: count for name, count in lines.items() if count > 300} == {}
    assert sum(len(text.splitlines()) for text in words) <= 0.15 * sum(lines.values())
    assert sum(lines.values()) <= 7_500
    assert sum(len(path.read_text(encoding="utf-8").splitlines()) for path in (ROOT / "repro").rglob("*.toml")) <= 1_450
    assert len(MODULES) <= 41
    # no function or class is defined at the top of more than two modules
    nodes = [node for tree in TREES.values() for node in tree.body]
    names = Counter(node.name for node in nodes if isinstance(node, (ast.FunctionDef, ast.ClassDef)))
    assert {name: count for name, count in names.items() if count > 2} == {}


def test_imports_walk_down() -> None:
    """Protects the order of the rooms, and the two domains, which know models and one another as little as `runs`."""
    assert {place(name) for name in MODULES} == set(PLACES)
    pairs = {(place(one), place(other)) for one, tree in MODULES.items() for other in imported(tree)}
    assert {(one, other) for one, other in pairs if PLACES[one] <= PLACES[other] and one != other} == set()
    assert {other for one, other in pairs if one in PACKAGES and one != other} <= {"domain", "settings"}


def test_figures_know_neither_files_nor_training_and_few_rooms_write() -> None:
    """Protects figures, and folders: only the store, the report, its page and the pipeline choose files to write; and
    machines: a pickle, which may run whatever it likes when it is opened, is neither written nor read.
    """
    pickled = re.compile(r"pickle|torch\.(load|save)\b|np\.load\b|joblib\.(load|dump)")
    assert [name for name, text in TEXTS.items() if pickled.search(text)] == []
    learning = {"store", "runs", "prior", "tutor", "path", "authors", "evaluation", "book/report"}
    assert not learning & set().union(*(imported(TREES[f"book/{each}"]) for each in ("plots", "melodies", "molecules")))
    calls = [(name, ast.unparse(node)) for name, tree in MODULES.items() if name not in WRITERS
             for node in ast.walk(tree) if isinstance(node, ast.Call)]  # fmt: skip
    assert [(name, call) for name, call in calls if WRITE.search(call)] == []


def test_the_style_is_clean() -> None:
    """Protects readers of differences: ruff has nothing to say, neither of style nor of layout."""
    for command in ("check --output-format=concise", "format --check"):
        words = [sys.executable, "-m", "ruff", *command.split(), "--no-cache", "."]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_what_contributing_names_is_there() -> None:
    """Protects the guide from rotting: every file and folder that it names exists."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([\w./-]*/[\w./-]*|[\w-]+\.(?:md|sh|toml))`", text)) - {"notebooks/NN_name.ipynb"}
    assert len(named) > 10 and [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_what_notebooks_show_is_for_readers() -> None:
    """Protects from noise: committed outputs are tables, pictures, sounds and sentences; no raw object, no warning."""
    for path in (ROOT / "results" / "laptop" / "notebooks").glob("*.ipynb"):
        outputs = [each for cell in nbformat.read(path, as_version=4).cells for each in cell.get("outputs", [])]
        assert not [each["text"] for each in outputs if each.get("name") == "stderr"], path.name
        texts = [each["data"]["text/plain"] for each in outputs if len(each.get("data", "")) == 1]
        assert not [text for text in texts if RAW.search(text)], path.name
