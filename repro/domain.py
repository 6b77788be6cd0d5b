"""What a domain is: all that models and trainers know of melodies, molecules or sequences of yours."""

import dis
import hashlib
import inspect
import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from functools import partial
from numbers import Integral, Real
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np
import pandas as pd

INVALID = -2.0  # ours: what an invalid or unfinished string earns, whatever the reward of the others is
LARGEST = 1e12  # divided by the smallest c, squared and summed it stays in float32, which is what is learned from
FINITE = f"give a finite number below {LARGEST:g}"
TRIED = 64  # strings or sequences that are tried alone where a reward, which may raise whatever it likes, fails
Reward = Callable[[list[str]], Iterable[float]]  # what B strings are worth, one number each
_EMPTY = {*vars(type("Empty", (), {})), "__annotations__", "__firstlineno__", "__static_attributes__"}  # of every class


class DomainError(ValueError):
    """A domain that cannot be used, said in one sentence."""


def demand(error: type[Exception], holds: object, sentence: str) -> None:
    """Raises an error with this sentence unless something holds."""
    if not holds:
        raise error(sentence)


must = partial(demand, DomainError)


class Domain:
    """Sequences of tokens 0..V-1 of at most T tokens, and what they are worth."""

    # for a reward of your own, subclass it and give it a vocabulary, a horizon and `step_rewards`: no file changes
    name: str = "own"
    vocabulary: tuple[str, ...] = ()  # the name of each token; V = len(vocabulary)
    horizon: int = 0  # T, the most tokens of a sequence
    end: int | None = None  # the token that ends a sequence and belongs to it; None: all sequences fill the horizon
    first: int = 0  # the token that primes the RNN and is no part of the sequence
    invalid: float = -math.inf  # what a sequence earns that is none of the domain's, if there are such
    tokeniser: str = ""  # what cuts strings into tokens, if anything does: as text these stand without spaces
    version: int = 1  # raised by hand when rewards or first inputs change: it is part of the name of every run
    measures_version: int = 1  # the same for what `measures` returns

    def first_inputs(self, count: int, generator: np.random.Generator) -> np.ndarray:
        """The tokens (count,) that prime the RNN: by default `first` for all."""
        return np.full(count, self.first)

    def step_rewards(self, sequences: np.ndarray) -> np.ndarray:
        """The task reward r_T of each step, float (B, T), before division by c, by tokens 0..t; 0 after the end."""
        raise DomainError(f"the domain {self.name!r} has no step_rewards: they say what a sequence is worth")

    def reward_parts(self, sequences: np.ndarray) -> dict[str, np.ndarray]:
        """The parts that add up to `step_rewards`, by name, each float (B, T)."""
        return {"reward": rewards(self, sequences)}

    def watch(self, sequences: np.ndarray) -> dict[str, float]:
        """Means over sequences (B, T) that shall stand in the training curve; none by default."""
        return {}

    def measures(self, sequences: np.ndarray) -> pd.Series:
        """The domain's own metrics of sequences (B, T), by name."""
        return pd.Series(dtype=float)

    def values(self, sequences: np.ndarray) -> dict[str, np.ndarray]:
        """Numbers (B,) of each sequence, by name, whose means under the optimum are estimated; none by default."""
        return {}

    def text(self, sequence: np.ndarray) -> str:
        """One sequence (T,) as text: its tokens before the end, with spaces between words."""
        between = "" if self.tokeniser or all(len(token) == 1 for token in self.vocabulary) else " "
        return between.join(self.vocabulary[token] for token in sequence[np.cumsum(sequence == self.end) == 0])

    def spec(self) -> dict[str, object]:
        """What of the domain determines a run: part of the run's name; a class of yours by all it is made of."""
        spec: dict[str, object] = {"name": self.name, "version": self.version}
        ours = type(self).__module__.partition(".")[0] == "repro"
        return spec if ours else spec | {"own": digest((type(self), vars(self)))}


