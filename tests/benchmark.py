"""The speeds: each row a fixed workload on one core, five times, the median.

    python tests/benchmark.py            # prints the rows and writes results/benchmark.csv
    python tests/benchmark.py --repeats 1 --output -

Weights are drawn at random: how fast a network plays does not depend on what it has learned.
"""

import argparse
import io
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pretty_midi
import torch

from repro import ROOT, evaluation, store
from repro.kl_control import METHODS, Policy
from repro.music import corpus, measures, rules
from repro.music.domain import Music
from repro.rnn import SequenceRNN
from repro.settings import TuneSettings, TutorSettings
from repro.tutor import Tutor

COMMAND = "python tests/benchmark.py"
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
        seconds = timed(lambda tutor=tutor: [tutor.step() for _ in range(rounds)], repeats)  # type: ignore[misc]
        steps = rounds * settings.games * domain.horizon
        shape = f"music loop {method} B={settings.games} N={settings.batch_episodes} G={settings.gradient_steps}"
        yield f"{shape}, environment steps/s", steps / seconds, "1/s"
        yield f"{shape}, gradient steps/s", rounds * settings.gradient_steps / seconds, "1/s"


def music_measures(repeats: int) -> Iterator[Row]:
    """What the rows of Table 1 cost for one model: 100,000 melodies sampled, measured, compared with the prior."""
    domain, network, prior = Music(), SequenceRNN(38, CELLS, seed=1), SequenceRNN(38, CELLS)
    alone, psi = Policy(network, prior), Policy(network, prior, METHODS["psi"])
    first, melodies = evaluation.sampled(domain, alone, MELODIES, seed=0)

    def sample_and_measure() -> None:
        measures.rule_counts(evaluation.sampled(domain, alone, MELODIES, seed=0)[1])

    yield "sample and measure 100,000 melodies (Table 1's rows)", timed(sample_and_measure, repeats), "s"
    yield "measure 100,000 melodies (Table 1's rows)", timed(lambda: measures.rule_counts(melodies), repeats), "s"
    seconds = timed(lambda: list(evaluation.along(domain, psi, prior, first, melodies, False)), repeats)
    yield "log p, KL and entropy of 100,000 melodies", seconds, "s"
    batch = np.random.default_rng(0).integers(38, size=(128, 32))
    yield "rewards of 128 melodies", 1000 * timed(lambda: rules.total_reward(batch), 20 * repeats), "ms"


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
        yield (
            f"convert {files} MIDI files of 64 bars and 1,664 notes",
            timed(lambda: corpus.read(settings), repeats),
            "s",
        )


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
    for workload in (music_loop, music_measures, midi_folder):
        for what, value, unit in workload(options.repeats):
            print(f"{what:70} {value:12,.2f} {unit}", flush=True)
            rows.append((what, float(f"{value:.4g}"), unit, 1, COMMAND))
    if options.output != "-":
        buffer = io.StringIO()
        frame = pd.DataFrame(rows, columns=["what", "value", "unit", "cores", "command"])
        frame.to_csv(buffer, index=False, lineterminator="\n")
        store.write(Path(options.output), buffer.getvalue().encode())


if __name__ == "__main__":
    main()
