"""From a record to the text that a model is given: zero-shot, few-shot, chat or plain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from polychromic.errors import StudyError
from polychromic.records import Record
from polychromic.seeds import derive_seed


def fill(template: str, **values: object) -> str:
    """Fill `{input}`, `{output}`, `{target}`, `{number}` literally: data may hold braces.

    Raises:
        StudyError: if the template has none of the names that it must show.
    """
    if "input" in values and "{input}" not in template:
        raise StudyError(f"prompting template {template!r} has no {{input}}: the model would not see the prompt.")
    # One pass from left to right, so that braces inside a filled-in value are never filled again.
    pieces, rest = [], template
    while rest:
        places = [(rest.find("{" + name + "}"), name) for name in values]
        place, name = min(((p, n) for p, n in places if p >= 0), default=(-1, ""))
        if place < 0:
            break
        pieces += [rest[:place], str(values[name])]
        rest = rest[place + len(name) + 2 :]
    return "".join([*pieces, rest])


def pick_examples(train: Sequence[Record], prompt_id: str, shots: int, seed: int) -> list[Record]:
    """Few-shot examples for a prompt: `shots` rows of train, the same for a prompt whatever the order of rows.

    Raises:
        StudyError: if train has fewer rows.
    """
    if len(train) < shots:
        raise StudyError(f"{shots}-shot prompts need {shots} training rows, found {len(train)}: curate more rows.")
    return sorted(train, key=lambda record: derive_seed(seed, prompt_id, record.id))[:shots]


def render(
    prompt: str,
    *,
    output: str,
    zero_shot: str = "",
    example: str = "",
    few_shot: str = "",
    examples: Sequence[Record] = (),
    tokenizer: Any = None,
    turns: Sequence[Mapping[str, str]] = (),
) -> str:
    """The full text before the completion.

    Zero-shot is the template alone; with examples each is a line, then the prompt. With a tokenizer given, the
    text becomes the user turn of its chat template, thinking off. turns: of a chat, {"role", "content"}, the last being
    the user's: with a tokenizer those before it come before the user turn, in which the last one is the input;
    without one, `prompt` holds them all.

    Raises:
        StudyError: if the tokenizer has no chat template.
    """
    earlier, last = (turns[:-1], turns[-1]["content"]) if turns and tokenizer is not None else ((), prompt)
    if examples:
        lines = [
            fill(example, number=number, input=record.prompt, target=record.target, output=output)
            for number, record in enumerate(examples, start=1)
        ]
        text = "".join(lines) + fill(few_shot, input=last, output=output)
    else:
        text = fill(zero_shot, input=last, output=output)
    if tokenizer is None:
        return text
    if not getattr(tokenizer, "chat_template", None):
        raise StudyError("model.chat is true but the tokenizer has no chat template: set `model: {chat: false}`.")
    return tokenizer.apply_chat_template(
        [*earlier, {"role": "user", "content": text}], tokenize=False, add_generation_prompt=True, enable_thinking=False
    )
