"""Bad input, in one table: one sentence that says what, which value and what would be right, and nothing is written."""

import gzip
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, partial
from itertools import product
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from small import Bandit, Coins, uniform_rnn
from test_tutor import formed
from torch import nn

import repro
from repro import ROOT, own_inputs, pipeline, store, yours
from repro.authors import AuthorsSettings
from repro.book import listening
from repro.domain import Domain, DomainError, earned
from repro.exact import BRACKETS, Exact
from repro.molecules import data, scores
from repro.molecules.data import END, CorpusError, Vocabulary
from repro.music import corpus, events, rules
from repro.music.domain import Music
from repro.own_inputs import Prior
from repro.processes import STEERING, environment
from repro.rnn import SequenceRNN
from repro.roads import RoadSettings, RoadTutor
from repro.settings import MoleculeSettings, SettingsError, TuneSettings
from repro.studies import study
from repro.tutor import train

Files = dict[str, bytes]  # that lie in the folder where a case is tried
Case = tuple[Callable[[], object], type[BaseException], str, Files]  # the sentence as a regular expression
COINS, STRINGS = Prior(uniform_rnn(3), Coins.vocabulary), repro.Sequences("01", lambda strings: map(len, strings), 8)
OURS = Prior(uniform_rnn(3), STRINGS.vocabulary)

