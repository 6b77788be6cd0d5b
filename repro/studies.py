"""What a notebook runs: a preset and parameters in, validated settings out, or an error that lists what exists."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, cast

from pydantic import Field

from repro import PRESETS, ROOT, SettingsError, own_results, results_folder
from repro.kl_control import METHODS
from repro.path import PathSettings
from repro.roads import ROADS

from repro.settings import (  # isort: skip
    Count, FreshSeeds, Methods, MoleculeSettings, PolicySettings, PriorSettings, RebuiltSettings, RewardWeights, Seeds,
    Several, Shares, Temperature, Temperatures, TuneSettings, TutorSettings, need, no_unknown_parameters,
    one_of, validated)  # fmt: skip

ROAD_NAMES = ("psi", "g", "q", "psi_paper", "g_paper", *ROADS)  # the first three path-consistent
SMOKE_PRIOR = {"steps": 200, "evaluate_every": 50}  # of a prior that is not shipped: seconds of one core
SMALL = {"evaluate_every": 5, "rounds": 10, "games": 64, "replay_episodes": 512, "evaluation_games": 64}
TINY = {"evaluate_every": 1, "rounds": 2, "games": 16, "batch_episodes": 16, "replay_episodes": 64,
        "evaluation_games": 16}  # fmt: skip


def reported(count: int) -> tuple[int, ...]:
    """The first `count` seeds that results are reported on."""
    return tuple(range(100, 100 + count))


@validated
class Study:
    """What every notebook has: which preset, where results go, which methods and seeds."""

    preset: Literal["smoke", "laptop", "paper"] = "laptop"
    results: Path = ROOT / "results" / "laptop"  # where tables, figures and executed notebooks go
    methods: Methods = tuple(METHODS)
    seeds: Seeds = reported(5)

    parts: ClassVar[dict[str, str]] = {}  # fields that hold settings which parameters reach, each with its prefix
    of_prior: ClassVar[tuple[str, ...]] = ()  # those of them that change what a shipped prior learned from, or how
    presets: ClassVar[dict[str, dict[str, Any]]] = {}  # what differs from the laptop's values


@validated
class MusicStudy(Study):
    """Melodies."""

    c: Temperatures = (0.5, 1.0)  # paper: .5; figures and claims are at the first
    further_seeds: Count = 2  # ours: how many of the seeds at the temperatures after the first
    tunes: TuneSettings = TuneSettings()
    rebuilt: RebuiltSettings = RebuiltSettings()
    prior: PriorSettings = PriorSettings()
    tutor: TutorSettings = TutorSettings()
    # ours, tuned on seeds 0 to 2: at the 1e-2 of `tutor` G and Q came out differently from seed to seed here
    rebuilt_tutor: TutorSettings = TutorSettings(learning_rate=3e-3)
    # ours, rates tuned on seed 0; 1,500 steps are 1.7 times the melodies of `tutor`
    path: PathSettings = PathSettings(gamma=0.5, steps=1_500, episodes=64, learning_rate=5e-3, head_learning_rate=5e-3,
                                      evaluate_every=100)  # fmt: skip
    comparison_steps: Count = 2_000  # ours: of each Note RNN that tells apart the causes of repetition
    one_step_events: Count = 200_000  # ours: of G with a trained prior, a fifth of the authors'
    rebuilt_seeds: Count = 3  # ours: how many of the seeds start from the rebuilt corpus, or are watched forgetting
    fresh_seeds: FreshSeeds = (200, 201, 202, 203, 204)  # ours: seen by nobody when settings were chosen
    melodies: Count = Field(100_000, ge=2)  # paper: sampled melodies per model in Table 1

    parts: ClassVar = {"tunes": "", "rebuilt": "", "prior": "prior_", "tutor": "", "rebuilt_tutor": ""}
    of_prior: ClassVar = ("tunes", "rebuilt", "prior")
    presets: ClassVar = {
        "smoke": {"seeds": (0, 1), "fresh_seeds": (2,), "further_seeds": 1, "melodies": 2000, "rebuilt_seeds": 1,
                  "comparison_steps": 5, "one_step_events": 320, "path": {"steps": 10}, "tutor": SMALL,
                  "rebuilt_tutor": SMALL},
        "paper": {"seeds": reported(10), "further_seeds": 10, "rebuilt_seeds": 10},
    }  # fmt: skip

    def seeds_at(self, c: float) -> tuple[int, ...]:
        """The seeds at one of the temperatures."""
        return self.seeds if c == self.c[0] else self.seeds[: self.further_seeds]

    def first(self) -> "MusicStudy":
        """The same study with its first temperature and seed alone."""
        return dataclasses.replace(self, c=self.c[:1], seeds=self.seeds[:1])


# Tuned on seed 0: at gamma 1, c = .5, 1,800 updates give Psi J = 6.0 nats per note, 3,600 on half as many games 8.8
_FRONT: dict[str, Any] = {"rounds": 450, "games": 64, "gradient_steps": 6, "temperature": 1.0, "evaluate_every": 50,
                          "evaluation_games": 128}  # fmt: skip


@validated
class FrontStudy(MusicStudy):
    """Melodies over temperatures and discounts: how much reward for how much KL. All values are ours."""

    c: Temperatures = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)  # at both ends of gamma; of Psi at every gamma
    inner: Temperatures = (0.5, 1.0, 2.0, 4.0)  # elsewhere: those of `c` that stand here
    gamma: Shares = (0.5, 0.95, 1.0)  # paper: .5 in its text, .95 in its library
    psi_gamma: Shares = (0.0, 0.8)  # Psi alone is tried at these too
    seeds: Seeds = reported(3)  # at both ends of gamma: all methods from folk tunes, Psi from the rebuilt corpus too
    melodies: Count = Field(5_000, ge=2)
    tutor: TutorSettings = TutorSettings(**_FRONT)
    rebuilt_tutor: TutorSettings = TutorSettings(learning_rate=3e-3, **_FRONT)
    path: PathSettings = PathSettings(steps=1_000, episodes=64, learning_rate=5e-3, head_learning_rate=5e-3,
                                      evaluate_every=100)  # fmt: skip

    presets: ClassVar = {
        "smoke": {"seeds": (0,), "c": (0.5,), "gamma": (0.5, 1.0), "psi_gamma": (), "melodies": 100, "tutor": TINY,
                  "rebuilt_tutor": TINY, "path": {"steps": 4}},
        "paper": {"seeds": reported(10), "melodies": 100_000},
    }  # fmt: skip


SMILES_RNN = PriorSettings(
    cells=512,  # authors' code: tried, and dropped for 100
    steps=11_000,  # ours: 5.6 times through the 250,000 molecules, about 21 minutes of one core (see notebook 05)
    windows=128,  # paper: batch
    window_events=0,  # ours: whole molecules
    learning_rate=5e-3,  # ours: after 4,000 steps .611 nats per token against .642 at 2e-3
    clip=1.0, l2=0.0, evaluate_every=1_000, precision="auto",  # ours
)  # fmt: skip
AUTHORS_SMILES_RNN = PriorSettings(
    cells=100,  # authors' code: their final run
    steps=15_000,  # ours: about eight minutes of one core (authors' code: 350,001)
    windows=128, window_events=0,  # authors' code: whole molecules
    learning_rate=5e-3,  # ours (authors' code: .01, falling by .85 every 1,000 steps)
    clip=5.0, l2=0.0, evaluate_every=1_000,  # authors' code: the l2 is recorded, unused; ours: the rows
)  # fmt: skip
# Tuned on seeds 0 to 3: many small steps reach a higher J than few large ones at the same cost, and so does a head that
# learns much faster than the LSTM below it; replay and a rising weight of the reward keep more molecules apart.
_SHARED: dict[str, Any] = {"c": 0.25, "steps": 1000, "episodes": 16, "remembered": 16_000, "value_learning_rate": 1e-3,
                           "evaluate_every": 50, "precision": "auto"}  # fmt: skip
_RISING: dict[str, Any] = _SHARED | {"replayed": 24, "trace": 0.97, "annealed": 0.85, "held": 0.5}
MOLECULE_PATHS = {
    # the shorter Q looks, the more it believes its own maximum; with a rising weight J is 9.2 and not 10.3 (seed 0)
    "q": PathSettings(method="q", learning_rate=1.25e-4, head_learning_rate=1.25e-4, replayed=24, **_SHARED),
    "psi": PathSettings(method="psi", learning_rate=1e-4, head_learning_rate=3e-3, **_RISING),
    "g": PathSettings(method="g", learning_rate=1e-4, head_learning_rate=5e-3, **_RISING),
    "rl_only": PathSettings(method="rl_only", learning_rate=5e-4, head_learning_rate=5e-4, trace=0.97, **_SHARED),
}
MOLECULE_TUTOR = TutorSettings(c=0.25, gamma=1.0, rounds=75, games=128, gradient_steps=2, replay_episodes=1024,
                               learning_rate=1e-3, temperature=1.0, evaluate_every=5, evaluation_games=128)  # fmt: skip
AUTHORS_MOLECULES = TutorSettings(
    c=2.857,  # authors' code: final run, a reward scaler of .35
    gamma=0.95,  # authors' code
    rounds=1000,  # ours: about 1.7 million environment steps in two minutes (authors' code: 2.5 million)
    games=64, gradient_steps=4,  # ours
    batch_episodes=32,  # ours: about 1,200 transitions (authors' code: 512)
    replay_episodes=4096,  # ours: about 150,000 transitions (authors' code: 500,000)
    learning_rate=1e-4, schedule="constant",  # authors' code
    play="epsilon_greedy", epsilon_start=0.01, epsilon_end=0.01, epsilon_steps=0,  # authors' code
    evaluate_every=50, evaluation_games=128,
)  # fmt: skip


@validated
class MoleculeStudy(Study):
    """SMILES strings."""

    seeds: Seeds = reported(3)
    fresh_seeds: FreshSeeds = (200, 201, 202)  # ours: seen by nobody when settings were chosen
    further_c: Temperatures = (0.1, 0.5, 1.0, 2.0)  # ours: Q, Psi and G are tuned at these too, from one seed
    form: Literal["path", "paper"] = "path"  # of KL-control; "paper" regresses the taken action alone, and collapses
    molecules: MoleculeSettings = MoleculeSettings()
    prior: PriorSettings = SMILES_RNN
    authors_prior: PriorSettings = AUTHORS_SMILES_RNN
    path: dict[str, PathSettings] = Field(default_factory=lambda: dict(MOLECULE_PATHS))
    tutor: TutorSettings = MOLECULE_TUTOR
    authors: TutorSettings = AUTHORS_MOLECULES
    reward: RewardWeights = RewardWeights()
    samples: Count = Field(10_000, ge=2)  # ours: sampled molecules per model in Table 2, as MOSES

    parts: ClassVar = {"molecules": "", "prior": "prior_", "path": "", "tutor": "", "reward": "weight_"}
    of_prior: ClassVar = ("molecules", "prior", "authors_prior")
    presets: ClassVar = {
        "smoke": {"seeds": (0,), "fresh_seeds": (1,), "further_c": (0.5,), "samples": 100, "tutor": TINY,
                  "path": {"steps": 4, "evaluate_every": 2}, "authors": TINY},
        "paper": {"seeds": reported(10)},
    }  # fmt: skip

    def tuning(self, method: str) -> PathSettings | TutorSettings:
        """The settings of one method in the study's form."""
        own = self.path.get(method, self.path["psi"])
        return dataclasses.replace(own if self.form == "path" else self.tutor, method=method)


