"""What a notebook runs: a preset and parameters in, validated settings out, or an error that lists what exists."""

import dataclasses
import tomllib
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, cast

from pydantic import Field

from repro import ROOT, SettingsError, own_results, results_folder
from repro.kl_control import METHODS
from repro.path import PathSettings
from repro.roads import ROADS

from repro.settings import (  # isort: skip
    Count, Discounts, FreshSeeds, Methods, MoleculeSettings, PolicySettings, PriorSettings, RebuiltSettings,
    RewardWeights, Seeds, Several, Shares, Temperature, Temperatures, TuneSettings, TutorSettings, need,
    no_unknown_parameters, one_of, validated)  # fmt: skip

ROAD_NAMES = ("psi", "g", "q", "psi_paper", "g_paper", *ROADS)  # the first three path-consistent
SMOKE_PRIOR = {"steps": 200, "evaluate_every": 50}  # of a prior that is not shipped: seconds of one core
VALUES = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))  # by study: parts, presets
MOLECULE_PATHS = {method: PathSettings(method=method, **own) for method, own in VALUES["molecules"]["path"].items()}


@validated
class Study:
    """What every notebook has: which preset, where results go, which methods and seeds."""

    preset: Literal["smoke", "laptop", "paper"] = "laptop"
    results: Path = ROOT / "results" / "laptop"  # where tables, figures and executed notebooks go
    methods: Methods = tuple(METHODS)
    seeds: Seeds = (100, 101, 102, 103, 104)  # results are reported on seeds from 100 on

    parts: ClassVar[dict[str, str]] = {}  # fields that hold settings which parameters reach, each with its prefix
    of_prior: ClassVar[tuple[str, ...]] = ()  # those of them that change what a shipped prior learned from, or how


@validated
class MusicStudy(Study):
    """Melodies."""

    c: Temperatures = (0.5, 1.0)  # paper: .5; figures and claims are at the first
    further_seeds: Count = 2  # ours: how many of the seeds at the temperatures after the first
    tunes: TuneSettings = TuneSettings()
    rebuilt: RebuiltSettings = RebuiltSettings()
    prior: PriorSettings = PriorSettings()
    tutor: TutorSettings = TutorSettings()
    rebuilt_tutor: TutorSettings = TutorSettings(**VALUES["music"]["rebuilt_tutor"])
    path: PathSettings = PathSettings(**VALUES["music"]["path"])
    comparison_steps: Count = 2_000  # ours: of each Note RNN that tells apart the causes of repetition
    one_step_events: Count = 200_000  # ours: of G with a trained prior, a fifth of the authors'
    rebuilt_seeds: Count = 3  # ours: how many of the seeds start from the rebuilt corpus, or are watched forgetting
    fresh_seeds: FreshSeeds = (200, 201, 202, 203, 204)  # ours: seen by nobody when settings were chosen
    melodies: Count = Field(100_000, ge=2)  # paper: sampled melodies per model in Table 1

    parts: ClassVar = {"tunes": "", "rebuilt": "", "prior": "prior_", "tutor": "", "rebuilt_tutor": ""}
    of_prior: ClassVar = ("tunes", "rebuilt", "prior")

    def seeds_at(self, c: float) -> tuple[int, ...]:
        """The seeds at one of the temperatures."""
        return self.seeds if c == self.c[0] else self.seeds[: self.further_seeds]

    def first(self) -> "MusicStudy":
        """The same study with its first temperature and seed alone."""
        return dataclasses.replace(self, c=self.c[:1], seeds=self.seeds[:1])


@validated
class FrontStudy(MusicStudy):
    """Melodies over temperatures and discounts: how much reward for how much KL. All values are ours."""

    c: Temperatures = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)  # at both ends of gamma; of Psi at every gamma
    inner: Temperatures = (0.5, 1.0, 2.0, 4.0)  # elsewhere: those of `c` that stand here
    gamma: Shares = (0.5, 0.95, 1.0)  # paper: .5 in its text, .95 in its library
    psi_gamma: Shares = (0.0, 0.8)  # Psi alone is tried at these too
    seeds: Seeds = (100, 101, 102)  # at both ends of gamma: all methods from folk tunes, Psi from the rebuilt ones too
    melodies: Count = Field(5_000, ge=2)
    tutor: TutorSettings = TutorSettings(**VALUES["fronts"]["tutor"])
    rebuilt_tutor: TutorSettings = TutorSettings(**VALUES["fronts"]["rebuilt_tutor"])
    path: PathSettings = PathSettings(**VALUES["fronts"]["path"])