def rewards(domain: Domain, sequences: np.ndarray) -> np.ndarray:
    """`step_rewards`, (B, T), 0 after the end of a sequence; DomainError: another shape, a value that is no number."""
    what, wanted = f"step_rewards of the domain {domain.name!r}", "it gets sequences (B, T), returns numbers per step"
    given = _answer(what, wanted, lambda rows: np.asarray(domain.step_rewards(rows.copy())), sequences, domain.text)
    fits = given.shape == sequences.shape and given.dtype.kind in "fiub"
    have = f"the rewards of the domain {domain.name!r} have the shape {given.shape} and the type {given.dtype}"
    must(fits, f"{have}: give one number per step, {sequences.shape}")
    given = np.where(alive(sequences, domain.end), given, 0)
    for row, step in np.argwhere(~(np.abs(given) < LARGEST)):
        paid = f"the reward of {domain.text(sequences[row])!r} is {given[row, step]} at step {step}"
        raise DomainError(f"{paid}: {FINITE}")
    return given


def told(domain: Domain, what: str, sequences: np.ndarray) -> dict[str, Any]:
    """What `watch`, `measures` or `reward_parts` say of sequences (B, T); DomainError: no numbers (arrays) by name."""
    parts, named = what == "reward_parts", f"{what} of the domain {domain.name!r}"
    wanted = f"it gets sequences (B, T) and returns {'arrays (B, T)' if parts else 'numbers'} by name"
    given = _answer(named, wanted, lambda rows: getattr(domain, what)(rows.copy()), sequences, domain.text)
    fits = isinstance(given, (Mapping, pd.Series)) and len(given) >= parts and all(
        isinstance(value, np.ndarray) and value.shape == sequences.shape and value.dtype.kind in "fiub" if parts
        else isinstance(value, Real) for _, value in given.items())  # fmt: skip
    must(fits, f"{named} returned {' '.join(repr(given).split())[:60]}: {wanted}")
    return dict(given)


def earned(reward: Reward, strings: Sequence[str], whole: np.ndarray, invalid: float) -> np.ndarray:
    """What a function pays for those of B strings that are whole, and `invalid` for the others; or a DomainError."""
    wanted = "it gets a list of strings and returns one number for each"
    asked = [string for string, is_whole in zip(strings, whole, strict=True) if is_whole]

    def ask(some: Sequence[str]) -> list[Any]:
        given, kind = reward(list(some)), (str, bytes, Mapping, Set)  # none of which has one number for each, in order
        fits = isinstance(given, Iterable) and not isinstance(given, kind)
        must(fits, f"the reward of {len(some)} strings is {given!r}: {wanted}")
        return list(given)

    values = _answer("the reward", wanted, ask, asked, str) if asked else []
    values = [value.item() if np.ndim(value) == 0 and hasattr(value, "item") else value for value in values]
    must(len(values) == len(asked), f"the reward of {len(asked)} strings has {len(values)} values: {wanted}")
    for string, value in zip(asked, values, strict=True):
        must(isinstance(value, Real) and abs(float(value)) < LARGEST, f"the reward of {string!r} is {value}: {FINITE}")
    paid = np.full(len(strings), invalid, dtype=float)
    paid[whole] = values
    return paid


def _answer(what: str, wanted: str, ask: Callable[[Any], Any], batch: Any, text: Callable[[Any], str]) -> Any:
    """What is answered to a batch; DomainError: what was raised, and for which, unless all that are tried raise it."""
    try:
        return ask(batch)
    except DomainError:
        raise
    except Exception as error:
        alone, fine = "", False
        for place in range(min(TRIED, len(batch))):
            try:
                ask(batch[place : place + 1])
                fine = True
            except Exception:
                alone = alone or f" for {text(batch[place])!r}"
            if alone and fine:
                break
        said = f"{type(error).__name__} ({' '.join(str(error).split())[:80]})"
        raise DomainError(f"{what} raises {said}{alone * fine}: {wanted}") from error


def alive(sequences: Any, end: int | None) -> Any:
    """Which steps (B, T), of an array or a tensor, belong to sequences: up to the first end token, itself included."""
    ends = sequences == (-1 if end is None else end)
    return ends.cumsum(1) == ends


def at_the_end(values: np.ndarray, sequences: np.ndarray, end: int | None) -> np.ndarray:
    """Values (B,) at the last step of each sequence of (B, T), 0 elsewhere."""
    last = alive(sequences, end).sum(axis=1, keepdims=True) - 1
    return np.where(np.arange(sequences.shape[1]) == last, values[:, None], 0.0)


