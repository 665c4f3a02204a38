"""The broad corpus of the embedded base model: all domains, all readings evenly, many formats.

It knows the study's prompt formats, as a large model knows instructions, and like the open web it also holds
stray answers. It never holds a prompt of the training or evaluation files (`scene.part_of`).
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

SHARES = {"qa": 0.36, "code": 0.26, "social": 0.19, "creative": 0.19}
STRAY_SHARE = 0.25
# the study's own templates (`config.Prompting`): a large model has seen instructions like these
ZERO_SHOT = "Generate {output} for: {input}\n{answer}"
EXAMPLE = "Example {number}: {input} → {answer}\n"
LAST = "Now: {input} → {answer}"
PLAIN = {
    "social": ("Post: {input}\nReply: {answer}", "{input}\n- {answer}", "{answer}"),
    "creative": ("Prompt: {input}\nStory: {answer}", "{input} {answer}", "{answer}"),
    "code": ('"""{input}"""\n{answer}', "# {input}\n{answer}", "{answer}"),
    "qa": ("Q: {input}\nA: {answer}", "{input} {answer}.", "{answer}"),
}


def _scene(domain: str, rng: random.Random) -> Scene:
    while True:
        scene = DOMAINS[domain].scene(rng)
        if part_of(scene) == "broad":
            return scene


def _asked(domain: str, rng: random.Random, stray: float) -> tuple[str, str]:
    """A prompt and an answer: of any reading, to an exact question (QA, half the time), or stray."""
    scene = _scene(domain, rng)
    if domain == "qa" and rng.random() < 0.5:
        question, answer = pick(rng, scene.extra["exact"])
        return f"{scene.extra['context']}\n{question}", answer
    if rng.random() < stray:
        return scene.prompt, pick(rng, scene.stray)
    return scene.prompt, pick(rng, pick(rng, scene.readings))


def _few_shot(domain: str, rng: random.Random) -> str:
    asked = [_asked(domain, rng, 0.0) for _ in range(rng.randint(2, 6))]
    examples = [EXAMPLE.format(number=i, input=p, answer=a) for i, (p, a) in enumerate(asked[:-1], start=1)]
    return "".join(examples) + LAST.format(input=asked[-1][0], answer=asked[-1][1])


def _drill(domain: str, rng: random.Random) -> str:
    """What teaches a tiny model to copy: topics, one-fact questions, repeating; for code one step."""
    scene = _scene(domain, rng)
    kind = rng.random()
    if kind < 0.3:
        words = [
            pick(rng, _scene(pick(rng, tuple(DOMAINS)), rng).extra["about"]) for _ in range(rng.randint(2, 5))
        ]
        return ZERO_SHOT.format(output="copy", input=", ".join(words), answer=", ".join(words))
    if domain == "qa":
        role = rng.randrange(len(scene.readings))
        question, answer = scene.extra["exact"][role]
        facts = [scene.extra["facts"][i] for i in {role, rng.randrange(len(scene.readings))}]
        return ZERO_SHOT.format(output="answer", input=f"{' '.join(facts)}\n{question}", answer=answer)
    if domain == "code":
        phrases, *expressions = pick(rng, code.EXACT + code.VAGUE)
        expression = pick(rng, expressions) if isinstance(expressions[0], str) else pick(rng, expressions[0])
        return f"# {pick(rng, phrases)}\nxs = {expression}"
    return ZERO_SHOT.format(output="topic", input=scene.prompt, answer=", ".join(scene.extra["about"]))


def _document(domain: str, rng: random.Random) -> str:
    kind = rng.random()
    if kind < 0.55:
        prompt, answer = _asked(domain, rng, STRAY_SHARE)
        return ZERO_SHOT.format(output=DOMAINS[domain].OUTPUT, input=prompt, answer=answer)
    if kind < 0.60:
        return _few_shot(domain, rng)
    if kind < 0.85:
        return _drill(domain, rng)
    prompt, answer = _asked(domain, rng, 0.1)
    return pick(rng, PLAIN[domain]).format(input=prompt, answer=answer)


def documents(rows: int, seed: int) -> Iterator[str]:
    """`rows` documents of all domains, shuffled."""
    rng = random.Random(derive_seed("broad", seed))
    for domain in rng.choices(tuple(SHARES), weights=tuple(SHARES.values()), k=rows):
        yield _document(domain, rng)


def write_broad(path: str | Path, seed: int = 0, rows: int = 60_000) -> int:
    """Write the broad corpus as JSON lines {"text"}. Returns the number of documents."""
    return write_jsonl(path, ({"text": text} for text in documents(rows, seed)))