PARAMETERS: list[tuple[str, dict[str, Any], str]] = [
    ("music", {"preset": "huge"}, "preset is 'huge': it must be 'smoke', 'laptop' or 'paper'"),
    ("music", {"temprature": 1}, "unknown setting temprature; the settings are preset, results, "),
    ("music", {"c": 0}, "c is 0: it must be greater than or equal to "),
    ("music", {"c": "1e308"}, "c is '1e308': it must be less than or equal to 1000000"),
    ("music", {"learning_rate": 1e30}, "learning_rate is 1e+30: it must be less than or equal to 10"),
    ("music", {"seeds": 2**64}, "seeds is 18446744073709551616: it must be less than 92233720368547"),
    ("music", {"rounds": 10**12}, "rounds is 1000000000000: it must be less than or equal to 100000000"),
    ("music", {"methods": "psi\n"}, "methods is 'psi\\n': it holds a line end"),
    ("music", {"results": ["a"]}, "results is ['a']: it must be the name of a folder"),
    ("music", {"results": True}, "results is True: it must be the name of a folder"),
    ("music", {"results": " "}, "results is ' ': it must be the name of a folder"),
    ("music", {"results": "a\0b"}, "results is 'a\\x00b': it must be the name of a folder"),
    ("music", {"results": "../x"}, "results is '../x', outside of the repository: write the whole path if"),
    ("music", {"seeds": ""}, "seeds is '': name at least one"),
    ("music", {"seeds": "1,1"}, "seeds is '1,1': a value is listed twice"),
    ("music", {"seeds": "1.5"}, "seeds is '1.5': it must be a valid integer"),
    ("music", {"methods": "q,dqn"}, "methods is 'dqn': it must be one of q, psi, g, rl_only"),
    ("music", {"terminal_mask": "maybe"}, "terminal_mask is 'maybe': it must be a valid boolean"),
    ("music", {"replay_episodes": 5}, "replay_episodes is 5: it must hold the games of a round, 128"),
    ("music", {"train_prior": True}, "unknown setting train_prior"),
    ("music", {"speeds": "1,1,1"}, "speeds is (1.0, 1.0, 1.0): three shares that sum to 1"),
    ("music", {"midi_track": "flute"}, "midi_track is a track in midi_folder's files: set both"),
    ("molecules", {"tokeniser": "words"}, "tokeniser is 'words': it must be 'regex' or 'characters'"),
    ("roads", {"roads": "ppo"}, "roads is 'ppo': it must be one of psi, g, q, psi_paper, g_paper, tb,"),
    ("roads", {"problems": "chess"}, "problems is 'chess': it must be 'brackets', 'tones' or 'days'"),
    ("exact", {"gammas": "0.5,1"}, "gammas is '1': it must be less than 1"),
    ("chess", {}, "domain is 'chess': it must be one of music, fronts, molecules,"),
    ("music", {"c": "nan"}, "c is 'nan': it must be a finite number"),
    ("music", {"c": True}, "c is True: it must be a number"),
    ("music", {"midi_folder": 5}, "midi_folder is 5: it must be a valid string"),
    ("music", {"prior_cells": "1e3"}, "prior_cells is '1e3': it must be a valid integer"),
    ("molecules", {"smiles_column": "x"}, "smiles_column is a column of smiles_file: set both"),
    ("molecules", {"weight_invalid": "x"}, "weight_invalid is 'x': it must be a valid number"),
]  # fmt: skip
OPTIONS = [
    ("--bogus", "unrecognized arguments: --bogus; --help lists the options."),
    ("--preset", "--preset: expected one argument"),
    ("--preset tiny", "there is no preset 'tiny'; there are smoke, laptop, paper."),
    ("-p c", "-p: expected 2 arguments"),
    ("--only 00,01 -p temperature 1", "has a parameter 'temperature'; there are c, "),
    ("--only 77", "--only '77' matches no notebook; there are 00_start_here, "),
    ("--only 02,", "--only '' matches no notebook"),
    ("--jobs 0", "--jobs must be a whole number from 1 to 999999, not '0'."),
    ("--results notebooks/00_start_here.ipynb", "cannot be written"),
    ("--preset smoke -p preset laptop", "preset is given 2 times: give it once"),
    ("-p results here --results there", "results is given 2 times: give it once"),
    ("--check -p results ../outside", "results is '../outside', outside of the repository: write"),
    ("--jobs " + "9" * 400, "--jobs must be a whole number from 1 to 999999, not '999"),
    ("--results " + "x" * 300, "cannot be written: File name too long."),
    ("--only ../x", "--only '../x' matches no notebook; there are 00_start_here,"),
]  # fmt: skip
MOLECULES: list[tuple[str, bytes | None, str]] = [
    ("a.smi", None, "a.smi cannot be read .No such file or directory.: smiles_file must name"),
    ("a.smi", b"# a\n#b\n", "a.smi holds comments or empty cells alone"),
    ("a.csv", b",,\n , \n", "a.csv holds comments or empty cells alone"),
    ("a.csv", b'"",""\n', "a.csv holds comments or empty cells alone"),
    ("a.smi", "# a\n\x0c\n\u00a0,\n\ufeff\n".encode(), "a.smi holds comments or empty cells alone"),
    ("a.tsv", b"smiles\tname\n" + b"CO\tn\n" * 9 + b'CN\t"n\n' + b"CO\tn\n" * 9, "a quote in line 11 that does not"),
    ("a\0b", None, "cannot be read .embedded null byte.: smiles_file must"),
    ("a.smi", b" \n", "a.smi is empty: it must hold at least 20"),
    ("a.smi", b"CC(\nC1C\n", r"has 0 .*line 1 'CC\(' \(syntax error\), line 2 'C1C' \(unclosed ring\): most lines"),
    ("a.smi", b"CO\n" + b"CC(\n" * 30, r"has 1 molecules and refused lines: 30, .* most lines are no molecules"),
    ("a.txt", b"InChI=1S/CH4O/c1-2/h2H,1H3\n" * 30, "it holds InChI or its keys, and SMILES are"),
    ("a.txt", b"LFQSCWFLJHTTHZ-UHFFFAOYSA-N\n" * 30, "it holds InChI or its keys, and SMILES"),
    ("a.txt", b"[C][=Branch1][Ring1]\n" * 30, "seems to hold SELFIES"),
    ("a.smi", b"<!DOCTYPE html><p>CO", "is a web page"),
    ("a.smi", b'<?xml version="1.0"?>\n<!-- x -->\n<html><p>CO', "is a web page: download"),
    ("a.cml", b'<?xml version="1.0"?>\n<!-- x -->\n<molecule/>', "holds XML or JSON: write its molecules"),
    ("a.json", b'[{"smiles": "CO"}]', "holds XML or JSON"), ("a.parquet", b"PAR1\x15\x04\x00", "holds a Parquet table"),
    ("a.sdf", b"\n  RDKit\n\n  0  0  0  0  0  0  0  0  0  0999 V2000\nM  END\n$$$$\n", "holds drawn structures"),
    ("a.smi", b"[C][C]\n[C][O]\n[N][C]\n" * 9, "it seems to hold SELFIES"),
    ("a.smi.gz", gzip.compress(b"a" * 257 + b"ustar", mtime=0), "holds an archive or a spreadsheet: unpack it"),
    ("a.zip", b"PK\x03\x04", "holds an archive or a spreadsheet"),
    ("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1", "holds an archive or a spreadsheet"),
    ("a.smi", b"CO\nOC\n", r"gives 1 different valid molecules \(duplicates: 1; .*: at least 20 are needed"),
    ("a.csv", b'name,smiles\n"' + b"C" * 140_000 + b",1", "is no csv file in line 2 .field larger than field limit"),
    ("a.smi.gz", b"CO\n", "is no whole gzip file .Not a gzipped file"),
    ("a.smi.gz", gzip.compress(b"CO\nCN\n", mtime=0)[:-9], "is no whole gzip file .Compressed file ended"),
]  # fmt: skip
FOLDERS: list[tuple[str, Files, str]] = [  # of MIDI files
    ("absent", {}, "absent is no folder"), ("a\0b", {}, r"b is no folder"),
    ("song.mid", {"song.mid": b"x"}, "song.mid is a file, not"), ("empty", {"empty/x.txt": b""}, "empty has no file"),
]  # fmt: skip
LONG = {f"bad/{n:02d}.mid": b"no music" for n in range(13)}
MODELS = {name: np.full((32, 32), place) for place, name in enumerate(("prior", "q", "psi"), 14)}
PAIRS = listening.study(MODELS)


