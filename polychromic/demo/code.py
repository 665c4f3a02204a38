"""Code: a sentence that asks for a list function, and the function.

Most sentences have one vague step that leaves a number open: three readings, three programs that behave differently.
The hidden tests accept one of them.
"""

from __future__ import annotations

import functools
import random

from polychromic.demo.scene import READINGS, Scene, capital, pick

OUTPUT = "program"
READING_NAMES = ("two", "three", "five")
VAGUE_SHARE = 0.85
TEST_INPUTS = ([3, -7, 12, 5, 5, 0, 8, -2], [9, 1, 1, 14, -3, 6], [2, 4, 4, 20, 11, -9, 7, 3, 10])
PROBE_INPUTS = ([-1, -5, 30, 6, 15, -20, 2, 2, 4], [13, 8, 8, 21, -4, 5, 1, 1, 17, 2], [7, 0, -6, 3, 3, 16])
ENTRY_POINT = "f"

# Phrases, and the expressions over a list xs that they may mean. A vague phrase leaves a number open: the readings are
# three numbers, the same for all phrases, so a training part that mostly takes the first teaches one habit.
NUMBERS = (2, 3, 5)
VAGUE = tuple(
    (tuple(phrases), tuple(expression.replace("@", str(number)) for number in NUMBERS))
    for phrases, expression in (
        (("scale the values up", "enlarge every number"), "[x * @ for x in xs]"),
        (("shrink the values", "make every number smaller"), "[x // @ for x in xs]"),
        (("raise the values a bit", "add something to each number"), "[x + @ for x in xs]"),
        (("lower the values a bit", "take something off each number"), "[x - @ for x in xs]"),
        (("keep the large ones", "filter for big numbers"), "[x for x in xs if x > @]"),
        (("take the first few", "keep some from the front"), "xs[:@]"),
        (("skip the beginning", "leave out some at the front"), "xs[@:]"),
        (("thin the list out", "keep one in a few"), "xs[::@]"),
        (("cut some off the end", "leave out some at the back"), "xs[:-@]"),
        (("repeat the list a few times", "write several copies of it"), "xs * @"),
    )
)
EXACT = (
    (("double every value", "multiply each number by two"), "[x * 2 for x in xs]"),
    (("add one to every value", "increase each number by one"), "[x + 1 for x in xs]"),
    (("square every value", "multiply each number by itself"), "[x * x for x in xs]"),
    (("flip the sign of every value", "negate each number"), "[-x for x in xs]"),
    (("keep only the even values", "drop all odd numbers"), "[x for x in xs if x % 2 == 0]"),
    (("keep only the odd values", "drop all even numbers"), "[x for x in xs if x % 2 == 1]"),
    (("reverse the list", "turn the order around"), "xs[::-1]"),
    (("drop the first item", "remove the leading item"), "xs[1:]"),
    (("write the list twice", "repeat the whole list"), "xs + xs"),
    (("start with a zero", "put a zero in front"), "[0] + xs"),
)
OPENINGS = (
    "Take a list and",
    "Given some numbers,",
    "Write a function to",
    "For a list of integers,",
    "From the input list,",
    "We need a helper to",
)
LINKS = (" and then ", ", then ", ", after that ", ", next ")
STRAY = (
    "def f(xs):\n    return xs",
    "def f(xs):\n    xs = [x for x in xs\n    return xs",
    "def f(xs):\n    return ys",
    "TODO write this function next week",
    "def f(xs):\n    for x in xs\n        print(x)",
    "import os\nprint(os)",
)


def program(expressions: list[str]) -> str:
    """A function that applies the expressions to xs, one line each."""
    lines = [f"    xs = {expression}" for expression in expressions[:-1]] + [f"    return {expressions[-1]}"]
    return "\n".join([f"def {ENTRY_POINT}(xs):", *lines])


def run(text: str, inputs: tuple[list[int], ...]) -> list[list[int]]:
    """Results of a program that this module made. Never called with model output."""
    scope: dict = {}
    exec(text, scope)
    return [scope[ENTRY_POINT](list(xs)) for xs in inputs]


@functools.cache
def _differ(programs: tuple[str, ...]) -> bool:
    return all(
        len({repr(run(text, inputs)) for text in programs}) == len(programs) for inputs in (TEST_INPUTS, PROBE_INPUTS)
    )


def wrong(scene: Scene, rng: random.Random) -> str:
    """A program that looks right and is not: half of them read a name that is not there, and do not run; the rest run
    and do something else than any reading: a step is missing, changed, or out of order."""
    expressions = [expression for _, expression in EXACT] + [e for _, meanings in VAGUE for e in meanings]
    right = {repr(run(reading[0], TEST_INPUTS)) for reading in scene.readings}
    while True:
        steps = list(pick(rng, scene.extra["programs"]))
        place = rng.randrange(len(steps))
        fault = rng.random()
        if fault < 0.5:
            steps[place] = steps[place].replace("xs", "ys")
            return program(steps)
        if fault < 0.9:
            del steps[place]
        elif fault < 0.95:
            rng.shuffle(steps)
        else:
            steps[place] = pick(rng, expressions)
        if not steps:
            continue
        text = program(steps)
        if repr(run(text, TEST_INPUTS)) not in right:
            return text


def scene(rng: random.Random) -> Scene:
    """A sentence of two or three steps and its program under each reading (equal if no step is vague)."""
    while True:
        vague = pick(rng, VAGUE) if rng.random() < VAGUE_SHARE else None
        steps = rng.sample(EXACT, rng.choice((1, 1, 2)) + (vague is None))
        place = rng.randint(0, len(steps))
        exact = [expression for _, expression in steps]
        phrases = [pick(rng, options) for options, _ in steps]
        if vague is None:
            programs = [exact] * READINGS
            name = ""
        else:
            phrases.insert(place, pick(rng, vague[0]))
            programs = [[*exact[:place], expression, *exact[place:]] for expression in vague[1]]
            name = vague[0][0]
            if not _differ(tuple(program(steps) for steps in programs)):
                continue  # another step hides the difference
        break
    text = f"{pick(rng, OPENINGS)} {phrases[0]}"
    for phrase in phrases[1:]:
        text += pick(rng, LINKS) + phrase
    key = " | ".join(["code", name, str(place), *exact])
    return Scene(
        key,
        key,
        capital(text) + ".",
        tuple((program(steps),) for steps in programs),
        STRAY,
        {"about": phrases, "vague": vague is not None, "programs": programs},
    )
