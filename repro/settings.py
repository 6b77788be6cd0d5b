"""Every setting of every run, one a line, with where its value comes from.

Sources: "paper" is Jaques et al. 2017, "authors' code" the public code of its authors, "ours" a choice of this
reproduction, with the reason. A name or value that does not exist is an error that lists what does.
"""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

METHODS = ("q", "psi", "g", "rl_only")
OWN_RESULTS = "results/own"  # where results with changed settings go, so that the reference results stay
COLLECTIONS = ("essenFolksong", "oneills1850", "ryansMammoth", "airdsAirs")
PLAYS = ("sample", "epsilon_greedy")
EVENT_CODINGS = ("paper", "authors_code")
KINDS: dict[object, str] = {int: "a whole number", float: "a number", str: "a word"}
SCHEDULES = ("cosine", "constant")
STARTS = ("prior_logits", "log_softmax", "zero_head")
T = typing.TypeVar("T")
ROOT = Path(__file__).resolve().parent.parent  # the repository: paths in settings are relative to it


class SettingsError(ValueError):
    """A setting that does not exist or cannot be used, said in one sentence."""


def _need(condition: bool, sentence: str) -> None:
    if not condition:
        raise SettingsError(sentence)


def _known(name: str, value: str, known: Sequence[str]) -> None:
    _need(value in known, f"{name} is {value!r}: it must be one of {', '.join(known)}")


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

    def __post_init__(self) -> None:
        _need(len(self.collections) > 0, f"collections is empty: name at least one of {', '.join(COLLECTIONS)}")
        for name in self.collections:
            _known("a collection", name, COLLECTIONS)
        _need(0 <= self.minimum_in_key <= 1, f"minimum_in_key is {self.minimum_in_key}: it is a share from 0 to 1")
        _need(self.minimum_events >= 2, f"minimum_events is {self.minimum_events}: it must be at least 2")


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
        _known("event_coding", self.event_coding, EVENT_CODINGS)
        right = len(self.speeds) == 3 and min(self.speeds) >= 0 and math.isclose(sum(self.speeds), 1)
        _need(right, f"speeds is {self.speeds}: three shares, at least 0, that sum to 1")
        for name in ("silences", "begin_on_note"):
            _need(0 <= getattr(self, name) <= 1, f"{name} is {getattr(self, name)}: it lies in [0, 1]")
        for name in ("silence_every", "silence_events", "windows", "held_out_windows"):
            _need(getattr(self, name) >= 1, f"{name} is {getattr(self, name)}: it must be at least 1")
        _need(self.window_events >= 2, f"window_events is {self.window_events}: it must be at least 2")


@dataclass(frozen=True)
class PriorSettings:
    """How the prior, the sequence RNN, is trained by maximum likelihood."""

    cells: int = 100  # paper: one LSTM layer of 100 cells
    steps: int = 8000  # ours: about four minutes of one core (paper: 30,000)
    windows: int = 64  # ours: windows a step (paper: 128)
    window_events: int = 64  # ours: events a window, drawn at random positions
    learning_rate: float = 7e-3  # ours: peak of a cosine schedule with Adam (authors' code: .5 x .85 per 1,000 steps)
    clip: float = 5.0  # paper: global gradient norm
    l2: float = 2.5e-5  # paper: weight of the l2 penalty
    seed: int = 0  # ours
    evaluate_every: int = 500  # ours: steps between two rows of the training curve

    def __post_init__(self) -> None:
        for name in ("cells", "steps", "windows", "window_events", "evaluate_every"):
            _need(getattr(self, name) >= 1, f"prior {name} is {getattr(self, name)}: it must be at least 1")
        for name in ("learning_rate", "clip"):
            _need(getattr(self, name) > 0, f"prior {name} is {getattr(self, name)}: it must be above 0")
        _need(self.l2 >= 0, f"prior l2 is {self.l2}: it must be at least 0")
        _need(self.seed >= 0, f"prior seed is {self.seed}: it must be at least 0")


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
        _known("method", self.method, METHODS)
        _known("play", self.play, PLAYS)
        _known("start", self.start, STARTS)
        _known("schedule", self.schedule, SCHEDULES)
        _need(
            self.c > 0 and math.isfinite(self.c),
            f"c is {self.c}: task rewards are divided by it, so it must be above 0",
        )
        _need(0 <= self.gamma <= 1, f"gamma is {self.gamma}: a discount lies in [0, 1]")
        for name in ("eta", "epsilon_start", "epsilon_end"):
            _need(0 <= getattr(self, name) <= 1, f"{name} is {getattr(self, name)}: it lies in [0, 1]")
        for name in ("learning_rate", "clip", "temperature"):
            _need(getattr(self, name) > 0, f"{name} is {getattr(self, name)}: it must be above 0")
        for name in ("rounds", "games", "gradient_steps", "batch_episodes", "evaluate_every", "evaluation_games"):
            _need(getattr(self, name) >= 1, f"{name} is {getattr(self, name)}: it must be at least 1")
        _need(self.epsilon_steps >= 0, f"epsilon_steps is {self.epsilon_steps}: it must be at least 0")
        smallest = max(self.games, self.batch_episodes)
        sentence = f"replay_episodes is {self.replay_episodes}: it must hold games and batch_episodes, {smallest}"
        _need(self.replay_episodes >= smallest, sentence)
        _need(self.games >= self.batch_episodes, f"games is {self.games}: the first batch needs {self.batch_episodes}")


