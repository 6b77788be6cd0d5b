"""Every hyperparameter of every run, one a line, with where its value comes from.

Sources: "paper" is Jaques et al. 2017, "authors' code" the public code of its authors, "ours" a choice of this
reproduction, with the reason. A value that cannot be used is an error that says which can.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

METHODS = ("q", "psi", "g", "rl_only")
COLLECTIONS = ("essenFolksong", "oneills1850", "ryansMammoth", "airdsAirs")
PLAYS = ("sample", "epsilon_greedy")
EVENT_CODINGS = ("paper", "authors_code")
TOKENISERS = ("regex", "characters")
SCHEDULES = ("cosine", "constant")
PRECISIONS = ("float32", "bfloat16", "auto")
STARTS = ("prior_logits", "log_softmax", "zero_head")


class SettingsError(ValueError):
    """A setting that does not exist or cannot be used, said in one sentence."""


def need(condition: bool, sentence: str) -> None:
    """Raises SettingsError with this sentence unless the condition holds."""
    if not condition:
        raise SettingsError(sentence)


def known(name: str, value: str, values: Sequence[str]) -> None:
    """Raises SettingsError unless the value is one of these."""
    need(value in values, f"{name} is {value!r}: it must be one of {', '.join(values)}")


@dataclass(frozen=True)
class TuneSettings:
    """Which tunes the Note RNN learns from."""

    collections: tuple[str, ...] = (
        COLLECTIONS  # ours: music21's four ABC collections; the paper's MIDI songs are private
    )
    minimum_in_key: float = (
        0.95  # ours: of a melody; the corpus then has 99.5 % (its Note RNN plays .1 % out of key, as the paper)
    )
    minimum_events: int = 32  # ours: one melody of the reinforcement learning
    midi_folder: str = ""  # a folder of your own MIDI files to learn from instead, by the rules of `repro.music.midi`
    midi_track: str = ""  # the name of the track that holds the melody in your files; the most monophonic when empty

    def __post_init__(self) -> None:
        need(len(self.collections) > 0, f"collections is empty: name at least one of {', '.join(COLLECTIONS)}")
        for name in self.collections:
            known("a collection", name, COLLECTIONS)
        need(0 <= self.minimum_in_key <= 1, f"minimum_in_key is {self.minimum_in_key}: it is a share from 0 to 1")
        need(self.minimum_events >= 2, f"minimum_events is {self.minimum_events}: it must be at least 2")
        need(not self.midi_track or bool(self.midi_folder), "midi_track is a track in midi_folder's files: set both")


@dataclass(frozen=True)
class RebuiltSettings:
    """How folk tunes become a corpus with the statistics of the paper's; the numbers are fitted to its Table 1."""

    event_coding: str = "authors_code"  # authors' code: 0 holds, 1 ends a note; "paper": the other way round
    speeds: tuple[float, ...] = (0.18, 0.18, 0.64)  # ours, shares of windows: as written; half speed with held notes
    # struck again every eighth; quarter speed
    silences: float = 0.4  # ours: probability of a silence after every `silence_every` steps
    silence_every: int = 16  # ours
    silence_events: int = 32  # ours: one note off and what follows it
    begin_on_note: float = 0.9  # ours: share of the windows that begin where a note is struck
    window_events: int = 65  # ours: what a training step sees, and one more
    windows: int = 60_000  # ours: drawn for training
    held_out_windows: int = 2_000  # ours: drawn from the validation and from the test tunes

    def __post_init__(self) -> None:
        known("event_coding", self.event_coding, EVENT_CODINGS)
        right = len(self.speeds) == 3 and min(self.speeds) >= 0 and math.isclose(sum(self.speeds), 1)
        need(right, f"speeds is {self.speeds}: three shares, at least 0, that sum to 1")
        for name in ("silences", "begin_on_note"):
            need(0 <= getattr(self, name) <= 1, f"{name} is {getattr(self, name)}: it lies in [0, 1]")
        for name in ("silence_every", "silence_events", "windows", "held_out_windows"):
            need(getattr(self, name) >= 1, f"{name} is {getattr(self, name)}: it must be at least 1")
        need(self.window_events >= 2, f"window_events is {self.window_events}: it must be at least 2")


