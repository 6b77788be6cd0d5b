"""Many runs at once: their order, how far they are, an interrupt, and that none outlives its pipeline."""

import math
import os
import shlex
import signal
import subprocess
import sys
import time

import pytest

from repro import processes


def half_done(number: int) -> int:
    with processes.progress(4, "a run") as bar:
        bar.update()
        bar.update()
        time.sleep(2.2)
    return number


def test_a_bar_moves_within_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects whoever waits: of long runs the bar shows what is done of each, not 0 until one has ended."""
    seen: list[float] = []
    monkeypatch.setattr(processes.tqdm, "update", lambda bar, n: (seen.append(n), setattr(bar, "n", bar.n + n)))
    for name in ("REPRO_NO_BARS", "REPRO_JOBS"):
        monkeypatch.delenv(name, raising=False)
    assert processes.many(half_done, [1, 2], "runs") == [1, 2]
    assert sum(seen) == 2 and any(0 < step < 1 for step in seen)


def stopped(number: int) -> int:
    raise KeyboardInterrupt


def test_an_interrupt_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects from pages of trace: what is kept, and how to go on."""
    monkeypatch.setenv("REPRO_JOBS", "1")
    with pytest.raises(KeyboardInterrupt, match="finished runs are kept; run the same cell or command again"):
        processes.many(stopped, [1, 2], "runs")


def test_many_keeps_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects tables: results come in the order of the tasks, in one process or several; and from a wait without end:
    a worker that Ctrl-C ended in the middle of its answer would never send the rest.
    """
    for jobs in ("1", "2"):
        monkeypatch.setenv("REPRO_JOBS", jobs)
        assert processes.many(math.factorial, [5, 0, 3], "factorials") == [120, 1, 6]
    assert processes.many(lambda _: signal.getsignal(signal.SIGINT), [1, 2], "signals") == [signal.SIG_IGN] * 2


def test_kernels_and_workers_end_with_their_pipeline() -> None:
    """Protects a machine from work that nobody waits for: what a killed pipeline has started ends within seconds."""
    with subprocess.Popen(["sleep", "100"]) as pipeline:
        environment = os.environ | {"REPRO_PIPELINE": str(pipeline.pid)}
        code = "import repro.processes, time; print('ready', flush=True); time.sleep(100)"
        command = [sys.executable, "-c", code]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as worker:
            assert worker.stdout and worker.stdout.readline() == "ready\n" and worker.poll() is None
            pipeline.kill()
            pipeline.wait()
            assert worker.wait(timeout=10) == -signal.SIGKILL
    # one that nobody has waited for is no living one: who reads its output to the end, as `| tee` does, is let go
    command = f"REPRO_PIPELINE=$$ {shlex.quote(sys.executable)} -c {shlex.quote(code)}; true"
    with subprocess.Popen(["bash", "-c", command], stdout=subprocess.PIPE, text=True) as pipeline:
        assert pipeline.stdout and pipeline.stdout.readline() == "ready\n"
        pipeline.kill()
        assert pipeline.communicate(timeout=10) == ("", None)