@dataclass(frozen=True)
class Study:
    """What a notebook runs: the settings of every run, and which seeds, methods and temperatures."""

    preset: str
    results: Path  # where tables, figures and executed notebooks go
    methods: tuple[str, ...] = METHODS
    seeds_at: tuple[tuple[float, tuple[int, ...]], ...] = ()  # the seeds at each temperature c
    tunes: TuneSettings = field(default_factory=TuneSettings)
    rebuilt: RebuiltSettings = field(default_factory=RebuiltSettings)
    prior: PriorSettings = field(default_factory=PriorSettings)
    tutor: TutorSettings = field(default_factory=TutorSettings)
    rebuilt_seeds: int = 3  # ours: how many of the first temperature's seeds start from the rebuilt corpus
    melodies: int = 100_000  # paper: sampled melodies a model in Table 1

    def __post_init__(self) -> None:
        _need(len(self.methods) > 0, f"methods is empty: name at least one of {', '.join(METHODS)}")
        for name in self.methods:
            _known("a method", name, METHODS)
        for c, seeds in self.seeds_at:
            dataclasses.replace(self.tutor, c=c)  # raises for a temperature that cannot be
            _need(len(seeds) > 0, "seeds is empty: name at least one, as 100 or 100,101")
            _need(len(set(seeds)) == len(seeds), f"seeds {seeds} name one twice")
            _need(min(seeds) >= 0, f"seed {min(seeds)} is below 0")
        _need(self.melodies >= 2, f"melodies is {self.melodies}: it must be at least 2")

    @property
    def main_c(self) -> float:
        """The first temperature: the one of the figures."""
        return self.seeds_at[0][0]

    def first(self) -> Study:
        """The same study with its first temperature and seed alone."""
        c, seeds = self.seeds_at[0]
        return dataclasses.replace(self, seeds_at=((c, seeds[:1]),))

    def runs(self) -> list[tuple[TutorSettings, int]]:
        """The settings and seed of every tuned policy, temperature by temperature."""
        return [
            (dataclasses.replace(self.tutor, method=method, c=c), seed)
            for c, seeds in self.seeds_at
            for method in self.methods
            for seed in seeds
        ]


def _reported(count: int) -> tuple[int, ...]:
    return tuple(range(100, 100 + count))  # tuning used seeds 0 to 9


PRESETS: dict[str, dict[str, object]] = {
    # every notebook in minutes; its numbers show that the code works and nothing else
    "smoke": {
        "seeds_at": ((0.5, (0, 1)), (1.0, (0,))),
        "melodies": 2000,
        "rebuilt_seeds": 1,
        "tutor": TutorSettings(rounds=20, games=64, replay_episodes=512, evaluate_every=5, evaluation_games=64),
    },
    "laptop": {"seeds_at": ((0.5, _reported(5)), (1.0, _reported(2)))},
    "paper": {"seeds_at": ((0.5, _reported(10)), (1.0, _reported(10))), "rebuilt_seeds": 10},
}


