"""Continuous batching: samples are drawn in a fixed number of rows, and a row whose sample has ended gets the next one.

A batch that waits for its longest sample computes mostly rows that have ended. Here all prompts and temperatures of a
job are one stream. At each step the rows are a batch padded on the left to one width, as the model's own masks take
it, whatever their attention; when a row is filled again, its prompt is put before the column that is written next.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Iterable
from dataclasses import dataclass, field

import numpy as np
import torch

from polychromic.method.cache import Columns, Preallocated, Prefill, next_logits, prefill
from polychromic.method.nucleus import nucleus

SLACK = 64
"""Columns to go before the cache is moved back to its beginning; a move costs about as much as two steps."""


@dataclass
class Request:
    """Samples to draw of one prompt."""

    prompt: list[int]
    samples: list[int]
    """Numbers of the samples, of the caller's own."""
    temperatures: list[float]
    noise: np.ndarray
    """[samples, max_new_tokens]: uniform in [0, 1), of each sample's own stream."""

    def without(self, done: Container[int]) -> Request:
        """What of it is still to be drawn."""
        left = [j for j, number in enumerate(self.samples) if number not in done]
        return Request(
            self.prompt, [self.samples[j] for j in left], [self.temperatures[j] for j in left], self.noise[left]
        )


@dataclass
class Work:
    """What was computed, counted: the part of the cost that does not depend on the machine."""

    prefilled_tokens: int = 0
    """Tokens of prompts, padding included."""
    steps: int = 0
    """Forward passes of one token a row."""
    computed_tokens: int = 0
    """Rows of those passes, with those that have ended."""
    kept_tokens: int = 0
    attended: int = 0
    """Keys that the rows have read, padding included."""


INTEGERS = ("start", "step", "position", "token", "place")
"""Of a row, on the device: column of its first token, tokens drawn, position of the last one and itself, place."""
FLOATS = ("temperature", "log_prob")


