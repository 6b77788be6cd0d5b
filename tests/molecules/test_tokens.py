"""The tokenisers and the vocabulary: nothing is lost on the way to numbers and back, and nothing is guessed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from repro.molecules import tokens
from repro.molecules.tokens import END, PAPER, TOKENISERS, Vocabulary

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "molecules_public.json").read_text())
CORPUS = ["CC(=O)Nc1ccc(Cl)cc1Br", "C[C@@H]1CC%12CCCC%12N1", "O=[N+]([O-])c1cc2[nH]ccc2s1", "F/C=C\\F"]
known_strings = st.lists(st.sampled_from(sorted({t for s in CORPUS for t in tokens.split(s, "regex")})), max_size=30)


def test_regex_keeps_atoms_and_ring_numbers_together() -> None:
    """Protects the tokens by hand: brackets, two-letter elements, %nn; what is broken falls into characters."""
    string = "Cl[C@@H]1Br%12BC[nH%1["
    expected = ["Cl", "[C@@H]", "1", "Br", "%12", "B", "C", "[", "n", "H", "%", "1", "["]
    assert tokens.split(string, "regex") == expected
    assert tokens.split(string, "characters") == list(string)


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from("CBrlN[]()@H%0123456789+-=#\\/\n é")), st.sampled_from(sorted(TOKENISERS)))
def test_tokens_joined_are_the_string(string: str, tokeniser: str) -> None:
    """Protects every string, however broken, from losing a character."""
    assert "".join(tokens.split(string, tokeniser)) == string


@settings(max_examples=100, deadline=None)
@given(st.lists(known_strings.map("".join), max_size=8), st.sampled_from(sorted(TOKENISERS)), st.integers(0, 9))
def test_round_trip(strings: list[str], tokeniser: str, room: int) -> None:
    """Protects strings on the way to numbers and back, with any padding; the empty string too."""
    vocabulary = Vocabulary.of([*CORPUS, *strings], tokeniser)
    array, lengths = vocabulary.encode(strings)
    assert vocabulary.decode(array) == strings
    wider, _ = vocabulary.encode(strings, steps=array.shape[1] + room)
    assert wider.shape[1] == array.shape[1] + room and vocabulary.decode(wider) == strings
    assert lengths.tolist() == [len(tokens.split(string, tokeniser)) + 1 for string in strings]
    assert tokens.ended(array).all()


def test_encoding_by_hand() -> None:
    """Protects the layout: tokens in alphabetical order after the end token, which follows each molecule and pads."""
    vocabulary = Vocabulary.of(["ClC", "C"], "regex")
    assert vocabulary.tokens == (END, "C", "Cl") and len(vocabulary) == 3
    array, lengths = vocabulary.encode(["ClC", "C"])
    assert array.tolist() == [[2, 1, 0], [1, 0, 0]] and lengths.tolist() == [3, 2]
    assert array.dtype == np.uint8


def test_decoding_stops_at_the_end() -> None:
    """Protects from reading on after the end token, and keeps what never ended."""
    array = np.array([[1, 0, 1], [1, 1, 1], [0, 1, 1]])
    vocabulary = Vocabulary.of(["C"], "characters")
    assert vocabulary.decode(array) == ["C", "CCC", ""]
    assert tokens.ended(array).tolist() == [True, False, True]
    assert vocabulary.decode(np.empty((2, 0), dtype=int)) == ["", ""]


def test_the_papers_characters_are_the_authors() -> None:
    """Protects the numbers that the authors' sequences are written in."""
    assert list(PAPER.tokens) == GOLDEN["meta"]["vocab"]
    for molecule in GOLDEN["molecules"]:
        sequence = np.array([molecule["seq"]])
        (smiles,) = PAPER.decode(sequence)
        assert PAPER.indices(smiles) == [token for token in molecule["seq"] if token]
        assert tokens.ended(sequence)[0] == molecule["ended_with_eos"]


@pytest.mark.parametrize(("smiles", "token"), [("CCl", "'Cl'"), ("C[nH]", r"'\[nH\]'"), ("C C", "' '")])
def test_an_unknown_token_is_named(smiles: str, token: str) -> None:
    """Protects from training on tokens that the prior does not know; a space is never one of a molecule's."""
    with pytest.raises(ValueError, match=f"unknown token {token}"):
        Vocabulary.of(["CC"], "regex").encode(["CC", smiles])


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: Vocabulary.of(["C"], "words"), "regex, characters"),
        (lambda: Vocabulary.of("CCO", "regex"), "list of SMILES"),
        (lambda: Vocabulary(("C", END), "regex"), "first token"),
        (lambda: Vocabulary((END, "C", "C"), "regex"), "twice"),
        (lambda: PAPER.encode(["CC", "CCO"], steps=3), "'CCO' has 4 tokens"),
        (lambda: PAPER.decode(np.array([[35]])), "token 35"),
        (lambda: PAPER.decode(np.array([[-1]])), "token -1"),
        (lambda: PAPER.decode(np.array([1, 2])), "whole numbers"),
        (lambda: PAPER.decode(np.array([[1.0]])), "whole numbers"),
    ],
)
def test_bad_input_gets_one_sentence(call: object, sentence: str) -> None:
    """Protects from wrong arrays and vocabularies that would be noticed only in the molecules."""
    with pytest.raises(ValueError, match=sentence):
        call()