@dataclass(frozen=True)
class PriorSettings:
    """How the prior, the sequence RNN, is trained by maximum likelihood."""

    cells: int = 100  # paper: one LSTM layer of 100 cells
    steps: int = 8000  # ours: about four minutes of one core (paper: 30,000)
    windows: int = 64  # ours: windows a step (paper: 128)
    window_events: int = 64  # ours: events a window, drawn at random positions; 0: whole sequences, batched by length
    learning_rate: float = 7e-3  # ours: peak of a cosine schedule with Adam (authors' code: .5 x .85 per 1,000 steps)
    clip: float = 5.0  # paper: global gradient norm
    l2: float = 2.5e-5  # paper: weight of the l2 penalty
    seed: int = 0  # ours
    evaluate_every: int = 500  # ours: steps between two rows of the training curve
    # ours: of the RNN's products; "auto" is bfloat16 where the processor has instructions for it, about twice as fast
    precision: str = "float32"

    def __post_init__(self) -> None:
        known("prior precision", self.precision, PRECISIONS)
        need(self.window_events >= 0, f"prior window_events is {self.window_events}: it must be at least 0")
        for name in ("cells", "steps", "windows", "evaluate_every"):
            need(getattr(self, name) >= 1, f"prior {name} is {getattr(self, name)}: it must be at least 1")
        for name in ("learning_rate", "clip"):
            need(getattr(self, name) > 0, f"prior {name} is {getattr(self, name)}: it must be above 0")
        need(self.l2 >= 0, f"prior l2 is {self.l2}: it must be at least 0")
        need(self.seed >= 0, f"prior seed is {self.seed}: it must be at least 0")


@dataclass(frozen=True)
class TutorSettings:
    """How one policy is tuned by KL-control."""

    method: str = "psi"  # paper: q, psi, g; rl_only is its baseline without the prior
    c: float = 0.5  # paper: temperature; task rewards are divided by it
    gamma: float = 0.5  # paper: discount
    eta: float = 0.01  # paper: rate of the target network's moving average
    rounds: int = 900  # ours: a round is one batch of games, then the gradient steps on it
    games: int = 128  # ours: games in lockstep (authors' code: 1), 4,096 environment steps a round
    gradient_steps: int = 4  # ours: a round (authors' code: one every 5 environment steps)
    batch_episodes: int = 32  # ours: whole episodes a gradient step (paper: 32 single transitions)
    replay_episodes: int = 4096  # ours: 131,072 transitions (authors' code: 100,000)
    learning_rate: float = 1e-2  # ours: with Adam (authors' code: 1e-3)
    schedule: str = "cosine"  # ours: the learning rate falls to 0 along a half cosine (authors' code: constant)
    clip: float = 5.0  # paper: gradient norm; each weight matrix on its own, as the authors' code
    play: str = "sample"  # ours: sample from the policy; "epsilon_greedy" is the paper's
    # ours, tuned on seeds 0 to 2: of play by sampling; 1 is the policy itself. At 1.5 the control, RL only, meets
    # enough of what the prior never plays (log p -3.4 a note, -3.2 to -3.3 at 1), and Q's melodies stay more varied
    temperature: float = 1.5
    epsilon_start: float = 1.0  # authors' code: epsilon falls linearly from here
    epsilon_end: float = 0.1  # authors' code
    epsilon_steps: int = 500_000  # authors' code: environment steps until epsilon_end
    terminal_mask: bool = True  # ours: nothing follows the last event (authors' code: bootstraps past it)
    start: str = "prior_logits"  # paper: start from the prior's weights; "log_softmax" and "zero_head" are ours
    evaluate_every: int = 25  # ours: rounds, 102,400 environment steps (paper: 100,000)
    evaluation_games: int = 512  # ours (authors' code: 100)

    def __post_init__(self) -> None:
        known("method", self.method, METHODS)
        known("play", self.play, PLAYS)
        known("start", self.start, STARTS)
        known("schedule", self.schedule, SCHEDULES)
        need(
            self.c > 0 and math.isfinite(self.c),
            f"c is {self.c}: task rewards are divided by it, so it must be above 0",
        )
        need(0 <= self.gamma <= 1, f"gamma is {self.gamma}: a discount lies in [0, 1]")
        for name in ("eta", "epsilon_start", "epsilon_end"):
            need(0 <= getattr(self, name) <= 1, f"{name} is {getattr(self, name)}: it lies in [0, 1]")
        for name in ("learning_rate", "clip", "temperature"):
            need(getattr(self, name) > 0, f"{name} is {getattr(self, name)}: it must be above 0")
        for name in ("rounds", "games", "gradient_steps", "batch_episodes", "evaluate_every", "evaluation_games"):
            need(getattr(self, name) >= 1, f"{name} is {getattr(self, name)}: it must be at least 1")
        need(self.epsilon_steps >= 0, f"epsilon_steps is {self.epsilon_steps}: it must be at least 0")
        smallest = max(self.games, self.batch_episodes)
        sentence = f"replay_episodes is {self.replay_episodes}: it must hold games and batch_episodes, {smallest}"
        need(self.replay_episodes >= smallest, sentence)
        need(self.games >= self.batch_episodes, f"games is {self.games}: the first batch needs {self.batch_episodes}")


