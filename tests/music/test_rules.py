"""The nine rules against the authors' code, against a slow reading of the rules, and the laws that they obey."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from repro.music import rules

FOLDER = Path(__file__).parents[1] / "golden"
GOLDEN = json.loads((FOLDER / "music_public.json").read_text())["compositions"]
MODES = json.loads((FOLDER / "collect_reward.json").read_text())
NOTES = np.array([piece["notes"] for piece in GOLDEN])
AUTHORS_NAMES = {
    "key": "key", "tonic": "tonic", "repetition": "penalize_repeating", "autocorrelation": "penalize_autocorrelation",
    "motif": "motif", "repeated_motif": "repeated_motif", "intervals": "preferred_intervals",
    "leaps": "leap_up_back", "unique_extremes": "high_low_unique",
}  # fmt: skip


UNTIED = np.ones(NOTES.shape, dtype=bool)  # where no autocorrelation is within rounding of .15
for row, piece in enumerate(GOLDEN):
    UNTIED[row, [time for time, _ in piece["near_autocorr_threshold"]]] = False


@pytest.mark.parametrize("rule", AUTHORS_NAMES)
def test_rule_pays_what_the_authors_code_pays(rule: str) -> None:
    """Protects every rule, event by event, on random melodies, tunes and edge cases."""
    authors = np.array([piece["rewards"][AUTHORS_NAMES[rule]] for piece in GOLDEN])
    where = UNTIED if rule == "autocorrelation" else np.full(NOTES.shape, True)
    np.testing.assert_allclose(rules.step_rewards(NOTES)[rule][where], authors[where], rtol=0, atol=1e-6)


def test_total_is_the_authors_total_and_names_are_the_contract() -> None:
    """Protects the sum, which the authors' code computed by another path than the terms; names and order of the rules,
    on which outsiders rely; that a tie costs nothing (deviations -2 -2 -2 -2 8 have r = -4/80, -8/80 and -12/80, which
    is -.15); the caller's array, which the replay memory keeps; and narrow integers, which are as good as wide ones.
    """
    authors, before = np.array([piece["total"] for piece in GOLDEN]), NOTES.copy()
    rewards = rules.total_reward(NOTES)
    np.testing.assert_allclose(rewards[UNTIED], authors[UNTIED], rtol=0, atol=1e-6)
    assert list(rules.RULES) == list(rules.step_rewards([[14, 1]])) == list(AUTHORS_NAMES)
    assert rules.step_rewards([[14, 14, 14, 14, 16]])["autocorrelation"][0, -1] == 0.0
    for dtype in (np.int8, np.uint8, np.int32):
        np.testing.assert_array_equal(rules.total_reward(NOTES.astype(dtype)), rewards)
    np.testing.assert_array_equal(NOTES, before)


ALL, BASIC = list(AUTHORS_NAMES), ["key", "tonic", "repetition"]


@pytest.mark.parametrize(
    ("mode", "parts", "with_log_p"),
    [
        ("music_theory_all", ALL, True), ("music_theory_only", ALL, False), ("music_theory_basic", BASIC, True),
        ("music_theory_basic_plus_variety", [*BASIC, "autocorrelation"], True), ("music_theory_random", BASIC, False),
        ("key_and_tonic", ["key", "tonic"], False), ("preferred_intervals", ["intervals"], False),
    ],
)  # fmt: skip
def test_rules_add_up_to_the_authors_reward_modes(mode: str, parts: list[str], with_log_p: bool) -> None:
    """Protects the scale: reward = domain part / c (+ log p), with the rules that each mode names."""
    for case in MODES["cases"]:
        rewards = rules.step_rewards([case["notes"]])
        expected = MODES["meta"]["reward_scaler"] * sum(rewards[part][0] for part in parts)
        expected = expected + with_log_p * np.array(case["log_p"])
        np.testing.assert_allclose(case["reward"][mode], expected, rtol=0, atol=1e-6)


# A slow reading of the rules: one melody, one event at a time, nothing shared with the library.
IN_KEY = {0, 1, 2, 4, 6, 7, 9, 11, 13, 14, 16, 18, 19, 21, 23, 25, 26, 28, 30, 31, 33, 35, 37}
CS, ES, GS = {2, 14, 26}, {6, 18, 30}, {9, 21, 33}
PREFERRED = {"third!": 0.75, "fifth!": 0.5, 2: 0.4, 4: 0.45, 5: 0.35, 7: 0.1, 9: 0.25, 11: -1.5}


def slow_repetition(past: list[int], event: int) -> float:
    """Looks back from the event until a different pitch."""
    count, rests, holds = 0, False, False
    for earlier in reversed(past):
        if earlier == event:
            count += 1
        elif earlier == 0:
            rests = True
        elif earlier == 1:
            holds = True
        else:
            break
    too_many = (event == 0 and count > 1) or (not rests and not holds and count > 4) or count > 6
    return -100.0 if too_many else 0.0


def slow_autocorrelation(melody: list[int]) -> float:
    deviations = [len(melody) * event - sum(melody) for event in melody]  # n times too large, but whole
    variance = sum(deviation**2 for deviation in deviations)
    penalty = 0.0
    for lag in (1, 2, 3):
        covariance = sum(deviations[i + lag] * deviations[i] for i in range(len(melody) - lag))
        if variance and 20 * abs(covariance) > 3 * variance:
            penalty += 3.0 * abs(covariance / variance)
    return -penalty


def slow_motifs(melody: list[int]) -> tuple[float, float]:
    window, notes = melody[-8:], len(set(melody[-8:]) - {0, 1})
    if len(melody) < 8 or notes < 3:
        return 0.0, 0.0
    past = melody[:-8]
    heard = any(past[start : start + 8] == window for start in range(len(past)))
    return 3 + 0.3 * (notes - 3), 4.0 + (notes - 3) if heard else 0.0


def slow_interval(past: list[int], event: int) -> tuple[int | str | None, int]:
    pitches = [earlier for earlier in past if earlier > 1]
    if not pitches:
        return None, 0
    last = pitches[-1]
    if event < 2:
        return ("hold" if event else "rest") + ("!" if last in CS | GS else ""), last
    distance = abs(event - last)
    if distance == 7 and last in CS | GS:
        return "fifth!", last
    if distance == 4 and last in CS | ES:
        return "third!", last
    return distance, last


def slow_interval_reward(kind: int | str | None) -> float:
    if isinstance(kind, int) and kind > 12:
        return -5.0
    return (PREFERRED | {"rest": 0.25, "hold": 0.375, "rest!": 0.75, "hold!": 1.5}).get(kind, 0.0)


def slow_leaps(melody: list[int]) -> list[float]:
    rewards, direction, origin, steps = list[float](), 0, 0, 0  # of the open leap; and events since the last leap
    for time, event in enumerate(melody):
        kind, last = slow_interval(melody[:time], event)
        leaps = event > 1 and (kind == "fifth!" or (isinstance(kind, int) and kind >= 7))
        new, reward = (1 if event > last else -1), 0.0
        if leaps and direction == 0:
            direction, origin = new, last
        elif leaps and direction == new:
            reward = -5.0
        elif leaps:
            direction, reward = 0, 5.0 if steps > 6 else 0.0
        elif event > 1 and direction and direction * (event - origin) <= 0:
            direction, reward = 0, 5.0
        steps = 0 if leaps else steps + (time > 0)
        rewards.append(reward)
    return rewards


def slow_rewards(melody: list[int]) -> dict[str, list[float]]:
    rewards: dict[str, list[float]] = {name: [] for name in AUTHORS_NAMES} | {"leaps": slow_leaps(melody)}
    for time, event in enumerate(melody):
        past, now = melody[:time], melody[: time + 1]
        tonic = {28: {14}, 29: {1}, 30: {0, 1}, 31: {0, 1}, 0: {14}}
        pitches = [other for other in now if other > 1]
        highest = 3.0 * (now.count(max(now)) == 1)
        lowest = 3.0 * (bool(pitches) and pitches.count(min(pitches)) == 1)
        motif, repeated_motif = slow_motifs(now)
        rewards["key"].append(0.0 if event in IN_KEY else -1.0)
        rewards["tonic"].append(3.0 * (event in tonic.get(time, set())))
        rewards["repetition"].append(slow_repetition(past, event))
        rewards["autocorrelation"].append(slow_autocorrelation(now))
        rewards["motif"].append(motif)
        rewards["repeated_motif"].append(repeated_motif)
        rewards["intervals"].append(slow_interval_reward(slow_interval(past, event)[0]))
        rewards["unique_extremes"].append((highest + lowest) * (len(now) == 32))
    return rewards


def weighted(rests: float, holds: float, pitches: list[int]) -> Callable[[np.random.Generator, tuple], np.ndarray]:
    def draw(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        kind = rng.random(shape)
        return np.where(kind < rests, 0, np.where(kind < rests + holds, 1, rng.choice(pitches, size=shape)))

    return draw


def walks(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    pitches = np.clip(14 + np.cumsum(rng.choice([-12, -7, -4, -2, -1, 0, 1, 2, 4, 7], size=shape), axis=1), 2, 37)
    return np.where(rng.random(shape) < 0.3, rng.integers(2, size=shape), pitches)


def loops(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    melodies = np.empty(shape, dtype=int)
    for row in melodies:
        row[:] = np.resize(walks(rng, (1, int(rng.integers(5, 13))))[0], shape[1])
    return np.where(rng.random(shape) < 0.02, rng.integers(38, size=shape), melodies)


FAMILIES = {
    "uniform": weighted(0, 0, list(range(38))), "only rests and holds": weighted(0.4, 0.6, [14]),
    "mostly holds": weighted(0.05, 0.75, [9, 14, 21]), "one pitch": weighted(0.05, 0.1, [21]),
    "two pitches": weighted(0.03, 0.03, [14, 21]), "few pitches": weighted(0.1, 0.2, [14, 16, 18, 21, 26]),
    "wide leaps": weighted(0.1, 0.3, [2, 9, 14, 20, 26, 37]), "walks": walks, "loops": loops,
}  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
def test_batch_equals_slow_reading(family: str) -> None:
    """Protects the vectorised arithmetic where the authors' vectors are thin: 300 melodies of each kind. Beginnings
    too: a reward stays as it was earned when the melody goes on, and the final bar is where it is in a finished one.
    """
    melodies = FAMILIES[family](np.random.default_rng(len(family)), (300, 32))
    slow = [slow_rewards(melody) for melody in melodies.tolist()]
    for length in (1, 2, 7, 24, 29, 31, 32):
        for name, values in rules.step_rewards(melodies[:, :length]).items():
            assert values.shape == (300, length) and values.dtype == np.float64
            expected = [one[name][:length] for one in slow]
            np.testing.assert_allclose(values, expected, rtol=0, atol=1e-12, err_msg=name)
