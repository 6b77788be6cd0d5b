"""Ten lines: own sequences, own priors, both forms, what is saved, and what is refused in one sentence."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small import Bandit, Broken, Coins, uniform_rnn
from torch import nn

import repro
from repro import own_inputs, processes, store, yours
from repro.domain import DomainError
from repro.molecules.data import Vocabulary
from repro.own_inputs import Prior
from repro.roads import ROADS
from repro.settings import SettingsError

POOL = {"a2po": {"pool": 8}}
COINS = Prior(uniform_rnn(3), Coins.vocabulary)


def ones(strings: list[str]) -> list[float]:
    return [float(string.count("1")) for string in strings]


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("REPRO_NO_BARS", "1")
    for room in (yours, store):
        monkeypatch.setattr(room, "ROOT", tmp_path)


def test_own_strings_are_learned_tuned_compared_and_saved() -> None:
    """Protects the ten lines: a prior of own strings, tuned in both forms, earns more near it and is found again."""
    rng = np.random.default_rng(0)
    strings = ["".join(rng.choice(["0", "1"], size=rng.integers(2, 6), p=[0.8, 0.2])) for _ in range(500)]
    domain = repro.Sequences("01", ones, horizon=8)
    prior = repro.fit(domain, strings, steps=120, cells=16, learning_rate=1e-2)
    repro.check(domain, prior)
    before = repro.sample(domain, prior, 400)["reward"].mean()
    assert before == pytest.approx(np.mean(ones(strings)), abs=0.3)
    paper = repro.tune(domain, prior, "g", c=1.0, steps=60, form="paper")
    path = repro.tune(domain, prior, c=1.0, steps=60)
    for tuned in (path, paper):
        table = tuned.compare(400)
        assert table["prior"]["kl"] == pytest.approx(0, abs=1e-4) and table["policy"]["kl"] > 0.05
        assert table["prior"]["J"] < table["policy"]["J"] < table["policy"]["log_z"] + 0.2
        assert 0 < table["policy"]["distinct"] < 0.5  # there are few strings as short as these
    path.save("ones-c0.5")
    again, played = repro.load("ones-c0.5", domain), path.sample(50, seed=3)
    assert again.settings == path.settings and again.sample(50, seed=3).equals(played)
    alone = repro.load("ones-c0.5")  # the same sequences, whose reward nobody knows
    assert alone.sample(50, seed=3).drop(columns="reward").equals(played.drop(columns="reward"))
    assert alone.sample(50)["reward"].isna().all()
    with pytest.raises(DomainError, match="the reward is not saved with a policy: give `load` its domain"):
        alone.compare(50)
    longer, endless = (repro.Sequences("01", ones, horizon=horizon) for horizon in (9, 8))
    endless.end = None
    wrong: list[tuple[Any, str]] = [
        (Coins(), "'coins' and its prior"), (longer, "tuned with the horizon 8, which 'sequences'"),
        (endless, "tuned with the end 2, which"), ([], "domain is ..: give"),
    ]  # fmt: skip
    for another, why in wrong:
        with pytest.raises(DomainError, match=why):
            repro.load("ones-c0.5", another)
    for ask, seed in ((path.sample, -1), (path.compare, 1.5)):
        with pytest.raises(SettingsError, match=f"seed is {seed}: it must be a whole number from 0 on"):
            ask(50, seed=seed)


@pytest.mark.parametrize("road", ROADS)
def test_every_road_may_be_taken(road: str) -> None:
    """Protects `method`: what notebook 10 compares is there for own strings and molecules, saved and read too."""
    domain = repro.Sequences("01", ones, 5)
    prior = Prior(uniform_rnn(3), domain.vocabulary)
    tuned = repro.tune(domain, prior, road, c=1.0, steps=2, episodes=4, replayed=0, **POOL.get(road, {}))
    tuned.save(road)
    assert repro.load(road, domain).sample(5).equals(tuned.sample(5))
    made = yours._defaults(repro.Molecules(Vocabulary.of(["CO"], "regex")), "path", road)
    assert (made.method, made.episodes, made.replayed > 0) == (road, 16, ROADS[road].from_memory)


def test_two_own_domains_have_two_names() -> None:
    """Protects from another reward's results: alphabet, horizon and reward are part of a run's name."""
    domains = [repro.Sequences("01", ones, 8), repro.Sequences("01", ones, 9), repro.Sequences("ab", ones, 8),
               repro.Sequences("01", lambda strings: [1.0 for _ in strings], 8)]  # fmt: skip
    assert len({store.key_of(domain.spec()) for domain in domains}) == 4
    cut, whole = np.array([0, 0, 0, 0]), np.array([1, 0, 2, 2])  # the end token is 2
    paid = repro.Sequences("01", lambda strings: [float(len(s)) for s in strings], 4, invalid=-7)
    assert paid.step_rewards(np.array([cut, whole])).tolist() == [[0, 0, 0, -7], [0, 0, 2, 0]]


def test_a_step_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects whoever waits: a bar of all steps."""
    heard: list[int] = []
    monkeypatch.setattr(processes.tqdm, "update", lambda _, n=1: heard.append(n))
    repro.tune(Bandit(), Prior(uniform_rnn(3), Bandit.vocabulary), c=1.0, steps=7, episodes=4)
    assert len(heard) == 7


