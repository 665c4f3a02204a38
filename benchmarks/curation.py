"""How long curation takes, and how much memory, by the number of raw rows; the embedding filter beside it.

    python -m benchmarks.curation [--rows 1000 10000 100000] [--embed 1000]

Asked: linear in the rows, 100,000 tweets in under two minutes and 4 GiB on two cores, with MinHash on prompt
and target and without the embedding filter. The last line is one JSON object with the same figures.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

from polychromic.data.curation import curate
from polychromic.data.filters import make_filter
from polychromic.data.sources import make_source
from polychromic.data.sources.base import read_source
from polychromic.records import write_jsonl

FILTERS = [
    {"filter": "refuse", "key": "retweet"},
    {"filter": "bounds", "key": "likes", "min": 100, "max": 2000},
    {"filter": "bounds", "key": "delay_seconds", "min": 300, "max": 604800},
    {"filter": "fix_text"},
    {"filter": "mentions", "max": 2},
    {"filter": "mask_personal_data"},
    {"filter": "urls"},
    {"filter": "hashtags"},
    {"filter": "length", "min": 30, "max": 280},
    {"filter": "unique_words"},
    {"filter": "language"},
    {"filter": "spam"},
    {"filter": "generic"},
    {"filter": "toxicity"},
    {"filter": "copy_of_prompt"},
    {"filter": "cap", "key": "reply_author", "max": 10},
    {"filter": "exact_duplicates"},
    {"filter": "near_duplicates", "text": "prompt"},
    {"filter": "near_duplicates", "text": "target"},
]
EMBEDDING = {"filter": "semantic_duplicates", "text": "target"}
# Twenty thousand made-up words, as often used as words are (Zipf), among English function words.
FUNCTION = (
    "the",
    "my",
    "a",
    "this",
    "and",
    "but",
    "with",
    "is",
    "was",
    "will",
    "you",
    "we",
    "they",
    "really",
)
SYLLABLES = (
    "ber",
    "lan",
    "tin",
    "mo",
    "ra",
    "ding",
    "sel",
    "ous",
    "per",
    "ch",
    "ight",
    "con",
    "ly",
    "ter",
    "ent",
)


def sentence(rng: random.Random) -> str:
    """12 to 30 words, every third a function word."""
    words = []
    for _ in range(rng.randint(12, 30)):
        rank = int(20_000 ** rng.random())
        word = "".join(SYLLABLES[rank // 15**digit % 15] for digit in range(1 + (rank > 15) + (rank > 225)))
        words.append(rng.choice(FUNCTION) if rng.random() < 0.33 else word)
    return " ".join(words) + "."


def tweet(number: int, rng: random.Random) -> dict[str, Any]:
    """A pair as an export has it; one in five is spoilt in some way."""
    post, reply = sentence(rng), sentence(rng)
    row = {
        "id": str(number), "text": post, "reply": f"@user{number} {reply}", "author": f"a{number}",
        "reply_author": f"b{rng.randrange(number + 1)}", "likes": rng.randint(100, 2000), "retweets": 20,
        "created_at": "2024-05-01T10:00:00Z", "reply_created_at": "2024-05-01T11:00:00Z", "lang": "en",
    }  # fmt: skip
    spoilt = rng.randrange(40)
    if spoilt == 0:
        row["likes"] = 3
    elif spoilt == 1:
        row["reply"] += " https://example.org/x"
    elif spoilt == 2:
        row["reply"] = "ok"
    elif spoilt == 3:
        row["reply"] = "Mein Hund ist heute morgen weggelaufen und ich suche ihn seit vielen Stunden im Dorf."
    elif spoilt == 4:
        row["reply"] += " free airdrop, link in bio"
    elif spoilt == 5:
        row["text"] = "The very same post that many people wrote on that day, word for word, again and again."
    elif spoilt == 6:
        row["text"] = None
    elif spoilt == 7:
        row["reply"] += " #a #b #c #d"
    return row


def measure(rows: int, filters: list[dict[str, Any]]) -> dict[str, Any]:
    """Seconds and peak memory of reading and curating `rows` tweets, in this process."""
    with tempfile.TemporaryDirectory() as folder:
        rng = random.Random(rows)
        write_jsonl(Path(folder) / "tweets.jsonl", (tweet(number, rng) for number in range(rows)))
        source = make_source({"format": "tweets", "path": "tweets.jsonl"})
        steps = [make_filter(step) for step in filters]
        start, busy = time.perf_counter(), time.process_time()
        result = curate(read_source(source, folder), steps, seed=0, target_size=1200)
        seconds, busy = time.perf_counter() - start, time.process_time() - busy
    return {
        "rows": rows,
        "seconds": round(seconds, 2),
        "cpu_seconds": round(busy, 2),
        "gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),  # counted in KiB on Linux
        "kept": result.funnel["kept"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--embed", type=int, default=1000, help="rows for the embedding filter; 0: none")
    options = parser.parse_args()
    jobs = [(rows, FILTERS) for rows in options.rows]
    if options.embed:
        jobs.append((options.embed, [*FILTERS, EMBEDDING]))
    print(f"{'rows':>9} {'seconds':>9} {'CPU s':>9} {'CPU ms/row':>11} {'GiB':>6}  filters")
    measured = []
    for rows, filters in jobs:
        # A process each: peak memory is a process's own.
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            found = pool.apply(measure, (rows, filters))
        found["embedding"] = EMBEDDING in filters
        kinds = "all, and the embedding filter" if found["embedding"] else "all, with MinHash on both texts"
        print(
            f"{rows:>9} {found['seconds']:>9.1f} {found['cpu_seconds']:>9.1f} "
            f"{1000 * found['cpu_seconds'] / rows:>11.2f} {found['gib']:>6.2f}  {kinds}",
            flush=True,
        )
        measured.append(found)
    print(json.dumps({"benchmark": "curation", "measured": measured}))


if __name__ == "__main__":
    main()
