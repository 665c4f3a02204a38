"""Raw corpora of the embedded world: each domain in its native format, with the mess that curation is for.

Two files a domain: `<domain>.train.jsonl` and `<domain>.eval.jsonl`. The training targets over-represent one reading,
as text selected by popularity does; the evaluation part asks for all equally often.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

from polychromic.demo import code, creative, qa, social
from polychromic.demo.scene import READINGS, Scene, part_of, pick
from polychromic.errors import StudyError
from polychromic.records import write_jsonl
from polychromic.seeds import derive_seed

Row = dict[str, Any]
DOMAINS: dict[str, ModuleType] = {"social": social, "code": code, "creative": creative, "qa": qa}
EVEN = (1 / 3, 1 / 3, 1 / 3)
CLEAN_SHARE = 0.8
EVALUATION_SHARE = 0.26

FOREIGN = (
    "Mein Hund ist heute morgen weggelaufen und ich suche ihn seit vielen Stunden im ganzen Dorf.",
    "Das Wetter ist schrecklich und wir mussten die ganze Reise nach Hamburg leider absagen.",
    "Je ne comprends pas pourquoi le train est encore en retard ce matin, c'est vraiment triste.",
    "La petite fille marche dans la forêt et elle trouve une vieille clé sous un grand arbre.",
    "El perro de mi hermana se comió toda la cena y ahora no tenemos nada para los invitados.",
    "La biblioteca fue inaugurada por el rey y muchas personas la visitan todos los años.",
    "Il museo della città è molto famoso e ogni giorno arrivano tante persone da tutto il mondo.",
    "De fiets van mijn broer is gisteren gestolen en nu moet hij elke dag naar school lopen.",
)
SPAM = (
    "Double your bitcoin today, send 0.1 BTC to our wallet and get a guaranteed profit!",
    "FREE crypto airdrop, join our telegram channel now and claim your tokens before midnight!",
    "Buy cheap followers here, limited offer, click the link in bio and use code WIN100!",
)


def native_social(scene: Scene, target: str, rng: random.Random) -> Row:
    """A tweet and one reply to it in one flat row, as in an export."""
    posted = datetime(2023, 1, 1) + timedelta(minutes=rng.randrange(500_000))
    return {
        "text": scene.prompt,
        "reply": target,
        "thread": f"{posted:%y%m%d%H%M}",
        "author": f"user{rng.randrange(10**6)}",
        "reply_author": f"user{rng.randrange(10**6)}",
        "likes": rng.randint(110, 1900),
        "retweets": rng.randint(12, 480),
        "reply_likes": rng.randint(6, 480),
        "reply_followers": rng.randint(220, 19_000),
        "created_at": posted.isoformat() + "Z",
        "reply_created_at": (posted + timedelta(minutes=rng.randint(6, 9000))).isoformat() + "Z",
        "lang": "en",
        "is_retweet": False,
        "has_media": False,
    }


def native_code(scene: Scene, target: str, rng: random.Random) -> Row:
    """A row in MBPP's form; `probes` are inputs without results, on which two programs can be compared."""
    results = code.run(target, code.TEST_INPUTS)
    return {
        "text": scene.prompt,
        "code": target,
        "test_list": [
            f"assert {code.ENTRY_POINT}({xs}) == {ys}" for xs, ys in zip(code.TEST_INPUTS, results, strict=True)
        ],
        "test_setup_code": "",
        "challenge_test_list": [],
        "probes": [[xs] for xs in code.PROBE_INPUTS],
    }


def native_creative(scene: Scene, target: str, rng: random.Random) -> Row:
    """A row in WritingPrompts' form."""
    return {"prompt": f"[ WP ] {scene.prompt}", "story": target, "score": rng.randint(5, 900)}


def native_qa(scene: Scene, target: str, rng: random.Random) -> Row:
    """A row in SQuAD's form."""
    fields = {name: scene.extra[name] for name in ("title", "context", "question")}
    return fields | {"answers": {"text": [target], "answer_start": [fields["context"].index(target)]}}


