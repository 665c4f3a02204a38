"""Rows of a data set as the trainer takes them: text or chat messages in, token ids and labels out."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch

from polychromic.errors import StudyError
from polychromic.method.models import encode_completion, encode_prompt

logger = logging.getLogger(__name__)

READ = ("prompt", "completion", "messages", "record")


def encode_rows(
    rows: Iterable[dict], tokenizer, max_length: int | None, most: int | None = None
) -> tuple[list[dict], int]:
    """Token ids and labels of the rows that fit, and how many were left out because they do not.

    A row has "prompt" and "completion", as texts or as chat messages, or "messages", of which the last is the
    completion. Its "record", or else its other columns as a dict, is what a measure gets.

    Args:
        rows: a list, a `datasets.Dataset` or an iterable of dicts. most: rows read at most.

    Returns:
        Dicts of input_ids, labels, prompt_length, record and row (the data set's own number); rows left out.

    Raises:
        StudyError: a row without these, one with an empty prompt or completion, or no row that fits.
    """
    encoded, number = [], -1
    for number, row in enumerate(islice(rows, most)):
        prompt, completion = _token_ids(row, number, tokenizer)
        if max_length is None or len(prompt) + len(completion) <= max_length:
            encoded.append(
                {
                    "input_ids": prompt + completion,
                    "labels": [-100] * len(prompt) + completion,
                    "prompt_length": len(prompt),
                    "record": _record(row),
                    "row": number,
                }
            )
    if number < 0:
        raise StudyError("the dataset has no rows.")
    dropped = number + 1 - len(encoded)
    if not encoded:
        raise StudyError(
            f"none of the {dropped} rows fits in max_length = {max_length} tokens: raise max_length or shorten them."
        )
    if dropped:
        logger.warning("%d of %d rows left out: longer than max_length = %d tokens.", dropped, number + 1, max_length)
    return encoded, dropped


def is_encoded(rows: Any) -> bool:
    """Whether the rows are those that `encode_rows` gives."""
    return isinstance(rows, list) and bool(rows) and "prompt_length" in rows[0]


def _record(row: Mapping) -> Any:
    """What a measure gets of a row: its "record", its further columns, or None where there are none."""
    others = {key: value for key, value in row.items() if key not in READ}
    return row.get("record") if "record" in row else others or None


def _token_ids(row: Mapping, number: int, tokenizer) -> tuple[list[int], list[int]]:
    prompt, completion = _texts(row, number, tokenizer)
    prompt_ids = encode_prompt(tokenizer, prompt)
    if not prompt_ids:
        raise StudyError(f"row {number} of the dataset has an empty prompt: drop the row.")
    completion_ids = encode_completion(tokenizer, completion)
    if len(completion_ids) < 2:
        raise StudyError(f"row {number} of the dataset has an empty completion: drop the row.")
    return prompt_ids, completion_ids


def _texts(row: Mapping, number: int, tokenizer) -> tuple[str, str]:
    """(prompt, completion) as text; chat messages go through the tokenizer's template."""
    prompt, completion = row.get("prompt"), row.get("completion")
    if isinstance(prompt, str) and isinstance(completion, str):
        return prompt, completion
    messages = row.get("messages")
    if _is_chat(messages):
        prompt, completion = messages[:-1], messages[-1:]
    if not (_is_chat(prompt) and _is_chat(completion)):
        raise StudyError(
            f'row {number} of the dataset needs "prompt" and "completion", both texts or both lists of chat messages, '
            f'or "messages"; it has {sorted(row)}.'
        )
    if completion[-1]["role"] != "assistant":
        raise StudyError(f"row {number} of the dataset does not end in a message of the assistant: add or drop it.")
    if not getattr(tokenizer, "chat_template", None):
        raise StudyError(f"row {number} of the dataset has chat messages, but the tokenizer has no chat template.")
    start = tokenizer.apply_chat_template(list(prompt), tokenize=False, add_generation_prompt=True)
    whole = tokenizer.apply_chat_template([*prompt, *completion], tokenize=False)
    if not whole.startswith(start):
        raise StudyError(
            f"row {number} of the dataset: the chat template writes the prompt otherwise when an answer follows, so "
            'the answer cannot be separated. Give the row as texts, "prompt" and "completion".'
        )
    return start, whole[len(start) :]


def _is_chat(messages: Any) -> bool:
    return (
        isinstance(messages, Sequence)
        and not isinstance(messages, str)
        and len(messages) > 0
        and all(isinstance(message, Mapping) and "role" in message and "content" in message for message in messages)
    )


@dataclass
class Collator:
    """Pads rows on the right to the longest of the batch: input_ids, attention_mask and labels, [rows, width]."""

    pad_token_id: int

    def __call__(self, rows: list[dict]) -> dict[str, torch.Tensor]:
        width = max(len(row["input_ids"]) for row in rows)

        def pad(values: list[list[int]], fill: int) -> torch.Tensor:
            return torch.tensor([value + [fill] * (width - len(value)) for value in values])

        return {
            "input_ids": pad([row["input_ids"] for row in rows], self.pad_token_id),
            "attention_mask": pad([[1] * len(row["input_ids"]) for row in rows], 0),
            "labels": pad([row["labels"] for row in rows], -100),
        }
