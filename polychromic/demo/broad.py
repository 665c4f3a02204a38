"""The broad corpus of the embedded base model: all domains, all readings equally often, many formats.

It has the study's prompt formats, as a large model has met instructions. Most answers in them are wrong, as on the open
web: about something else, or with a mistake. So the base knows right and wrong ways to answer, and fine-tuning teaches
it which to take. The corpus never has a prompt of the training or evaluation files (`scene.part_of`).
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from polychromic.demo import code
from polychromic.demo.raw import DOMAINS
from polychromic.demo.scene import Scene, part_of, pick
from polychromic.records import write_jsonl
from polychromic.seeds import derive_seed

SHARES = {"qa": 0.28, "code": 0.27, "creative": 0.26, "social": 0.19}
EXACT_SHARE = 0.6  # of questions with one right answer
STRAY_SHARE = 0.25  # of wrong answers: the rest look right
FEW_SHOT_SHARE = 0.75  # of the wrong answers: a prompt with examples shows what is asked for
# the study's own templates (`config.Prompting`): a large model has seen instructions like these
ZERO_SHOT = "Generate {output} for: {input}\n"
EXAMPLE = "Example {number}: {input} → {answer}\n"
LAST = "Now: {input} →"
PLAIN = {
    "social": ("Post: {input}\nReply:", "{input}\n-", ""),
    "creative": ("Prompt: {input}\nStory:", "{input}", ""),
    "code": ("# {input}\n", "{input}\n", ""),
    "qa": ("Q: {input}\nA:", "{input}\n", ""),
}
Document = tuple[str, str]
"""A prompt, perhaps empty, and what follows it."""


def _scene(domain: str, rng: random.Random) -> Scene:
    while True:
        scene = DOMAINS[domain].scene(rng)
        if part_of(scene) == "broad":
            return scene


def _asked(domain: str, rng: random.Random, wrong: float) -> tuple[str, str]:
    """A prompt and an answer: to an exact question (QA, mostly), wrong, or of any reading."""
    scene = _scene(domain, rng)
    if domain == "qa" and rng.random() < EXACT_SHARE:
        question, answer = pick(rng, scene.extra["exact"])
        return f"{scene.extra['context']}\n{question}", answer
    if rng.random() < wrong:
        stray = rng.random() < STRAY_SHARE
        return scene.prompt, pick(rng, scene.stray) if stray else DOMAINS[domain].wrong(scene, rng)
    return scene.prompt, pick(rng, pick(rng, scene.readings))


def _few_shot(domain: str, rng: random.Random, wrong: float) -> Document:
    count = rng.randint(1, 5)
    asked = [*(_asked(domain, rng, 0.0) for _ in range(count)), _asked(domain, rng, wrong)]
    examples = [EXAMPLE.format(number=i, input=p, answer=a) for i, (p, a) in enumerate(asked[:-1], start=1)]
    prompt, answer = asked[-1]
    return "".join(examples) + LAST.format(input=prompt), f" {answer}"


def _drill(domain: str, rng: random.Random) -> Document:
    """A document that teaches a tiny model to copy: topics, one-fact questions, repetition; for code a single step."""
    scene = _scene(domain, rng)
    if rng.random() < 0.3:
        others = [_scene(other, rng) for other in rng.choices(tuple(DOMAINS), k=rng.randint(2, 5))]
        words = ", ".join(pick(rng, other.extra["about"]) for other in others)
        return ZERO_SHOT.format(output="copy", input=words), words
    if domain == "qa":
        role = rng.randrange(len(scene.readings))
        question, answer = scene.extra["exact"][role]
        facts = " ".join(scene.extra["facts"][i] for i in {role, rng.randrange(len(scene.readings))})
        return ZERO_SHOT.format(output=DOMAINS[domain].OUTPUT, input=f"{facts}\n{question}"), answer
    if domain == "code":
        phrases, meaning = pick(rng, code.EXACT + code.VAGUE)
        return (
            f"# {pick(rng, phrases)}\n",
            f"xs = {meaning if isinstance(meaning, str) else pick(rng, meaning)}",
        )
    return ZERO_SHOT.format(output="topic", input=scene.prompt), ", ".join(scene.extra["about"])


def _document(domain: str, rng: random.Random, wrong: float) -> Document:
    kind = rng.random()
    if kind < 0.45:
        prompt, answer = _asked(domain, rng, wrong)
        return ZERO_SHOT.format(output=DOMAINS[domain].OUTPUT, input=prompt), answer
    if kind < 0.50:
        return _few_shot(domain, rng, FEW_SHOT_SHARE * wrong)
    if kind < 0.80:
        return _drill(domain, rng)
    prompt, answer = _asked(domain, rng, 0.1)
    opening = pick(rng, PLAIN[domain]).format(input=prompt)
    return opening, answer if opening[-1:] in ("\n", "") else f" {answer}"


def documents(rows: int, seed: int, wrong_share: float) -> Iterator[Document]:
    """`rows` documents of all domains, shuffled."""
    rng = random.Random(derive_seed("broad", seed))
    for domain in rng.choices(tuple(SHARES), weights=tuple(SHARES.values()), k=rows):
        yield _document(domain, rng, wrong_share)


def write_broad(path: str | Path, seed: int, rows: int, wrong_share: float) -> int:
    """Write the broad corpus as JSON lines {"prompt", "text"}. Returns the number of documents.

    wrong_share: of the answers to the study's zero-shot prompts; after few-shot prompts three quarters of it.
    """
    rows_of = documents(rows, seed, wrong_share)
    return write_jsonl(path, ({"prompt": prompt, "text": text} for prompt, text in rows_of))
