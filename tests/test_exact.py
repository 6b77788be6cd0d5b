"""The enumerated domains: dynamic programming against sums over all sequences, networks against both, and learning."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pandas as pd
import pytest
import torch

from repro import runs
from repro.claims import music as claims
from repro.claims.exact import EXACT
from repro.episodes import alive, play_to_end
from repro.exact import BRACKETS, TONES, Enumerable, Exact, Table, bracket_rules, tone_rules
from repro.experiments import exact as exact_experiments
from repro.experiments.exact import SMALL_RNN, ExactStudy
from repro.figures import exact as exact_figures
from repro.kl_control import METHODS
from repro.prior import train as train_prior
from repro.rnn import SequenceRNN
from repro.settings import SettingsError
from repro.tables import exact as exact_tables
from repro.tutor import visited

C = exact_experiments.C


@pytest.fixture(scope="module")
def priors() -> dict[str, SequenceRNN]:
    """Trained priors, in a third of the steps."""
    made, settings = {}, dataclasses.replace(SMALL_RNN, steps=200)
    for domain in (BRACKETS, TONES):
        data = domain.corpus(20_000, 0)
        made[domain.name] = train_prior(data, data[:100], len(domain.vocabulary), settings).rnn
    return made


@pytest.fixture(params=[BRACKETS, TONES], ids=["brackets", "tones"])
def truth(request: pytest.FixtureRequest, priors: dict[str, SequenceRNN]) -> Exact:
    """Each domain, written out."""
    return Exact(request.param, priors[request.param.name], C)


def brute_force(truth: Exact) -> tuple[torch.Tensor, torch.Tensor]:
    """Log p(x) and r(x) / c of every sequence, by playing the sequences through the network and the rules."""
    tokens, end = torch.from_numpy(truth.sequences), truth.end
    first = np.full(len(tokens), truth.domain.first)  # type: ignore[attr-defined]
    log_p = visited(None, truth.prior, truth.prior, first, tokens)["log_p"].double()
    belongs = alive(tokens, end)
    rewards = torch.from_numpy(truth.domain.step_rewards(truth.sequences))
    return (log_p * belongs).sum(dim=1), (rewards * belongs).sum(dim=1) / C


def random_policy(truth: Exact, seed: int) -> Table:
    """Some policy or other."""
    generator = torch.Generator().manual_seed(seed)
    return [
        (2 * torch.randn(level.shape, generator=generator, dtype=torch.float64)).log_softmax(dim=1)
        for level in truth.log_prior
    ]


@pytest.mark.parametrize(("domain", "count"), [(BRACKETS, 3280), (TONES, 15_625)])
def test_all_sequences_are_there_once(domain: Enumerable, count: int, priors: dict[str, SequenceRNN]) -> None:
    """Protects the tree: every sequence that the trainers can play, by another enumeration, and a problem worth it."""
    truth = Exact(domain, priors[domain.name], C)
    played = {domain.text(np.array(t)) for t in itertools.product(range(truth.tokens), repeat=domain.horizon)}
    listed = [domain.text(sequence) for sequence in truth.sequences]
    assert len(listed) == len(set(listed)) == count
    assert set(listed) == played
    assert truth.kl_to_optimum(truth.log_prior) >= 1.5


def test_sums_along_the_paths_are_those_of_the_sequences(truth: Exact) -> None:
    """Protects prior and reward: log p(x) and r(x) / c are what the network and the rules say of whole sequences."""
    log_p, reward = brute_force(truth)
    torch.testing.assert_close(truth.along(truth.log_prior), log_p, atol=1e-4, rtol=0)
    torch.testing.assert_close(truth.along(truth.reward), reward)
    assert float(log_p.exp().sum()) == pytest.approx(1, abs=1e-5)


def test_optimum_is_the_prior_times_exp_reward(truth: Exact) -> None:
    """Protects the theorem: with gamma = 1 and nothing after the end, pi(x) = p(x) exp(r(x) / c) / Z."""
    log_p, reward = brute_force(truth)
    weights = (log_p + reward).exp().numpy()
    for method in ("psi", "g"):
        found = truth.along(truth.policy(method)).exp().numpy()
        np.testing.assert_allclose(found, weights / weights.sum(), atol=1e-6)
        np.testing.assert_allclose(found, truth.log_optimum.exp().numpy(), rtol=1e-10)
        assert truth.kl_to_optimum(truth.policy(method)) == pytest.approx(0, abs=1e-12)
    assert truth.log_z == pytest.approx(np.log(weights.sum()), abs=1e-5)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 0.95, 1.0])
def test_psi_is_log_p_plus_g(truth: Exact, gamma: float) -> None:
    """Protects the identity of the two forms, and that their policies are one, at every discount."""
    pairs = zip(truth.values("psi", gamma), truth.values("g", gamma), truth.log_prior, strict=True)
    assert max(float((psi - log_p - g).abs().max()) for psi, g, log_p in pairs) < 1e-12
    pairs = zip(truth.policy("psi", gamma), truth.policy("g", gamma), strict=True)
    assert max(float((psi - g).abs().max()) for psi, g in pairs) < 1e-12


def test_g_vanishes_as_the_temperature_grows(priors: dict[str, SequenceRNN]) -> None:
    """Protects G* -> 0 as c grows: the policy becomes the prior."""
    largest = []
    for c in (1.0, 10.0, 1e3, 1e7):
        truth = Exact(BRACKETS, priors["brackets"], c)
        largest.append(max(float(level.abs().max()) for level in truth.values("g")))
    assert largest == sorted(largest, reverse=True)
    assert largest[-1] < 1e-5
    assert truth.kl_to_optimum(truth.log_prior) < 1e-5


def test_objective_is_log_z_less_the_distance_from_the_optimum(truth: Exact) -> None:
    """Protects J(pi) = log Z - KL(pi || p*) for any policy: random ones, the prior, a network's, every method's."""
    network = SequenceRNN(truth.tokens, 8, seed=3)
    policies = [random_policy(truth, seed) for seed in range(3)]
    policies += [truth.log_prior, truth.policy_of("g", network), *(truth.policy(method, 0.7) for method in METHODS)]
    for policy in policies:
        assert truth.objective(policy) == pytest.approx(truth.log_z - truth.kl_to_optimum(policy), abs=1e-9)
        assert truth.kl_to_optimum(policy) > 1e-3


def test_a_discount_costs(truth: Exact) -> None:
    """Protects what the notebook says of the paper's discounts: the further from 1, the further from p*."""
    costs = [truth.kl_to_optimum(truth.policy("psi", gamma)) for gamma in (0.5, 0.95, 1.0)]
    assert costs[0] > 10 * costs[1] > 0.01
    assert costs[2] == pytest.approx(0, abs=1e-12)


