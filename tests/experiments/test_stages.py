"""From prior to measures with the real domain, tiny: the same numbers however the work is spread, none done twice."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from repro import evaluation, runs
from repro.experiments import music as experiments, stages
from repro.music import measures
from repro.prior import Trained, train as train_prior
from repro.rnn import SequenceRNN
from repro.settings import PriorSettings, Study, TutorSettings, study

TINY = TutorSettings(rounds=2, games=16, batch_episodes=8, replay_episodes=32, evaluate_every=1, evaluation_games=8)
TASKS = [(TutorSettings(**{**TINY.__dict__, "method": method}), 0) for method in ("psi", "g", "q", "rl_only")]
MUSIC = experiments.MUSIC


def tuned(monkeypatch: pytest.MonkeyPatch, folder: str, jobs: int) -> list[tuple[runs.Record, runs.Record]]:
    monkeypatch.setenv("REPRO_CACHE", folder)
    monkeypatch.setenv("REPRO_JOBS", str(jobs))
    return stages.policies(MUSIC, SequenceRNN(38, 12, seed=1).eval(), TASKS, 300)


def test_one_process_or_two_give_the_same_bytes(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Protects determinism of parallel work: weights, curves and measures of every method are equal."""
    one, two = (tuned(monkeypatch, str(tmp_path_factory.mktemp("runs")), jobs) for jobs in (1, 2))
    for (policy_1, measured_1), (policy_2, measured_2) in zip(one, two, strict=True):
        assert policy_1.numbers["weights_sha256"] == policy_2.numbers["weights_sha256"]
        assert repr(policy_1.numbers["curve"]) == repr(policy_2.numbers["curve"])  # the first loss is NaN
        assert measured_1.numbers == measured_2.numbers


