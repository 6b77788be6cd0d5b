"""The authors' own schedule: one game at a time, single transitions with stored states, one update every five events.

Play is epsilon-greedy. A transition (s, a, r, s') is stored with the RNN's states as they were when it was played; they
are never brought up to date. Every 5 events, 32 of the last 100,000 make one step of the RNN from the stored states.
With G its prior may be trained too, as in their code. Clipping, target network and evaluations are those of `tutor`.
Three things differ from the authors' code on purpose: random events and priming notes are drawn from all 38 (theirs
never draws the highest), epsilon does not fall during evaluations, and these do not throw away the game being played.
"""

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from repro import kl_control
from repro.domain import Domain, rewards
from repro.rnn import SequenceRNN, Stepper, epsilon_greedy
from repro.settings import Count, Method, PolicySettings, Positive, Rate, Share, Temperature, need, need_g, validated
from repro.tutor import Regression, Replay


@validated
class AuthorsSettings(PolicySettings):
    """How one policy is tuned on the authors' schedule; "authors' code" is the notebook of its paper branch."""

    method: Method = "psi"  # paper: q, psi, g; rl_only is its baseline without the prior
    train_prior: bool = False  # paper: the prior is fixed; True: G's is trained, as in the authors' code
    c: Temperature = 0.5  # paper: temperature; task rewards are divided by it
    gamma: Share = 0.5  # paper: discount; the last event of a game bootstraps like any other (authors' code)
    eta: Share = 0.01  # paper: rate of the target network's moving average
    environment_steps: Count = 1_000_000  # paper: "iterations"; the authors' code counts events played
    train_every: Count = 5  # authors' code: events between two updates
    batch: Count = 32  # paper: transitions an update, drawn uniformly without replacement
    replay: Count = 100_000  # authors' code: transitions that are kept, the oldest go first
    learning_rate: Rate = 1e-3  # authors' code: constant, Adam's other numbers at their defaults
    clip: Positive = 5.0  # paper: gradient norm; each variable on its own (authors' code)
    epsilon_start: Share = 1.0  # authors' code: epsilon falls linearly from here
    epsilon_end: Share = 0.1  # authors' code
    epsilon_steps: Count = 500_000  # authors' code: events until epsilon_end
    start: Literal["prior_logits", "zero_head"] = "prior_logits"  # paper: the prior's weights; "zero_head" is ours
    evaluate_every: Count = 50_000  # authors' code: events between two evaluations
    evaluation_games: Count = 512  # ours (authors' code: 100)

    def __post_init__(self) -> None:
        need_g(self.method, self.train_prior)
        need(self.replay >= self.batch, f"replay is {self.replay}: it must hold a batch, {self.batch}")


class AuthorsTutor(Regression):
    """One run; a step is an event. `prior` is the acting prior, which may be trained, `original` the one that stays."""

    compare_acting = True

    def __init__(self, domain: Domain, prior: SequenceRNN, settings: AuthorsSettings, seed: int) -> None:
        need(domain.end is None, f"{domain.name} has an end token: the authors' schedule plays games of one length")
        super().__init__(domain, prior, settings, seed)
        self.replay, self.steps = Replay(settings.replay), settings.environment_steps
        self.begin()

    def begin(self) -> None:
        """Begins a game: states of zero and a random first input, which is no part of the game."""
        self.policy_player, self.prior_player = Stepper(self.policy, 1), Stepper(self.prior, 1)
        self.last = torch.from_numpy(self.domain.first_inputs(1, self.play_numbers))
        self.game: list[int] = []

    def step(self) -> None:
        """Plays one event and, every `train_every` events from the first full batch on, makes one update."""
        self.play()
        settings, surplus = self.settings, self.environment_steps - self.settings.batch
        if surplus >= 0 and surplus % settings.train_every == 0:
            self.update(self.draw())
            self.policy_player.read(self.policy)
            self.prior_player.read(self.prior)
        if len(self.game) == self.domain.horizon:
            self.pay()
            self.begin()

    @torch.no_grad()
    def play(self) -> None:
        """Plays one event, epsilon-greedily, and stores the transition; its reward is written by `pay`."""
        before = state_of(self.policy_player)
        values = self.policy_player(self.last)
        log_prior = self.prior_player(self.last).log_softmax(dim=-1)
        self.environment_steps += 1
        uniform = torch.from_numpy(self.play_numbers.random(1))
        action = epsilon_greedy(self.method.scores(values, log_prior), uniform, self.epsilon())
        # what the RNNs were fed with, what was played (and is fed next), r_T / c, log p(a|s), and states (hidden, cell)
        self.replay.add(
            observation=self.last, action=action, next_observation=action, task_reward=torch.zeros(1),
            log_prior=log_prior[:, int(action)], before=before, after=state_of(self.policy_player),
            prior=state_of(self.prior_player),
        )  # fmt: skip
        self.game.append(int(action))
        self.last = action

    def pay(self) -> None:
        """Writes the rewards of the current game so far: at its end, and when an update draws from it before."""
        reward = rewards(self.domain, np.array([self.game]))[0] / self.settings.c
        kept = self.replay.latest(len(self.game))[-self.replay.capacity :]
        paid = self.replay.tensors["task_reward"]
        paid[kept] = torch.from_numpy(reward[-len(kept) :]).to(paid.dtype)

    def draw(self) -> dict[str, Tensor]:
        """Draws different transitions, all equally likely, those of the current game too."""
        replay = self.replay
        rows = replay.rows(self.settings.batch, self.replay_numbers)
        # how long ago each was stored
        if ((replay.next - 1 - rows) % replay.capacity).min() < len(self.game):
            self.pay()
        return replay.at(rows)

    def goal(self, batch: dict[str, Tensor]) -> Tensor:
        """The numbers y (B,) that single transitions regress towards."""
        # Only weights that require a gradient get one: the prior's do in the authors' G-learning, whose logits stand
        # in the target as they are; the target network's never do. It goes on from the policy's state (authors' code).
        following = batch["next_observation"]
        with torch.no_grad():
            next_values = one_step(self.target, following, batch["after"])
        # log p(.|s') stands in G's backup alone: for the others, which do not look at it, values fill its place
        next_log_prior = next_values
        if self.method.plays_with_prior:
            next_log_prior = one_step(self.prior, following, batch["prior"]).log_softmax(dim=-1)
        reward, log_prior = batch["task_reward"], batch["log_prior"]
        return kl_control.targets(self.method, reward, log_prior, next_values, next_log_prior, self.settings.gamma)

    def residual(self, batch: dict[str, Tensor]) -> Tensor:
        """The squared Bellman residual of single transitions."""
        values = one_step(self.policy, batch["observation"], batch["before"])
        return kl_control.bellman_loss(values, batch["action"], self.goal(batch))


def state_of(player: Stepper) -> Tensor:
    """The hidden and cell state (1, 2, cells) of one game."""
    return torch.stack((player.hidden, player.cell), dim=1)


def one_step(rnn: SequenceRNN, tokens: Tensor, state: Tensor) -> Tensor:
    """Logits (B, V) after one more token (B,) from stored states (B, 2, cells); with gradients."""
    hidden, _ = torch.lstm_cell(rnn.encoded(tokens), state.unbind(dim=1), *rnn.lstm.all_weights[0])
    return rnn.head(hidden)