def test_q_plans_for_the_one_best_sequence(truth: Exact) -> None:
    """Protects the hard maximum: max Q* is the largest log p + r / c of any sequence, and exp Q* is not the optimum."""
    log_p, reward = brute_force(truth)
    assert float(truth.values("q")[0].max()) == pytest.approx(float((log_p + reward).max()), abs=1e-5)
    assert float(truth.values("rl_only")[0].max()) == pytest.approx(float(reward.max()))
    assert truth.kl_to_optimum(truth.policy("q")) > 0.1


@pytest.mark.parametrize("method", METHODS)
def test_a_network_s_policy_is_a_distribution(truth: Exact, method: str) -> None:
    """Protects the reading of networks: the probabilities of all sequences sum to 1."""
    network = SequenceRNN(truth.tokens, 8, seed=3)
    total = truth.along(truth.policy_of(method, network)).exp().sum()
    assert float(total) == pytest.approx(1, abs=1e-9)


def test_what_is_played_is_what_is_enumerated(truth: Exact) -> None:
    """Protects the link to the trainers: 20,000 sequences of G and prior occur as often as their probabilities say."""
    network = SequenceRNN(truth.tokens, 8, seed=3)
    numbers, count = np.random.default_rng(0), 20_000
    first = truth.domain.first_inputs(count, numbers)
    tokens = play_to_end([network, truth.prior], first, truth.domain.horizon, truth.end, numbers).numpy()
    rank = {sequence.tobytes(): place for place, sequence in enumerate(truth.sequences.astype(np.int64))}
    seen = np.bincount([rank[sequence.tobytes()] for sequence in tokens], minlength=len(rank))
    probable = truth.along(truth.policy_of("g", network)).exp().numpy()
    likely = count * probable >= 10
    apart = (seen - count * probable)[likely] / np.sqrt(count * probable * (1 - probable))[likely]
    assert np.sqrt(np.mean(apart**2)) == pytest.approx(1, abs=0.25)