def test_finished_work_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Protects time: the second call trains nothing, and another seed would."""
    folder = str(tmp_path_factory.mktemp("runs"))
    first = tuned(monkeypatch, folder, 1)
    monkeypatch.setattr(stages, "train", lambda *arguments: pytest.fail("a finished run was trained again"))
    again = tuned(monkeypatch, folder, 1)
    assert [record.digest for pair in again for record in pair] == [record.digest for pair in first for record in pair]


def test_the_table_is_long_and_unique() -> None:
    """Protects outside readers: one value a row, the prior with seed 0 and no c, all promised metrics there."""
    rnn = SequenceRNN(38, 12, seed=1).eval()
    table = stages.table("as_notated", stages.measures(MUSIC, rnn, 300), stages.policies(MUSIC, rnn, TASKS[:1], 300))
    assert not table.duplicated(["experiment", "method", "c", "seed", "metric"]).any()
    prior = table[table["method"] == "prior"]
    assert prior["c"].isna().all() and (prior["seed"] == 0).all()
    promised = set(measures.rule_counts([[2] * 32]).index) | {
        "log_p", "log_p_last", "task_reward", "kl", "entropy", "unique", "edit_distance"}  # fmt: skip
    assert set(prior["metric"]) == promised == set(table.loc[table["method"] == "psi", "metric"])


def test_the_prior_measured_against_itself() -> None:
    """Protects the measures: no KL from itself, entropy is minus log p in the mean, probabilities sum to 1."""
    record = stages.measures(MUSIC, SequenceRNN(38, 12, seed=1).eval(), 2000)
    metrics = record.numbers["metrics"]
    assert metrics["kl"] == pytest.approx(0.0, abs=1e-6)
    assert metrics["entropy"] == pytest.approx(-metrics["log_p"], abs=0.02)
    np.testing.assert_allclose(np.array(record.numbers["probabilities"]).sum(axis=0), 1.0, atol=1e-4)
    assert metrics["task_reward"] == pytest.approx(sum(record.numbers["reward_parts"].values()))


def test_the_same_priming_for_every_model() -> None:
    """Protects comparisons by ear: all models continue the same first notes with the same random numbers."""
    one, two = (evaluation.sampled(MUSIC, [SequenceRNN(38, 12, seed=seed)], 300, seed=7) for seed in (1, 1))
    other = evaluation.sampled(MUSIC, [SequenceRNN(38, 12, seed=2)], 300, seed=7)
    assert np.array_equal(one[1], two[1]) and np.array_equal(one[0], other[0]) and not np.array_equal(one[1], other[1])


def test_a_prior_is_trained_only_when_it_has_to_be() -> None:
    """Protects a clone from converting tunes it does not need: splits are asked for once, then the prior is read."""
    asked = []

    def splits() -> list[list[np.ndarray]]:
        asked.append(1)
        return [[np.tile([2, 1, 4, 1], 20)]] * 3

    settings = PriorSettings(cells=8, steps=3, windows=4, window_events=8)
    one, two = (stages.prior("test", splits, lambda: MUSIC.vocabulary, settings, data="made up") for _ in range(2))
    assert len(asked) == 1 and runs.weights_digest(one.rnn()) == runs.weights_digest(two.rnn())
    assert set(two.numbers["test"]) == {"nll", "accuracy", "events"} and two.numbers["test_without_32"]["events"] == 47


EXPERIMENTS = {"as_notated": experiments.note_rnn_key, "rebuilt": experiments.rebuilt_note_rnn_key}


def reported(name: str) -> Study:
    """What the laptop preset tunes in an experiment."""
    laptop = study("laptop")
    return experiments.rebuilt_study(laptop) if name == "rebuilt" else laptop


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_shipped_prior_and_policies_are_those_of_the_laptop_preset(name: str) -> None:
    """Protects the clone that opens in seconds: prior, and one policy a method with its weights, are found and fit."""
    laptop = reported(name).first()
    prior = runs.find(EXPERIMENTS[name](laptop), runs.PRIORS, with_weights=True)
    assert prior is not None
    for settings, seed in laptop.runs():
        key = stages.policy_key(MUSIC, runs.weights_digest(prior.rnn()), settings, seed)
        assert runs.find(key, runs.POLICIES, with_weights=True) is not None, settings.method


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_all_reported_numbers_are_shipped(name: str) -> None:
    """Protects the notebooks of a clone: no run of the laptop preset has to be trained or measured to show them."""
    laptop = reported(name)
    prior = runs.find(EXPERIMENTS[name](laptop), runs.PRIORS, with_weights=True)
    assert prior is not None
    weights = runs.weights_digest(prior.rnn())
    assert runs.find(stages.measures_key(MUSIC, weights, laptop.melodies)) is not None
    for settings, seed in laptop.runs():
        key = stages.policy_key(MUSIC, weights, settings, seed)
        assert runs.find(key) is not None and runs.find(stages.measures_key(MUSIC, key, laptop.melodies)) is not None


def test_two_causes_of_repetition() -> None:
    """Protects the explanation of the paper's 63 %: a note of six sixteenths is fine until its holds count as rests."""
    melody = np.array([[14, 1, 1, 1, 1, 1, 18, 1, 1, 1, 1, 1, 21, 1, 1, 1, 1, 1] + [14, 1] * 7])
    table = experiments.two_causes(melody)
    assert table.loc["1 x", "repeated, as the paper says"] == 0
    assert table.loc["1 x", "repeated, rest and hold exchanged"] > 0.25
    assert table.loc["2 x", "repeated, as the paper says"] > 0.15
    quick = np.array([[14, 1, 16, 1, 18, 1, 16, 1] * 4])
    motifs = experiments.two_causes(quick)["in motif, in both readings"]
    assert motifs["1 x"] == measures.rule_counts(quick)["in_motif"] > 0.5 and motifs["4 x"] == 0
    assert table.loc["paper", "repeated, rest and hold exchanged"] == 0.633


def test_causes_of_repetition_are_tried_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects the table of Note RNNs: each of the eight learns from what its row says, and none is trained twice."""
    folk = [np.array([14, 1, 16, 1] * 30), np.array([18, 1, 1, 1] * 30)]
    monkeypatch.setattr(experiments, "_tunes_key", lambda _: "two tunes")
    monkeypatch.setattr(experiments, "tunes", lambda _: SimpleNamespace(of=lambda split: folk))
    learned = []

    def train(learn: list[np.ndarray], *others: object, **more: object) -> Trained:
        learned.append(np.concatenate(learn))
        return train_prior(learn, *others, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(stages, "train_prior", train)
    monkeypatch.setenv("REPRO_JOBS", "1")
    tiny = study("smoke", melodies=300, prior_cells=8, prior_windows=40, held_out_windows=4)
    table = experiments.causes_table(experiments.causes(tiny))
    assert len(learned) == 8 and len(table) == 9 and table["repeated"].between(0, 1).all()
    again = experiments.causes_table(experiments.causes(tiny))
    assert again.equals(table) and len(learned) == 8
    for events, row in zip(learned, table.to_dict("records"), strict=False):
        note_off, held = (0, 1) if row["event_coding"] == "paper" else (1, 0)
        struck = (events >= 2).mean()
        assert ((events == note_off).mean() > 0) == (row["silences"] > 0)
        assert (events == held).mean() == pytest.approx(1 - struck, abs=0.05)
        assert struck < 0.15 if row["speed"] == "quarter" else struck > 0.15
    assert table.iloc[-1]["repeated"] == 0.633 and table.iloc[-1]["accuracy"] == 0.92
