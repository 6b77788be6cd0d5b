"""The sequence RNN: one LSTM layer and a linear head over the vocabulary. Prior and policy are both this class.

The same weights run in two ways: `forward` unrolls known tokens with gradients, `play` draws tokens step by step
without them, as many sequences at once as are asked for.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot, pad


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

    def encoded(self, inputs: Tensor) -> Tensor:
        """Input tokens (...) as one-hot rows (..., V), in the precision of the weights."""
        return one_hot(inputs, self.vocabulary).to(self.head.weight.dtype)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits (B, T, V) for input tokens (B, T), from the zero state."""
        return self.head(self.lstm(self.encoded(inputs))[0])


class Stepper:
    """The RNN one token at a time."""

    def __init__(self, rnn: SequenceRNN, count: int, half: bool = False) -> None:
        """For `count` sequences; `half` has the recurrent product in bfloat16, states and sums stay as they are."""
        self.half = half
        self.hidden = self.cell = rnn.head.weight.detach().new_zeros(count, rnn.cells)
        self.read(rnn)

    def read(self, rnn: SequenceRNN) -> None:
        """Reads the weights: to be called again after they change."""
        inputs, recurrent, bias, second_bias = (tensor.detach() for tensor in rnn.lstm.all_weights[0])
        # a one-hot input picks a row, so that its product with the input weights is a look-up
        self.input_rows = (inputs.T + bias + second_bias).contiguous()
        # in bfloat16 transposed strides give the same bits faster, and save a second copy
        self.recurrent = recurrent.T.to(torch.bfloat16) if self.half else recurrent.T.contiguous()
        self.head, self.bias = rnn.head.weight.detach().T.contiguous(), rnn.head.bias.detach()

    @torch.no_grad()
    def __call__(self, tokens: Tensor) -> Tensor:
        """Feeds tokens (B,) and returns the logits (B, V) of what follows."""
        gates = self.input_rows.index_select(0, tokens)  # half the time of input_rows[tokens]
        if self.half:
            gates += self.hidden.bfloat16() @ self.recurrent
        else:
            gates = torch.addmm(gates, self.hidden, self.recurrent)
        enter, forget, candidate, leave = gates.chunk(4, dim=1)
        # c = f * c + i * g;  h = o * tanh(c)
        self.cell = forget.sigmoid().mul_(self.cell).addcmul_(enter.sigmoid(), candidate.tanh())
        self.hidden = leave.sigmoid().mul_(self.cell.tanh())
        return torch.addmm(self.bias, self.hidden, self.head)


def draw(scores: Tensor, uniform: Tensor) -> Tensor:
    """Draws one token per row of scores (B, V), from their softmax; equal numbers of `uniform` (B,) draw alike."""
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
def play(rnns: Sequence[SequenceRNN], first_inputs: np.ndarray, horizon: int, end: int | None,
         generator: np.random.Generator, choose: Callable[[Tensor, Tensor], Tensor] = draw, half: bool = False,
         last_logits: list[Tensor] | None = None) -> Tensor:  # fmt: skip
    """Plays B sequences in lockstep until `end` has ended all, or to the horizon T: tokens (B, T), `end` after the end.

    The logits of `rnns` (`Policy.players`) add up to the scores; `first_inputs` (B,) prime them and are no part of the
    result. One uniform number per sequence and step is taken from `generator`, whenever sequences end; with it `choose`
    picks tokens (B,) from scores (B, V). `half`: recurrent products in bfloat16. `last_logits` gets the last network's.
    """
    count, device = len(first_inputs), rnns[0].head.weight.device
    steppers = [Stepper(rnn, count, half) for rnn in rnns]
    uniform = torch.from_numpy(generator.random((horizon, count), dtype=np.float32)).to(device)
    tokens = torch.full((count, horizon), 0 if end is None else end, dtype=torch.int64, device=device)
    last = torch.from_numpy(np.asarray(first_inputs, dtype=np.int64)).to(device)
    ended = torch.zeros(count, dtype=torch.bool, device=device)
    for step in range(horizon):
        logits = [stepper(last) for stepper in steppers]
        if last_logits is not None:
            last_logits.append(logits[-1])
        last = choose(sum(logits[1:], start=logits[0]), uniform[step])
        if end is not None:
            last = last.masked_fill(ended, end)
            ended |= last == end
        tokens[:, step] = last
        if end is not None and bool(ended.all()):
            break
    return tokens


def shifted(first_inputs: np.ndarray | Tensor, tokens: Tensor) -> Tensor:
    """The RNN's inputs (B, T + 1) in an episode: the priming token, then the tokens (B, T) that were played."""
    return torch.cat([torch.as_tensor(first_inputs, device=tokens.device).unsqueeze(1), tokens], dim=1)


def last_steps(belongs: Tensor) -> Tensor:
    """The last step of every sequence, (B, T), from `alive`."""
    return belongs & ~pad(belongs[:, 1:], (0, 1))