def ratings(*changes: dict[str, str]) -> bytes:
    """A file of ratings, a row per dictionary of what is wrong in it."""
    pair = dict(zip(listening.PAIR, PAIRS.pairs[listening.PAIR].iloc[0], strict=True))
    right = {"study": PAIRS.digest, "rater": "ann", **pair, "preference": "1", "seconds": "9.5"}
    return "\n".join([",".join(right), *(",".join((right | each).values()) for each in changes)]).encode()


RATINGS: list[tuple[bytes, str]] = [
    (b"", "cannot be read as CSV"), (b"\xff\xfe\x00\x01", "cannot be read as CSV"),
    (b'study,rater\n"' + b"x" * 200_000, "cannot be read as CSV"), (b" " * 1_000_001, "more than 1,000,000 bytes"),
    (ratings(), "has no ratings"),
    (ratings({}).replace(b"seconds", b"second"), "has no column seconds: the page gives"),
    (ratings({"study": "s0"}), "is of another study, 's0': this one is s"), (ratings({}, {}), "or one twice"),
    (ratings({"preference": "7"}), "has the preference '7': it must be a whole number from -2"),
    (ratings({"rater": "<b>x</b>"}), "has the rater '<b>x</b>': it must be 1 to 20 letters, digits"),
    (ratings({"first": "c1"}), "has a pair that is not in this study"), (ratings({"seconds": "nan"}), "seconds 'nan'"),
    (ratings({}, {"rater": "bob", "pair": "2"}), "has several raters: the page gives a file for each"),
]  # fmt: skip


def fails(strings: list[str]) -> Any:
    return [1 / (len(string) - 2) for string in strings]


