"""What every domain of the embedded world is made of: a scene with one prompt and three readings of it.

All text here is synthetic: templates write it, it describes nobody, and it is labelled so where it appears.
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

    key: the combination of contents that the prompt is about. topic: what training and evaluation may not
    share (the key itself, or a part of it). The two alone decide which part may use the scene.
    readings: READINGS tuples of paraphrases (code and QA: a tuple of one).
    stray: what an uncurated text would also put here: off topic, broken, or beside the point.
    """

    key: str
    topic: str
    prompt: str
    readings: tuple[tuple[str, ...], ...]
    stray: tuple[str, ...]
    extra: dict[str, Any] = field(default_factory=dict)


def part_of(scene: Scene) -> str:
    """The one part that may use this scene: "broad" (half of all keys), by topic "train" or "evaluation".

    Whatever the seed: no evaluation prompt is ever in a training file or in the broad corpus, and no
    evaluation topic in a training file. The broad corpus knows the topics in other combinations, as a large
    model does.
    """
    if derive_seed("broad", scene.key) % 2:
        return "broad"
    return "evaluation" if derive_seed("topic", scene.topic) % 3 == 0 else "train"


def words(text: str) -> tuple[str, ...]:
    """A list of words or phrases, written with commas between."""
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
