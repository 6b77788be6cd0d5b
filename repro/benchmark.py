"""The speeds: each row a fixed workload on one core, five times, the median.

    python -m repro.benchmark            # prints the rows and writes results/benchmark.csv
    python -m repro.benchmark --repeats 1 --output -

Weights are drawn at random: how fast a network plays does not depend on what it has learned.
"""

from __future__ import annotations

import argparse
import io
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from repro import evaluation, kl_control, runs
from repro.music import measures, rules
from repro.music.domain import Music
from repro.rnn import SequenceRNN
from repro.settings import ROOT, TutorSettings
from repro.tutor import Tutor

COMMAND = "python -m repro.benchmark"
CELLS = 100
MELODIES = 100_000

Row = tuple[str, float, str]  # what, value, unit


def timed(work: Callable[[], object], repeats: int) -> float:
    """The median seconds of a workload, after one run that is not counted."""
    work()
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def music_loop(repeats: int, rounds: int = 20) -> Iterator[Row]:
    """The whole training loop of music: play, rules, prior, replay, gradient steps; as the default settings have it."""
    domain, prior = Music(), SequenceRNN(38, CELLS)
    for method in ("psi", "q", "g", "rl_only"):
        settings = TutorSettings(method=method)
        tutor = Tutor(domain, prior, settings, seed=0)
        seconds = timed(lambda tutor=tutor: [tutor.round() for _ in range(rounds)], repeats)  # type: ignore[misc]
        steps = rounds * settings.games * domain.horizon
        shape = f"music loop {method} B={settings.games} N={settings.batch_episodes} G={settings.gradient_steps}"
        yield f"{shape}, environment steps/s", steps / seconds, "1/s"
        yield f"{shape}, gradient steps/s", rounds * settings.gradient_steps / seconds, "1/s"


def music_measures(repeats: int) -> Iterator[Row]:
    """What the rows of Table 1 cost for one model: 100,000 melodies sampled, measured, compared with the prior."""
    domain, network, prior = Music(), SequenceRNN(38, CELLS, seed=1), SequenceRNN(38, CELLS)
    first, melodies = evaluation.sampled(domain, [network], MELODIES, seed=0)
    psi = kl_control.METHODS["psi"]

    def sample_and_measure() -> None:
        measures.rule_counts(evaluation.sampled(domain, [network], MELODIES, seed=0)[1])

    yield "sample and measure 100,000 melodies (Table 1's rows)", timed(sample_and_measure, repeats), "s"
    yield "measure 100,000 melodies (Table 1's rows)", timed(lambda: measures.rule_counts(melodies), repeats), "s"
    seconds = timed(lambda: evaluation.against_prior(psi, network, prior, first, melodies), repeats)
    yield "log p, KL and entropy of 100,000 melodies", seconds, "s"
    batch = np.random.default_rng(0).integers(38, size=(128, 32))
    yield "rewards of 128 melodies", 1000 * timed(lambda: rules.total_reward(batch), 20 * repeats), "ms"


def main(arguments: list[str] | None = None) -> None:
    """Prints every row as it is measured, then writes them all."""
    parser = argparse.ArgumentParser(description="Measures the speeds on one core.")
    parser.add_argument("--repeats", type=int, default=5, help="runs of each workload; the median counts (default 5)")
    parser.add_argument("--output", default=str(ROOT / "results" / "benchmark.csv"), help="a csv file, or - for none")
    options = parser.parse_args(arguments)
    if options.repeats < 1:
        parser.error(f"--repeats is {options.repeats}: it must be at least 1")
    torch.set_num_threads(1)
    rows = []
    for workload in (music_loop, music_measures):
        for what, value, unit in workload(options.repeats):
            print(f"{what:70} {value:12,.2f} {unit}", flush=True)
            rows.append((what, float(f"{value:.4g}"), unit, 1, COMMAND))
    if options.output != "-":
        buffer = io.StringIO()
        frame = pd.DataFrame(rows, columns=["what", "value", "unit", "cores", "command"])
        frame.to_csv(buffer, index=False, lineterminator="\n")
        runs.write(Path(options.output), buffer.getvalue().encode())


if __name__ == "__main__":
    main()
