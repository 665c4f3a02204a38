"""Scenes: the unit of every domain of the embedded world, one prompt with three readings of it.

All text is synthetic: made from templates, about nobody, and labelled as synthetic wherever it appears.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from polychromic.seeds import derive_seed

READINGS = 3


@dataclass(frozen=True)
class Scene:
    """A prompt and, for each reading, the answers that are right under it.

    key: the combination of contents that the prompt is about. topic: what training and evaluation must not
    share, the key itself or a part of it. Key and topic alone decide which part may use the scene.
    readings: READINGS tuples of paraphrases (code and QA: of one answer).
    stray: answers as in uncurated text: off topic, broken, or beside the point. Answers that look right and are wrong
    come from the domain's `wrong`.
    """

    key: str
    topic: str
    prompt: str
    readings: tuple[tuple[str, ...], ...]
    stray: tuple[str, ...]
    extra: dict[str, Any] = field(default_factory=dict)


def other(rng: random.Random, options: tuple[str, ...], taken: str) -> str:
    """One of the options that is not the one taken."""
    return pick(rng, [option for option in options if option != taken])


def part_of(scene: Scene) -> str:
    """The one part that may use this scene: "broad" (half of all keys), by topic "train" or "evaluation".

    With any seed, no evaluation prompt is in a training file or the broad corpus, and no evaluation topic is in a
    training file. The broad corpus has the topics in other combinations, as a large model has met them.
    """
    if derive_seed("broad", scene.key) % 2:
        return "broad"
    return "evaluation" if derive_seed("topic", scene.topic) % 3 == 0 else "train"


def listed(text: str) -> tuple[str, ...]:
    """Words or phrases, given as one text with commas between them."""
    return tuple(text.split(", "))


def pick(rng: random.Random, options: tuple[str, ...] | list[str]) -> str:
    """One of the options."""
    return options[rng.randrange(len(options))]


def capital(text: str) -> str:
    """The text with its first letter in upper case."""
    return text[:1].upper() + text[1:]


def an(noun: str) -> str:
    """The noun phrase with its indefinite article."""
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"