def test_bracket_rules_by_hand() -> None:
    """Protects the reward of strings: alone, hollow, nested, open, without an end."""

    def worth(text: str) -> dict[str, list[float]]:
        tokens = [BRACKETS.vocabulary.index(letter) for letter in text.ljust(7, "$")]
        parts = bracket_rules(np.array([tokens]))
        return {name: part[0].tolist() for name, part in parts.items() if part.any()}

    assert worth("CC") == {}
    assert worth("C(C)") == {"branches": [0, 0, 0, 1, 0, 0, 0]}
    assert worth("C((C))") == {"branches": [0, 0, 0, 0, 1, 1, 0]}
    assert worth("()") == {}
    assert worth("C)(") == {"alone": [0, -1, 0, -1, 0, 0, 0]}
    assert worth("))((") == {"alone": [-1, -1, 0, 0, -2, 0, 0]}
    assert worth("CCCCCCC") == {"ends": [0, 0, 0, 0, 0, 0, -1]}
    assert worth("(CCCCCC") == {"alone": [0, 0, 0, 0, 0, 0, -1], "ends": [0, 0, 0, 0, 0, 0, -1]}


def test_tone_rules_by_hand() -> None:
    """Protects the reward of melodies."""
    parts = tone_rules(np.array([[0, 0, 3, 2, 4, 0], [4, 0, 1, 1, 1, 3]]))
    assert parts["repetition"].tolist() == [[0, -1, 0, 0, 0, 0], [0, 0, 0, -1, -1, 0]]
    assert parts["leaps"].tolist() == [[0, 0, 0, 1, 0, 0], [0, 0, 1, 0, 0, 0]]
    assert parts["tonic"].tolist() == [[0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0]]


@pytest.mark.parametrize("domain", [BRACKETS, TONES])
def test_rewards_depend_on_the_past_alone(domain: Enumerable) -> None:
    """Protects the dynamic programming: what follows a step does not change its reward."""
    generator = np.random.default_rng(0)
    one, two = generator.integers(len(domain.vocabulary), size=(2, 500, domain.horizon))
    for step in range(domain.horizon):
        mixed = np.concatenate([one[:, : step + 1], two[:, step + 1 :]], axis=1)
        np.testing.assert_array_equal(domain.step_rewards(one)[:, step], domain.step_rewards(mixed)[:, step])


def test_the_end_token_has_to_be_the_last() -> None:
    """Protects the layout of the tables."""
    domain = dataclasses.replace(BRACKETS, end=0)
    with pytest.raises(ValueError, match="the end token of brackets is 0: it must be the last, 3"):
        Exact(domain, SequenceRNN(4, 8), C)


@pytest.mark.parametrize("method", ["psi", "g"])
def test_the_trainer_learns_the_optimum(priors: dict[str, SequenceRNN], method: str) -> None:
    """Protects the claim in short: a fifth of the steps takes the dueling form from 3 nats to under .1."""
    chosen = exact_experiments.settings("dueling", method, 1.0, ExactStudy(steps=400))
    _, curve = exact_experiments.train(BRACKETS, priors["brackets"], chosen, seed=0)
    assert curve[0]["kl"] > 3
    assert curve[-1]["kl"] < 0.1
    assert [row["step"] for row in curve] == [*range(0, 400, 20), 400]


@pytest.fixture
def plan(monkeypatch: pytest.MonkeyPatch) -> ExactStudy:
    """A study of seconds, with priors that have hardly learned."""
    monkeypatch.setenv("REPRO_JOBS", "1")
    monkeypatch.setenv("REPRO_NO_BARS", "1")
    monkeypatch.setattr(exact_experiments, "SMALL_RNN", dataclasses.replace(SMALL_RNN, steps=20))
    return ExactStudy(seeds=(0,), steps=4)


