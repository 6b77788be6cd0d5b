"""What a notebook runs: presets and parameters in, checked settings out.

A name or value that does not exist is an error that lists what does. The hyperparameters themselves, with their
sources, stand in `repro.hyperparameters`.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from repro.hyperparameters import (
    COLLECTIONS,
    EVENT_CODINGS,
    METHODS,
    STARTS,
    PriorSettings,
    RebuiltSettings,
    SettingsError,
    TuneSettings,
    TutorSettings,
    known,
    need,
)

__all__ = [
    "COLLECTIONS", "EVENT_CODINGS", "KINDS", "METHODS", "OWN_RESULTS", "PRESETS", "ROOT", "STARTS", "PriorSettings",
    "RebuiltSettings", "SettingsError", "Study", "TuneSettings", "TutorSettings", "known_names", "study",
]  # fmt: skip

OWN_RESULTS = "results/own"  # where results with changed settings go, so that the reference results stay
KINDS: dict[object, str] = {int: "a whole number", float: "a number", str: "a word"}
REBUILT_LEARNING_RATE = 3e-3
SMOKE_PRIOR = {"prior_steps": 200, "prior_evaluate_every": 50}  # of a prior that is not shipped: seconds of one core
T = typing.TypeVar("T")
ROOT = Path(__file__).resolve().parent.parent  # the repository: paths in settings are relative to it


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
    # ours, tuned on seeds 0 to 2: at the 1e-2 of `tutor` G and Q came out differently from seed to seed here
    rebuilt_tutor: TutorSettings = field(default_factory=lambda: TutorSettings(learning_rate=REBUILT_LEARNING_RATE))
    comparison_steps: int = 2_000  # ours: of each Note RNN that tells apart the causes of repetition
    dueling_steps: int = 1_500  # ours: of the dueling form on music, 1.7 times the melodies of `tutor`
    one_step_events: int = 200_000  # ours: of G with a trained prior, a fifth of the authors'
    rebuilt_seeds: int = 3  # ours: how many of the first temperature's seeds start from the rebuilt corpus
    melodies: int = 100_000  # paper: sampled melodies a model in Table 1

    def __post_init__(self) -> None:
        need(len(self.methods) > 0, f"methods is empty: name at least one of {', '.join(METHODS)}")
        for name in self.methods:
            known("a method", name, METHODS)
        for c, seeds in self.seeds_at:
            dataclasses.replace(self.tutor, c=c)  # raises for a temperature that cannot be
            need(len(seeds) > 0, "seeds is empty: name at least one, as 100 or 100,101")
            need(len(set(seeds)) == len(seeds), f"seeds {seeds} name one twice")
            need(min(seeds) >= 0, f"seed {min(seeds)} is below 0")
        need(self.comparison_steps >= 1, f"comparison_steps is {self.comparison_steps}: it must be at least 1")
        need(self.dueling_steps >= 1, f"dueling_steps is {self.dueling_steps}: it must be at least 1")
        need(self.melodies >= 2, f"melodies is {self.melodies}: it must be at least 2")

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


SMALL = TutorSettings(rounds=20, games=64, replay_episodes=512, evaluate_every=5, evaluation_games=64)
PRESETS: dict[str, dict[str, object]] = {
    # every notebook in minutes; its numbers show that the code works and nothing else
    "smoke": {
        "seeds_at": ((0.5, (0, 1)), (1.0, (0,))),
        "melodies": 2000,
        "rebuilt_seeds": 1,
        "comparison_steps": 5,
        "dueling_steps": 10,
        "one_step_events": 320,
        "tutor": SMALL,
        "rebuilt_tutor": dataclasses.replace(SMALL, learning_rate=REBUILT_LEARNING_RATE),
    },
    "laptop": {"seeds_at": ((0.5, _reported(5)), (1.0, _reported(2)))},
    "paper": {"seeds_at": ((0.5, _reported(10)), (1.0, _reported(10))), "rebuilt_seeds": 10},
}


def parsed(name: str, value: object, kind: object) -> object:
    """Reads a value given as text, as `papermill -p seeds 0,1` does, as the type that the setting has."""
    if typing.get_origin(kind) is tuple:
        item = typing.get_args(kind)[0]
        parts = [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value
        parts = list(parts) if isinstance(parts, (list, tuple)) else [parts]
        return tuple(parsed(name, part, item) for part in parts)
    if kind is bool:
        words = {"true": True, "1": True, "false": False, "0": False}
        need(str(value).lower() in words, f"{name} is {value!r}: it must be true or false")
        return words[str(value).lower()]
    if isinstance(value, bool):
        raise SettingsError(f"{name} is {value!r}: it must be {KINDS[kind]}")
    try:
        if kind is int and isinstance(value, float) and not value.is_integer():
            raise ValueError
        return kind(value)  # type: ignore[operator]
    except (TypeError, ValueError):
        raise SettingsError(f"{name} is {value!r}: it must be {KINDS[kind]}") from None


def changed(part: T, given: Mapping[str, object], prefix: str = "") -> T:
    """The settings with those values replaced that parameters name."""
    kinds = typing.get_type_hints(type(part))
    picked = {name: given[prefix + name] for name in kinds if prefix + name in given and name != "method"}
    return dataclasses.replace(part, **{n: parsed(prefix + n, v, kinds[n]) for n, v in picked.items()})  # type: ignore[type-var]


def given_values(overrides: Mapping[str, object], names: tuple[str, ...]) -> dict[str, object]:
    """The parameters that have a value; an unknown name is an error."""
    given = {name: value for name, value in overrides.items() if value is not None}
    unknown = sorted(set(given) - set(names))
    need(not unknown, f"unknown setting {', '.join(unknown)}; the settings are {', '.join(names)}")
    return given


def prior_names() -> tuple[str, ...]:
    """The names that change what a Note RNN learns from or how, so that no shipped one will do."""
    corpus = tuple(f.name for part in (TuneSettings, RebuiltSettings) for f in dataclasses.fields(part))
    return corpus + tuple(f"prior_{f.name}" for f in dataclasses.fields(PriorSettings))


def known_names() -> tuple[str, ...]:
    """The names that `study` accepts."""
    tutor = tuple(f.name for f in dataclasses.fields(TutorSettings) if f.name != "method")
    return ("preset", "seeds", "results", "methods", "melodies") + tutor + prior_names()


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
    known("preset", preset, tuple(PRESETS))
    given = given_values(overrides, known_names())
    base = Study(preset=preset, results=ROOT / "results" / preset, **PRESETS[preset])  # type: ignore[arg-type]

    seeds_at = base.seeds_at
    if "c" in given:
        temperatures = typing.cast("tuple[float, ...]", parsed("c", given["c"], tuple[float, ...]))
        need(len(temperatures) > 0, "c is empty: name at least one temperature above 0")
        before = dict(seeds_at)
        seeds_at = tuple((c, before.get(c, seeds_at[0][1])) for c in temperatures)
        given["c"] = temperatures[0]
    if "seeds" in given:
        seeds = typing.cast("tuple[int, ...]", parsed("seeds", given["seeds"], tuple[int, ...]))
        need(len(seeds) > 0, "seeds is empty: name at least one, as 100 or 100,101")
        seeds_at = tuple((c, seeds) for c, _ in seeds_at)
    changes = given.keys() - {"results"}
    results = ROOT / str(given.get("results", OWN_RESULTS if changes else base.results))
    if preset == "smoke" and changes & set(prior_names()):
        given = SMOKE_PRIOR | given
    return dataclasses.replace(
        base,
        results=results,
        seeds_at=seeds_at,
        methods=typing.cast("tuple[str, ...]", parsed("methods", given.get("methods", base.methods), tuple[str, ...])),
        melodies=typing.cast(int, parsed("melodies", given.get("melodies", base.melodies), int)),
        tunes=changed(base.tunes, given),
        rebuilt=changed(base.rebuilt, given),
        prior=changed(base.prior, given, "prior_"),
        tutor=changed(base.tutor, given),
        rebuilt_tutor=changed(base.rebuilt_tutor, given),
    )