@validated
class MoleculeStudy(Study):
    """SMILES strings."""

    seeds: Seeds = (100, 101, 102)
    fresh_seeds: FreshSeeds = (200, 201, 202)  # ours: seen by nobody when settings were chosen
    further_c: Temperatures = (0.1, 0.5, 1.0, 2.0)  # ours: Q, Psi and G are tuned at these too, from one seed
    form: Literal["path", "paper"] = "path"  # of KL-control; "paper" regresses the taken action alone, and collapses
    molecules: MoleculeSettings = MoleculeSettings()
    prior: PriorSettings = PriorSettings(**VALUES["molecules"]["prior"])
    authors_prior: PriorSettings = PriorSettings(**VALUES["molecules"]["authors_prior"])
    path: dict[str, PathSettings] = Field(default_factory=lambda: dict(MOLECULE_PATHS))
    tutor: TutorSettings = TutorSettings(**VALUES["molecules"]["tutor"])
    authors: TutorSettings = TutorSettings(**VALUES["molecules"]["authors"])
    reward: RewardWeights = RewardWeights()
    samples: Count = Field(10_000, ge=2)  # ours: sampled molecules per model in Table 2, as MOSES

    parts: ClassVar = {"molecules": "", "prior": "prior_", "path": "", "tutor": "", "reward": "weight_"}
    of_prior: ClassVar = ("molecules", "prior", "authors_prior")

    def tuning(self, method: str) -> PathSettings | TutorSettings:
        """The settings of one method in the study's form."""
        own = self.path.get(method, self.path["psi"])
        return dataclasses.replace(own if self.form == "path" else self.tutor, method=method)


@validated
class ExactStudy(Study):
    """Problems small enough to write out."""

    steps: Count = 2000  # about eight seconds of one core a run
    c: Temperature = 0.5  # paper: of music; KL(prior || p*) is then 3.2 nats on brackets and 2.9 on tones
    gammas: Discounts = (0.5, 0.95)  # the paper's discounts, for music and for molecules; 1 is always run
    prior: PriorSettings = PriorSettings(**VALUES["exact"]["prior"])


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


@validated
class OwnStudy(Study):
    """Data, rewards and rules of your own."""

    seeds: Seeds = (100,)
    steps: Count = 120  # of each tuning: about half a minute of one core for molecules


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
    names, parts = known_names(kind), _parts(kind)
    given = {name: value for name, value in parameters.items() if value is not None}
    unknown = sorted(given.keys() - names.keys())
    need(not unknown, f"unknown setting {', '.join(unknown)}; the settings are {', '.join(names)}")
    where = given.pop("results", own_results(given | {"preset": preset}) if given else f"results/{preset}")
    made = kind(preset=cast(Any, preset), results=results_folder(where))
    for name, value in VALUES[domain].get(preset, {}).items():
        made = _with(made, name, value)
    shortened = preset == "smoke" and any(names[name] in kind.of_prior for name in given)
    for part in [part for part in kind.of_prior if shortened and isinstance(parts[part], PriorSettings)]:
        made = _with(made, part, SMOKE_PRIOR)
    # after the preset what was given: what is the study's own, and settings of the parts, in each that has them
    own = {name: value for name, value in given.items() if not names[name]}
    for few in ("further_seeds", "long_seeds"):
        if "seeds" in given and few in names:
            own.setdefault(few, 10**6)  # all that were given
    if given and "fresh_seeds" in names:
        own.setdefault("fresh_seeds", ())  # they confirm the settings that were reported, and no others
    made = dataclasses.replace(made, **own)
    for part, prefix in kind.parts.items():
        fields = [field.name for field in dataclasses.fields(parts[part]) if names.get(prefix + field.name)]
        changes = {field: given[prefix + field] for field in fields if prefix + field in given}
        if "methods" in given and isinstance(getattr(made, part), PolicySettings):
            changes["method"] = made.methods[0]  # a template: each experiment sets its own methods
        try:
            made = _with(made, part, changes)
        except SettingsError as error:  # by the name that was given
            raise SettingsError(f"{prefix}{error}") from None
    return made


def _with(made: Any, name: str, value: Any) -> Any:
    """A study with one of its fields changed: a part by a dictionary of changes, for all methods, or a value."""
    part = getattr(made, name)
    if isinstance(part, dict):
        value = {method: dataclasses.replace(each, **value) for method, each in part.items()}
    elif dataclasses.is_dataclass(part):
        value = dataclasses.replace(cast(Any, part), **value)
    return dataclasses.replace(made, **{name: value})