def test_the_study_runs_once_and_is_drawn(plan: ExactStudy) -> None:
    """Protects the notebook: every run is made once, the figures show all domains, forms and methods."""
    curves = exact_experiments.learned(plan).curves()
    made = sorted((runs.cache_folder() / "runs").iterdir())
    again = exact_experiments.learned(plan)
    pd.testing.assert_frame_equal(again.curves(), curves)
    assert len(again.numbers()) == len(exact_experiments.tasks(plan)) == 14
    scatter = exact_tables.probabilities(plan)
    assert sorted((runs.cache_folder() / "runs").iterdir()) == made
    sums = np.exp(scatter[["prior", "exact", "learned"]]).groupby([scatter["domain"], scatter["method"]]).sum()
    np.testing.assert_allclose(sums, 1)
    ends = exact_tables.final(curves).set_index(["domain", "form", "method", "gamma"])
    assert len(ends) == 14
    assert ends.loc["tones", "plain", "g", 1.0]["exact_limit"] == pytest.approx(0, abs=1e-9)
    assert ends.loc["tones", "dueling", "psi", 0.5]["exact_limit"] > 0.01
    described = exact_tables.described()
    log_z = dict(zip(described["domain"], described["log Z"], strict=True))
    drawn = exact_figures.against_exact(curves, exact_tables.discounts(gammas=(0.5, 1.0)))
    assert len(drawn.axes) == 6
    assert all(ax.get_xlabel() and ax.get_ylabel() for ax in drawn.axes)
    assert len(exact_figures.objectives(curves, log_z).axes) == 2
    assert len(exact_figures.probabilities(scatter).axes) == 4


def test_results_hold_every_run_and_what_is_judged(plan: ExactStudy) -> None:
    """Protects the table that outsiders and the ledger read: the worse domain is judged, each form on its own."""
    rows = []
    for place, (domain, chosen, seed) in enumerate(exact_experiments.tasks(plan)):
        form = "plain" if hasattr(chosen, "rounds") else "dueling"
        for step, kl in ((0, 3.0), (4, place + 1.0)):
            rows.append((domain.name, form, chosen.method, chosen.gamma, seed, step, kl, -kl))
    columns = ["domain", "form", "method", "gamma", "seed", "step", "kl", "objective"]
    table = exact_tables.results(plan, pd.DataFrame(rows, columns=columns))
    assert not table.duplicated(["experiment", "method", "c", "seed", "metric"]).any()
    names = {f"exact_{d}{k}" for d in ("brackets", "tones") for k in ("", "_plain", "_gamma0.5", "_gamma0.95")}
    assert set(table["experiment"]) == names | {"exact"}
    value = table.set_index(["experiment", "method", "metric"])["value"]
    assert value["exact_brackets", "psi", "kl_to_optimum"] == 2
    assert value["exact_tones_plain", "g", "objective"] == -12
    assert value["exact", "psi", "kl"] == 9, "tones come second here, and are further away"
    assert value["exact", "g", "kl_paper_form"] == 12
    start = [value[f"exact_{domain}", "prior", "kl_to_optimum"] for domain in ("brackets", "tones")]
    assert value["exact", "prior", "kl"] == max(start)
    judged = claims.ledger(table, plan.c, EXACT).set_index("id")
    assert judged.loc["exact_psi", "ours"] == 9 and judged.loc["exact_paper_form", "ours"] == 12


def test_identities_are_numbers_that_notice() -> None:
    """Protects the printed equations: all hold to rounding, and a wrong p* would be seen."""
    assert exact_tables.identities(policies=3).to_numpy().max() < 1e-12
    truth = exact_experiments.exact(BRACKETS)
    policies = exact_tables.random_policies(truth, 2)
    assert exact_tables.largest([a - b for a, b in zip(*policies, strict=True)]) > 1
    wrong = truth.along(truth.policy("q")).exp() - truth.log_optimum.exp()
    assert exact_tables.largest([wrong]) > 0.01


def test_one_decision_by_hand() -> None:
    """Protects the table of one choice: after "C(C" a closing bracket pays 1 / c = 2 and an end costs 2."""
    table = exact_tables.decision(BRACKETS, "C(C")
    assert table.index.tolist() == ["C", "(", ")", "."]
    assert table["r / c"].tolist() == [0, 0, 2, -2]
    assert table.loc[".", "value of what follows"] == 0
    np.testing.assert_allclose(table["Psi*"], np.log(table["prior p"]) + table["G*"])
    np.testing.assert_allclose(table["G*"], table["r / c"] + table["value of what follows"])
    weights = table["prior p"] * np.exp(table["G*"])
    np.testing.assert_allclose(table["best policy"], weights / weights.sum())
    for wrong in ("C$", "CCCCCCC", "x"):
        with pytest.raises(ValueError, match="fewer than 7 letters of C"):
            exact_tables.decision(BRACKETS, wrong)