@dataclass(frozen=True)
class MoleculeSettings:
    """Which molecules the SMILES RNN learns from."""

    molecules: int = 250_000  # ours: a fixed random part of the 1,584,663 of MOSES (paper: 249,455 of ZINC)
    held_out: int = 5_000  # ours: test molecules for the training curve, and as many for the reported scores
    tokeniser: str = "regex"  # ours: an atom or a ring number is one token; "characters" is the paper's
    smiles_file: str = ""  # a file of your own to learn from instead

    def __post_init__(self) -> None:
        known("tokeniser", self.tokeniser, TOKENISERS)
        for name in ("molecules", "held_out"):
            need(getattr(self, name) >= 1, f"{name} is {getattr(self, name)}: it must be at least 1")


# ours, dueling form: low for Q, which settles on fewer sequences the longer it learns
RATES = {"q": 1.25e-4, "psi": 1e-4, "g": 1e-4, "rl_only": 5e-4}
# ours: of the head alone; what the LSTM knows of the data is worth keeping, the head has the way to go
HEAD_RATES = {"q": 1.25e-4, "psi": 3e-3, "g": 5e-3, "rl_only": 5e-4}


@dataclass(frozen=True)
class DuelingSettings:
    """How one policy is tuned by KL-control in the dueling form, Psi = log pi + V. All values are ours but c."""

    method: str = "psi"  # q, psi, g, or rl_only, which is the policy gradient without the prior
    c: float = 0.25  # temperature; task rewards are divided by it (authors' molecules: 2.857 for another reward)
    gamma: float = 1.0  # discount: 1 makes the optimum p(x) exp(r(x) / c) / Z (paper: .5 music, .95 molecules)
    steps: int = 200  # one batch of new sequences and one gradient step each
    episodes: int = 128  # new sequences a step
    replayed: int = 0  # earlier sequences trained on again in each step; none by rl_only
    remembered: int = 4096  # latest sequences that these are drawn from
    priority: float = 1.0  # they are drawn in proportion to (p exp(r / c) / pi) ** priority, capped; 0: all alike
    annealed: float = 0.0  # share of the steps over which the reward's weight rises from 0 to 1
    trace: float = 1.0  # lambda: 1 looks to the end of every path, 0 one step ahead
    held: float = 0.0  # share of the steps with full learning rates; over the others they fall to 0 along a half cosine
    learning_rate: float = 0.0  # of the policy, at its peak; 0: that of `rate`
    head_learning_rate: float = 0.0  # of its head alone; 0: that of `head_rate`
    value_learning_rate: float = 3e-3  # of V, at its peak
    value_cells: int = 128  # hidden units of V, and cells of the LSTM with which it reads the sequence
    centre_rate: float = 0.2  # of the moving average that is subtracted from the reward at the end
    clip: float = 1.0  # gradient norm, of the policy and of V apart
    loss_scale: float = 10.0  # the loss is divided by it; with Adam it matters only through the clip
    evaluate_every: int = 5  # steps between two rows of the training curve
    precision: str = "float32"  # of the RNN's products while a policy is tuned, as for the prior

    def __post_init__(self) -> None:
        known("method", self.method, METHODS)
        known("precision", self.precision, PRECISIONS)
        finite = self.c > 0 and math.isfinite(self.c)
        need(finite, f"c is {self.c}: task rewards are divided by it, so it must be above 0")
        for name in ("gamma", "annealed", "held", "trace", "centre_rate"):
            need(0 <= getattr(self, name) <= 1, f"{name} is {getattr(self, name)}: it lies in [0, 1]")
        for name in ("steps", "episodes", "remembered", "value_cells", "evaluate_every"):
            need(getattr(self, name) >= 1, f"{name} is {getattr(self, name)}: it must be at least 1")
        for name in ("value_learning_rate", "clip", "loss_scale"):
            need(getattr(self, name) > 0, f"{name} is {getattr(self, name)}: it must be above 0")
        for name in ("learning_rate", "head_learning_rate", "replayed", "priority"):
            need(getattr(self, name) >= 0, f"{name} is {getattr(self, name)}: it must be at least 0")

    def rate(self) -> float:
        """The policy's learning rate, by default that of its method."""
        return self.learning_rate or RATES[self.method]

    def head_rate(self) -> float:
        """The learning rate of the policy's head: its own, else one given for the policy, else its method's."""
        return self.head_learning_rate or self.learning_rate or HEAD_RATES[self.method]