@validated
class ExactStudy(Study):
    """Problems small enough to write out."""

    steps: Count = 2000  # about eight seconds of one core a run
    c: Temperature = 0.5  # paper: of music; KL(prior || p*) is then 3.2 nats on brackets and 2.9 on tones
    gammas: Shares = (0.5, 0.95)  # the paper's discounts, for music and for molecules; 1 is always run
    prior: PriorSettings = PriorSettings(cells=32, steps=600, windows=128, window_events=7, learning_rate=1e-2, l2=0.0,
                                         evaluate_every=100)  # fmt: skip
    presets: ClassVar = {"smoke": {"seeds": (0,), "steps": 40}, "paper": {"seeds": reported(10)}}

    def __post_init__(self) -> None:
        need(1.0 not in self.gammas, "gammas are the discounts beside 1, which is always run: leave 1 out")


@validated
class RoadStudy(Study):
    """All roads: on problems small enough to write out, on melodies, and those that can on molecules."""

    roads: Annotated[tuple[Annotated[str, one_of(ROAD_NAMES)], ...], *Several] = ROAD_NAMES
    problems: Annotated[tuple[Literal["brackets", "tones", "days"], ...], *Several] = ("brackets", "tones", "days")
    c: Temperatures = (0.5, 0.25, 1.0)
    steps: Count = 600  # six to twenty seconds of one core a run
    long_steps: Count = 1_000  # on melodies and molecules: half a minute to two minutes of one core a run
    long_seeds: Count = 3  # how many of the seeds these have
    samples: Count = Field(10_000, ge=2)  # of a policy there
    presets: ClassVar = {"smoke": {"seeds": (0,), "c": (0.5,), "steps": 5, "long_steps": 2, "samples": 100},
                         "paper": {"seeds": reported(10)}}  # fmt: skip