def test_the_best_sequences() -> None:
    """Protects the table of ten: sorted by p*, in per cent, with the reward of the whole sequence."""
    truth = exact_experiments.exact(BRACKETS)
    texts = [BRACKETS.text(sequence) for sequence in truth.sequences]
    columns = {"prior": truth.along(truth.log_prior), "exact": truth.log_optimum, "learned": truth.log_optimum}
    frame = pd.DataFrame({"domain": "brackets", "method": "psi", "text": texts} | columns)
    table = exact_tables.best(frame, "brackets", count=3)
    share = 100 * np.sort(truth.log_optimum.exp().numpy())[::-1][:3]
    np.testing.assert_allclose(table["exact p*"], share)
    np.testing.assert_allclose(table["learned psi"], share)
    assert table.loc["C(C).", "reward"] == 1
    assert table["exact Q"].gt(0).all()


def test_the_temperature_moves_the_optimum_to_the_prior() -> None:
    """Protects the table over c: the hotter, the smaller G*, the nearer the prior, and log Z is the mean of r / c."""
    table = exact_tables.temperatures((0.5, 10.0, 1e6))
    for _, own in table.groupby("domain"):
        assert own["largest |G*|"].is_monotonic_decreasing and own["KL(prior || p*)"].is_monotonic_decreasing
        assert own["largest |G*|"].iloc[-1] < 1e-4 and own["reward of p*"].is_monotonic_decreasing
        assert own["log Z"].iloc[-1] == pytest.approx(own["reward of p*"].iloc[-1] / 1e6, rel=1e-4)


def test_the_knobs_of_the_study() -> None:
    """Protects parameters: text is read, changed settings go elsewhere, and mistakes are one sentence."""
    assert exact_experiments.study() == exact_experiments.study("laptop")
    assert exact_experiments.study("smoke").results.name == "smoke"
    own = exact_experiments.study("smoke", seeds="3,4", c="2", gammas="0.9", steps="10")
    assert (own.seeds, own.c, own.gammas, own.steps, own.results.name) == ((3, 4), 2.0, (0.9,), 10, "own")
    assert all(chosen.c == 2 for _, chosen, _ in exact_experiments.tasks(own))
    for given, sentence in (
        ({"preset": "huge"}, "preset is 'huge'"),
        ({"cells": 3}, "unknown setting cells"),
        ({"seeds": "1,1"}, "name one twice"),
        ({"seeds": ()}, "seeds is empty"),
        ({"c": 0}, "it must be above 0"),
        ({"gammas": "1.5"}, "gamma is 1.5"),
        ({"gammas": "1"}, "leave 1 out"),
        ({"steps": "many"}, "steps is 'many'"),
    ):
        with pytest.raises(SettingsError, match=sentence):
            exact_experiments.study(**given)  # type: ignore[arg-type]


def test_what_is_reported_is_shipped_and_reaches_the_goal() -> None:
    """Protects the clone that opens in seconds, and the claim: each seed of Psi and G within .03 nats and 2 minutes."""
    laptop = exact_experiments.study("laptop")
    assert min(laptop.seeds) >= 100, "tuning used the seeds below"
    for domain, chosen, seed in exact_experiments.tasks(laptop):
        record = runs.find(exact_experiments.policy_key(domain, chosen, seed))
        assert record is not None
        if exact_experiments.settings("dueling", chosen.method, 1.0, laptop) == chosen and chosen.method != "q":
            assert record.numbers["curve"][-1]["kl"] <= 0.03
            assert record.numbers["core_seconds"] <= 120
    for domain, method in itertools.product(exact_experiments.DOMAINS, ("psi", "g")):
        chosen = exact_experiments.settings("dueling", method, 1.0, laptop)
        key = exact_experiments.policy_key(domain, chosen, laptop.seeds[0])
        assert runs.find(key, runs.POLICIES, with_weights=True) is not None
