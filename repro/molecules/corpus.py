"""The strings that a SMILES RNN learns from: a fixed random part of a collection, as arrays of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from repro.molecules.tokens import START_INDEX, Vocabulary


@dataclass(frozen=True)
class Molecules:
    """SMILES strings of three splits, as the prior learns them."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]


def part(train: Sequence[str], test: Sequence[str], count: int, held_out: int, seed: int = 0) -> Molecules:
    """A fixed random part of a collection: `count` of its training molecules, `held_out` test ones for either split.

    Args:
        train: strings to learn from.
        test: strings to hold out.
        count: molecules to train on, in the collection's order; all if there are not so many.
        held_out: molecules for the training curve, and as many others for the reported scores.
        seed: of the choice.
    """
    generator = np.random.default_rng(seed)
    chosen = np.sort(generator.permutation(len(train))[:count])
    others = generator.permutation(len(test))[: 2 * held_out]
    return Molecules(
        tuple(train[place] for place in chosen),
        tuple(test[place] for place in others[:held_out]),
        tuple(test[place] for place in others[held_out:]),
    )


def sequences(smiles: Sequence[str], vocabulary: Vocabulary) -> list[np.ndarray]:
    """Strings as the SMILES RNN reads them: the start token, the tokens, the end token.

    Raises:
        ValueError: a token that the vocabulary does not have.
    """
    ends = [START_INDEX]
    return [np.array([*ends, *vocabulary.indices(string), *ends], dtype=np.uint8) for string in smiles]