@validated
class OwnStudy(Study):
    """Data, rewards and rules of your own."""

    seeds: Seeds = reported(1)
    steps: Count = 120  # of each tuning: about half a minute of one core for molecules
    presets: ClassVar = {"smoke": {"seeds": (0,), "steps": 3}, "paper": {"seeds": reported(10)}}


STUDIES: dict[str, type[Study]] = {"music": MusicStudy, "fronts": FrontStudy, "molecules": MoleculeStudy,
                                   "exact": ExactStudy, "roads": RoadStudy, "own": OwnStudy}  # fmt: skip


def known_names(kind: type[Study]) -> dict[str, str]:
    """The parameters of a study, each with the part that it belongs to; "" for the study's own."""
    parts = _parts(kind)
    names = {field.name: "" for field in dataclasses.fields(cast(Any, kind)) if field.name not in parts}
    for part, prefix in kind.parts.items():
        for field in dataclasses.fields(parts[part]):
            if field.name not in ("method", "train_prior"):  # each experiment's own choice
                names.setdefault(prefix + field.name, part)  # what two of them have is shown with the first
    return names


def _parts(kind: type[Study]) -> dict[str, Any]:
    """The settings that a study holds, by field; of a dictionary by method, those of one method."""
    held = {name: value["psi"] if isinstance(value, dict) else value for name, value in vars(kind()).items()}
    return {name: part for name, part in held.items() if dataclasses.is_dataclass(part)}


