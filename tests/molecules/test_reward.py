"""The two rewards against the authors' code, by hand, and the laws that they obey."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from repro.molecules import scores
from repro.molecules.domain import AuthorsReward, length_penalty, prefix_parts, terminal_parts
from repro.settings import RewardWeights

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "molecules_public.json").read_text())
MOLECULES = GOLDEN["molecules"]
ENDED = [molecule["ended_with_eos"] for molecule in MOLECULES]
STRINGS = ["".join(GOLDEN["meta"]["vocab"][token] for token in molecule["seq"] if token) for molecule in MOLECULES]
LATEST = AuthorsReward()
NAMES = {"logp_multiplier": "logp", "ringp_multiplier": "ring_penalty", "qed_multiplier": "qed", "sa_multiplier": "sa"}


def as_settings(config: str) -> AuthorsReward:
    """Returns a setting of the authors' code in our names; `data_scalar` weighs log p, which is no reward."""
    values = {NAMES.get(name, name): value for name, value in GOLDEN["meta"]["configs"][config].items()}
    return replace(AuthorsReward(), **{name: v for name, v in values.items() if name != "data_scalar"})


def prefix_rewards(sequences: list, ended: list[bool], weights: AuthorsReward = LATEST, steps: int = 120) -> np.ndarray:
    return sum(prefix_parts(sequences, ended, steps, weights).values())


def authors_reward(molecule: dict, config: str, weights: AuthorsReward) -> np.ndarray:
    """Returns the authors' rewards with our rings: few bridged molecules differ, by ring penalty alone."""
    rewards = np.array(molecule["domain_reward"][config], dtype=float)
    columns = GOLDEN["meta"]["prefix_terms_columns"]
    for row in molecule["prefix_terms"]:
        terms = dict(zip(columns, row, strict=True))
        at_end = terms["prefix_length"] == molecule["length"] and (molecule["ended_with_eos"] or len(rewards) == 120)
        factor = weights.end_valid_drug_quality_multiplier if at_end else 1.0
        rewards[row[0] - 1] += factor * weights.ring_penalty * (terms["ringp_sssr"] - terms["ringp"])
    return rewards


def test_presets_are_the_authors_settings() -> None:
    """Protects the values of their final run, and the one in which their earlier script differs."""
    assert as_settings("latest") == LATEST
    assert as_settings("train") == AuthorsReward(qed=40.0)


@pytest.mark.parametrize("config", GOLDEN["meta"]["configs"])
def test_every_step_pays_what_the_authors_code_pays(config: str) -> None:
    """Protects the per-prefix reward at every token of 100 molecules, also where every term is at work."""
    weights = as_settings(config)
    ours = prefix_rewards(STRINGS, ENDED, weights, steps=120)
    assert ours.shape == (len(STRINGS), 120)
    for row, molecule in zip(ours, MOLECULES, strict=True):
        expected = authors_reward(molecule, config, weights)
        np.testing.assert_allclose(row[: len(expected)], expected, rtol=0, atol=1e-6, err_msg=molecule["id"])
        assert not row[len(expected) :].any()


def test_penalties_by_length_and_by_carbons_are_the_authors() -> None:
    """Protects both sides of all four thresholds of length, and the count of carbons: the 13th C in a row is the first
    to cost, and another token ends the row.
    """
    for config, expected in GOLDEN["tables"]["length_penalty_by_length"].items():
        assert [length_penalty(length, as_settings(config)) for length in range(len(expected))] == expected
    expected = GOLDEN["tables"]["carbon_penalty_by_preceding_C"]
    strings = ["C" * len(expected), "C" * 12 + "O" + "C" * 12]
    carbons = prefix_parts(strings, [False, False], 120, LATEST)["carbons"]
    assert carbons[0, : len(expected)].tolist() == expected
    assert not carbons[1].any()


def terminal(smiles: list[str], ended: list[bool], weights: RewardWeights) -> np.ndarray:
    return sum(terminal_parts(scores.score(smiles), ended, weights).values())


def test_terminal_reward_by_hand() -> None:
    """Protects the formula, -2 for what is invalid, empty or unfinished, and each weight from being mixed up."""
    table = scores.score(["C1CCCCCCC1C"]).loc[0]
    scored = {"qed": table["qed"], "sa": -table["sa"], "logp": table["logp"], "ring_penalty": table["ring_penalty"]}
    expected = 2 * scored["qed"] + scored["sa"] + scored["logp"] + scored["ring_penalty"]
    rewards = terminal(["C1CCCCCCC1C"] * 2 + ["CC(", ""], [True, False, True, True], RewardWeights())
    np.testing.assert_allclose(rewards, [expected, -2, -2, -2], rtol=0, atol=1e-12)
    assert list(terminal_parts(scores.score(["C"]), [True], RewardWeights())) == [*scored, "invalid"]
    for name in (*scored, "invalid"):
        weights = RewardWeights(**(dict.fromkeys([*scored, "invalid"], 0.0) | {name: 3.0}))
        paid = terminal(["C1CCCCCCC1C", "C("], [True, True], weights)
        assert paid.tolist() == pytest.approx([3 * scored.get(name, 0), 3.0 if name == "invalid" else 0.0])


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(STRINGS), st.integers(0, 119))
def test_rewards_of_a_prefix_stay(smiles: str, length: int) -> None:
    """Protects the design of training: the reward of a token depends on the tokens before it alone."""
    whole = prefix_rewards([smiles], [len(smiles) < 120])[0]
    part = prefix_rewards([smiles[:length]], [False])[0, : min(length, len(smiles))]
    np.testing.assert_array_equal(part, whole[: len(part)])


def test_the_horizon_ends_a_molecule() -> None:
    """Protects the last of 120 tokens: it ends the molecule without an end token; one fewer does not."""
    validity = prefix_parts(["C" * 120, "C" * 119], [False, False], 120, LATEST)["validity"]
    assert validity[0, -1] == LATEST.end_valid_bonus
    assert validity[1, -2:].tolist() == [LATEST.any_valid_bonus, 0.0]
    assert prefix_rewards([""], [True], steps=1).tolist() == [[LATEST.short_seq + LATEST.end_invalid_penalty]]
