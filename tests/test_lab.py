"""JupyterLab for real, as `bash run_all.sh --lab` starts it: a notebook is opened in a browser and run to its end."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from repro import ROOT

PATIENCE = 240  # seconds that anything may take: two slow cores may be busy with other tests
# What is installed here stands for the environment that run_all.sh makes: asked to install, it has nothing to do.
STAND_IN = f"""#!/bin/sh
case "$*" in *"pip install"*) exit 0 ;; esac
exec '{sys.executable}' "$@"
"""
NEVER = "jupyterlab.handlers.announcements.NeverCheckForUpdate"  # with readonly: nothing is asked of the network
CONFIG = {
    "ServerApp": {"open_browser": False, "port": 0},  # 0: a free port, which the server tells
    "LabApp": {"expose_app_in_browser": True, "check_for_updates_class": NEVER, "extension_manager": "readonly"},
}
READY = """() => window.jupyterapp?.commands.hasCommand('notebook:run-all-cells')
    && !document.querySelector('#jupyterlab-splash')"""
OPEN = """async path => {
    window.panel = await jupyterapp.commands.execute('docmanager:open', {path, factory: 'Notebook'});
    await panel.context.ready; await panel.sessionContext.ready; }"""
RUN = """async () => { jupyterapp.shell.activateById(panel.id);
    await jupyterapp.commands.execute('notebook:run-all-cells').catch(() => null); }"""
# What is out of sight may wait for an idle moment that never comes on a busy machine: scroll there, as a reader would.
SEEN = """async () => { const cells = [];
    for (const [index, cell] of panel.content.widgets.entries()) {
        await panel.content.scrollToItem(index);
        const images = [...cell.node.querySelectorAll('img')], model = cell.model, code = model.type === 'code';
        cells.push({images: images.length, broken: images.filter(image => image.complete && !image.naturalWidth).length,
            missed: code && !model.executionCount, widgets: /Error (displaying|creating) w/.test(cell.node.textContent),
            errors: code ? model.sharedModel.getOutputs().map(output => output.ename).filter(name => name) : []});
    }
    return cells; }"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A copy of the repository with an environment that is this one: whatever is run there changes nothing here."""
    root = tmp_path / "repository"
    shutil.copytree(ROOT, root, ignore=shutil.ignore_patterns(".*", "__pycache__", "smoke", "own", "*.egg-info"))
    (root / ".venv" / "bin").mkdir(parents=True)
    (root / ".venv" / "share").symlink_to(Path(sys.prefix) / "share")
    (root / ".venv" / "bin" / "python").write_text(STAND_IN, encoding="utf-8")
    (root / ".venv" / "bin" / "python").chmod(0o755)
    return root


@pytest.fixture
def lab(chromium: Any, root: Path) -> Iterator[Any]:
    """JupyterLab in a page of the browser, with folders of its own; ends with the test, and its kernel with it."""
    folder = root.parent
    (folder / "jupyter_lab_config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    own = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "REPRO_"))}
    own |= {f"JUPYTER_{kind}_DIR": str(folder) for kind in ("CONFIG", "DATA", "RUNTIME")}
    own |= {"IPYTHONDIR": str(folder / "ipython"), "REPRO_CACHE": str(folder / "cache"), "PYTHONPATH": str(root)}
    command = ["bash", str(root / "run_all.sh"), "--lab"]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, env=own, stdout=log, stderr=log, start_new_session=True)
    try:
        ended = time.monotonic() + PATIENCE
        while not (told := [path for path in folder.glob("jpserver-*.json") if path.read_text().endswith("}")]):
            assert time.monotonic() < ended and server.poll() is None, (folder / "log").read_text(encoding="utf-8")
            time.sleep(0.1)
        address = json.loads(told[0].read_text(encoding="utf-8"))
        assert address["hostname"] in ("localhost", "127.0.0.1") and len(address["token"]) >= 32  # nobody else comes in
        page = chromium.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(1000 * PATIENCE)
        page.goto(f"{address['url']}lab?token={address['token']}")
        page.wait_for_function(READY)
        yield page
        page.close()
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=60)


def test_the_first_notebook_runs_to_its_end(lab: Any, root: Path) -> None:
    """Protects the first thing that people do: set preset to smoke, run all cells."""
    path = root / "notebooks" / "00_start_here.ipynb"
    changed = path.read_text(encoding="utf-8").replace("preset: str = None", "preset: str = 'smoke'")
    assert "'smoke'" in changed
    path.write_text(changed, encoding="utf-8")
    lab.evaluate(OPEN, "notebooks/00_start_here.ipynb")
    lab.evaluate(RUN)
    lab.wait_for_timeout(1000)  # attachments and files are looked up after their images are drawn
    cells = lab.evaluate(SEEN)
    faults = [cell for cell in cells if cell["broken"] or cell["missed"] or cell["widgets"] or cell["errors"]]
    assert faults == [] and sum(cell["images"] for cell in cells) > 0
