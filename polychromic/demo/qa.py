"""QA: a short context with three facts, and a question that any of them answers: a year, a person or a place."""

from __future__ import annotations

import random

from polychromic.demo.scene import Scene, listed, other, pick

OUTPUT = "answer"
READING_NAMES = ("year", "person", "place")

PEOPLE = listed("Anna, Carl, Dora, Emil, Frida, Georg, Helen, Ivan, Julia, Karl, Laura, Martin, Nora, Oscar")
NAMES = listed(
    "Bell, Moss, Finch, Stone, Reed, Marsh, Wood, Lake, Brook, Hill, Frost, Snow, Fox, Wolf, Crane, "
    "Swan, Miller, Baker, Cook, Fisher, Weaver, Mason"
)
TOWNS = listed(
    "Milford, Ashton, Norwick, Redhill, Oakham, Seaview, Kingsley, Bradford, Linden, Harwick, Easton, "
    "Weston, Stanley, Dover"
)
KINDS = listed("museum, library, bridge, theater, hospital, factory, school, mill, station, gallery")
QUESTIONS = (
    "What is known about the {name}?",
    "What should one know about the {name}?",
    "Tell me one thing about the {name}.",
)
# For each reading: its facts, and a question that asks for this reading alone.
FACTS = (
    (("It opened in {x}.", "Its doors opened in {x}."), "When did the {name} open?"),
    (("It is led by {x}.", "The director is {x}."), "Who leads the {name}?"),
    (("It stands in {x}.", "Its home is {x}."), "Where is the {name}?"),
)
OPENINGS = (
    "The {name} is well known.",
    "Many people visit the {name}.",
    "The {name} has a long story.",
    "This page is about the {name}.",
    "Everybody here loves the {name}.",
)
STRAY = (
    "I do not know",
    "It depends on whom you ask, but most people would say so",
    "yes",
    "see the page above",
    "42",
    "nobody",
)


YEARS = tuple(str(year) for year in range(1903, 2020, 3))


def wrong(scene: Scene, rng: random.Random) -> str:
    """A span that does not answer: the subject's name, or a year, person or town of another page."""
    if rng.random() < 0.25:
        return scene.extra["title"]
    reading = rng.randrange(len(FACTS))
    return other(rng, (YEARS, PEOPLE, TOWNS)[reading], scene.extra["about"][reading])


def scene(rng: random.Random) -> Scene:
    """A context of three facts in any order, a question, and the three spans that answer it.

    extra: title, context, question, facts (by reading), and exact = (question, answer) pairs of one answer.
    """
    name = f"{pick(rng, NAMES)} {pick(rng, KINDS)}"
    answers = (pick(rng, YEARS), pick(rng, PEOPLE), pick(rng, TOWNS))
    facts = [pick(rng, wordings).format(x=x) for (wordings, _), x in zip(FACTS, answers, strict=True)]
    context = " ".join([pick(rng, OPENINGS).format(name=name), *rng.sample(facts, len(facts))])
    question = pick(rng, QUESTIONS).format(name=name)
    extra = {
        "about": answers,
        "facts": facts,
        "title": name,
        "context": context,
        "question": question,
        "exact": [(exact.format(name=name), x) for (_, exact), x in zip(FACTS, answers, strict=True)],
    }
    return Scene(f"qa {name}", f"qa {name}", f"{context}\n{question}", tuple((x,) for x in answers), STRAY, extra)
