"""Every road: its loss by hand, what it stands still at, and what it shares with its kin."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch
from small import Bandit
from torch import Tensor

from repro import ROOT, bench, runs
from repro.book.claims import CLAIMS
from repro.domain import Domain
from repro.exact import BRACKETS, DAYS, Exact
from repro.rnn import SequenceRNN
from repro.roads import ROADS, Batch, RoadSettings, RoadTutor
from repro.studies import RoadStudy
from repro.tutor import train

LN2, LN3 = math.log(2), math.log(3)


def batch(
    log_pi: Tensor, log_p: Tensor, earned: Tensor, log_z: float = 0.0, first: float = 0.0, c: float = 0.5
) -> Batch:
    alive = torch.ones_like(log_pi, dtype=torch.bool)
    return Batch(log_pi, log_p, earned, alive, torch.full_like(earned, first), torch.tensor(log_z), c)


def test_losses_by_hand() -> None:
    """Protects every formula, and log Z where it is told.

    Two sequences of two tokens, S = -ln 6 and -ln 4, P = -ln 9 and -ln 4, R = ln 3 and 0: P + R - S is ln 2 and 0.
    """
    log_pi = torch.tensor([[-LN2, -LN3], [-LN2, -LN2]])
    log_p = torch.tensor([[-LN3, -LN3], [-LN2, -LN2]])
    two = batch(log_pi, log_p, torch.tensor([LN3, 0.0]), log_z=LN2, first=LN3)
    s = torch.tensor([-math.log(6), -math.log(4)])
    p = torch.tensor([-math.log(9), -math.log(4)])
    k3 = torch.tensor([2 / 3 - math.log(2 / 3) - 1, 0.0])  # of the first token of the first, ln p / pi = ln 2/3
    a = 1 / math.sqrt(2) / (1 + 1e-4 * math.sqrt(2) / LN3)  # (R - mean) / std of two numbers, + and -
    expected = {
        "tb": 0.5 * (0 + LN2**2) / 2,
        "tb_var": 0.5 * LN2**2 / 2,  # the variance of two numbers is half their squared difference
        "tbrm": 0.5 * ((LN3 - LN2) ** 2 + LN3**2) / 2,
        "a2po": 0.5 * (0 + LN2**2) / 2,
        "reinvent": 0.5 * LN2**2 / 2,
        "reinforce_kl": -(LN2 * s[0] - LN2 * s[1]) / 2,  # less the other one
        "reinforce_kl_loss": -(LN3 * s[0] - LN3 * s[1]) / 2 + (s - p).mean(),
        "grpo": (((0.5 * k3[0] - a * s[0]) / 2) + (a * s[1]) / 2) / 2,
        "dpg": -((2 / 3 - 0.5) * s[0] + (1 / 3 - 0.5) * s[1]),  # weights 2 : 1
    }
    log_z = {"tb": LN2, "tb_var": LN2 / 2, "tbrm": LN3, "a2po": LN2, "dpg": LN3 - LN2}  # of those that tell it
    assert expected.keys() == ROADS.keys()
    for name, road in ROADS.items():
        assert road.loss(two).item() == pytest.approx(float(expected[name]), rel=1e-5), name
        assert (road.log_z is None) == (name not in log_z)
        assert road.log_z is None or road.log_z(two).item() == pytest.approx(log_z[name]), name


def test_log_variance_is_reinforce_with_the_others_as_baseline() -> None:
    """Protects the sentence on kin: one gradient on every batch."""
    generator = torch.Generator().manual_seed(0)
    log_pi, log_p, earned = (torch.randn(*size, generator=generator) for size in ((8, 5), (8, 5), (8,)))
    gradients = []
    for name in ("tb_var", "reinforce_kl"):
        leaf = log_pi.clone().requires_grad_()
        ROADS[name].loss(batch(leaf, log_p, earned)).backward()
        gradients.append(leaf.grad)
    torch.testing.assert_close(*gradients, rtol=1e-6, atol=1e-6)


def test_the_bellman_residuals_of_a_path_add_up_to_trajectory_balance() -> None:
    """Protects TBRM's derivation: sum_t Q_t / c - log p - r / c - V(s_{t+1}), V = log sum exp of the logits Q / c."""
    generator = torch.Generator().manual_seed(0)
    logits, prior = (torch.randn(1, 4, 3, generator=generator, dtype=torch.float64) for _ in range(2))
    taken, reward = torch.tensor([[2, 0, 1, 1]]), torch.tensor([[0.0, 0.3, 0.0, -1.2]], dtype=torch.float64)
    value, own = logits.logsumexp(dim=-1), logits.gather(-1, taken.unsqueeze(-1)).squeeze(-1)
    log_p = prior.log_softmax(dim=-1).gather(-1, taken.unsqueeze(-1)).squeeze(-1)
    following = torch.cat([value[:, 1:], torch.zeros(1, 1, dtype=torch.float64)], dim=1)
    residual = (own - log_p - reward - following).sum()
    log_pi = logits.log_softmax(dim=-1).gather(-1, taken.unsqueeze(-1)).squeeze(-1)
    one = batch(log_pi, log_p, reward.sum(dim=1))._replace(first_value=value[:, 0])
    assert ROADS["tbrm"].loss(one).item() == pytest.approx(0.5 * residual.item() ** 2)