REWARDS: list[tuple[Any, str]] = [  # for the strings a and bb
    (lambda strings: len(strings[0]), "2 strings is 1: it gets a list of strings and returns one number for each"),
    (lambda strings: dict.fromkeys(strings, 1.0), r"2 strings is \{'a': 1.0"), (lambda strings: None, "is None"),
    (lambda strings: [1.0], "2 strings has 1 values"), (lambda strings: [1.0, math.nan], "of 'bb' is nan: give a"),
    (lambda strings: [1e30, 1.0], r"of 'a' is 1e\+30: give a finite number below 1e\+12"),
    (lambda strings: [1.0, "high"], "of 'bb' is high: give a"),
    (fails, r"ZeroDivisionError \(.*\) for 'bb'"), (lambda strings: {1.0, 2.0}, "2 strings is"),
    (lambda strings: (1 / (len(s) - 2) for s in strings), "ZeroDivisionError"),
    (lambda strings: strings.lower(), r"AttributeError \([^)]*\): it gets a list of strings"),
]  # fmt: skip


class Wrong(Coins):
    """Coins with a reward of its own, and whatever else is wrong."""

    def __init__(self, reward: Callable[[np.ndarray], Any] = np.ones_like, **wrong: Any) -> None:
        vars(self).update(wrong | {"reward": reward})

    def step_rewards(self, sequences: np.ndarray) -> Any:
        return self.reward(sequences)


NUMBERS = np.random.default_rng(0)
PAID: list[tuple[Callable[[np.ndarray], Any], str]] = [  # said by every trainer
    (lambda s: np.where(s == 2, np.nan, 0.0), "is nan at step"), (lambda s: None, "the type object"),
    (lambda s: np.zeros(len(s)), r"the shape \(\d+,\)"), (lambda s: np.zeros((len(s), 1)), "the shape"),
    (lambda s: s.astype(str), "the type <U"),
]  # fmt: skip
DOMAINS: list[tuple[Domain, str]] = [
    (Wrong(vocabulary=("a", "b")), "has 2 tokens and its prior 3"),
    (Wrong(end=3), "the end token 3: it must lie in 0 to"),
    (Wrong(horizon=0), "has the horizon 0: it must"),
    (Wrong(horizon=True), "has the horizon True: it must be a whole number from 1 on"),
    (Wrong(first_inputs=lambda count, _: np.full(count, 3)), r"first_inputs of the domain 'coins'"),
]  # fmt: skip
CHECKED: list[tuple[Domain, str]] = [
    (Wrong(lambda s: np.ones(s.shape)), "all of 64 valid sequences of the prior earn 4: a"),
    (repro.Sequences("01", lambda strings: [1.0] * len(strings), 8), "valid sequences of the prior earn 1: a"),
    (Wrong(lambda s: NUMBERS.random(s.shape)), "changed when it was asked again: it must not be random"),
    (Wrong(lambda s: np.repeat(s[:, -1:], 4, axis=1) * 1.0), "the reward at step 0 of '.*' depends on later tokens"),
    (repro.Sequences("01", lambda strings: [-9.0 - len(s) for s in strings], 5),
     "an invalid or unfinished string earns -2, more than most others"),
    (repro.Sequences("01", lambda strings: np.array([len(s) for s in strings]) - len("".join(strings)) / 64, 5),
     "is another beside other sequences: it must depend on that sequence alone"),
    (Wrong(lambda s: np.where(s == 2, 1e300, 0.0)), r"the reward of '.*' is 1e\+300 at step .*: give a finite number"),
]  # fmt: skip


def no_two(sequences: np.ndarray) -> np.ndarray:
    return np.array([[row.tolist().index(2) - step for step in range(4)] for row in sequences])


