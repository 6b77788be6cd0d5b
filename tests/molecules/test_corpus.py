"""The strings that a SMILES RNN learns from: a fixed choice, and arrays that begin and end with token 0."""

from __future__ import annotations

import numpy as np
import pytest

from repro.molecules import corpus
from repro.molecules.tokens import Vocabulary

TRAIN = [f"train{place}" for place in range(100)]
TEST = [f"test{place}" for place in range(50)]


def test_the_choice_is_fixed() -> None:
    """Protects finished trainings: the same molecules every time, in the collection's order; the seed counts."""
    one, two = (corpus.part(TRAIN, TEST, 10, 5) for _ in range(2))
    assert one == two != corpus.part(TRAIN, TEST, 10, 5, seed=1)
    assert one.train == tuple(TRAIN[place] for place in (5, 16, 20, 36, 52, 72, 82, 90, 93, 94))
    assert corpus.part(TRAIN, TEST, 1000, 5).train == tuple(TRAIN)


def test_held_out_molecules_are_test_molecules_in_one_split_only() -> None:
    """Protects the reported scores: nothing of validation is in the test split, and nothing of either is trained on."""
    parts = corpus.part(TRAIN, TEST, 10, 20)
    assert (len(parts.validation), len(parts.test)) == (20, 20)
    assert len({*parts.validation, *parts.test}) == 40
    assert {*parts.validation, *parts.test} <= set(TEST)


@pytest.mark.parametrize("tokeniser", ["regex", "characters"])
def test_sequences_begin_and_end_with_the_end_token(tokeniser: str) -> None:
    """Protects the prior's data: 0, the molecule, 0, as bytes; a sequence holds no other 0."""
    smiles = ["CCl", "[nH]1cccc1", "O"]
    vocabulary = Vocabulary.of(smiles, tokeniser)
    found = corpus.sequences(smiles, vocabulary)
    assert all(tokens.dtype == np.uint8 and tokens[0] == tokens[-1] == 0 and tokens[1:-1].all() for tokens in found)
    assert ["".join(vocabulary.tokens[token] for token in tokens[1:-1]) for tokens in found] == smiles


def test_an_unknown_token_is_named() -> None:
    """Protects users of another file: a token that the prior does not know is an error with its molecule."""
    with pytest.raises(ValueError, match=r"unknown token '\[Se\]' in 'C\[Se\]C'"):
        corpus.sequences(["CC", "C[Se]C"], Vocabulary.of(["CC"], "regex"))