def test_what_stands_still_at_the_optimum() -> None:
    """Protects the module's table and the word memory: at p* the squares with the right log Z, which they tell,
    REINFORCE and DPG feel nothing on any batch, whichever come more often; REINVENT nothing on average of new
    sequences, as any square; GRPO and k1 in the loss move.
    """
    truth, whole = Exact(Bandit(), SequenceRNN(3, 8, seed=1), c=1.0), torch.arange(9)
    first, second = truth.policy("psi")
    logits = [(first + truth.log_z).requires_grad_(), second.requires_grad_()]

    def played(rows: Tensor) -> Batch:
        log_pi = truth.along([level.log_softmax(dim=1) for level in logits])[rows, None]
        made = batch(log_pi, truth.along(truth.log_prior)[rows, None], truth.along(truth.reward)[rows], c=1.0)
        log_z = torch.tensor(truth.log_z, dtype=torch.float64)
        return made._replace(log_z=log_z, first_value=logits[0].logsumexp(dim=1).expand(len(rows)))

    def pull(name: str, rows: Tensor) -> float:
        gradient = torch.autograd.grad(ROADS[name].loss(played(rows)), logits, allow_unused=True)
        return max(float(each.abs().max()) for each in gradient if each is not None)

    for name in ("tb", "tb_var", "tbrm", "a2po", "reinforce_kl", "dpg"):
        assert pull(name, torch.tensor([0, 4, 8, 8])) < 1e-12 and pull(name, whole) < 1e-12, name
        assert name == "reinforce_kl" or ROADS[name].log_z(played(whole)).item() == pytest.approx(truth.log_z), name
    # every sequence as often as the optimum plays it, nearly: other pulls are larger than what rounding leaves
    often = torch.repeat_interleave(whole, (truth.log_optimum.exp() * 100_000).round().long())
    assert pull("reinvent", often) < 1e-4 < 1e-2 < pull("reinvent", whole)
    for name in ("grpo", "reinforce_kl_loss"):
        assert pull(name, often) > 1e-2, name


def test_where_grpo_stands_still() -> None:
    """Protects the explanation: one step, pi = p / (1 - A / c), whatever the rewards are worth, on which p* depends.

    With c = .5 and two rewards that turns p = .3 into .9.
    """
    logits = torch.tensor([[0.9, 0.1]], dtype=torch.float64).log().requires_grad_()
    prior = torch.tensor([0.3, 0.7], dtype=torch.float64).log()
    rows = torch.repeat_interleave(torch.tensor([0, 1]), torch.tensor([90_000, 10_000]))
    for paid in (1e3, 1e4):  # so much that the 1e-4 beside the standard deviation does not count
        earned = torch.tensor([paid, 0.0], dtype=torch.float64)[rows]
        log_pi = logits.log_softmax(dim=1)[0, rows].unsqueeze(1)
        loss = ROADS["grpo"].loss(batch(log_pi, prior[rows].unsqueeze(1), earned, c=0.5))
        assert torch.autograd.grad(loss, logits)[0].abs().max() < 1e-5


def test_distances_against_the_sums() -> None:
    """Protects both directions of the KL, total variation, and the enumeration of a domain without a chain."""
    prior = SequenceRNN(11, 4, seed=1)
    truth, policy = Exact(DAYS, prior, 0.7), SequenceRNN(11, 4, seed=2)
    table = truth.policy_of("psi", policy)
    pi, best = truth.along(table).exp(), truth.log_optimum.exp()
    assert len(best) == 111_111 and float(pi.sum()) == pytest.approx(1) and float(best.sum()) == pytest.approx(1)
    assert truth.kl_from_optimum(table) == pytest.approx(float((best * (best / pi).log()).sum()))
    assert truth.kl_to_optimum(table) == pytest.approx(float((pi * (pi / best).log()).sum()))
    assert truth.total_variation(table) == pytest.approx(float(torch.maximum(pi - best, torch.zeros(())).sum()))


