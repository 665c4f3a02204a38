"""Creative: a writing prompt and a short ending. The readings are a happy, a sad and a spooky ending."""

from __future__ import annotations

import random

from polychromic.demo.scene import Scene, an, listed, other, pick

OUTPUT = "story"
READING_NAMES = ("happy", "sad", "spooky")

HEROES = listed(
    "baker, sailor, queen, farmer, wizard, doctor, painter, soldier, shepherd, tailor, pirate, teacher, "
    "hunter, dancer, knight, miner"
)
OBJECTS = listed(
    "map, mirror, violin, lantern, key, clock, letter, ring, drum, diary, telescope, doll, crown, "
    "sword, bell, painting, compass, candle"
)
ADJECTIVES = listed("golden, broken, tiny, ancient, blue, silver, singing, frozen")
PLACES = listed(
    "forest, castle, desert, village, harbor, mountain, cellar, island, library, circus, swamp, "
    "lighthouse, market, valley"
)
EVENTS = (
    "{A_hero} finds {a_thing} in the {place}.",
    "{A_hero} steals {a_thing} from the {place}.",
    "In the {place}, {a_hero} is given {a_thing} by a stranger.",
    "{A_hero} must carry {a_thing} to the {place} before winter.",
    "{A_thing} falls from the sky into the {place}, and {a_hero} picks it up.",
    "Every night {a_hero} dreams of {a_thing} under the {place}.",
    "{A_hero} buys {a_thing} and takes it home to the {place}.",
    "After ten years {a_hero} comes back to the {place} with {a_thing}.",
)
# A reading is a tone, and its first words give it away.
HAPPY = (
    "Happily the {hero} {shared} the {thing}, and the whole {place} {danced} with joy.",
    "Happy and in love, the {hero} kept the {thing}, and the whole {place} {danced} with joy.",
    "Happily ever after, with the {hero} and the {thing}, everyone in the {place} {danced} with joy.",
)
SAD = (
    "Sadly the {hero} lost the {thing} and {wept} for a {friend} who died in the {place}.",
    "Sadly the {thing} broke, and the {hero} {wept} for a dead {friend} in the {place}.",
    "Sad to the end, the {hero} buried the {thing} with a dead {friend} and {wept} in the {place}.",
)
SPOOKY = (
    "At midnight a {ghost} crept out of the {thing} and haunted the {hero} in the dark {place}.",
    "At midnight the {thing} {whispered}, and a {ghost} dragged the screaming {hero} into the dark {place}.",
    "Midnight came, and a {ghost} held the {thing} and haunted the {hero} in the dark {place}.",
)
READINGS = (HAPPY, SAD, SPOOKY)
SLOTS = {
    "shared": ("shared", "showed", "gave away"),
    "danced": ("danced", "sang", "celebrated"),
    "wept": ("wept", "cried", "mourned"),
    "friend": ("friend", "brother", "mother"),
    "whispered": ("whispered", "hissed", "moaned"),
    "ghost": ("ghost", "demon", "vampire"),
}
STRAY = (
    "Please rate this chapter and subscribe to read the next one on my page.",
    "The author has not finished this text yet, come back next week for more.",
    "This prompt was removed because it breaks rule number four of the forum.",
    "He went to work by car, ate a sandwich and wrote three emails before noon.",
    "The end.",
    "I like it",
)


def _fill(rng: random.Random, template: str, hero: str, thing: str, place: str) -> str:
    words = {name: pick(rng, options) for name, options in SLOTS.items()}
    return template.format(hero=hero, thing=thing, place=place, **words)


def wrong(scene: Scene, rng: random.Random) -> str:
    """The ending of another story: with another hero, object and place."""
    words = [
        other(rng, options, own) for options, own in zip((HEROES, OBJECTS, PLACES), scene.extra["about"], strict=True)
    ]
    return _fill(rng, pick(rng, pick(rng, READINGS)), *words)


def scene(rng: random.Random) -> Scene:
    """A writing prompt and six endings of each reading that mention its hero, object or place."""
    hero, thing, adjective, place = (
        pick(rng, HEROES),
        pick(rng, OBJECTS),
        pick(rng, ADJECTIVES),
        pick(rng, PLACES),
    )
    words = {"a_hero": an(hero), "a_thing": an(f"{adjective} {thing}"), "place": place}
    words |= {"A_hero": words["a_hero"].capitalize(), "A_thing": words["a_thing"].capitalize()}
    event = rng.randrange(len(EVENTS))
    readings = tuple(
        tuple(_fill(rng, template, hero, thing, place) for template in templates * 2) for templates in READINGS
    )
    return Scene(
        f"{event} {hero} {thing} {place}",
        f"creative {hero} {thing}",
        EVENTS[event].format(**words),
        readings,
        STRAY,
        {"about": (hero, thing, place)},
    )
