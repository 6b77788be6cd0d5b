"""Executed copies of notebooks that differ only where results differ, and do not tell whose machine made them."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from repro.provenance import without_commit
from repro.settings import ROOT


def anonymous(value: Any, root: Path = ROOT, table: str = "T_") -> Any:
    """Returns a notebook's outputs (str, list or dict of them) without what the machine or chance put into them.

    Paths become short names, addresses in memory go, and the random names of styled tables become `table`.
    Base64 data pass unharmed: a path is replaced only where it cannot be the middle of a longer word.
    """
    if isinstance(value, dict):
        return type(value)({key: anonymous(entry, root, table) for key, entry in value.items()})
    if isinstance(value, list):
        return [anonymous(entry, root, table) for entry in value]
    if not isinstance(value, str):
        return value
    value = re.sub(re.escape(tempfile.gettempdir()) + r"/ipykernel_\d+/\d+\.py", "<cell>", value)
    value = re.sub(r"\bT_[0-9a-f]{5}(?![0-9a-f])", table, re.sub(r" at 0x[0-9a-f]+>", ">", value))
    places = {str(root): ".", sys.prefix: "<environment>", sys.base_prefix: "<python>", str(Path.home()): "~"}
    for place, name in places.items():
        if len(Path(place).parts) > 1:  # A home or prefix of "/" would match every path.
            before = r"(^|[^\w+/=.-]|file://|\x1b\[[\d;]*m)"
            value = re.sub(before + re.escape(place) + r"(?![\w+=-])", rf"\g<1>{name}", value)
    return value


def write_executed(executed: Path, target: Path, root: Path, made: str = "") -> None:
    """Moves papermill's output to `target` without what would differ on another machine or another day.

    Args:
        executed: what papermill wrote.
        target: where it goes; a copy there that differs in nothing but the commit is left alone.
        root: the repository.
        made: `provenance.sentence`, the last cell of the copy.
    """
    import nbformat

    notebook = nbformat.read(executed, as_version=4)
    notebook.metadata.pop("papermill", None)
    for cell in notebook.cells:
        for noise in ("papermill", "execution"):
            cell.metadata.pop(noise, None)
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell["id"] = "injected-parameters"  # papermill draws a random one.
        if "outputs" in cell:
            cell["outputs"] = anonymous(cell["outputs"], root, f"T_{cell['id']}")
    if made:
        notebook.cells.append(nbformat.v4.new_markdown_cell(made, id="provenance"))
    part = target.with_name(f".{target.name}.part")
    nbformat.write(notebook, part)
    if target.exists() and without_commit(target.read_text(encoding="utf-8")) == without_commit(
        part.read_text(encoding="utf-8")
    ):
        part.unlink()
    else:
        os.replace(part, target)  # Nothing half-written ever replaces a good copy.
