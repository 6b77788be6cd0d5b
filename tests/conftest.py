"""What all tests share: no test reads or writes this machine's finished runs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own for every test, and none of the variables that steer runs."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("REPRO_CACHE", str(folder))
    for name in ("REPRO_JOBS", "REPRO_FRESH_SINCE", "REPRO_TRAIN_PRIORS"):
        monkeypatch.delenv(name, raising=False)
    return folder