SAYS: list[tuple[str, Any, str]] = [  # of the domain 'coins', by all that try it
    ("step_rewards", no_two, r"raises ValueError \(2 is not in list\) for '[01 ]+': it gets sequences"),
    *[("reward_parts", lambda _, parts=parts: parts, r"returned .*: it gets .* returns arrays \(B, T\) by name")
      for parts in ([], {"reward": 1.0}, {"reward": np.ones(2)}, {"reward": None}, {}, 5)],
    ("first_inputs", lambda *_: [][0], r"raises IndexError \(.*\): give so"),
    ("first_inputs", lambda *_: np.zeros(2, int), r"returned \[0 0\] when asked for 3: give so"),
    ("watch", lambda _: [][0], r"raises IndexError \(.*\): it gets sequences"),
    ("watch", lambda _: {"a": "b"}, "returned {'a': 'b'}: it gets sequences"),
    ("measures", lambda _: [][0], r"raises IndexError \(.*\): it gets sequences"),
    ("measures", lambda _: 5, "returned 5: it gets sequences .* numbers by name"),
    ("measures", lambda _: {"a": np.array(1.0)}, "returned .*: it gets sequences .* numbers by name"),
    ("vocabulary", None, "is None: give the name of each token"),
    ("vocabulary", (0, 1, 2), r"is \(0, 1, 2\): give the name"),
]  # fmt: skip
LINEAR = nn.Linear(6, 5)
LSTMS: list[tuple[tuple[Any, ...], str]] = [
    *[((other, LINEAR, "abcde"), r"the network is (LSTM|GRU)\(.*\): a prior is one LSTM layer")
      for other in (nn.LSTM(5, 6, num_layers=2), nn.LSTM(5, 6, bidirectional=True), nn.GRU(5, 6))],
    ((nn.LSTM(5, 6), LINEAR, None), "the vocabulary is None: give the name of each token"),
    ((nn.LSTM(5, 6), LINEAR, "abcd"), r"the network reads so many tokens: 5; it must be 4"),
    ((nn.LSTM(5, 6), nn.Linear(7, 5), "abcde"), "has a head over so many cells: 7; it must be 6"),
    ((nn.LSTM(7, 6), LINEAR, "abcde", nn.Embedding(5, 8)), "embeds into so many numbers: 8; it must be 7"),
]  # fmt: skip
DEEP, GATED = uniform_rnn(3), uniform_rnn(3)
DEEP.lstm, GATED.lstm = nn.LSTM(3, 8, 2), nn.GRU(3, 8)  # type: ignore[assignment]
PRIORS: list[tuple[Any, str]] = [  # of strings over 0 and 1: silently other ones, or read in part
    (Prior(uniform_rnn(3), ("a", "b", "$")), "have different tokens, '0' and 'a': give the prior's"),
    (Prior(DEEP, STRINGS.vocabulary), "is a SequenceRNN: it must be a SequenceRNN of one LSTM layer"),
    (Prior(GATED, STRINGS.vocabulary), "must be a SequenceRNN of one LSTM"),
    (Prior(cast(Any, nn.LSTM(3, 4)), STRINGS.vocabulary), "network is a LSTM: it must be a SequenceRNN"),
    (nn.Linear(3, 3), "prior is Linear: give what load_prior"),
    (Prior(uniform_rnn(3), cast(Any, None)), "the prior's vocabulary is None: give the name"),
]
TUNED: list[tuple[dict[str, Any], str]] = [
    ({"form": "paths"}, "form is 'paths': it must be path or paper"),
    ({"method": "ppo"}, "method is 'ppo': it must be one of q, psi, g, rl_only, tb, tb_var"),
    ({"method": "tb", "form": "paper"}, "form is 'paper': tb learns from whole sequences alone"),
    ({"form": "paper", "precision": "auto"}, "unknown setting precision; the settings are method, c, gamma"),
    ({"form": "paper", "rounds": 7}, "rounds is not a setting here: give steps"),
    ({"seed": -1}, "seed is -1: it must be a whole number from 0 on"), ({"steps": "x"}, "steps is 'x'"),
    ({"seed": 2**70}, "seed is 1180591620717411303424: .* below 2"), ({"c": 0}, "c is 0: it must be greater than"),
]  # fmt: skip
ROADS: list[tuple[dict[str, Any], str]] = [
    ({"method": "dpg", "replayed": 8}, "dpg learns from new sequences alone"), ({"episodes": 1}, "give at least 2"),
    ({"method": "a2po"}, "pool is 0: a2po needs 1 or more"), ({"method": "tb", "pool": 8}, "pool is 8: tb needs 0"),
    ({"method": "ppo"}, "must be one of tb, tb_var"),
]  # fmt: skip
LEARNED: list[tuple[Any, str]] = [
    ("01", "the sequences to learn from are '01': give a list"), (None, "are None: give a list"),
    ([1, 2], "have 1: give"), (["01", None], "the sequences to learn from have None: give strings"),
    ({"01": 1}, "are {'01': 1}: give a list"), (["0"], "there are 1 sequences to learn from: at least two are needed"),
    (["0", "0101010101"], "sequence 1 is '0101010101': it must become 2 to 9 tokens in 0 to 2"),
    (["0", "x"], "'x' has 'x', which is not in the alphabet"),
]  # fmt: skip
MELODIES = [([[14, 1], [14]], "different lengths"), ([[38]], "event 38 is not one of the 38"),
            ([[14] * 33], "33 events: the horizon is 32"), ([1, 2], r"shape \(2,\): pass a batch"),
            ([[0.5]], "type float64: events are whole"), ([[-1]], "event -1 is not")]  # fmt: skip
