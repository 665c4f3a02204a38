"""Social: a post about something that went wrong, and a reply: a joke, sympathy or advice."""

from __future__ import annotations

import random

from polychromic.demo.scene import Scene, capital, listed, pick

OUTPUT = "reply"
READING_NAMES = ("joke", "sympathy", "advice")

# For each kind of thing: the things, what happened, who can help, what to do.
THINGS = (
    (
        listed("bus, train, car, bike, ferry, scooter"),
        listed("broke down, would not start, got a flat tire, crashed into a wall, lost a wheel"),
        listed("a mechanic, the garage"),
        listed("check the engine, read the manual"),
    ),
    (
        listed("dog, cat, parrot, rabbit, pony, turtle"),
        listed("ran away, got very sick, chewed my shoes, bit the neighbor, stopped eating"),
        listed("the vet, a pet trainer"),
        listed("change the food, put up posters"),
    ),
    (
        listed("laptop, phone, printer, camera, fridge, radio"),
        listed("stopped working, fell on the floor, caught fire, got stolen, exploded"),
        listed("the repair shop, customer service"),
        listed("restart it, check the warranty"),
    ),
    (
        listed("cake, soup, bread, pizza, curry, salad"),
        listed("burned, tasted like soap, fell off the table, made everyone sick, was full of salt"),
        listed("a good cook, your grandmother"),
        listed("follow a simple recipe, lower the heat"),
    ),
    (
        listed("exam, interview, concert, picnic, wedding, party"),
        listed("got cancelled, went badly, was rained off, ended in a fight, started without me"),
        listed("the organizers, your teacher"),
        listed("ask for a new date, prepare some notes"),
    ),
    (
        listed("jacket, sweater, dress, scarf, hat, shirt"),
        listed("shrank in the wash, ripped apart, got covered in paint, lost its color, got eaten by moths"),
        listed("a tailor, the laundry"),
        listed("wash it cold, sew a patch on"),
    ),
    (
        listed("roof, kitchen, window, fence, shower, chimney"),
        listed("started leaking, got flooded, fell apart, was full of mice, got hit by lightning"),
        listed("a handyman, your landlord"),
        listed("cover it with plastic, take some photos"),
    ),
    (
        listed("garden, lawn, apple tree, hedge, pond, cactus"),
        listed("dried out, was eaten by snails, died in the frost, got hit by a storm, turned yellow"),
        listed("a gardener, the plant shop"),
        listed("water it at night, use less fertilizer"),
    ),
)
CONSEQUENCES = listed(
    "I missed my flight, my sister is angry with me, the kids are crying, I can not sleep, dinner is "
    "ruined, I am out of money, my boss is furious, the guests arrive in an hour, I have to walk to "
    "work, my back hurts, the neighbors are laughing, I am late for the dentist, the weekend is "
    "ruined, I had to cancel my trip, nobody believes me, I lost a bet, my father will not talk to me, "
    "I have a terrible headache, my birthday is spoiled, I am sitting here in the dark, it costs more "
    "than my rent, I feel like giving up"
)
WHENS = listed(
    "this morning, last night, yesterday, on Monday, right before lunch, on my day off, again today, "
    "in the middle of the night"
)
FRAMES = (
    "My {thing} {trouble} {when} and now {result}.",
    "{When} my {thing} {trouble}, so {result}.",
    "Great, my {thing} {trouble} {when}. Now {result}.",
    "Can you believe it? My {thing} {trouble} {when} and {result}.",
    "I love my {thing}, but it {trouble} {when}. Now {result}.",
)
JOKES = (
    "{Haha}, your {thing} is {clearly} training to become a famous comedian.",
    "{Haha}, your {thing} {clearly} wants to be a famous comedian with a show.",
    "{Haha}, that {thing} is {clearly} the funniest comedian of the year.",
)
SYMPATHY = (
    "I am {so} sorry about your {thing}, sending you a {big} hug.",
    "Oh no, your poor {thing}, I am {so} sorry and send you a {big} hug.",
    "I feel {so} sorry for you and your {thing}, here is a {big} hug.",
)
ADVICE = (
    "You should {act} and then call {help} about the {thing}.",
    "Try to call {help} about your {thing}, and {act} first.",
    "My advice is to {act} and to call {help} about the {thing}.",
)
READINGS = (JOKES, SYMPATHY, ADVICE)
SLOTS = {
    "Haha": ("Haha", "Lol", "Funny"),
    "clearly": ("clearly", "obviously", "surely"),
    "so": ("so", "really", "terribly"),
    "big": ("big", "warm", "huge"),
}
STRAY = (
    "Follow me for more great posts and win a free gift card today.",
    "I had noodles for lunch and now I am watching the football game.",
    "First comment here, who else is reading this late at night?",
    "The weather in the north will be cloudy with some rain tomorrow.",
    "Yes.",
    "ok lol",
)


def _fill(rng: random.Random, template: str, thing: str, helpers: tuple[str, ...], acts: tuple[str, ...]) -> str:
    words = {name: pick(rng, options) for name, options in SLOTS.items()}
    return template.format(thing=thing, help=pick(rng, helpers), act=pick(rng, acts), **words)


def wrong(scene: Scene, rng: random.Random) -> str:
    """A reply to another post: about a thing of another kind."""
    while True:
        things, _, helpers, acts = pick(rng, THINGS)
        if scene.extra["about"][0] not in things:
            return _fill(rng, pick(rng, pick(rng, READINGS)), pick(rng, things), helpers, acts)


def scene(rng: random.Random) -> Scene:
    """A post and six replies of each reading that mention the thing of the post."""
    things, troubles, helpers, acts = pick(rng, THINGS)
    thing, trouble, result, when = (
        pick(rng, things),
        pick(rng, troubles),
        pick(rng, CONSEQUENCES),
        pick(rng, WHENS),
    )
    post = pick(rng, FRAMES).format(thing=thing, trouble=trouble, when=when, When=capital(when), result=result)
    readings = tuple(
        tuple(_fill(rng, template, thing, helpers, acts) for template in templates * 2) for templates in READINGS
    )
    return Scene(f"{thing} {trouble} {result}", f"social {thing}", post, readings, STRAY, {"about": (thing,)})
