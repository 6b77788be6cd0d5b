"""The two rewards against the authors' code, by hand, and the laws that they obey."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from repro.molecules import reward, scores
from repro.molecules.reward import LATEST, TRAIN, AuthorsReward, TerminalReward

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "molecules_public.json").read_text())
MOLECULES = GOLDEN["molecules"]
ENDED = [molecule["ended_with_eos"] for molecule in MOLECULES]
STRINGS = ["".join(GOLDEN["meta"]["vocab"][token] for token in molecule["seq"] if token) for molecule in MOLECULES]
RING_NAMES = {"logp_multiplier": "logp", "ringp_multiplier": "ring_penalty"}
NAMES = RING_NAMES | {"qed_multiplier": "qed", "sa_multiplier": "sa"}


def as_settings(config: str) -> AuthorsReward:
    """Returns a setting of the authors' code in our names; `data_scalar` weighs log p, which is no reward."""
    values = {NAMES.get(name, name): value for name, value in GOLDEN["meta"]["configs"][config].items()}
    return reward.weighted(AuthorsReward(), {name: v for name, v in values.items() if name != "data_scalar"})


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
    """Protects the values of the two presets."""
    assert as_settings("latest") == LATEST
    assert as_settings("train") == TRAIN


@pytest.mark.parametrize("config", GOLDEN["meta"]["configs"])
def test_every_step_pays_what_the_authors_code_pays(config: str) -> None:
    """Protects the per-prefix reward at every token of 100 molecules, also where every term is at work."""
    weights = as_settings(config)
    ours = reward.prefix_rewards(STRINGS, ENDED, weights, steps=120)
    assert ours.shape == (len(STRINGS), 120)
    for row, molecule in zip(ours, MOLECULES, strict=True):
        expected = authors_reward(molecule, config, weights)
        np.testing.assert_allclose(row[: len(expected)], expected, rtol=0, atol=1e-6, err_msg=molecule["id"])
        assert not row[len(expected) :].any()


@pytest.mark.parametrize("config", GOLDEN["meta"]["configs"])
def test_length_penalty_is_the_authors(config: str) -> None:
    """Protects both sides of all four thresholds."""
    expected = GOLDEN["tables"]["length_penalty_by_length"][config]
    assert [reward.length_penalty(length, as_settings(config)) for length in range(len(expected))] == expected


def test_carbon_penalty_is_the_authors() -> None:
    """Protects the count: the 13th C in a row is the first to cost, and another token ends the row."""
    expected = GOLDEN["tables"]["carbon_penalty_by_preceding_C"]
    carbons = reward.prefix_parts(["C" * len(expected), "C" * 12 + "O" + "C" * 12], [False, False])["carbons"]
    assert carbons[0, : len(expected)].tolist() == expected
    assert not carbons[1].any()


def test_chlorine_is_a_carbon_to_characters_alone() -> None:
    """Protects the quirk where it belongs: as a token of its own Cl is no C."""
    chain = ["C"] * 12
    parts = [reward.prefix_parts([[*chain, *last]], [False])["carbons"][0] for last in (["C", "l"], ["Cl"])]
    assert parts[0].tolist() == [0.0] * 12 + [-150.0, 0.0]
    assert not parts[1].any()


def test_terminal_reward_by_hand() -> None:
    """Protects the formula, and -2 for what is invalid, empty or unfinished."""
    table = scores.score(["CCO"]).loc[0]
    expected = 2 * table["qed"] - table["sa"] + table["logp"]
    rewards = reward.terminal(["CCO", "CCO", "CC(", "", "C1CCCCCCC1"], [True, False, True, True, True])
    np.testing.assert_allclose(rewards[:4], [expected, -2, -2, -2], rtol=0, atol=1e-12)
    ring = scores.score(["C1CCCCCCC1"]).loc[0]
    assert rewards[4] == pytest.approx(2 * ring["qed"] - ring["sa"] + ring["logp"] - 2)


