"""The published numbers, read from `paper.toml`, which says where each comes from; the names of the methods."""

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

METHOD_NAMES = {"prior": "Note RNN", "q": "Q", "psi": "Psi", "g": "G", "rl_only": "RL only"}  # always in this order
MOLECULE_NAMES = METHOD_NAMES | {"prior": "SMILES RNN"}


def data(name: str) -> dict[str, Any]:
    """What NAME.toml in this folder holds."""
    return tomllib.loads(Path(__file__).with_name(f"{name}.toml").read_text(encoding="utf-8"))


_PAPER = data("paper")
MARKS: dict[str, str] = _PAPER["marks"]  # how far a source is trusted
TABLE_1 = {metric: {model: row[model] for model in ("prior", "q", "psi", "g")}
           for metric, row in _PAPER["table_1"].items()}  # fmt: skip
TABLE_1_NAMES: dict[str, str] = {metric: row["name"] for metric, row in _PAPER["table_1"].items()}
TABLE_1_WANTED: dict[str, str] = {metric: row["wanted"] for metric, row in _PAPER["table_1"].items()}
TABLE_2: dict[str, dict[str, float]] = _PAPER["table_2"]
AUTHORS_C_1: dict[str, dict[str, float]] = _PAPER["authors_c_1"]
FIGURE_2A_MEANS: dict[str, float] = _PAPER["figure_2a_means"]
PRIOR_VALIDATION: dict[str, float] = _PAPER["prior_validation"]
MOSES_CHAR_RNN: dict[str, float] = _PAPER["moses_char_rnn"]
DRAWN: dict[str, str] = _PAPER["drawn"]
# D: the digitised points of Figure 2a: columns method, environment_steps, log_p (nats per note). Their evaluation keeps
# the last step of each composition; where another curve hides a point there is none.
FIGURE_2A = pd.read_csv(Path(__file__).with_name("figure_2a.csv"))


def methods_in(values: Iterable[str], order: Iterable[str] = METHOD_NAMES) -> list[str]:
    """The methods among values, in an order, others last."""
    found = set(values)
    return [method for method in order if method in found] + sorted(found - {*order})


def method_name(method: str, names: dict[str, str] | None = None) -> str:
    """A method's name for readers: that in names, else that in METHOD_NAMES, else its own."""
    return (METHOD_NAMES | (names or {})).get(method, method)
