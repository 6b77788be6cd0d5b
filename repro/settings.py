"""Settings, one a line, with where its value comes from, and how settings are checked.

Sources: "paper" is Jaques et al. 2017, "authors' code" the public code of its authors, "ours" a choice with its reason.
"""

import dataclasses
import math
import sys
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, cast, dataclass_transform, get_args

import torch
from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass as pydantic_dataclass

from repro import PARAMETER, SettingsError
from repro.domain import INVALID, demand
from repro.kl_control import METHODS, Q

TuneCollection = Literal["essenFolksong", "oneills1850", "ryansMammoth", "airdsAirs"]
EventCoding = Literal["paper", "authors_code"]
PROCESSOR = Path("/proc/cpuinfo")  # where Linux lists what a processor can do
T = TypeVar("T")
need = partial(demand, SettingsError)


@dataclass_transform(frozen_default=True)
def validated(cls: type[T]) -> type[T]:
    """A frozen dataclass whose types are validated and whose refusals are one sentence, a SettingsError."""
    made: Any = pydantic_dataclass(frozen=True, config=ConfigDict(extra="forbid"))(cls)
    check = made.__init__

    def __init__(self: Any, *values: Any, **named: Any) -> None:
        try:
            check(self, *values, **named)
        except ValidationError as error:
            first = error.errors()[0]
            message = str(first.get("ctx", {}).get("error", first["msg"])).replace("Input should be", "it must be")
            names = [str(part) for part in first["loc"] if isinstance(part, str)]
            raise SettingsError(f"{names[0]} is {first['input']!r}: {message}" if names else message) from None

    made.__init__ = __init__
    return made


def changed(settings: T, changes: dict[str, Any]) -> T:
    """Settings with changes; a name that they do not have is refused with those that they have."""
    known = [field.name for field in dataclasses.fields(cast(Any, settings))]
    unknown = sorted(changes.keys() - set(known))
    need(not unknown, f"unknown setting {', '.join(unknown)}; the settings are {', '.join(known)}")
    return dataclasses.replace(cast(Any, settings), **changes)


def no_unknown_parameters() -> None:
    """Refuses what papermill has set in a notebook that has no such parameter; papermill itself only warns of it."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    cells = list(shell.user_ns.get("In", ())) if shell else []
    injected = [place for place, cell in enumerate(cells) if cell.startswith("# Parameters\n")]
    if injected:  # cells may have been run again: parameters stand before the first, and the latest counts
        known = PARAMETER.findall(cells[injected[0] - 1])
        unknown = [name for name in PARAMETER.findall(cells[injected[-1]]) if name not in known]
        need(not unknown, f"unknown parameter {', '.join(unknown)}; this notebook has {', '.join(known)}")


def _refused(when: Callable[[Any], bool], sentence: str) -> Callable[[Any], Any]:
    """What refuses values with a sentence, for one of pydantic's validators."""

    def check(value: Any) -> Any:
        demand(ValueError, not when(value), sentence)
        return value

    return check


def _listed(value: Any) -> Any:
    """Text as `papermill -p seeds 0,1` gives it, or one value alone, as a list."""
    if isinstance(value, str):
        demand(ValueError, value.isprintable(), "it holds a line end or another sign that cannot be printed")
        return [part.strip() for part in value.split(",") if part.strip()]
    return list(value) if isinstance(value, (list, tuple)) else [value]


def one_of(names: Collection[str]) -> AfterValidator:
    """Refuses what is not among names."""
    return AfterValidator(_refused(lambda value: value not in names, f"it must be one of {', '.join(names)}"))


def half(precision: str, device: str = "cpu") -> bool:
    """Whether an RNN's products are in bfloat16 here; "auto": where the device, which must be here, can do them."""
    flags = PROCESSOR.read_text(encoding="utf-8") if PROCESSOR.exists() else ""
    able = "avx512_bf16" in flags or "amx_bf16" in flags
    here = device == "cpu" or torch.cuda.is_available()
    need(here, f"device is {device!r}: torch sees no such GPU here, so it must be 'cpu' or 'auto'")
    if device == "cuda":
        able, flags = torch.cuda.is_bf16_supported(including_emulation=False), "of a GPU"
    possible = precision != "bfloat16" or able or not flags
    need(possible, f"precision is 'bfloat16' on {device}: this one needs 'float32' or 'auto'")
    return precision == "bfloat16" or (precision == "auto" and able)