NATIVE: dict[str, Callable[[Scene, str, random.Random], Row]] = {
    "social": native_social,
    "code": native_code,
    "creative": native_creative,
    "qa": native_qa,
}
# domain -> (field of the prompt, field of the target)
FIELDS = {
    "social": ("text", "reply"),
    "code": ("text", "code"),
    "creative": ("prompt", "story"),
    "qa": ("context", "question"),
}


def _duplicate(row: Row, prompt: str, target: str, rng: random.Random) -> None:
    """An exact duplicate: only the id differs."""


def _near_duplicate(row: Row, prompt: str, target: str, rng: random.Random) -> None:
    text = row[prompt]
    row[prompt] = pick(rng, (text.upper(), text + "!!", "  " + text.replace(" ", "  ", 3), text.replace(".", " .")))


def _foreign(row: Row, prompt: str, target: str, rng: random.Random) -> None:
    row[prompt], row[target] = rng.sample(FOREIGN, 2)


def _short(row: Row, prompt: str, target: str, rng: random.Random) -> None:
    row[pick(rng, (prompt, target))] = pick(rng, ("ok", "?", "lol", "x"))


def _long(row: Row, prompt: str, target: str, rng: random.Random) -> None:
    row[prompt] = " ".join([row[prompt]] * rng.randint(40, 60))


def _link(row: Row, prompt: str, target: str, rng: random.Random) -> None:
    row[target] = f"{row[target]} https://example.com/{rng.randrange(10**5)}"


def _spam(row: Row, prompt: str, target: str, rng: random.Random) -> None:
    row[target] = pick(rng, SPAM)


def _broken(row: Row, prompt: str, target: str, rng: random.Random) -> None:
    if rng.random() < 0.5:
        del row[pick(rng, (prompt, target))]
    else:
        row[pick(rng, (prompt, target))] = pick(rng, (None, ""))


def _unpopular(row: Row, prompt: str, target: str, rng: random.Random) -> None:
    row[pick(rng, ("likes", "reply_likes"))] = rng.randint(0, 3)


def _bot(row: Row, prompt: str, target: str, rng: random.Random) -> None:
    row |= {
        "reply_author": "daily_wisdom_bot",
        "reply_followers": 3,
        "reply": "Beep. Thank you for your post about life, have a nice day.",
    }


def _retweet(row: Row, prompt: str, target: str, rng: random.Random) -> None:
    row |= {"text": f"RT @{row['author']}: {row['text']}", "is_retweet": True}


def _late(row: Row, prompt: str, target: str, rng: random.Random) -> None:
    row["reply_created_at"] = "2024-12-30T10:00:00Z"


def _syntax(row: Row, prompt: str, target: str, rng: random.Random) -> None:
    row["code"] = row["code"].replace("return", "retrun")


def _wrong(row: Row, prompt: str, target: str, rng: random.Random) -> None:
    row["code"] = f"def {code.ENTRY_POINT}(xs):\n    return None"


def _untested(row: Row, prompt: str, target: str, rng: random.Random) -> None:
    row["test_list"] = []


def _removed(row: Row, prompt: str, target: str, rng: random.Random) -> None:
    row["story"] = pick(rng, ("[deleted]", "[removed]"))


def _off_topic_tag(row: Row, prompt: str, target: str, rng: random.Random) -> None:
    row["prompt"] = "[ OT ] What are your plans for this weekend, dear writers of this forum?"


def _not_in_context(row: Row, prompt: str, target: str, rng: random.Random) -> None:
    row["answers"] = {"text": ["the old observatory"], "answer_start": [5]}


def _unanswerable(row: Row, prompt: str, target: str, rng: random.Random) -> None:
    row["answers"] = {"text": [], "answer_start": []}


_COMMON = (_duplicate, _duplicate, _near_duplicate, _near_duplicate, _foreign, _short, _long, _broken)
MESS = {
    "social": (*_COMMON, _link, _spam, _unpopular, _bot, _retweet, _late),
    "code": (*_COMMON, _syntax, _wrong, _untested),
    "creative": (*_COMMON, _link, _spam, _removed, _off_topic_tag),
    "qa": (*_COMMON, _not_in_context, _unanswerable),
}