KNOWN = Vocabulary.of(["ClC", "C"], "regex")
OTHERS: list[tuple[Callable[[], object], type[BaseException], str]] = [
    (lambda: Vocabulary.of(["C"], "words"), ValueError, "'words'; known: regex, characters"),
    (lambda: Vocabulary.of("CCO", "regex"), ValueError, "a list of SMILES strings is needed, not 'CCO'"),
    (lambda: Vocabulary(("C", END), "regex"), ValueError, "begins with the end token"),
    (lambda: Vocabulary((END, "C", "C"), "regex"), ValueError, "no token stands twice"),
    (lambda: KNOWN.encode(["C[Se]C"]), ValueError, r"unknown token '\[Se\]' in 'C\[Se\]C'"),
    (lambda: KNOWN.decode(np.array([[3]])), ValueError, "tokens 3 to 3 are not all in 0..2"),
    (lambda: KNOWN.decode(np.array([[-1, 0]])), ValueError, "tokens -1 to 0 are not all in 0..2"),
    (lambda: events.name(99), ValueError, "event 99 is not one of the 38 events"),
    (lambda: corpus.of(pd.DataFrame(), "held out"), ValueError, "'held out': choose from train, validation,"),
    (lambda: repro.Music(["kee"]), DomainError, "the rule is 'kee': it must be a function, or one of key, tonic"),
    (lambda: repro.Music("key"), DomainError, "the rules are 'key': give a list"),
    (lambda: repro.Music(5), DomainError, "the rules are 5: give a list"),
    (lambda: Music([lambda sung: sung[:, 0]]).step_rewards(np.full((2, 32), 14)), DomainError,
     r"pays \(2,\): give one number per event, \(2, 32\)"),
    (lambda: repro.Molecules(KNOWN, reward="qed"), DomainError, "the reward is 'qed': it must be a RewardWeights"),
    (lambda: repro.Molecules(None), DomainError, "the prior writes no molecules: load_prior"),
    (lambda: Domain().step_rewards(np.zeros((1, 1))), DomainError, "the domain 'own' has no step_rewards: they say"),
    (lambda: repro.suggest_c(Wrong(step_rewards=no_two), COINS, kl=1.0), DomainError, "ValueError .* for '[01 ]+': it"),
    (lambda: repro.suggest_c(Coins(), COINS, kl=6.0, samples=100), DomainError, "of .* nats at most: ask for less"),
    (lambda: repro.suggest_c(Coins(), COINS, kl=2.5, samples=100), DomainError, "100 samples of the prior count as ."),
    (lambda: repro.tune(repro.Sequences, OURS), DomainError, "domain is .*: give one"),
    (lambda: repro.load("twos"), FileNotFoundError, "has no 'twos' that can be read: it has nothing"),
    (lambda: repro.load("x" * 300), FileNotFoundError, "that can be read: it has nothing"),
    (lambda: repro.load_prior("jazz"), FileNotFoundError, "has no 'jazz' that can be read: it has nothing"),
    (lambda: AuthorsSettings(replay=3), SettingsError, "replay is 3: it must hold a batch, 32"),
    (lambda: RoadTutor(Music(), SequenceRNN(38, 4), RoadSettings(method="a2po", pool=9), 0), SettingsError,
     "pool is 9: music is primed by 38 tokens, give as many or more"),
    (lambda: Exact(BRACKETS.__class__(**vars(BRACKETS) | {"end": 0}), SequenceRNN(4, 8), 0.5), ValueError,
     "the end token of brackets is 0: it must be the last, 3"),
    (lambda: listening.read_ratings(Path("nowhere"), PAIRS), SettingsError, "is 'nowhere': it must be a folder"),
    (lambda: store.write(Path("file") / "table.csv", b"x"), OSError, r"cannot be written \(.*\): make room, or go"),
]  # fmt: skip


