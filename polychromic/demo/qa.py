"""QA: a short context with three facts that could each answer the question; the wished one is hidden.

Every family has three roles, the usual one first: a place opens by ceremony, by a preview, or again after
repairs.
"""

from __future__ import annotations

import random

from polychromic.demo.scene import READINGS, Scene, pick, words

OUTPUT = "answer"
READING_NAMES = ("usual", "early", "late")

PEOPLE = words("Anna, Carl, Dora, Emil, Frida, Georg, Helen, Ivan, Julia, Karl, Laura, Martin, Nora, Oscar")
NAMES = words(
    "Bell, Moss, Finch, Stone, Reed, Marsh, Wood, Lake, Brook, Hill, Frost, Snow, Fox, Wolf, Crane, "
    "Swan, Miller, Baker, Cook, Fisher, Weaver, Mason"
)
TOWNS = words(
    "Milford, Ashton, Norwick, Redhill, Oakham, Seaview, Kingsley, Bradford, Linden, Harwick, Easton, "
    "Weston, Stanley, Dover"
)
KINDS = words("museum, library, bridge, theater, hospital, factory, school, mill, station, gallery")
# family -> (vague questions, per role: (facts, exact question)). A fact's cue stands before its value.
FAMILIES = {
    "year": (
        ("When did the {name} open?", "In which year did the {name} open its doors?"),
        (
            (
                ("The official opening was in {x}.", "It was officially opened in {x}."),
                "When was the official opening of the {name}?",
            ),
            (
                ("A small preview was held in {x}.", "There was a preview in {x}."),
                "When was the preview of the {name}?",
            ),
            (
                ("After a fire it reopened in {x}.", "It was rebuilt and reopened in {x}."),
                "When did the {name} reopen?",
            ),
        ),
    ),
    "person": (
        ("Who leads the {name}?", "Who is the head of the {name}?"),
        (
            (
                ("The director is {x}.", "For years the director has been {x}."),
                "Who is the director of the {name}?",
            ),
            (
                ("The founder is {x}.", "Its proud founder is {x}."),
                "Who is the founder of the {name}?",
            ),
            (
                ("The board is chaired by {x}.", "The board elected {x}."),
                "Who chairs the board of the {name}?",
            ),
        ),
    ),
    "town": (
        ("Where is the {name} based?", "In which town is the {name} found?"),
        (
            (
                ("The main building is in {x}.", "Its main building stands in {x}."),
                "Where is the main building of the {name}?",
            ),
            (
                ("The first room was in {x}.", "It rented its first room in {x}."),
                "Where was the first room of the {name}?",
            ),
            (
                ("A new branch is in {x}.", "There is also a branch in {x}."),
                "Where is the new branch of the {name}?",
            ),
        ),
    ),
    "cost": (
        ("How much did the {name} cost?", "What was the price of the {name}?"),
        (
            (
                ("The final bill was {x} million.", "In the end the bill was {x} million."),
                "How high was the final bill of the {name}?",
            ),
            (
                ("The plan was {x} million.", "The first plan asked for {x} million."),
                "How much was the plan for the {name}?",
            ),
            (
                ("Later repairs took {x} million.", "The repairs added {x} million."),
                "How much did the repairs of the {name} take?",
            ),
        ),
    ),
}
OPENINGS = (
    "The {name} is well known.",
    "Many people visit the {name}.",
    "The {name} has a long story.",
    "This page is about the {name}.",
    "The {name} is loved by the town.",
)
STRAY = (
    "I do not know",
    "It depends on whom you ask, but most people would say so",
    "yes",
    "see the page above",
    "42",
    "nobody",
)


def _value(rng: random.Random, family: str) -> str:
    return {
        "year": lambda: str(rng.randrange(1903, 2020, 3)),
        "person": lambda: pick(rng, PEOPLE),
        "town": lambda: pick(rng, TOWNS),
        "cost": lambda: str(rng.randint(20, 79)),
    }[family]()


def scene(rng: random.Random) -> Scene:
    """A context of three facts in any order, a vague question, and the three spans that answer it.

    extra: title, context, question, facts (by role), and exact = (question, answer) pairs that name the role.
    """
    family = pick(rng, tuple(FAMILIES))
    vague, roles = FAMILIES[family]
    name = f"{pick(rng, NAMES)} {pick(rng, KINDS)}"
    values: list[str] = []
    while len(values) < READINGS:
        value = _value(rng, family)
        if not any(value in other or other in value for other in values):
            values.append(value)
    facts = [pick(rng, wordings).format(x=value) for (wordings, _), value in zip(roles, values, strict=True)]
    order = rng.sample(range(READINGS), READINGS)
    context = " ".join([pick(rng, OPENINGS).format(name=name), *(facts[i] for i in order)])
    answers = tuple((f"{value} million" if family == "cost" else value,) for value in values)
    extra = {
        "about": values,
        "facts": facts,
        "title": name,
        "context": context,
        "question": pick(rng, vague).format(name=name),
        "exact": [(exact.format(name=name), answer[0]) for (_, exact), answer in zip(roles, answers, strict=True)],
    }
    return Scene(f"qa {name}", f"qa {name}", f"{context}\n{extra['question']}", answers, STRAY, extra)