_NO_BOOL = BeforeValidator(_refused(lambda value: isinstance(value, bool), "it must be a number"))
_ONCE = AfterValidator(_refused(lambda values: len(set(values)) < len(values), "a value is listed twice"))
Number = Annotated[float, _NO_BOOL, Field(allow_inf_nan=False)]
Positive = Annotated[Number, Field(gt=0)]
Temperature = Annotated[Number, Field(ge=1e-6, le=1e6)]  # rewards stay float32 when they are divided by it
Rate = Annotated[Number, Field(gt=0, le=10)]
NotNegative = Annotated[Number, Field(ge=0)]
Share = Annotated[Number, Field(ge=0, le=1)]
Whole = Annotated[int, _NO_BOOL, Field(ge=0, lt=2**63)]
Count = Annotated[int, _NO_BOOL, Field(ge=1, le=10**8)]  # more takes months, or all memory
Method = Annotated[str, one_of(METHODS)]
Several = (BeforeValidator(_listed), AfterValidator(_refused(lambda values: not values, "name at least one")), _ONCE)
Methods = Annotated[tuple[Method, ...], *Several]
Seeds = Annotated[tuple[Whole, ...], *Several]
FreshSeeds = Annotated[tuple[Whole, ...], BeforeValidator(_listed), _ONCE]  # none: nothing is confirmed
Temperatures = Annotated[tuple[Temperature, ...], *Several]
Shares = Annotated[tuple[Share, ...], BeforeValidator(_listed)]
Discounts = Annotated[tuple[Annotated[Share, Field(lt=1)], ...], BeforeValidator(_listed)]
# of an RNN's products; "auto" stays in a run's name, so that all machines find the run. On a GPU it is that of playing:
# learning has TF32 there, for autocast's LSTM would have float16, in which small gradients are 0
Precision = Literal["float32", "bfloat16", "auto"]
# where tensors lie; "auto" becomes what is here before a run has its name, in which "cpu" is left out
Device = Annotated[Literal["cpu", "cuda", "auto"], AfterValidator(
    lambda device: device if device != "auto" else "cuda" if torch.cuda.is_available() else "cpu")]  # fmt: skip


@validated
class TuneSettings:
    """Which tunes the Note RNN learns from."""

    # ours: music21's ABC tunes; the paper's MIDI songs are private
    collections: Annotated[tuple[TuneCollection, ...], *Several] = get_args(TuneCollection)
    minimum_in_key: Share = 0.95  # ours: of a melody; the corpus then has 99.5 % (its Note RNN plays .1 % out of key)
    minimum_events: Annotated[Count, Field(ge=2)] = 32  # ours: one melody of the reinforcement learning
    midi_folder: str = ""  # a folder of your own MIDI files to learn from instead, by the rules of `repro.music.midi`
    midi_track: str = ""  # the name of the track that holds the melody in your files; the most monophonic when empty

    def __post_init__(self) -> None:
        need(not self.midi_track or bool(self.midi_folder), "midi_track is a track in midi_folder's files: set both")


@validated
class RebuiltSettings:
    """How folk tunes become a corpus with the statistics of the paper's; the numbers are fitted to its Table 1."""

    event_coding: EventCoding = "authors_code"  # authors' code: 0 holds, 1 ends a note; "paper": the other way round
    # ours, shares of windows: as written; half speed with held notes struck again every eighth; quarter speed
    speeds: Shares = (0.18, 0.18, 0.64)
    silences: Share = 0.4  # ours: probability of a silence after every `silence_every` steps
    silence_every: Count = 16  # ours
    silence_events: Count = 32  # ours: one note off and what follows it
    begin_on_note: Share = 0.9  # ours: share of the windows that begin where a note is struck
    window_events: Annotated[Count, Field(ge=2)] = 65  # ours: what a training step sees, and one more
    windows: Count = 60_000  # ours: drawn for training
    held_out_windows: Count = 2_000  # ours: drawn from the validation and from the test tunes

    def __post_init__(self) -> None:
        right = len(self.speeds) == 3 and math.isclose(sum(self.speeds), 1)
        need(right, f"speeds is {self.speeds}: three shares that sum to 1")


@validated
class PriorSettings:
    """How the prior, the sequence RNN, is trained by maximum likelihood."""

    cells: Count = 100  # paper: one LSTM layer of 100 cells
    steps: Count = 8000  # ours: about four minutes of one core (paper: 30,000)
    windows: Count = 64  # ours: windows a step (paper: 128)
    window_events: Whole = 64  # ours: events a window, drawn at random positions; 0: whole sequences by length
    learning_rate: Rate = 7e-3  # ours: peak of a half cosine, Adam (authors' code: .5 x .85 per 1,000 steps)
    clip: Positive = 5.0  # paper: global gradient norm
    l2: NotNegative = 2.5e-5  # paper: weight of the l2 penalty
    seed: Whole = 0  # ours
    evaluate_every: Count = 500  # ours: steps between two rows of the training curve
    precision: Precision = "float32"
    device: Device = "cpu"


class PolicySettings:
    """What the training of every policy needs."""

    method: str
    c: float

    @property
    def mathematics(self) -> Q:
        """The method itself: how it learns, and how its policy is read off the network."""
        return METHODS[self.method]