@cache
def tuned() -> Any:
    return repro.tune(Coins(), COINS, c=1.0, steps=1, episodes=4)


def compared(domain: Domain, prior: Prior) -> None:
    replace(tuned(), domain=domain).compare()


def rated() -> None:
    raise ValueError(*listening.read_ratings(Path.cwd(), PAIRS)[1])


def steered(name: str, value: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(name, value)
        environment(name)


def cases() -> Iterator[Case]:
    for domain, given, says in PARAMETERS:
        yield partial(study, domain=domain, **given), SettingsError, re.escape(says), {}
    for words, says in OPTIONS:
        yield partial(pipeline.main, words.split()), SystemExit, re.escape(says), {}
    for name, value in product(STEERING, ("abc", "-1", "nan", "1e99")):
        says = f"^{name} is '{value}': it must be {STEERING[name][-1]}$"
        yield partial(steered, name, value), ValueError, says, {}
    for name, content, says in MOLECULES:
        settings = partial(MoleculeSettings, smiles_file=name)
        files = {} if content is None else {name: content}
        yield lambda made=settings: data.read(made(), Path("no/such")), CorpusError, says, files
    for use, (name, files, says) in product((corpus.read, corpus.source_digest), FOLDERS):
        yield lambda use=use, name=name: use(TuneSettings(midi_folder=name)), ValueError, says, files
    says = r"gives 0 melodies, and at least 3 .* left out: 13, 00.mid \(unreadable.* and 3 more$"
    yield lambda: corpus.read(TuneSettings(midi_folder="bad")), ValueError, says, LONG
    for content, says in RATINGS:
        yield rated, ValueError, f"^a.csv .*{says}", {"a.csv": content}
    for bad in ({"seed": "x"}, {"seed": -1}, {"sheets": 99}, {"sheets": "none"}):
        yield partial(listening.study, MODELS, **bad), SettingsError, "it must be a whole number from", {}
    for reward, says in REWARDS:
        yield partial(earned, reward, ["a", "bb"], np.ones(2, bool), 0.0), DomainError, says, {}
    for form, (paid, says) in product(("tutor", "path", "authors"), PAID):
        yield lambda form=form, paid=paid: train(formed(form, Wrong(paid), uniform_rnn(3))), DomainError, says, {}
    for domain, says in DOMAINS:
        yield partial(formed, "path", domain, uniform_rnn(3)), DomainError, says, {}
    for domain, says in CHECKED:
        yield partial(repro.check, domain, Prior(uniform_rnn(3), domain.vocabulary)), DomainError, says, {}
    tries = (repro.check, partial(repro.tune, c=1.0, steps=1, episodes=4), compared)
    for use, (name, own, says) in product(tries, SAYS):
        yield partial(use, Wrong(**{name: own}), COINS), DomainError, f"{name} of the domain 'coins' {says}", {}
    for use, (prior, says) in product(
        (repro.check, repro.sample, repro.tune, partial(repro.suggest_c, kl=1.0)), PRIORS
    ):
        yield partial(use, STRINGS, prior), DomainError, says, {}
    for parts, says in LSTMS:
        yield partial(repro.from_lstm, *parts), DomainError, says, {}
    for bad, says in TUNED:
        yield partial(repro.tune, Bandit(), Prior(uniform_rnn(3), Bandit.vocabulary), **bad), SettingsError, says, {}
    for bad in (math.nan, math.inf, "-2", None):
        invalid = repro.Sequences("01", len, 8, invalid=bad)
        yield partial(repro.tune, invalid, OURS), DomainError, "what invalid strings earn must be a finite number", {}
    for bad, use in product((0, -1, "x"), ("sample", "compare")):
        says = f"count is {bad!r}: it must be a whole number from 1 on"
        yield lambda bad=bad, use=use: getattr(tuned(), use)(bad), SettingsError, says, {}
    for name in ("", "../evil", "a/b", "<script>", "x" * 255):
        yield lambda name=name: tuned().save(name), SettingsError, "the name is .*: 1 to 100 letters, digits", {}
    for bad in (0, 2.5):
        says = f"samples is {bad}: it must be a whole number from 1 on"
        yield partial(repro.suggest_c, Coins(), COINS, kl=0.5, samples=bad), SettingsError, says, {}
    for bad in ("01$", "010", ["Cl"], 5):
        yield partial(repro.Sequences, bad, len, 8), DomainError, "alphabet is .*: (it must be diff|give the name)", {}
    for given, says in LEARNED:
        yield partial(repro.fit, STRINGS, given, steps=1), DomainError, says, {}
    for given, says in ROADS:
        yield partial(RoadSettings, **given), SettingsError, says, {}
    for use, (bad, says) in product((rules.step_rewards, rules.total_reward), MELODIES):
        yield partial(use, bad), ValueError, says, {}
    for use, bad in product((events.to_audio, events.notes, partial(events.to_midi, file="x")), ([], [[14]], [38], 14)):
        yield partial(use, bad), ValueError, "event 38 is not one|a melody is a list of events|T >= 1", {}
    for bad in ("CCO", None, ["CCO", None], ["CCO", 3], 7, ["CCO", math.nan]):
        yield partial(scores.score, bad), ValueError, "molecule 1 is .*, not a SMILES|a list of SMILES strings is", {}
    yield from ((*each, {}) for each in OTHERS)


@pytest.mark.parametrize(("use", "error", "says", "files"), list(cases()))
def test_bad_input_is_one_sentence_and_nothing_is_written(
    use: Callable[[], object], error: type[BaseException], says: str, files: Files,
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Protects users from runs that are not those asked for, and from traces: what, which value, what would be right;
    a command ends with 2 before anything has run.
    """
    monkeypatch.setenv("REPRO_NO_BARS", "1")
    monkeypatch.setattr(pipeline, "run_all", lambda *_: pytest.fail("a notebook ran"))
    monkeypatch.setattr(pipeline.os, "execv", lambda *_: pytest.fail("another program started"))
    for room in (pipeline, yours, store, own_inputs, data, corpus):
        monkeypatch.setattr(room, "ROOT", tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notebooks").symlink_to(ROOT / "notebooks")
    for name, content in ({"file": b"in the way"} | files).items():
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_bytes(content)

    def written() -> list[tuple[Path, int]]:
        paths = [path for place in (tmp_path, own_cache) for path in place.rglob("*")]
        return sorted((path, path.lstat().st_mtime_ns) for path in paths)

    before = written()
    with pytest.raises(error) as refused:
        use()
    printed = capfd.readouterr()
    code = getattr(refused.value, "code", 2)
    said = printed.err.strip() if error is SystemExit else str(refused.value)
    assert "raises" not in said or refused.value.__cause__ is not None  # it stays at hand
    assert re.search(says, said) and "\n" not in said and printed.out == "" and code == 2
    assert written() == before