def test_silent_traps_of_tuning_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects from a discount under a reward at the end, and from a loss that is no number."""
    domain = repro.Sequences("01", ones, 8)
    prior = Prior(uniform_rnn(3), domain.vocabulary)
    few = {"c": 1.0, "steps": 1, "games": 4, "batch_episodes": 4, "replay_episodes": 4, "evaluation_games": 4}
    with pytest.warns(UserWarning, match="gamma is 0.5: 8 tokens later a reward counts 0.004 times as much"):
        repro.tune(domain, prior, form="paper", gamma=0.5, **few)
    with pytest.warns(UserWarning, match="gamma is 0.5: 2 tokens later"):  # paid at the end, though nothing ends
        repro.tune(Bandit(), Prior(uniform_rnn(3), Bandit.vocabulary), form="paper", gamma=0.5, **few)
    monkeypatch.setattr("repro.domain.LARGEST", math.inf)
    with pytest.raises(FloatingPointError, match="the loss is inf after 2 gradient steps; a learning_rate below"):
        repro.tune(Broken(), Prior(uniform_rnn(3), Bandit.vocabulary), form="paper", **few)


def test_an_interrupt_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects whoever stops a tuning: how far it was, and what to do."""
    monkeypatch.setattr(yours, "train", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt, match="interrupted after 0 of 5 steps: nothing is kept"):
        repro.tune(Bandit(), Prior(uniform_rnn(3), Bandit.vocabulary), c=1.0, steps=5, episodes=4)


@pytest.mark.parametrize("embedded", [False, True])
def test_an_lstm_of_pytorch_is_the_same_prior(embedded: bool) -> None:
    """Protects priors of others: the same logits, biases and embedding folded in."""
    torch.manual_seed(0)
    embedding = nn.Embedding(5, 7) if embedded else None
    lstm, linear = nn.LSTM(7 if embedded else 5, 6, batch_first=True), nn.Linear(6, 5)
    tokens = torch.tensor([[0, 3, 1, 4]])
    read = embedding(tokens) if embedding else nn.functional.one_hot(tokens, 5).float()
    prior = repro.from_lstm(lstm, linear, "abcde", embedding)
    assert torch.allclose(prior.rnn(tokens), linear(lstm(read)[0]), atol=1e-6)


def test_shipped_priors_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects the first line of the ten."""
    monkeypatch.setattr(own_inputs, "ROOT", Path(repro.__file__).resolve().parent.parent)
    molecules, music = repro.load_prior("molecules"), repro.load_prior("music")
    domain = repro.Molecules(molecules, reward=lambda smiles: [len(s) for s in smiles])
    assert domain.vocabulary == molecules.vocabulary and music.rnn.vocabulary == len(repro.Music.vocabulary)
    words = "has no 'jazz' that can be read: it has exact-brackets, exact-days, exact-tones"
    with pytest.raises(FileNotFoundError, match=words):
        repro.load_prior("jazz")


def test_the_suggested_temperature_puts_the_optimum_there() -> None:
    """Protects the choice of c: on coins KL(p* || p) has a closed form, four times that of one toss."""
    c = repro.suggest_c(Coins(), COINS, kl=0.5, samples=20_000)
    share = np.array([1.0, 1.0, math.exp(1 / c)]) / (2 + math.exp(1 / c))
    assert 4 * float(share @ np.log(3 * share)) == pytest.approx(0.5, abs=0.03)


def test_rules_of_music_may_be_chosen_and_written() -> None:
    """Protects own rules: named ones pay what they pay among the nine, own ones what they return."""
    melodies = np.array([[14, 1, 16, 1] * 8, [2, 3, 4, 5] * 8])
    nine, some = repro.Music(), repro.Music(rules=["key", lambda sung: (sung == 14).astype(float)])
    parts = some.reward_parts(melodies)
    assert list(parts) == ["key", "<lambda> (1)"] and np.array_equal(parts["key"], nine.reward_parts(melodies)["key"])
    assert np.allclose(some.step_rewards(melodies), parts["key"] + (melodies == 14))
    assert nine.spec() == {"name": "music", "version": 1}
    assert some.spec()["rules"] != repro.Music(["key"]).spec()["rules"]