def study(preset: str | None = None, domain: str = "music", **parameters: Any) -> Any:
    """The study of a notebook; None, as well as an absent name, means the preset's value.

    Parameters are the study's own fields and those of its parts, the prior's with the prefix `prior_`, those of the
    molecules' reward with `weight_`; values may be text, lists as "0,1". What is given holds for every method. Results
    of changed settings go to a folder of their own unless `results` says where. A SettingsError lists known names.
    """
    no_unknown_parameters()
    need(domain in STUDIES, f"domain is {domain!r}: it must be one of {', '.join(STUDIES)}")
    kind = STUDIES[domain]
    preset = "laptop" if preset is None else str(preset)
    need(preset in PRESETS, f"preset is {preset!r}: it must be one of {', '.join(PRESETS)}")
    names, parts = known_names(kind), _parts(kind)
    given = {name: value for name, value in parameters.items() if value is not None}
    unknown = sorted(given.keys() - names.keys())
    need(not unknown, f"unknown setting {', '.join(unknown)}; the settings are {', '.join(names)}")
    where = given.pop("results", own_results(given | {"preset": preset}) if given else f"results/{preset}")
    made = kind(preset=cast(Any, preset), results=results_folder(where))
    for name, value in kind.presets.get(preset, {}).items():
        made = _with(made, name, value)
    shortened = preset == "smoke" and any(names[name] in kind.of_prior for name in given)
    for part in [part for part in kind.of_prior if shortened and isinstance(parts[part], PriorSettings)]:
        made = _with(made, part, SMOKE_PRIOR)
    # after the preset what was given: settings of the parts, in each that has them, but what is the study's own
    for part, prefix in kind.parts.items():
        fields = [field.name for field in dataclasses.fields(parts[part]) if names.get(prefix + field.name)]
        changes = {field: given[prefix + field] for field in fields if prefix + field in given}
        try:
            made = _with(made, part, changes)
        except SettingsError as error:  # by the name that was given
            raise SettingsError(f"{prefix}{error}") from None
    own = {name: value for name, value in given.items() if not names[name]}
    for few in ("further_seeds", "long_seeds"):
        if "seeds" in given and few in names:
            own.setdefault(few, 10**6)  # all that were given
    if given and "fresh_seeds" in names:
        own.setdefault("fresh_seeds", ())  # they confirm the settings that were reported, and no others
    made = dataclasses.replace(made, **own)
    for part in kind.parts if "methods" in given else ():
        if isinstance(getattr(made, part), PolicySettings):  # templates: each experiment sets its own methods
            made = _with(made, part, {"method": made.methods[0]})
    return made


def _with(made: Any, name: str, value: Any) -> Any:
    """A study with one of its fields changed: a part by a dictionary of changes, for all methods, or a value."""
    part = getattr(made, name)
    if isinstance(part, dict):
        value = {method: dataclasses.replace(each, **value) for method, each in part.items()}
    elif dataclasses.is_dataclass(part):
        value = dataclasses.replace(cast(Any, part), **value)
    return dataclasses.replace(made, **{name: value})