def test_quasi_rejection_and_both_bounds_against_the_sums() -> None:
    """Protects what notebook 15 says of a policy on molecules, where nothing can be written out: here it can."""
    truth, settings = bench.solved("brackets", 0.5), bench.at_rate(RoadSettings(method="tb", c=0.5, steps=100), 0.03)
    run = runs.finish_all("x", [runs.Task(BRACKETS, bench.prior(BRACKETS), settings, 0)]).runs[0]
    numbers = bench.bounded(run, 20_000).numbers
    log_pi = truth.along(truth.policy_of(settings.mathematics, run.policy().network))
    apart = float((truth.log_optimum.exp() * (truth.log_optimum - log_pi)).sum())
    assert numbers["log_z"] == pytest.approx(truth.log_z, abs=0.05) and apart > 0.1  # or equal bounds would say nothing
    assert numbers["upper"] == pytest.approx(truth.log_z + apart, abs=0.05)
    for row in numbers["quasi"]:
        # q(x) = min(beta pi, p*) / normaliser, and kept is the share of pi that is left
        log_q = torch.minimum(log_pi, truth.log_optimum - math.log(row["beta"]))
        share, log_q = float(log_q.exp().sum()), log_q.log_softmax(dim=0)
        objective = truth.log_z - float((log_q.exp() * (log_q - truth.log_optimum)).sum())
        assert row["kept"] == pytest.approx(share, rel=0.05) and row["objective"] == pytest.approx(objective, abs=0.05)


def test_days_are_paid_as_the_calendar_has_them() -> None:
    """Protects the reward: Sundays of 2026, days, no days, and what ends too early or too late."""
    rows = torch.tensor(
        [[0, 1, 0, 4, 10], [0, 1, 0, 5, 10], [0, 2, 3, 0, 10], [0, 1, 10, 10, 10], [0, 1, 0, 4, 5]]
    ).numpy()
    assert DAYS.step_rewards(rows).sum(axis=1).tolist() == [2, 0, -1, -1, -1]


class TwoStarts(Domain):
    """One token after one of two priming tokens; the second of the three tokens is paid."""

    name, vocabulary, horizon = "coins", ("a", "b", "c"), 1

    def first_inputs(self, count: int, generator: np.random.Generator) -> np.ndarray:
        return generator.integers(2, size=count)

    def step_rewards(self, sequences: np.ndarray) -> np.ndarray:
        return 2.0 * (sequences == 1)


def test_log_z_of_each_first_token() -> None:
    """Protects melodies, which begin with 38 tokens: log Z is known, and learned, for each of them apart."""
    prior = SequenceRNN(3, 4, seed=5)
    prior.head.weight.data *= 10  # so that the two first tokens differ
    log_p = prior(torch.tensor([[0], [1]]))[:, 0].log_softmax(dim=1)
    truth = (log_p + torch.tensor([0.0, 2.0, 0.0])).logsumexp(dim=1).tolist()
    known = RoadTutor(TwoStarts(), prior, RoadSettings(method="a2po", c=1.0, pool=20_000), 0)
    assert known.z[:2].tolist() == pytest.approx(truth, abs=0.05) and abs(truth[0] - truth[1]) > 0.3
    settings = RoadSettings(method="tb", c=1.0, steps=300, learning_rate=0.03, head_learning_rate=0.03)
    learned = RoadTutor(TwoStarts(), prior, settings, 0)
    train(learned)
    assert learned.z.tolist() == pytest.approx([*truth, 0.0], abs=0.05)


def test_every_road_has_the_best_of_its_settings() -> None:
    """Protects the bench: each name that a study knows is tuned, as the committed table of trials says."""
    assert list(bench.TUNED) == list(RoadStudy().roads)
    trials = pd.read_csv(ROOT / "results" / "roads_tuning.csv")
    means = trials.groupby(["road", "rate", "second", "value"])[["kl", "forward_kl"]].mean().mean(axis=1)
    for name, settings in bench.TUNED.items():
        rate, second, value = means[name].idxmin()
        assert (settings.learning_rate, getattr(settings, second)) == (rate, value), name  # type: ignore[attr-defined]
    on_melodies = {name: bench.melody_settings(name, 1) for name in bench.TUNED}
    for place, column, chosen in (("molecules", "method", bench.ON_MOLECULES), ("melodies", "road", on_melodies)):
        tried = pd.read_csv(ROOT / "results" / f"roads_{place}_tuning.csv").set_index(["rate"])
        best = tried.groupby(column)["objective"].idxmax().to_dict()
        assert {name: chosen[name].learning_rate for name in best} == best  # type: ignore[attr-defined]
    for settings in [*bench.TUNED.values(), *on_melodies.values()]:  # one rate, of the LSTM and of the head
        assert getattr(settings, "head_learning_rate", settings.learning_rate) == settings.learning_rate  # type: ignore[attr-defined]
    assert {claim.c for claim in CLAIMS if claim.experiment == "roads_melodies"} == {bench.MELODY_C}