@dataclass
class Stream:
    """Draws the samples of requests, longest prompt first.

    Args:
        rows: sequences decoded together.
        budget: tokens, padding included, of the prompts that are run together and kept.
        fixed: rows that have ended are computed along until a new sample takes their place or the last one ends. On a
            card that is free, and the kernels, which are chosen by the number of rows, stay the same ones.
    """

    model: torch.nn.Module
    requests: Iterable[Request]
    ends: frozenset[int]
    top_p: float
    max_new_tokens: int
    rows: int
    budget: int
    fixed: bool
    work: Work = field(default_factory=Work)

    def run(self, done: dict[int, tuple[list[int], float]]) -> None:
        """Put (tokens, log pi) of every sample into `done` as soon as it ends: what is there outlives an error."""
        self.done, self.waiting = done, deque(sorted(self.requests, key=lambda r: -len(r.prompt)))
        total = sum(len(request.samples) for request in self.waiting)
        self.rows = min(self.rows, total)
        slack = SLACK if total > self.rows else 0
        self.capacity = len(self.waiting[0].prompt) + self.max_new_tokens + slack
        self.columns, self.cache, self.prefilled = Columns(), None, deque()
        self.numbers: list[int] = []  # of the samples in the live rows, which are the first ones
        self.start = np.zeros(self.rows, dtype=np.int64)  # column of a row's first token
        self.step = np.zeros(self.rows, dtype=np.int64)  # tokens drawn
        self.place = np.arange(self.rows)  # of a row's noise and tokens, which stay where they are
        make = {"device": self.model.device}
        self.integers = torch.zeros(len(INTEGERS), self.rows, dtype=torch.long, **make)
        self.floats = torch.ones(len(FLOATS), self.rows, **make)
        self.noise = torch.zeros(self.rows, self.max_new_tokens, dtype=torch.float64, **make)
        self.drawn = torch.zeros(self.rows, self.max_new_tokens, dtype=torch.long, **make)
        logits = None
        while True:
            fresh = self._admit() if self._should_admit() else []
            if not self.numbers:
                return
            logits = torch.cat([*([] if logits is None else [logits]), *fresh]) if fresh else logits
            self._draw(logits)
            self._retire()
            logits = self._advance() if self.numbers else None

    def _should_admit(self) -> bool:
        """An eighth of the rows at once: each time, prompts are run and copied, layer by layer."""
        return bool(self.waiting or self.prefilled) and len(self.numbers) <= self.rows - max(1, self.rows // 8)

    def _admit(self) -> list[torch.Tensor]:
        """Fill the free rows; the logits of their first tokens."""
        fresh = []
        while len(self.numbers) < self.rows and (self.waiting or self.prefilled):
            if not self.prefilled:
                self._prefill()
            fresh.append(self._fill())
        return fresh

    def _prefill(self) -> None:
        """Run the prompts that come next, as many as there are rows for, within the budget."""
        requests, samples = [], 0
        while self.waiting and samples < self.rows:
            width = len(self.waiting[0].prompt) if not requests else len(requests[0].prompt)
            if requests and (len(requests) + 1) * width > self.budget:
                break
            requests.append(self.waiting.popleft())
            samples += len(requests[-1].samples)
        self.run_prompts: Prefill = prefill(self.model, [request.prompt for request in requests])
        self.work.prefilled_tokens += self.run_prompts.mask.numel()
        self.prefilled = deque(
            (i, request, j) for i, request in enumerate(requests) for j in range(len(request.samples))
        )
        if self.cache is None:
            self.cache = self.run_prompts.cache.__class__()
            self.cache.layers = [
                Preallocated(layer, self.columns, self.rows, self.capacity) for layer in self.run_prompts.cache.layers
            ]

    def _fill(self) -> torch.Tensor:
        """Give free rows the samples of prompts that have been run; the logits of their first tokens."""
        first = len(self.numbers)
        taken = [self.prefilled.popleft() for _ in range(min(self.rows - first, len(self.prefilled)))]
        lengths = np.array([len(request.prompt) for _, request, _ in taken])
        width = int(lengths.max())
        if not first:
            self.columns.end = width
        self.columns.start = min(self.columns.start, self.columns.end - width)
        device = self.model.device
        prompts = torch.tensor([i for i, _, _ in taken], device=device)
        for layer, prefilled in zip(self.cache.layers, self.run_prompts.cache.layers, strict=True):
            layer.put(first, prefilled, prompts, width)
        here = slice(first, first + len(taken))
        self.start[here], self.step[here] = self.columns.end - lengths, 0
        zeros = np.zeros_like(lengths)
        integers = torch.from_numpy(np.stack([self.start[here], zeros, lengths - 1, zeros, self.place[here]]))
        self.integers[:, here] = integers.to(device)
        temperatures = [request.temperatures[j] for _, request, j in taken]
        self.floats[:, here] = torch.tensor([temperatures, [0.0] * len(taken)], device=device)
        noise = np.stack([request.noise[j] for _, request, j in taken])
        self.noise[self.integers[4, here]] = torch.from_numpy(noise).to(device)
        self.numbers += [request.samples[j] for _, request, j in taken]
        return self.run_prompts.logits[prompts]

    def _draw(self, logits: torch.Tensor) -> None:
        """One token of each live row, by inversion of its own uniform."""
        live = len(self.numbers)
        _, step, _, last, place = self.integers[:, :live]
        temperature, log_prob = self.floats[:, :live]
        probabilities = nucleus(logits.float() / temperature[:, None], self.top_p).softmax(-1)
        cumulative = probabilities.cumsum(-1)
        # Rounding to float32 can make a uniform 1, which would draw the vocabulary's last token, likely or not.
        uniform = self.noise[place, step].to(cumulative.dtype).clamp(max=1 - 2**-24)
        token = torch.searchsorted(cumulative, uniform[:, None] * cumulative[:, -1:], right=True)
        token = token.clamp(max=cumulative.shape[-1] - 1)
        last.copy_(token[:, 0])
        self.drawn[place, step] = last
        log_prob += probabilities.gather(-1, token).squeeze(-1).log()
        step += 1
        self.step[:live] += 1

    def _retire(self) -> None:
        """Hand in the samples that have ended; the last live rows move into their places."""
        rows = len(self.numbers)
        tokens = self.integers[3, :rows].tolist()
        over = np.array([token in self.ends for token in tokens]) | (self.step[:rows] == self.max_new_tokens)
        ended = np.flatnonzero(over)
        if not len(ended):
            return
        index = torch.from_numpy(ended).to(self.model.device)
        drawn, log_probs = self.drawn[self.integers[4, index]].tolist(), self.floats[1, index].tolist()
        for i, row, log_prob in zip(ended, drawn, log_probs, strict=True):
            self.done[self.numbers[i]] = row[: self.step[i]], log_prob
            self.work.kept_tokens += int(self.step[i])
        left = rows - len(ended)
        target, source = ended[ended < left], left + np.flatnonzero(~over[left:])
        if len(target):
            self.start[target], self.step[target] = self.start[source], self.step[source]
            self.place[target], self.place[source] = self.place[source], self.place[target]
            for i, j in zip(target, source, strict=True):
                self.numbers[i] = self.numbers[j]
            to, of = (torch.from_numpy(rows).to(self.model.device) for rows in (target, source))
            for values in (self.integers, self.floats):
                values[:, to] = values[:, of]
            for layer in self.cache.layers:
                layer.move(of, to)
        del self.numbers[left:]

    def _advance(self) -> torch.Tensor:
        """Run the drawn tokens; the logits of the next ones, of the live rows."""
        live, columns = len(self.numbers), self.columns
        rows = self.rows if self.fixed else live
        columns.start = int(self.start[:live].min())
        if columns.end == self.capacity:
            for layer in self.cache.layers:
                layer.shift()
            self.start -= columns.start
            self.integers[0] -= columns.start
            columns.start, columns.end = 0, columns.end - columns.start
        mask = None
        if (self.start[:live] > columns.start).any():
            # A row that has ended may begin anywhere; it must see one column at least.
            start = self.integers[0, :rows, None].clamp(max=columns.end)
            mask = (torch.arange(columns.start, columns.end + 1, device=start.device) >= start).long()
        self.integers[2, :live] += 1
        position, token = self.integers[2, :rows, None], self.integers[3, :rows, None]
        logits = next_logits(self.model, token, mask, position, self.cache)
        columns.end += 1
        self.work.steps += 1
        self.work.computed_tokens += rows
        self.work.attended += rows * (columns.end - columns.start)
        return logits[:live]
