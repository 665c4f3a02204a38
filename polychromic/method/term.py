"""The diversity term at work: rollouts, their credits, and the gradient of -weight * E[D]."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from polychromic.errors import StudyError
from polychromic.memory import Budget
from polychromic.method.audit import base_checksum, check_base, check_log_probs
from polychromic.method.clock import now
from polychromic.method.diversity import GroupDiversity, Measure
from polychromic.method.diversity.groups import checked
from polychromic.method.gradients import SeparateGradients
from polychromic.method.log_probs import completion_log_probs
from polychromic.method.objective import CreditScale, surrogate
from polychromic.method.sampling import TOKENS, Completion, sample_groups
from polychromic.method.train_log import Watch
from polychromic.seeds import derive_seed


@dataclass
class Seconds:
    """Wall time spent in the parts of the diversity term, in seconds."""

    sample: float = 0.0
    measure: float = 0.0
    score: float = 0.0
    backward: float = 0.0


class DiversityTerm:
    """The term of one run.

    Args:
        args: a `PolychromicConfig`. rows: the encoded training rows (`rows.encode_rows`).
        measure: D. length: S, the mean target length in tokens.
    """

    def __init__(self, args, accelerator, tokenizer, rows: list[dict], measure: Measure, length: float):
        self.args, self.accelerator, self.tokenizer = args, accelerator, tokenizer
        self.rows, self.measure, self.length = rows, measure, length
        self.sample_budget, self.score_budget = Budget(TOKENS), Budget(args.score_tokens)
        self.scale = CreditScale()
        self.watch = Watch()
        self.seconds = Seconds()
        self.warnings: list[str] = []
        self.sampled_tokens = 0
        self.audited = False

    def add_gradient(self, model, step: int) -> dict[str, float]:
        """Add the gradient of -m * weight * E[D] / scale to the quality gradient, which is complete.

        Returns:
            What to log of this step.
        """
        index = step // self.args.every - 1
        indices, groups = self._rollout(model, index, "rollout")
        values = self._diversity(indices, groups)
        credits = [value.credits / self.scale.value for value in values]
        with self._separate_gradients(model) as gradients:
            self._backward(model, indices, groups, credits, self.args.weight * self.args.every)
        statistics = self._statistics(groups, values)
        self.scale.update(statistics.pop("mean_square"))
        if "ratio" in gradients:
            statistics["grad_ratio"] = gradients["ratio"]
        self.warnings += self.watch.see(step, statistics["entropy"], statistics["length"], statistics["credit_spread"])
        return statistics

    def audit(self, model) -> None:
        """Before the first step: the base is the same after a rollout, log pi agrees in three ways, and with credits
        of one the surrogate has a gradient.

        The samples are thrown away, but they give the credit scale its first value.

        Raises:
            StudyError: saying which of these fails.
        """
        before = base_checksum(model)
        indices, groups = self._rollout(model, 0, "audit")
        check_base(before, model)
        by_length = sorted(range(len(indices)), key=lambda i: self.rows[indices[i]]["prompt_length"])
        some = sorted({by_length[0], by_length[-1]})
        with self.accelerator.autocast():
            check_log_probs(
                self.accelerator.unwrap_model(model),
                [self._prompt(indices[i]) for i in some],
                [groups[i][:2] for i in some],
                temperature=self.args.temperature,
                top_p=self.args.top_p,
                rows=[self.rows[indices[i]]["row"] for i in some],
            )
        ones = torch.ones(len(groups[0]), dtype=torch.float64)
        with self._separate_gradients(model) as gradients:  # one prompt is enough
            self._backward(model, indices[:1], groups[:1], [ones], 1.0)
        norm = gradients["diversity"]
        for parameter in model.parameters():
            parameter.grad = None
        if not 0 < norm < math.inf:
            raise StudyError(
                f"gradient audit: the diversity term's gradient is {norm} with credits of one. Check that "
                "the adapter's parameters require gradients and that the model is finite."
            )
        self.scale.update(self._statistics(groups, self._diversity(indices, groups))["mean_square"])
        self.audited = True

    def state(self) -> dict:
        """What a resumed run needs, JSON-ready."""
        return {
            "audited": self.audited,
            "mean_square": self.scale.mean_square,
            "watch": vars(self.watch),
            "seconds": vars(self.seconds),
            "sampled_tokens": self.sampled_tokens,
            "warnings": self.warnings,
        }

    def restore(self, state: dict) -> None:
        """Go on from what `state` gave."""
        self.audited = state["audited"]
        self.scale.mean_square = state["mean_square"]
        self.sampled_tokens = state["sampled_tokens"]
        self.warnings = state["warnings"]
        vars(self.watch).update(state["watch"])
        vars(self.seconds).update(state["seconds"])

    def _prompt(self, index: int) -> list[int]:
        row = self.rows[index]
        return row["input_ids"][: row["prompt_length"]]

    def _rollout(self, model, index: int, purpose: str) -> tuple[list[int], list[list[Completion]]]:
        """This process's prompts of diversity step `index`, and N fresh samples of each."""
        args = self.args
        start = index * args.prompts
        mine = range(start + args.process_index, start + args.prompts, args.world_size)
        indices = [self._prompt_at(position) for position in mine]
        seeds = [
            [derive_seed(args.seed_scope, args.seed, purpose, position, sample) for sample in range(args.samples)]
            for position in mine
        ]
        began = now(self.args.device)
        with self.accelerator.autocast():
            groups = sample_groups(
                self.accelerator.unwrap_model(model),
                self.tokenizer,
                [self._prompt(i) for i in indices],
                seeds,
                temperature=args.temperature,
                top_p=args.top_p,
                max_new_tokens=args.max_new_tokens,
                budget=self.sample_budget,
            )
        for i, group in zip(indices, groups, strict=True):
            for number, sample in enumerate(group):
                if not math.isfinite(sample.log_prob):
                    raise self._not_finite("log pi as sampled", sample.log_prob, i, number, sample.text)
        self.seconds.sample += now(self.args.device) - began
        self.sampled_tokens += sum(len(sample.tokens) for group in groups for sample in group)
        return indices, groups

    def _prompt_at(self, position: int) -> int:
        """Row of the training set at a position of the endless stream of its permutations."""
        epoch, place = divmod(position, len(self.rows))
        seed = derive_seed(self.args.seed_scope, self.args.seed, "prompts", epoch)
        return int(np.random.Generator(np.random.Philox(key=seed)).permutation(len(self.rows))[place])

    def _diversity(self, indices: list[int], groups: list[list[Completion]]) -> list[GroupDiversity]:
        began = now(self.args.device)
        texts = [[sample.text for sample in group] for group in groups]
        values = self.measure(
            texts,
            [self.rows[i]["record"] for i in indices],
            [[sample.finish == "stop" for sample in group] for group in groups],
        )
        self.seconds.measure += now(self.args.device) - began
        return checked(values, [self.rows[i]["row"] for i in indices], texts)

    def _backward(self, model, indices, groups, credits, weight: float) -> None:
        """Put the surrogate's gradient in place of what is there; samples of a prompt that are the same tokens share a
        row, exactly.
        """
        unwrapped = self.accelerator.unwrap_model(model)
        longest = max(
            len(self._prompt(i)) + len(sample.tokens)
            for i, group in zip(indices, groups, strict=True)
            for sample in group
        )

        def all_passes() -> None:
            for parameter in unwrapped.parameters():
                parameter.grad = None  # of an attempt that memory cut off
            for chunk in self._chunks(indices, groups, credits):
                self._pass(unwrapped, chunk, indices, groups, weight)

        unwrapped.eval()
        self.score_budget.within(all_passes, least=longest, what="scoring")
        unwrapped.train()

    def _pass(self, unwrapped, chunk, indices, groups, weight: float) -> None:
        began = now(self.args.device)
        rows, completions, summed = zip(*chunk, strict=True)
        bare = unwrapped.get_base_model() if hasattr(unwrapped, "get_base_model") else unwrapped
        with self.accelerator.autocast():
            log_probs = completion_log_probs(
                bare,
                [self._prompt(i) for i in rows],
                list(completions),
                temperature=self.args.temperature,
                top_p=self.args.top_p,
            )
        bad = (~log_probs.isfinite()).nonzero().flatten().tolist()
        if bad:
            row, tokens = [(i, tokens) for i, part in zip(rows, completions, strict=True) for tokens in part][bad[0]]
            group = groups[indices.index(row)]
            number = next(n for n, sample in enumerate(group) if sample.tokens == tokens)
            raise self._not_finite("log pi as scored", float(log_probs[bad[0]]), row, number, group[number].text)
        loss = surrogate(
            log_probs,
            torch.tensor([c for part in summed for c in part], dtype=log_probs.dtype, device=log_probs.device),
            prompts=self.args.prompts,
            length=self.length,
        )
        scored = now(self.args.device)
        self.accelerator.backward(weight * loss)
        self.seconds.score += scored - began
        self.seconds.backward += now(self.args.device) - scored

    def _not_finite(self, what: str, value: float, index: int, sample: int, text: str) -> StudyError:
        return StudyError(
            f"{what} is {value} for row {self.rows[index]['row']} of the training set, sample {sample}: {text[:80]!r}. "
            "The model gives NaN or infinity: lower the learning rate, or load the base in bf16 or fp32."
        )

    def _chunks(self, indices, groups, credits) -> Iterator[list[tuple[int, list[list[int]], list[float]]]]:
        """(row, distinct completions, their summed credits) a prompt, in lists of at most score_tokens tokens.
        A prompt that does not fit as a whole is in several, with a part each.
        """

        def fits(chunk) -> bool:
            samples = [tokens for _, completions, _ in chunk for tokens in completions]
            width = max(len(self._prompt(i)) for i, _, _ in chunk)
            padded = len(chunk) * width + len(samples) * max(map(len, samples))
            return padded <= self.score_budget.tokens

        chunk: list[tuple[int, list[list[int]], list[float]]] = []
        for i, group, credit in zip(indices, groups, credits, strict=True):
            summed: dict[tuple[int, ...], float] = {}
            for sample, value in zip(group, credit.tolist(), strict=True):
                summed[tuple(sample.tokens)] = summed.get(tuple(sample.tokens), 0.0) + value
            summed = {tokens: value for tokens, value in summed.items() if value}  # zero credit, zero gradient
            if not summed:
                continue
            whole = i, [list(tokens) for tokens in summed], list(summed.values())
            if fits([*chunk, whole]):
                chunk.append(whole)
                continue
            if chunk:
                yield chunk
            chunk, part = [], (i, [], [])
            for tokens, value in zip(*whole[1:], strict=True):
                if part[1] and not fits([(i, [*part[1], tokens], [])]):
                    yield [part]
                    part = i, [], []
                part[1].append(tokens)
                part[2].append(value)
            chunk = [part]
        if chunk:
            yield chunk

    def _separate_gradients(self, model) -> SeparateGradients:
        return SeparateGradients(self.accelerator, (p for p in model.parameters() if p.requires_grad))

    def _statistics(self, groups: list[list[Completion]], values: list[GroupDiversity]) -> dict[str, float]:
        """Means over the samples of all processes."""
        samples = [sample for group in groups for sample in group]
        credits = torch.cat([value.credits for value in values])
        sums = torch.tensor(
            [
                len(values),
                sum(value.diversity for value in values),
                len(samples),
                float((credits**2).sum()),
                sum(value.square_of_four for value in values),
                sum(sum(value.valid) for value in values),
                sum(len(sample.tokens) for sample in samples),
                -sum(sample.log_prob for sample in samples),
            ],
            dtype=torch.float32 if self.args.device.type == "mps" else torch.float64,
            device=self.args.device,
        )
        prompts, diversity, count, square, of_four, valid, tokens, surprisal = self.accelerator.reduce(
            sums, "sum"
        ).tolist()
        return {
            "diversity": diversity / prompts,
            "credit_spread": (square / count) ** 0.5,
            "credit_scale": self.scale.value,
            "mean_square": of_four / prompts,
            "valid": valid / count,
            "length": tokens / count,
            "entropy": surprisal / tokens,
        }
