"""What all tests share: no test reads or writes this machine's finished runs; one way to a browser."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from repro import experiments, store
from repro.studies import study

torch.set_num_threads(1)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those that take minutes begin first (they have a group each): at the end no core waits for them alone."""
    items.sort(key=lambda item: item.get_closest_marker("xdist_group") is None)


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own for every test, and none of the variables that steer runs."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("REPRO_CACHE", str(folder))
    for name in ("JOBS", "FRESH_SINCE", "TRAIN_PRIORS", "CHECKPOINT_SECONDS", "SCHEDULER"):
        monkeypatch.delenv(f"REPRO_{name}", raising=False)
    return folder


@pytest.fixture(scope="session")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that holds tunes and molecules as they are read, once for all processes: whole runs start from a copy."""
    folder = tmp_path_factory.getbasetemp()
    folder = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "converted"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REPRO_CACHE", str(folder))
        with store.alone():  # the other process waits, and finds them
            experiments.tunes(study("smoke"))
            experiments.molecules(study("smoke", "molecules").molecules)
    return folder


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """The Chromium that is installed, without a window, as Playwright drives it; skips the test where there is none."""
    found = [path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))]
    if not found and os.environ.get("CI") != "true":
        pytest.skip("there is no chromium here: install it, for instance with apt-get install chromium")
    assert found, "CI=true, and there is no chromium: .ci/run has to install it"
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found[0], args=FLAGS)
        yield browser
        browser.close()
