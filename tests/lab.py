"""JupyterLab as `bash run_all.sh --lab` starts it, on a copy of the repository, looked at through Chromium."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from browser import PATIENCE, Browser, need_chromium

from repro.settings import ROOT

COPIED = ("run_all.sh", "pyproject.toml", "constraints.txt", "environment.yml", "notebooks", "repro", "results")
# What is installed here stands for the environment that run_all.sh makes: asked to install, it has nothing to do.
STAND_IN = f"""#!/bin/sh
case "$*" in *"pip install"*) exit 0 ;; esac
exec '{sys.executable}' "$@"
"""
CONFIG = {
    "ServerApp": {"open_browser": False, "ip": "127.0.0.1", "port": 0},  # 0: a free port, which the server tells
    "LabApp": {
        "expose_app_in_browser": True,
        "check_for_updates_class": "jupyterlab.handlers.announcements.NeverCheckForUpdate",
        "extension_manager": "readonly",  # as the line above: nothing is asked of the network
    },
}
READY = """['docmanager:open', 'notebook:run-all-cells'].every(name => window.jupyterapp?.commands.hasCommand(name))
    && !document.querySelector('#jupyterlab-splash')"""
OPEN = """window.seen = {panel: null, failed: null, ran: null, died: null};
window.jupyterapp.commands.execute('docmanager:open', {path: PATH, factory: 'Notebook', kernelPreference: PREFERENCE})
    .then(async panel => {
        await panel.context.ready;
        panel.sessionContext.statusChanged.connect((_, status) => {
            if (['dead', 'autorestarting'].includes(status)) seen.died = status;
        });
        seen.panel = panel;
    }).catch(error => { seen.failed = String(error); });"""
RUN = """window.jupyterapp.shell.activateById(seen.panel.id);
window.jupyterapp.commands.execute('notebook:run-all-cells')
    .then(() => { seen.ran = 'ended'; }, error => { seen.ran = String(error); });"""
CLOSE = """Promise.resolve(seen.panel?.sessionContext.shutdown()).catch(() => null)
    .then(() => { seen.panel?.dispose(); seen.closed = true; })"""
# A cell is shown when prose is rendered, code has its editor, and each output has its place and each image its answer.
CELLS = """seen.panel.content.widgets.map(cell => {
    const images = [...cell.node.querySelectorAll('img')], model = cell.model;
    const outputs = model.type === 'code' ? model.sharedModel.getOutputs() : [];
    const drawn = cell.node.querySelectorAll('.jp-OutputArea-output').length;
    const place = cell.node.querySelector(model.type === 'code' ? '.cm-content' : '.jp-RenderedMarkdown');
    return {
        type: model.type, source: model.sharedModel.source, count: model.executionCount,
        shown: cell.node.isConnected && (!model.sharedModel.source.trim() || images.length || place?.textContent.trim())
            && drawn >= outputs.length && images.every(image => image.complete),
        images: images.length,
        broken: images.filter(image => image.complete && !image.naturalWidth)
            .map(image => image.outerHTML.slice(0, 80)),
        errors: outputs.filter(output => output.output_type === 'error')
            .map(error => `${error.ename}: ${error.evalue}`),
        widgets: [...cell.node.querySelectorAll('.jp-OutputArea-output')]
            .filter(output => /Error (displaying|creating) widget/.test(output.textContent)).length,
    };
})"""

# What is out of sight may wait for an idle moment that never comes on a busy machine: scroll there, as a reader would.
SHOWN = f"""(cells => {{
    const next = cells.findIndex(cell => !cell.shown);
    if (next >= 0) seen.panel.content.scrollToItem(next);
    return cells.length && next < 0;
}})({CELLS})"""


class Lab:
    """JupyterLab in a browser, each with folders of its own.

    Args:
        folder: an empty folder; the copy of the repository, the caches and the profiles go there.
    """

    def __init__(self, folder: Path) -> None:
        need_chromium()
        self.root = _copy(folder / "repository")
        self.log = folder / "jupyterlab.log"
        private = {f"JUPYTER_{kind}_DIR": str(folder / kind) for kind in ("CONFIG", "DATA", "RUNTIME")}
        (folder / "CONFIG").mkdir()
        (folder / "CONFIG" / "jupyter_lab_config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
        private |= {"IPYTHONDIR": str(folder / "ipython"), "REPRO_CACHE": str(folder / "cache"), "REPRO_JOBS": "1"}
        private["PYTHONPATH"] = str(self.root)  # the copy's own code, which writes into the copy
        own = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "REPRO_"))}
        with self.log.open("wb") as log:
            self.server = subprocess.Popen(
                ["bash", str(self.root / "run_all.sh"), "--lab"], cwd=folder, env=own | private,
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        self.browser: Browser | None = None
        try:
            address = self._address(folder / "RUNTIME")
            self.browser = Browser(folder / "profile")
            self.browser.open(address)
            self.browser.wait(READY, "JupyterLab shows itself")
        except BaseException:
            self.close()
            raise

    def _address(self, runtime: Path) -> str:
        """The server's address with its token, from the file that it writes when it listens."""
        ended = time.monotonic() + PATIENCE
        while time.monotonic() < ended and self.server.poll() is None:
            for told in runtime.glob("jpserver-*.json"):
                if told.read_text(encoding="utf-8").endswith("}"):
                    server = json.loads(told.read_text(encoding="utf-8"))
                    return f"{server['url']}lab?token={server['token']}"
            time.sleep(0.1)
        raise TimeoutError("JupyterLab did not start:\n" + self.log.read_text(encoding="utf-8")[-2000:])

    @contextmanager
    def opened(self, path: str, kernel: bool = False) -> Iterator[None]:
        """Opens a notebook, `path` from the root, and waits for its cells; closes it afterwards without saving."""
        preference = json.dumps({"shouldStart": kernel, "canStart": kernel, "autoStartDefault": kernel})
        self.page.evaluate(OPEN.replace("PATH", json.dumps(path)).replace("PREFERENCE", preference))
        try:
            self.page.wait("seen.panel || seen.failed", f"{path} opens")
            assert not (failed := self.page.evaluate("seen.failed")), f"{path} cannot be opened: {failed}"
            with suppress(TimeoutError):  # `faults` names the cells that are not shown
                self.page.wait(SHOWN, "all cells are shown")
            yield
        finally:
            self.page.evaluate(CLOSE)
            self.page.wait("seen.closed", f"{path} closes")

    def run(self, seconds: float = PATIENCE) -> None:
        """Runs all cells of the open notebook; returns when the last has ended, one has failed, or the kernel died."""
        self.page.wait("seen.panel.sessionContext.session?.kernel?.status === 'idle'", "a kernel starts")
        self.page.evaluate(RUN)
        self.page.wait("seen.ran || seen.died", "the notebook ends", seconds)
        with suppress(TimeoutError):
            self.page.wait(f"seen.died || {SHOWN}", "all outputs are shown")

    def faults(self, path: str, executed: bool = False) -> list[str]:
        """One sentence for each thing that is wrong with the open notebook; none is right."""
        with suppress(TimeoutError):  # JupyterLab looks attachments and files up after it has drawn their images
            self.page.wait(f"{CELLS}.every(cell => !cell.broken.length)", "all images are there", seconds=10)
        died = self.page.evaluate("seen.died")
        found = [f"{path}: its kernel died ({died})"] if died else []
        for number, cell in enumerate(self.page.evaluate(CELLS), start=1):
            first_line = cell["source"].strip().partition("\n")[0]
            place = f"{path}, cell {number} ({first_line[:60]})"
            found += [f"{place}: the output is an error, {error}" for error in cell["errors"]]
            found += [f"{place}: an image is broken or missing, {image}" for image in cell["broken"]]
            found += [f"{place}: a widget cannot be shown"] * cell["widgets"]
            found += [f"{place}: it was not drawn within {PATIENCE} seconds"] * (not cell["shown"] and not died)
            if executed and cell["type"] == "code" and cell["source"].strip() and not cell["count"]:
                found.append(f"{place}: it was not executed")
        return found

    def images(self) -> int:
        """How many images the open notebook shows."""
        return sum(cell["images"] for cell in self.page.evaluate(CELLS))

    @property
    def page(self) -> Browser:
        """The browser's page."""
        assert self.browser is not None
        return self.browser

    def close(self) -> None:
        """Ends the browser, the server and, through it, the kernels."""
        if self.browser is not None:
            self.browser.close()
        self.server.terminate()
        try:
            self.server.wait(timeout=60)
        except subprocess.TimeoutExpired:
            os.killpg(self.server.pid, signal.SIGKILL)  # the kernels end by themselves when their parent is gone
            self.server.wait()


def _copy(root: Path) -> Path:
    """Copies the repository with an environment that is this one: whatever is run there changes nothing here."""
    unwanted = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints", "smoke", "own")
    root.mkdir()
    for source in (ROOT / name for name in COPIED):
        if source.is_dir():
            shutil.copytree(source, root / source.name, ignore=unwanted)
        else:
            shutil.copy(source, root)
    (root / ".venv" / "bin").mkdir(parents=True)
    (root / ".venv" / "share").symlink_to(Path(sys.prefix) / "share")
    python = root / ".venv" / "bin" / "python"
    python.write_text(STAND_IN, encoding="utf-8")
    python.chmod(0o755)
    return root
