"""The speeds: each row a fixed workload, five times, the median; on one core, but for two processes at once.

Beside the training loop stands `share`: its own matrix products per second, as a part of those of a large LSTM alone,
measured just before. The rest is small matrices, sampling, rules, memory, gradients and Adam.

    python tests/benchmark.py            # prints the rows and writes results/benchmark.csv
    python tests/benchmark.py --repeats 1 --output -
    python tests/benchmark.py --devices  # of a processor and a GPU, where there is one: results/devices.csv

Weights are drawn at random: how fast a network plays does not depend on what it has learned.
"""

import argparse
import io
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pretty_midi
import torch

from repro import ROOT, evaluation, experiments, store, studies
from repro.kl_control import METHODS, Policy
from repro.music import corpus, measures, rules
from repro.music.domain import Music
from repro.path import PathSettings, PathTutor
from repro.prior import train_prior
from repro.rnn import SequenceRNN
from repro.settings import PriorSettings, TuneSettings, TutorSettings
from repro.tutor import Tutor

COMMAND = "python tests/benchmark.py"
CELLS = 100
MELODIES = 100_000

Row = tuple[str, float, str, float]  # what, value, unit, share of the matrix-product rate (nan: not asked)
NO_SHARE = float("nan")


def timed(work: Callable[[], object], repeats: int) -> float:
    """The median seconds of a workload, after one run that is not counted."""
    work()
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


@torch.no_grad()
def product_rate(cells: int = 256) -> float:
    """Floating-point operations per second of the products inside torch's LSTM on this core, now: the limit of ours."""
    # torch.mm is no limit: on some processors it reaches half of this
    lstm, sequences = torch.nn.LSTM(cells, cells, batch_first=True), torch.zeros(128, 32, cells)
    return 128 * 32 * 2 * 8 * cells**2 / timed(lambda: lstm(sequences), 5)


def machine(repeats: int) -> Iterator[Row]:
    """What the shares are shares of, once more at the beginning."""
    yield "LSTM of 256 cells, 128 sequences, float32", product_rate() / 1e9, "GFLOP/s", 1.0


def needed(settings: TutorSettings, cells: int, events: int = 32, vocabulary: int = 38) -> float:
    """Floating-point operations of the matrix products of one round of the training loop."""
    once = 2 * cells * (4 * cells + vocabulary)  # one event of one network: LSTM (its input is looked up) and head
    played = settings.games * events * 2 * once  # by the policy, judged by the prior
    learned = settings.batch_episodes * events * 4 * once  # the target network, and thrice the policy for its gradient
    return played + settings.gradient_steps * learned


def loop_speed(method: str, games: int, cells: int, repeats: int, rounds: int) -> tuple[float, float]:
    """Rounds per second of the whole training loop of music, and the share of the matrix-product rate."""
    settings, rate = TutorSettings(method=method, games=games), product_rate()
    tutor = Tutor(Music(), SequenceRNN(38, cells), settings, seed=0)
    speed = rounds / timed(lambda: [tutor.step() for _ in range(rounds)], repeats)
    return speed, speed * needed(settings, cells) / rate


def music_loop(repeats: int, rounds: int = 20) -> Iterator[Row]:
    """The whole training loop of music: play, rules, prior, replay, gradient steps; as the default settings have it."""
    given = TutorSettings()
    for method in ("psi", "q", "g", "rl_only"):
        speed, share = loop_speed(method, given.games, CELLS, repeats, rounds)
        shape = f"music loop {method} B={given.games} N={given.batch_episodes} G={given.gradient_steps}"
        yield f"{shape}, environment steps/s", speed * given.games * 32, "1/s", share
        yield f"{shape}, gradient steps/s", speed * given.gradient_steps, "1/s", share


def growth(repeats: int, rounds: int = 20) -> Iterator[Row]:
    """The same of Psi with more games in lockstep, larger networks, and in two processes at once."""
    for games, cells in ((32, 100), (128, 100), (512, 100), (128, 256), (128, 512)):
        speed, share = loop_speed("psi", games, cells, repeats, rounds)
        yield f"psi, {games} games, {cells} cells, environment steps/s", speed * games * 32, "1/s", share
    for count in (1, 2):
        work = joblib.delayed(loop_speed)("psi", 128, 100, repeats, 5 * rounds)
        speeds = [speed for speed, _ in joblib.Parallel(n_jobs=count)([work] * count)]
        yield f"psi, processes at once: {count}, environment steps/s together", sum(speeds) * 128 * 32, "1/s", NO_SHARE


def molecules(repeats: int, steps: int = 5) -> Iterator[Row]:
    """A step of Psi on molecules: 16 new strings scored by RDKit, 24 remembered ones, one update of 512 cells."""
    study = studies.study("laptop", "molecules")
    domain = experiments.of_smiles_rnn(study).runs[0].task.domain
    settings = study.tuning("psi")
    tutor = PathTutor(domain, experiments.smiles_rnn(study)[0].rnn(), settings, seed=0)
    seconds = timed(lambda: [tutor.step() for _ in range(steps)], repeats)
    what = f"molecules, a step of psi, {settings.episodes} + {settings.replayed} strings"
    yield what, 1000 * seconds / steps, "ms", NO_SHARE