def _parse(name: str, value: object, kind: object) -> object:
    """Reads a value given as text, as `papermill -p seeds 0,1` does, as the type that the setting has."""
    if typing.get_origin(kind) is tuple:
        item = typing.get_args(kind)[0]
        parts = [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value
        parts = list(parts) if isinstance(parts, (list, tuple)) else [parts]
        return tuple(_parse(name, part, item) for part in parts)
    if kind is bool:
        words = {"true": True, "1": True, "false": False, "0": False}
        _need(str(value).lower() in words, f"{name} is {value!r}: it must be true or false")
        return words[str(value).lower()]
    if isinstance(value, bool):
        raise SettingsError(f"{name} is {value!r}: it must be {KINDS[kind]}")
    try:
        if kind is int and isinstance(value, float) and not value.is_integer():
            raise ValueError
        return kind(value)  # type: ignore[operator]
    except (TypeError, ValueError):
        raise SettingsError(f"{name} is {value!r}: it must be {KINDS[kind]}") from None


def known_names() -> tuple[str, ...]:
    """The names that `study` accepts."""
    prior = tuple(f"prior_{f.name}" for f in dataclasses.fields(PriorSettings))
    tutor = tuple(f.name for f in dataclasses.fields(TutorSettings) if f.name != "method")
    corpus = tuple(f.name for part in (TuneSettings, RebuiltSettings) for f in dataclasses.fields(part))
    return ("preset", "seeds", "results", "methods", "melodies") + tutor + corpus + prior


def study(preset: str | None = None, **overrides: object) -> Study:
    """Builds the settings of a notebook from its parameters; None, as well as an absent name, means the preset's value.

    Args:
        preset: smoke, laptop (the default) or paper.
        **overrides: any of `known_names()`; values may be text, lists as "0,1". `c` and `seeds` replace the preset's
            list of temperatures and seeds; settings of the prior carry the prefix `prior_`. Results of changed settings
            go to OWN_RESULTS unless `results` says where.

    Raises:
        SettingsError: a name or value that does not exist; the sentence lists those that do.
    """
    preset = "laptop" if preset is None else str(preset)
    _known("preset", preset, tuple(PRESETS))
    given = {name: value for name, value in overrides.items() if value is not None}
    unknown = sorted(set(given) - set(known_names()))
    _need(not unknown, f"unknown setting {', '.join(unknown)}; the settings are {', '.join(known_names())}")
    base = Study(preset=preset, results=ROOT / "results" / preset, **PRESETS[preset])  # type: ignore[arg-type]

    def changed(part: T, prefix: str = "") -> T:
        kinds = typing.get_type_hints(type(part))
        picked = {name: given[prefix + name] for name in kinds if prefix + name in given and name != "method"}
        return dataclasses.replace(part, **{n: _parse(prefix + n, v, kinds[n]) for n, v in picked.items()})  # type: ignore[type-var]

    seeds_at = base.seeds_at
    if "c" in given:
        temperatures = typing.cast("tuple[float, ...]", _parse("c", given["c"], tuple[float, ...]))
        _need(len(temperatures) > 0, "c is empty: name at least one temperature above 0")
        known = dict(seeds_at)
        seeds_at = tuple((c, known.get(c, seeds_at[0][1])) for c in temperatures)
        given["c"] = temperatures[0]
    if "seeds" in given:
        seeds = typing.cast("tuple[int, ...]", _parse("seeds", given["seeds"], tuple[int, ...]))
        _need(len(seeds) > 0, "seeds is empty: name at least one, as 100 or 100,101")
        seeds_at = tuple((c, seeds) for c, _ in seeds_at)
    changes = given.keys() - {"results"}
    results = ROOT / str(given.get("results", OWN_RESULTS if changes else base.results))
    return dataclasses.replace(
        base,
        results=results,
        seeds_at=seeds_at,
        methods=typing.cast("tuple[str, ...]", _parse("methods", given.get("methods", base.methods), tuple[str, ...])),
        melodies=typing.cast(int, _parse("melodies", given.get("melodies", base.melodies), int)),
        tunes=changed(base.tunes),
        rebuilt=changed(base.rebuilt),
        prior=changed(base.prior, "prior_"),
        tutor=changed(base.tutor),
    )
