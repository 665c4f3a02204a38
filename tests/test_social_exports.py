"""Tweet exports of every known shape give the same pair."""

from __future__ import annotations

import json

import pytest

from polychromic.data.rows import BadRow
from polychromic.data.sources import make_source
from polychromic.data.sources.base import read_source

POST, REPLY = "My bus broke down again.", "@ada Walk with me then, it is sunny."
FLAT = {
    "id": "2",
    "text": POST,
    "reply": REPLY,
    "author": "@Ada",
    "reply_author": "bo",
    "likes": 150,
    "retweets": "12",
    "reply_likes": 9,
    "followers": 300,
    "created_at": "2024-05-01T10:00:00Z",
    "reply_created_at": "2024-05-01T10:10:00.000Z",
    "lang": "en",
    "thread": "1",
}
API_V2 = {
    "data": [
        {
            "id": "2",
            "text": REPLY,
            "author_id": "22",
            "conversation_id": "1",
            "created_at": "2024-05-01T10:10:00.000Z",
            "lang": "en",
            "public_metrics": {"like_count": 9, "retweet_count": 0},
            "referenced_tweets": [{"type": "replied_to", "id": "1"}],
        },
        {
            "id": "3",
            "text": "Lonely.",
            "author_id": "22",
            "referenced_tweets": [{"type": "replied_to", "id": "404"}],
        },
    ],
    "includes": {
        "users": [
            {"id": "11", "username": "ada", "public_metrics": {"followers_count": 7}},
            {"id": "22", "username": "bo", "public_metrics": {"followers_count": 300}},
        ],
        "tweets": [
            {
                "id": "1",
                "text": POST,
                "author_id": "11",
                "conversation_id": "1",
                "created_at": "2024-05-01T10:00:00.000Z",
                "public_metrics": {"like_count": 150, "retweet_count": 12},
            }
        ],
    },
}
API_V1 = [
    {
        "id_str": "1",
        "full_text": POST,
        "user": {"screen_name": "ada", "followers_count": 7},
        "favorite_count": 150,
        "retweet_count": 12,
        "created_at": "Wed May 01 10:00:00 +0000 2024",
        "lang": "en",
    },
    {
        "id_str": "2",
        "full_text": REPLY,
        "user": {"screen_name": "bo", "followers_count": 300},
        "favorite_count": 9,
        "retweet_count": 0,
        "created_at": "Wed May 01 10:10:00 +0000 2024",
        "lang": "en",
        "in_reply_to_status_id_str": "1",
    },
]
SNSCRAPE = [
    {
        "id": 2,
        "rawContent": REPLY,
        "user": {"username": "bo", "followersCount": 300},
        "likeCount": 9,
        "retweetCount": 0,
        "date": "2024-05-01T10:10:00+00:00",
        "inReplyToTweetId": 1,
        "conversationId": 1,
        "lang": "en",
        "media": None,
    },
    {
        "id": 1,
        "rawContent": POST,
        "user": {"username": "ada", "followersCount": 7},
        "likeCount": 150,
        "retweetCount": 12,
        "date": "2024-05-01T10:00:00+00:00",
        "conversationId": 1,
        "lang": "en",
    },
]
TWINT = [
    {
        "id": 1,
        "conversation_id": "1",
        "tweet": POST,
        "username": "ada",
        "likes_count": 150,
        "retweets_count": 12,
        "date": "2024-05-01",
        "time": "10:00:00",
        "language": "en",
    },
    {
        "id": 2,
        "conversation_id": "1",
        "tweet": REPLY,
        "username": "bo",
        "likes_count": 9,
        "retweets_count": 0,
        "date": "2024-05-01",
        "time": "10:10:00",
        "language": "en",
    },
]
ARCHIVE = [{"tweet": post} for post in API_V1]


def read(tmp_path, rows, **settings):
    (tmp_path / "x.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = make_source({"format": "tweets", "path": "x.jsonl", **settings})
    return list(read_source(source, tmp_path))


@pytest.mark.parametrize(
    ("rows", "left_out"),
    [([FLAT], 0), ([API_V2], 1), (API_V1, 1), (SNSCRAPE, 1), (TWINT, 1), (ARCHIVE, 1)],
    ids=["flat", "api v2", "api v1.1", "snscrape", "twint", "archive"],
)
def test_every_export_gives_the_same_pair(tmp_path, rows, left_out):
    items = read(tmp_path, rows)
    pairs = [item for item in items if not isinstance(item, BadRow)]
    assert [item.excluded for item in items if isinstance(item, BadRow)] == [True] * left_out
    [record] = pairs
    assert (record.id, record.prompt, record.target, record.references) == ("2", POST, REPLY, (REPLY,))
    assert record.meta["likes"] == 150
    assert record.meta["retweets"] == 12
    assert record.meta["reply_likes"] == 9
    assert record.meta["delay_seconds"] == 600
    assert record.meta["lang"] == "en"
    assert record.meta["followers"] == (None if rows is TWINT else 300)
    assert not any(record.meta[flag] for flag in ("retweet", "quote", "media", "bot"))


def test_authors_are_pseudonyms_and_the_thread_is_the_group(tmp_path):
    [record] = read(tmp_path, [FLAT])
    assert "ada" not in json.dumps(record.meta).lower().replace("@ada walk", "")
    assert len(record.meta["author"]) == 12
    [same] = read(tmp_path, [{**FLAT, "author": "ada"}])
    assert same.meta["author"] == record.meta["author"]
    [by_author] = read(tmp_path, [FLAT], group_by="author")
    assert by_author.group == record.meta["author"] != record.group


def test_retweets_media_quotes_and_bots_are_flagged(tmp_path):
    rows = [{**FLAT, "id": str(n)} for n in range(5)]
    rows[0]["is_retweet"] = "True"
    rows[1]["text"] = "RT @x: hello"
    rows[2]["has_media"] = True
    rows[3]["is_quote_status"] = 1
    rows[4]["reply_author"] = "daily_wisdom_bot"
    flags = [
        {key for key in ("retweet", "media", "quote", "bot") if record.meta[key]} for record in read(tmp_path, rows)
    ]
    assert flags == [{"retweet"}, {"retweet"}, {"media"}, {"quote"}, {"bot"}]


def test_rows_that_are_no_posts_are_named(tmp_path):
    items = read(
        tmp_path,
        [FLAT, {"hello": "world"}, {**FLAT, "likes": "many"}, {**FLAT, "reply": None}],
        max_bad_share=1,
    )
    assert [(item.where, item.reason) for item in items[1:]] == [
        ("x.jsonl, line 2", "no column 'text'; found 'hello'"),
        ("x.jsonl, line 3", "'likes' is 'many', not a number"),
        ("x.jsonl, line 4", "'reply' is null, not a text"),
    ]


def test_a_row_that_is_neither_is_named(tmp_path):
    items = read(tmp_path, [*API_V1, {"hello": "world"}], max_bad_share=1)
    assert "neither a post with its reply, nor a post with an id and a text" in {
        item.reason for item in items if isinstance(item, BadRow)
    }


def test_times_that_cannot_be_read_leave_the_delay_open(tmp_path):
    [record] = read(tmp_path, [{**FLAT, "created_at": "yesterday"}])
    assert record.meta["delay_seconds"] is None
    [record] = read(tmp_path, [{**FLAT, "created_at": 1714557600, "reply_created_at": 1714557660000}])
    assert record.meta["delay_seconds"] == 60