def devices(repeats: int, batches: tuple[int, ...] = (128, 1024, 4096), cells: int = 512) -> Iterator[Row]:
    """What each device that is here learns from batches of 32 events with as many cells as the SMILES RNN has."""
    tunes = [np.random.default_rng(0).integers(38, size=33)] * 100
    for device, count in product(["cpu"] + ["cuda"] * torch.cuda.is_available(), batches):
        path, shape = PathSettings(episodes=count, device=device), f"{device}, {cells} cells, batches of {count}"
        tutor = PathTutor(Music(), SequenceRNN(38, cells), path, seed=0)
        yield f"{shape}, path form, sequences/s", count / timed(tutor.step, repeats), "1/s", NO_SHARE
        prior = PriorSettings(cells=cells, steps=2, windows=count, window_events=32, device=device)
        seconds = timed(partial(train_prior, tunes, tunes[:1], 38, prior), repeats)
        yield f"{shape}, prior, tokens/s", 2 * 32 * count / seconds, "1/s", NO_SHARE


def music_measures(repeats: int) -> Iterator[Row]:
    """What the rows of Table 1 cost for one model: 100,000 melodies sampled, measured, compared with the prior."""
    domain, network, prior = Music(), SequenceRNN(38, CELLS, seed=1), SequenceRNN(38, CELLS)
    alone, psi = Policy(network, prior), Policy(network, prior, METHODS["psi"])
    first, melodies = evaluation.sampled(domain, alone, MELODIES, seed=0)

    def sample_and_measure() -> None:
        measures.rule_counts(evaluation.sampled(domain, alone, MELODIES, seed=0)[1])

    yield "sample and measure 100,000 melodies (Table 1's rows)", timed(sample_and_measure, repeats), "s", NO_SHARE
    seconds = timed(lambda: measures.rule_counts(melodies), repeats)
    yield "measure 100,000 melodies (Table 1's rows)", seconds, "s", NO_SHARE
    seconds = timed(lambda: list(evaluation.along(domain, psi, prior, first, melodies, False)), repeats)
    yield "log p, KL and entropy of 100,000 melodies", seconds, "s", NO_SHARE
    batch = np.random.default_rng(0).integers(38, size=(128, 32))
    yield "rewards of 128 melodies", 1000 * timed(lambda: rules.total_reward(batch), 20 * repeats), "ms", NO_SHARE


def song(numbers: np.random.Generator, bars: int = 64) -> pretty_midi.PrettyMIDI:
    """A song as files have it: a melody in eighths, chords, a bass and drums, 26 notes a bar, at a tempo of its own."""
    tempo = numbers.uniform(80, 160)
    eighth, written = 30 / tempo, pretty_midi.PrettyMIDI(initial_tempo=tempo)
    parts = {name: pretty_midi.Instrument(program, name == "drums", name)
             for name, program in (("melody", 73), ("chords", 0), ("bass", 32), ("drums", 0))}  # fmt: skip
    for step in range(8 * bars):
        root = 48 + int(numbers.choice((0, 5, 7)))
        played = [("melody", root + 24 + int(numbers.choice((0, 2, 4, 7))), 1), ("drums", 42, 1)]
        if step % 2 == 0:
            played.append(("bass", root - 12, 2))
        if step % 4 == 0:
            played += [("chords", root + third, 4) for third in (0, 4, 7)]
        for name, pitch, length in played:
            parts[name].notes.append(pretty_midi.Note(90, pitch, step * eighth, (step + length) * eighth))
    written.instruments = list(parts.values())
    return written


def midi_folder(repeats: int, files: int = 500) -> Iterator[Row]:
    """A folder of one's own MIDI files, as `midi_folder` reads it."""
    numbers = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        for number in range(files):
            song(numbers).write(f"{folder}/{number}.mid")
        settings = TuneSettings(midi_folder=folder)
        seconds = timed(lambda: corpus.read(settings), repeats)
        yield f"convert {files} MIDI files of 64 bars and 1,664 notes", seconds, "s", NO_SHARE


def main(arguments: list[str] | None = None) -> None:
    """Prints every row as it is measured, then writes them all."""
    parser = argparse.ArgumentParser(description="Measures the speeds on one core.")
    parser.add_argument("--repeats", type=int, default=5, help="runs of each workload; the median counts (default 5)")
    parser.add_argument("--devices", action="store_true", help="instead what each device learns, by the batch's size")
    parser.add_argument("--output", help="a csv file, or - for none (default results/benchmark.csv, or devices.csv)")
    options = parser.parse_args(arguments)
    output = options.output or str(ROOT / "results" / ("devices.csv" if options.devices else "benchmark.csv"))
    workloads = (devices,) if options.devices else (machine, music_loop, growth, molecules, music_measures, midi_folder)
    if options.repeats < 1:
        parser.error(f"--repeats is {options.repeats}: it must be at least 1")
    torch.set_num_threads(1)
    rows = []
    for workload in workloads:
        for what, value, unit, share in workload(options.repeats):
            print(f"{what:70} {value:12,.2f} {unit:8}", "" if np.isnan(share) else f"{share:.0%}", flush=True)
            rows.append((what, float(f"{value:.4g}"), unit, round(share, 3), COMMAND + " --devices" * options.devices))
    if output != "-":
        buffer = io.StringIO()
        frame = pd.DataFrame(rows, columns=["what", "value", "unit", "share", "command"])
        frame.to_csv(buffer, index=False, lineterminator="\n")
        store.write(Path(output), buffer.getvalue().encode())


if __name__ == "__main__":
    main()
