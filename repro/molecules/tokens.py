"""SMILES as tokens: two tokenisers, and the vocabulary that turns strings into arrays and back.

    vocabulary = Vocabulary.of(smiles, "regex")
    tokens, lengths = vocabulary.encode(smiles)   # (B, T), (B,)
    vocabulary.decode(tokens)                     # the strings again

Token 0 ends a molecule. It is also the first input of the RNN: a molecule follows the end of another, and no token has
to be kept from being sampled.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from repro.molecules.scores import checked

END = " "  # the authors' end token, and what pads shorter molecules
START_INDEX = END_INDEX = 0
# "regex" keeps together what is one atom or one ring number; "characters" is the paper's
TOKENISERS = {
    "regex": re.compile(r"\[[^\]]*\]|Br|Cl|%\d\d|.", re.DOTALL),
    "characters": re.compile(r".", re.DOTALL),
}


def split(smiles: str, tokeniser: str) -> list[str]:
    """Returns the tokens of a string, which joined give it back.

    Raises:
        ValueError: an unknown tokeniser.
    """
    if tokeniser not in TOKENISERS:
        raise ValueError(f"unknown tokeniser {tokeniser!r}; known: {', '.join(TOKENISERS)}")
    return TOKENISERS[tokeniser].findall(smiles)


@dataclass(frozen=True)
class Vocabulary:
    """The tokens that a prior knows, the end token first, and how strings are cut into them."""

    tokens: tuple[str, ...]
    tokeniser: str

    def __post_init__(self) -> None:
        split("", self.tokeniser)  # raises if it is unknown
        if not self.tokens or self.tokens[END_INDEX] != END:
            raise ValueError(f"the first token of a vocabulary must be the end token {END!r}")
        if len(set(self.tokens)) < len(self.tokens):
            raise ValueError("a token stands twice in the vocabulary")

    @classmethod
    def of(cls, smiles: Iterable[str], tokeniser: str) -> Vocabulary:
        """Returns the vocabulary of a corpus: the end token, then its tokens in alphabetical order."""
        found = {token for string in checked(smiles) for token in split(string, tokeniser)}
        return cls((END, *sorted(found - {END})), tokeniser)

    def __len__(self) -> int:
        return len(self.tokens)

    @cached_property
    def _indices(self) -> dict[str, int]:
        return {token: index for index, token in enumerate(self.tokens) if index != END_INDEX}

    def indices(self, smiles: str) -> list[int]:
        """Returns the tokens of one string as numbers, without the end.

        Raises:
            ValueError: a token that the vocabulary does not have; it names the token and the string.
        """
        tokens = split(smiles, self.tokeniser)
        try:
            return [self._indices[token] for token in tokens]
        except KeyError as error:
            raise ValueError(
                f"unknown token {error.args[0]!r} in {smiles!r}: the vocabulary does not have it"
            ) from None

    def encode(self, smiles: Iterable[str], steps: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Returns strings as an array of tokens.

        Args:
            smiles: B strings.
            steps: T; the longest string and its end token unless given.

        Returns:
            Tokens (B, T), each string followed by the end token to the right edge, as the smallest unsigned integers;
            lengths (B,), the one end token that belongs to a molecule included.

        Raises:
            ValueError: an unknown token, or a string that does not fit into T with its end.
        """
        strings = checked(smiles)
        rows = [self.indices(string) for string in strings]
        lengths = np.array([len(row) + 1 for row in rows], dtype=np.int64)
        longest = int(lengths.max(initial=1))
        if steps is not None and longest > steps:
            string = strings[int(lengths.argmax())]
            raise ValueError(f"{string!r} has {longest} tokens with its end, more than the horizon of {steps}")
        array = np.full((len(rows), steps or longest), END_INDEX, dtype=np.min_scalar_type(len(self) - 1))
        for place, row in zip(array, rows, strict=True):
            place[: len(row)] = row
        return array, lengths

    def decode(self, tokens: np.ndarray) -> list[str]:
        """Returns the strings of tokens (B, T), each up to its first end token, which is left out.

        Raises:
            ValueError: a number that is no token.
        """
        array = np.asarray(tokens)
        if array.ndim != 2 or not np.issubdtype(array.dtype, np.integer):
            raise ValueError(f"tokens are whole numbers (B, T), not {array.dtype} {array.shape}")
        outside = array[(array < 0) | (array >= len(self))]
        if outside.size:
            raise ValueError(f"token {outside[0]} is outside 0..{len(self) - 1}")
        lengths = np.cumprod(array != END_INDEX, axis=1).sum(axis=1)
        return [
            "".join(self.tokens[token] for token in row[:length])
            for row, length in zip(array.tolist(), lengths, strict=True)
        ]


def ended(tokens: np.ndarray) -> np.ndarray:
    """Returns which rows of tokens (B, T) hold an end token, bool (B,)."""
    return (np.asarray(tokens) == END_INDEX).any(axis=1)


# The 35 characters of the authors' SMILES RNN. They had no start token: each episode began with a random character.
PAPER = Vocabulary(tuple(" #()+-/12345678=@BCFHINOPS[\\]clnors"), "characters")
