"""The mathematics of L = L_quality - lambda * E[D(y_1..y_N)]: diversity, credits, surrogate. Pure tensors.

The gradient of E[D] with respect to the policy is the score-function estimator (REINFORCE, Williams 1992)

    grad E[D] = E[ sum_i A_i * grad log pi(y_i | x) ],    A_i = D(Y) - b_i,

for any baseline b_i that does not depend on y_i. Here b_i is D of the other samples (leave one out), or, for
two samples of a pairwise measure, nothing at all. Both are proven unbiased by exact enumeration in the tests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from polychromic.errors import StudyError


def gate_distances(distances: torch.Tensor, gates: torch.Tensor) -> torch.Tensor:
    """g_i * g_j * d(i, j): only pairs of two valid samples count, each as much as its two gates say.

    Args:
        distances: [..., N, N]; gates: [..., N] in [0, 1]; 0 for a sample that is not valid.
    """
    gates = gates.to(distances.dtype)
    return distances * gates.unsqueeze(-1) * gates.unsqueeze(-2)


def pairwise_diversity(distances: torch.Tensor) -> torch.Tensor:
    """D = 2 / (N (N-1)) * sum_{i<j} d(i, j): [..., N, N] symmetric, diagonal ignored -> [...]."""
    n = _group_size(distances)
    off_diagonal = distances.sum((-2, -1)) - distances.diagonal(dim1=-2, dim2=-1).sum(-1)
    return off_diagonal / (n * (n - 1))


def pairwise_credits(distances: torch.Tensor) -> torch.Tensor:
    """The leave-one-out credits A_i = D(Y) - D(Y without i) of a pairwise mean, in closed form.

    With m_i the mean distance of y_i to the others, A_i = 2 / (N-2) * (m_i - D) for N >= 3. For N = 2 nothing
    is left to compare with, and A_i is the raw credit (2/N) * m_i = d(1, 2).

    Args:
        distances: [..., N, N], symmetric; the diagonal is ignored.

    Returns:
        [..., N].
    """
    n = _group_size(distances)
    mean_to_others = (distances.sum(-1) - distances.diagonal(dim1=-2, dim2=-1)) / (n - 1)
    if n == 2:
        return mean_to_others
    return 2 / (n - 2) * (mean_to_others - pairwise_diversity(distances).unsqueeze(-1))


def leave_one_out_credits(measure: Callable[[Sequence[int]], float], n: int) -> torch.Tensor:
    """A_i = D(Y) - D(Y without i) for any set measure.

    Args:
        measure: D of the samples with these indices; called n + 1 times, with n and with n - 1 of them.

    Returns:
        [n], float64.
    """
    if n < 2:
        raise StudyError(f"diversity needs at least 2 samples a prompt, got {n}: raise num_samples.")
    everyone = list(range(n))
    whole = measure(everyone)
    return torch.tensor([whole - measure(everyone[:i] + everyone[i + 1 :]) for i in everyone], dtype=torch.float64)


def square_of_four(distances: torch.Tensor) -> torch.Tensor:
    """Mean squared credit that four of these samples would have, whatever their number: [..., N, N] -> [...].

    The gradient of E[D] of a pairwise mean does not depend on N, but credits do. For four independent samples the
    mean squared credit is a sixth of the variance of d(i, j). That variance is E[d^2] less the square of E[d], which
    pairs that share no sample estimate without bias; so this is unbiased for N >= 4, and for N = 4 the group's own.
    Two or three samples have no such pairs. For three it is bounded by a quarter and a half of their own mean squared
    credit, of which this is the geometric mean; for two it is at most d^2 / 6, and this is that.
    """
    n = _group_size(distances)
    if n == 2:
        return (pairwise_credits(distances) ** 2).mean(-1) / 6
    if n == 3:
        return (pairwise_credits(distances) ** 2).mean(-1) / 8**0.5
    d = distances - torch.diag_embed(distances.diagonal(dim1=-2, dim2=-1))
    squares, rows = (d**2).sum((-2, -1)), d.sum(-1)
    disjoint = rows.sum(-1) ** 2 + 2 * squares - 4 * (rows**2).sum(-1)
    return (squares / (n * (n - 1)) - disjoint / (n * (n - 1) * (n - 2) * (n - 3))) / 6


def surrogate(log_probs: torch.Tensor, credits: torch.Tensor, *, prompts: float, length: float) -> torch.Tensor:
    """The loss whose autograd is the gradient of -E[D] / (2 s): -(1/prompts) sum (2/4) * credit * log pi / length.

    s is the scale of `credits`, that of a sample's credit among four. Such a credit is 2/4 times how far the sample
    stands out, m_i - D of the others, and 2/4 puts that factor back. So the pull is the same for every N.

    Args:
        log_probs: [rows], summed over the tokens of a completion, end token included.
        credits: [rows], a constant (detached here), divided by `CreditScale`. Rows of one prompt that are the same
            token sequence may be merged into one, with their credits added.
        prompts: number of prompts that the mean is over.
        length: S, a constant of the run in tokens (mean target length): puts the term on the scale of a
            token mean.
    """
    return -0.5 * (credits.detach() * log_probs).sum() / (prompts * length)


class CreditScale:
    """Root mean square of past credits among four samples: an exponential moving average, always one step behind.

    Dividing by the spread of the very credits that it scales would bias the gradient; the past does not
    depend on the present samples. It makes lambda mean the same for every N and about the same for every D.
    """

    def __init__(self, decay: float = 0.9, floor: float = 0.01):
        self.decay, self.floor = decay, floor
        self.mean_square: float | None = None

    @property
    def value(self) -> float:
        """The scale to divide by now; `floor` bounds how much rare credits are blown up."""
        return max(max(self.mean_square or 0.0, 0.0) ** 0.5, self.floor)

    def update(self, mean_square: float) -> None:
        """Take in a step's mean squared credit among four, for the steps after it. One step's may be below 0."""
        old = mean_square if self.mean_square is None else self.mean_square
        self.mean_square = self.decay * old + (1 - self.decay) * mean_square


def _group_size(distances: torch.Tensor) -> int:
    n = distances.shape[-1]
    if n < 2 or distances.shape[-2] != n:
        raise StudyError(f"distances must be [..., N, N] with N >= 2, got {tuple(distances.shape)}.")
    return n