@validated
class RegressionSettings(PolicySettings):
    """What the paper's form and the authors' schedule share."""

    method: Method = "psi"  # paper: q, psi, g; rl_only is its baseline without the prior
    c: Temperature = 0.5  # paper: temperature; task rewards are divided by it
    gamma: Share = 0.5  # paper: discount; on the authors' schedule the last event bootstraps like any other
    eta: Share = 0.01  # paper: rate of the target network's moving average
    clip: Positive = 5.0  # paper: gradient norm; each weight matrix on its own, as the authors' code
    train_prior: bool = False  # paper: the prior is fixed; True: G's is trained with it, as in the authors' code
    epsilon_start: Share = 1.0  # authors' code: epsilon falls linearly from here
    epsilon_end: Share = 0.1  # authors' code
    evaluation_games: Count = 512  # ours (authors' code: 100)

    def __post_init__(self) -> None:
        sentence = f"method is {self.method!r}: only g has its prior in the target, so only there it can be trained"
        need(self.method == "g" or not self.train_prior, sentence)


@validated
class TutorSettings(RegressionSettings):
    """How one policy is tuned by KL-control in the paper's form."""

    rounds: Count = 900  # ours: a round is one batch of games, then the gradient steps on it
    games: Count = 128  # ours: games in lockstep (authors' code: 1), 4,096 environment steps a round
    gradient_steps: Count = 4  # ours: a round (authors' code: one every 5 environment steps)
    batch_episodes: Count = 32  # ours: whole episodes a gradient step (paper: 32 single transitions)
    replay_episodes: Count = 4096  # ours: 131,072 transitions (authors' code: 100,000)
    learning_rate: Rate = 1e-2  # ours: with Adam (authors' code: 1e-3)
    schedule: Literal["cosine", "constant"] = "cosine"  # ours: a half cosine down to 0 (authors' code: constant)
    play: Literal["sample", "epsilon_greedy"] = "sample"  # ours; "epsilon_greedy" is the paper's
    # ours, tuned on seeds 0 to 2: of play by sampling; at 1.5 RL only meets more of what the prior never plays
    temperature: Positive = 1.5
    epsilon_steps: Whole = 500_000  # authors' code: environment steps until epsilon_end
    terminal_mask: bool = True  # ours: nothing follows the last event (authors' code: bootstraps past it)
    # paper: start from the prior's weights; "log_softmax" and "zero_head" are ours
    start: Literal["prior_logits", "log_softmax", "zero_head"] = "prior_logits"
    evaluate_every: Count = 25  # ours: rounds, 102,400 environment steps (paper: 100,000)

    def __post_init__(self) -> None:
        super().__post_init__()
        need(self.games >= self.batch_episodes, f"games is {self.games}: the first batch needs {self.batch_episodes}")
        fits = self.replay_episodes >= self.games
        need(fits, f"replay_episodes is {self.replay_episodes}: it must hold the games of a round, {self.games}")
        need(not (self.train_prior and self.start == "log_softmax"), "start is 'log_softmax': not with a trained prior")


@validated
class EpisodicSettings(PolicySettings):
    """How one policy is tuned from whole sequences, new and remembered. All values are ours."""

    c: Temperature = 0.25  # temperature; task rewards are divided by it (authors' molecules: 2.857 for another reward)
    steps: Count = 200  # one batch of new sequences and one gradient step each
    episodes: Count = 128  # new sequences a step
    replayed: Whole = 0  # earlier sequences trained on again in each step
    remembered: Count = 4096  # latest sequences that these are drawn from
    priority: NotNegative = 1.0  # drawn in proportion to (p exp(r / c) / pi) ** priority, capped; 0: all alike
    annealed: Share = 0.0  # share of the steps over which the reward's weight rises from 0 to 1
    held: Share = 0.0  # share of the steps with full learning rates; over the others they fall to 0 along a half cosine
    learning_rate: Rate = 1e-4  # of the policy's LSTM, at its peak
    head_learning_rate: Rate = 3e-3  # of its head: the LSTM's knowledge of data is kept, the head has the way to go
    clip: Positive = 1.0  # gradient norm, of the policy and of what is learned beside it apart
    evaluate_every: Count = 5  # steps between two rows of the training curve
    precision: Precision = "float32"
    device: Device = "cpu"


@validated
class MoleculeSettings:
    """Which molecules the SMILES RNN learns from."""

    molecules: Count = 250_000  # ours: a fixed random part of the 1,584,663 of MOSES (paper: 249,455 of ZINC)
    held_out: Count = 5_000  # ours: test molecules for the training curve, and as many for the reported scores
    tokeniser: Literal["regex", "characters"] = "regex"  # ours: an atom is one token; paper: characters
    smiles_file: str = ""  # a file of your own to learn from instead: one molecule per line, or a table
    longest: Annotated[Count, Field(ge=2)] = 256  # ours: tokens of a molecule, whatever your file holds
    smiles_column: str = ""  # the table's column of molecules; when empty the one called like smiles, or that parses

    def __post_init__(self) -> None:
        need(not self.smiles_column or bool(self.smiles_file), "smiles_column is a column of smiles_file: set both")


@validated
class RewardWeights:
    """Weights of the reward that a finished molecule earns at its end. All ours; the four scores are the paper's."""

    qed: Number = 2.0  # times QED, 0 to 1
    sa: Number = 1.0  # times minus the SA score, -10 to -1
    logp: Number = 1.0  # times logP
    ring_penalty: Number = 1.0  # times the ring penalty, at most 0
    invalid: Number = INVALID  # paid instead for an invalid or unfinished molecule