def test_terminal_weights_are_settings() -> None:
    """Protects each weight from being ignored or mixed up with another."""
    table = scores.score(["C1CCCCCCC1C", "C("])
    row = table.loc[0]
    scored = {"qed": row["qed"], "sa": -row["sa"], "logp": row["logp"], "ring_penalty": row["ring_penalty"]}
    nothing = dict.fromkeys([*scored, "invalid"], 0.0)
    for name, value in scored.items():
        weights = reward.weighted(TerminalReward(), nothing | {name: 3.0})
        assert reward.terminal(["C1CCCCCCC1C", "C("], [True, True], weights).tolist() == pytest.approx([3 * value, 0])
    weights = reward.weighted(TerminalReward(), nothing | {"invalid": -7.0})
    assert reward.terminal(["C1CCCCCCC1C", "C("], [True, True], weights).tolist() == [0.0, -7.0]


def test_parts_add_up() -> None:
    """Protects the parts from leaving something out of the whole."""
    parts = reward.prefix_parts(STRINGS[:20], ENDED[:20])
    assert tuple(parts) == reward.PARTS
    np.testing.assert_allclose(sum(parts.values()), reward.prefix_rewards(STRINGS[:20], ENDED[:20]), atol=1e-12)
    table = scores.score(STRINGS[:20])
    parts = reward.terminal_parts(table, ENDED[:20], TerminalReward())
    assert list(parts) == [field.name for field in fields(TerminalReward)]
    np.testing.assert_allclose(sum(parts.values()), reward.terminal(STRINGS[:20], ENDED[:20]), atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(STRINGS), st.integers(0, 119))
def test_rewards_of_a_prefix_stay(smiles: str, length: int) -> None:
    """Protects the design of training: the reward of a token depends on the tokens before it alone."""
    whole = reward.prefix_rewards([smiles], [len(smiles) < 120])[0]
    part = reward.prefix_rewards([smiles[:length]], [False])[0]
    np.testing.assert_array_equal(part, whole[: len(part)])


def test_molecules_do_not_influence_one_another() -> None:
    """Protects the cache of prefixes: a batch is its molecules one by one, in any order."""
    batch = reward.prefix_rewards(STRINGS[:10], ENDED[:10], steps=120)
    for row, smiles, ended in list(zip(batch, STRINGS, ENDED, strict=False))[::-1]:
        np.testing.assert_array_equal(row, reward.prefix_rewards([smiles], [ended], steps=120)[0])


def test_the_horizon_ends_a_molecule() -> None:
    """Protects the last of 120 tokens: it ends the molecule without an end token; one fewer does not."""
    validity = reward.prefix_parts(["C" * 120, "C" * 119], [False, False])["validity"]
    assert validity[0, -1] == LATEST.end_valid_bonus
    assert validity[1, -2:].tolist() == [LATEST.any_valid_bonus, 0.0]


@pytest.mark.parametrize("preset", [TerminalReward(), LATEST])
@pytest.mark.parametrize(
    ("weights", "sentence"),
    [({"druglikeness": 1.0}, "the weights are .*qed"), ({"qed": float("nan")}, "finite"), ({"qed": "2"}, "finite")],
)
def test_bad_weights_are_refused(preset: TerminalReward | AuthorsReward, weights: dict, sentence: str) -> None:
    """Protects from misspelt weights, which the authors' library read as nothing, and from rewards that are nan."""
    with pytest.raises(ValueError, match=sentence):
        reward.weighted(preset, weights)


def test_bad_batches_are_refused() -> None:
    """Protects from flags that belong to another batch, and from molecules beyond the horizon."""
    with pytest.raises(ValueError, match="flags"):
        reward.terminal(["CCO"], [True, False])
    with pytest.raises(ValueError, match="flags"):
        reward.prefix_rewards(["CCO"], [])
    with pytest.raises(ValueError, match="sequence 1 has 121 tokens"):
        reward.prefix_rewards(["CC", "C" * 120], [True, True])
    with pytest.raises(ValueError, match="at most 3"):
        reward.prefix_rewards(["CCO"], [True], steps=3)
    with pytest.raises(ValueError, match="list of SMILES"):
        reward.terminal("CCO", [True])


def test_nothing_has_no_rewards() -> None:
    """Protects empty batches, and the end token that comes first: an empty molecule is invalid."""
    assert reward.prefix_rewards([], []).shape == (0, 0)
    assert reward.terminal([], []).shape == (0,)
    assert reward.prefix_rewards([""], [True]).tolist() == [[LATEST.short_seq + LATEST.end_invalid_penalty]]