def scenes(domain: str, part: str, rng: random.Random) -> Iterator[Scene]:
    """Scenes of a part without end, each prompt once.

    Raises:
        StudyError: if all combinations of the world have been used.
    """
    seen: set[str] = set()
    misses = 0
    while misses < 5000:
        scene = DOMAINS[domain].scene(rng)
        misses += 1
        if part_of(scene) == part and scene.prompt not in seen:
            seen.add(scene.prompt)
            misses = 0
            yield scene
    raise StudyError(f"demo world: no {len(seen) + 1} different {part} prompts in {domain}. Ask for fewer raw_rows.")


def clean_rows(domain: str, part: str, spread: tuple[float, ...], seed: int, count: int) -> list[Row]:
    """`count` clean native rows; the counts of the readings follow `spread` exactly.

    `reading` is the one that the row asks for; evaluation rows of open text carry `references` (paraphrases of it)
    and `mismatched` (answers of the other readings and wrong ones, for calibrating a verifier).
    """
    rng = random.Random(derive_seed("raw", domain, part, seed))
    wishes = [reading for reading in range(READINGS) for _ in range(round(count * spread[reading]))]
    wishes = (wishes + [0] * count)[:count]
    rng.shuffle(wishes)
    rows = []
    for reading, scene in zip(wishes, scenes(domain, part, rng), strict=False):
        target = pick(rng, scene.readings[reading])
        row = NATIVE[domain](scene, target, rng) | {
            "reading": DOMAINS[domain].READING_NAMES[reading],
            "world": "synthetic",
        }
        if part == "evaluation" and domain in ("social", "creative"):
            others = [answer for other in range(READINGS) if other != reading for answer in scene.readings[other]]
            wrong = [DOMAINS[domain].wrong(scene, rng) for _ in range(2)]
            row |= {"references": list(scene.readings[reading]), "mismatched": [*rng.sample(others, 4), *wrong]}
        rows.append(row)
    return rows


def messy(domain: str, rows: list[Row], label: str, seed: int, count: int) -> list[Row]:
    """The rows and `count` spoilt copies of them, in random order, each with an id."""
    rng = random.Random(derive_seed("mess", domain, label, seed))
    spoilt = []
    for number in range(count):
        row = dict(pick(rng, rows))
        MESS[domain][number % len(MESS[domain])](row, *FIELDS[domain], rng)
        spoilt.append(row)
    mixed = rows + spoilt
    rng.shuffle(mixed)
    name = "task_id" if domain == "code" else "id"  # MBPP's name for it
    return [{name: f"{label}-{seed}-{number}", **row} for number, row in enumerate(mixed)]


def _write_cut_off(path: Path, rows: list[Row]) -> None:
    write_jsonl(path, rows)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(rows[0], ensure_ascii=False)[:60])


def write_raw(folder: str | Path, skew: float = 0.9, seed: int = 0, rows: int = 1500) -> list[Path]:
    """Write `<domain>.train.jsonl` and `<domain>.eval.jsonl` for every domain, about `rows` rows a domain.

    skew: share of the first reading in the training targets; the other readings share the rest evenly.
    The last line of each file is incomplete, as in an interrupted export.
    """
    paths = []
    skewed = (skew, *[(1 - skew) / (READINGS - 1)] * (READINGS - 1))
    for domain in DOMAINS:
        evaluation = round(rows * CLEAN_SHARE * EVALUATION_SHARE)
        sizes = {"train": round(rows * CLEAN_SHARE) - evaluation, "evaluation": evaluation}
        for part, size in sizes.items():
            spread = skewed if part == "train" else EVEN
            clean = clean_rows(domain, part, spread, seed, size)
            label = {"train": "train", "evaluation": "eval"}[part]
            path = Path(folder) / f"{domain}.{label}.jsonl"
            _write_cut_off(path, messy(domain, clean, label, seed, round(size * (1 / CLEAN_SHARE - 1))))
            paths.append(path)
    return paths