def must_fit(domain: Domain, vocabulary: int | None = None) -> None:
    """DomainError unless it is a domain whose numbers fit its vocabulary, of as many tokens as its prior's."""
    must(isinstance(domain, Domain), f"domain is {domain!r:.60}: give one that is made, as Sequences(...)")
    must_name(f"the vocabulary of the domain {domain.name!r}", domain.vocabulary)
    tokens, paid, has = len(domain.vocabulary), domain.invalid, f"the domain {domain.name!r} has"
    must(vocabulary in (tokens, None), f"{has} {tokens} tokens and its prior {vocabulary}: they must be the same")
    whole = type(domain.horizon) is int and domain.horizon >= 1
    must(whole, f"{has} the horizon {domain.horizon!r}: it must be a whole number from 1 on")
    finite = isinstance(paid, Real) and not isinstance(paid, bool) and (paid == -math.inf or abs(paid) < LARGEST)
    must(finite, f"{has} invalid {paid!r}: what invalid strings earn must be a finite number below {LARGEST:g}")
    inside = domain.end is None or (isinstance(domain.end, Integral) and 0 <= domain.end < tokens)
    must(inside, f"{has} the end token {domain.end!r}: it must lie in 0 to {tokens - 1}")
    what, wanted = f"first_inputs of the domain {domain.name!r}", f"give so many whole numbers in 0 to {tokens - 1}"
    first = np.asarray(_answer(what, wanted, lambda _: domain.first_inputs(3, np.random.default_rng(0)), (), str))
    fits = first.shape == (3,) and first.dtype.kind in "iu" and ((first >= 0) & (first < tokens)).all()
    must(fits, f"{what} returned {first} when asked for 3: {wanted}")


def must_name(what: str, tokens: object) -> None:
    """DomainError unless these are the names of tokens."""
    fits = isinstance(tokens, Sequence) and len(tokens) and all(isinstance(token, str) for token in tokens)
    must(fits, f"{what} is {tokens!r:.60}: give the name of each token, as a tuple of strings")


def digest(own: object) -> str | None:
    """A name for what is your own, its text, code and all that it uses; None if a part has none, as a state."""
    # two functions on one line differ in compiled code alone; that differs by version of Python, which makes runs anew
    try:
        return hashlib.sha256(repr(_named(own, ())).encode()).hexdigest()[:20]
    except (OSError, TypeError, ValueError, AttributeError, KeyError, RecursionError):  # no text, or of no kind below
        return None


def _named(value: Any, inside: tuple[object, ...]) -> object:
    # a value as nested plain ones; `inside` are the functions that are being named, for one may call itself
    kind = type(value)
    if kind in (type(None), bool, int, float, complex, str, bytes):
        return kind.__name__, repr(value)
    if kind in (list, tuple, dict, set, frozenset):
        items = [_named(item, inside) for item in (value.items() if kind is dict else value)]
        return kind.__name__, sorted(items, key=repr) if kind in (set, frozenset) else items
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype != object:
        return str(value.dtype), value.shape, hashlib.sha256(value.tobytes()).hexdigest()
    if kind is CodeType:  # two lambdas on one line differ in nothing else
        return value.co_code, value.co_names, _named(value.co_consts, inside)
    if isinstance(value, (property, staticmethod, classmethod)):
        return kind.__name__, _named(value.fget if isinstance(value, property) else value.__func__, inside)
    module = value if kind is ModuleType else sys.modules[value.__module__]
    name = getattr(value, "__qualname__", None) or value.__name__
    top, file = module.__name__.partition(".")[0], getattr(module, "__file__", None) or ""
    library = top == "repro" or top in sys.stdlib_module_names or "site-packages" in file
    if library and (kind is ModuleType or vars(module).get(name) is value):
        return module.__name__, name  # Python's, installed or ours: the text may change
    if value in inside:
        return name
    if isinstance(value, type):  # its members, and those of the classes that it is made from
        members = {key: member for key, member in vars(value).items() if key not in _EMPTY}
        return name, _named((members, value.__bases__), (*inside, value))
    if kind is not FunctionType:
        raise TypeError(f"{value!r} has no name")
    used = {name: value.__globals__[name] for name in sorted(_globals(value.__code__)) if name in value.__globals__}
    cells = [cell.cell_contents for cell in value.__closure__ or ()]
    parts = (value.__code__, value.__defaults__, value.__kwdefaults__, cells, used)
    return inspect.cleandoc(inspect.getsource(value)), _named(parts, (*inside, value))


def _globals(code: CodeType) -> set[str]:
    inner = [_globals(constant) for constant in code.co_consts if isinstance(constant, CodeType)]
    return {i.argval for i in dis.get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")}.union(*inner)
