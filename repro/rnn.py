"""The sequence RNN: one LSTM layer and a linear head over the vocabulary. Prior and policy are both this class.

The same weights run in two ways: `forward` unrolls known tokens with gradients, `play` draws tokens step by step
without them, as many sequences at once as are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

State = tuple[Tensor, Tensor]  # hidden and cell state, each (B, cells)


class SequenceRNN(nn.Module):
    """LSTM over one-hot tokens; `logits[b, t]` scores the token that follows `inputs[b, :t + 1]`."""

    def __init__(self, vocabulary: int, cells: int, seed: int = 0) -> None:
        """Draws the initial weights from `seed`, the forget gate's bias at 1 (authors' code)."""
        super().__init__()
        self.vocabulary, self.cells = vocabulary, cells
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.lstm = nn.LSTM(vocabulary, cells, batch_first=True)
            self.head = nn.Linear(cells, vocabulary)
        _, _, bias, second_bias = self.lstm.all_weights[0]
        with torch.no_grad():
            bias[cells : 2 * cells] = 1.0
            second_bias.zero_()  # PyTorch's second bias adds nothing: one bias a gate, as the authors' code
        second_bias.requires_grad_(False)

    def forward(self, inputs: Tensor, state: State | None = None) -> Tensor:
        """Logits (B, T, V) for input tokens (B, T), from the zero state unless one is given."""
        start = None if state is None else (state[0][None], state[1][None])
        hidden, _ = self.lstm(one_hot(inputs, self.vocabulary).to(self.head.weight.dtype), start)
        return self.head(hidden)


class Stepper:
    """The RNN one token at a time. Reads the weights once: make a new one after they change."""

    def __init__(self, rnn: SequenceRNN, count: int) -> None:
        weight = rnn.head.weight.detach()
        inputs, recurrent, bias, second_bias = (tensor.detach() for tensor in rnn.lstm.all_weights[0])
        # a one-hot input picks a row, so that its product with the input weights is a look-up
        self.input_rows = (inputs.T + bias + second_bias).contiguous()
        self.recurrent = recurrent.T.contiguous()
        self.head, self.bias = weight.T.contiguous(), rnn.head.bias.detach()
        self.hidden = weight.new_zeros(count, rnn.cells)
        self.cell = weight.new_zeros(count, rnn.cells)

    @torch.no_grad()
    def __call__(self, tokens: Tensor) -> Tensor:
        """Feeds tokens (B,) and returns the logits (B, V) of what follows."""
        gates = torch.addmm(self.input_rows[tokens], self.hidden, self.recurrent)
        enter, forget, candidate, leave = gates.chunk(4, dim=1)
        # c = f * c + i * g;  h = o * tanh(c)
        self.cell = forget.sigmoid().mul_(self.cell).addcmul_(enter.sigmoid(), candidate.tanh())
        self.hidden = leave.sigmoid().mul_(self.cell.tanh())
        return torch.addmm(self.bias, self.hidden, self.head)


def draw(scores: Tensor, uniform: Tensor) -> Tensor:
    """Draws one token a row from softmax(scores) by inverting the distribution function.

    Args:
        scores: (B, V), unnormalised log-probabilities.
        uniform: (B,), numbers from [0, 1), one a draw: the same number always gives the same token.
    """
    cumulative = scores.softmax(dim=1).cumsum(dim=1)
    # the last entry is 1 up to rounding; scaling by it keeps every draw inside the vocabulary
    threshold = (uniform * cumulative[:, -1]).unsqueeze(1)
    return (cumulative <= threshold).sum(dim=1).clamp_max_(scores.shape[1] - 1)


def epsilon_greedy(scores: Tensor, uniform: Tensor, epsilon: float) -> Tensor:
    """The best-scored token of each row (B, V), or with probability epsilon any token of the vocabulary."""
    # below epsilon, uniform / epsilon is again uniform in [0, 1): one number decides both whether and what
    explored = (uniform * (scores.shape[1] / max(epsilon, 1e-12))).long().clamp_max_(scores.shape[1] - 1)
    return torch.where(uniform < epsilon, explored, scores.argmax(dim=1))


@torch.no_grad()
def play(
    rnns: Sequence[SequenceRNN],
    first_inputs: np.ndarray,
    horizon: int,
    generator: np.random.Generator,
    choose: Callable[[Tensor, Tensor], Tensor] = draw,
) -> Tensor:
    """Plays B sequences of `horizon` tokens in lockstep.

    Args:
        rnns: the networks whose logits add up to the scores: one for Q and Psi, G and prior for G-learning.
        first_inputs: (B,), the priming tokens; they are not part of the result.
        horizon: T, tokens to draw.
        generator: one uniform number a token is taken from it.
        choose: picks tokens (B,) from scores (B, V) and uniform numbers (B,); by default samples from softmax(scores).

    Returns:
        Tokens (B, T), int64.
    """
    count = len(first_inputs)
    steppers = [Stepper(rnn, count) for rnn in rnns]
    uniform = torch.from_numpy(generator.random((horizon, count), dtype=np.float32))
    tokens = torch.empty(horizon, count, dtype=torch.int64)
    last = torch.from_numpy(np.asarray(first_inputs, dtype=np.int64))
    for step in range(horizon):
        scores = steppers[0](last)
        for stepper in steppers[1:]:
            scores = scores + stepper(last)
        last = choose(scores, uniform[step])
        tokens[step] = last
    return tokens.T.contiguous()


def shifted(first_inputs: Tensor, tokens: Tensor) -> Tensor:
    """The RNN's inputs (B, T + 1) in an episode: the priming token, then the tokens (B, T) that were played."""
    return torch.cat([first_inputs.unsqueeze(1), tokens], dim=1)
