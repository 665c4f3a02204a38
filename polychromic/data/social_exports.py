"""Posts and replies from the exports of platforms and scrapers, as one flat row a pair.

Known shapes: one pair a row, with several spellings of its columns; pages of the X API v2 with `includes`; one post a
row as API v1.1, the account archive, snscrape, twscrape and twint write it. A reply to a post that is not in the file
gives no pair and is reported as left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from polychromic.data.rows import BadRow, Row

SPELLINGS = {
    "id": ("id", "pair_id", "reply_id", "tweet_id", "id_str"),
    "text": ("text", "tweet", "tweet_text", "post", "post_text", "full_text"),
    "reply": ("reply", "reply_text", "response"),
    "author": ("author", "author_id", "username", "screen_name", "user"),
    "reply_author": ("reply_author", "reply_author_id", "reply_username", "reply_user"),
    "thread": ("thread", "thread_id", "conversation_id", "conversation"),
    "likes": ("likes", "like_count", "likes_count", "favorite_count"),
    "retweets": ("retweets", "retweet_count", "retweets_count"),
    "reply_likes": ("reply_likes", "reply_like_count", "reply_favorite_count"),
    "followers": ("followers", "reply_followers", "reply_author_followers", "followers_count"),
    "created_at": ("created_at", "date", "timestamp"),
    "reply_created_at": ("reply_created_at", "reply_date", "reply_timestamp"),
    "lang": ("lang", "language"),
    "retweet": ("retweet", "is_retweet"),
    "quote": ("quote", "is_quote", "is_quote_status"),
    "media": ("media", "has_media"),
}
"""Of a pair's columns. `likes` and `retweets` are the post's, `followers` those of who replied."""


def find(row: dict[str, Any], name: str) -> str:
    """How this row spells a column; the first spelling if it has none of them."""
    return next((spelling for spelling in SPELLINGS[name] if spelling in row), SPELLINGS[name][0])


def is_true(row: dict[str, Any], name: str) -> bool:
    """A flag column, by any spelling; a list of media counts as true if it holds something."""
    value = row.get(find(row, name))
    return value.strip().lower() in ("true", "1", "yes") if isinstance(value, str) else bool(value)


@dataclass(frozen=True)
class Post:
    id: str
    text: Any
    author: Any = None
    followers: Any = None
    created: Any = None
    likes: Any = None
    retweets: Any = None
    lang: Any = None
    parent: str = ""
    thread: Any = None
    retweet: bool = False
    quote: bool = False
    media: bool = False


def pair(rows: Iterator[Row | BadRow]) -> Iterator[Row | BadRow]:
    """Flat pairs. A row that holds a pair passes through; single posts are paired at the end of the file."""
    known: dict[str, Post] = {}
    waiting: list[tuple[str, Post]] = []
    flat = False  # in a file of pairs, a row without its reply is a broken pair, not a post
    for item in rows:
        if isinstance(item, BadRow) or flat or find(item[1], "reply") in item[1]:
            flat = flat or not isinstance(item, BadRow)
            yield item
            continue
        where, row = item
        row = row["tweet"] if isinstance(row.get("tweet"), dict) else row  # the account archive
        paged = "data" in row and isinstance(row["data"], dict | list)
        posts = (row["data"] if isinstance(row["data"], list) else [row["data"]]) if paged else [row]
        includes = row.get("includes") if paged and isinstance(row.get("includes"), dict) else {}
        users = {str(user.get("id")): user for user in _objects(includes.get("users"))}
        for raw in _objects(includes.get("tweets")):
            if post := _post(raw, users):
                known.setdefault(post.id, post)
        for number, raw in enumerate(posts, start=1):
            place = f"{where}, post {number}" if paged else where
            post = _post(raw, users) if isinstance(raw, dict) else None
            if post is None:
                yield BadRow(place, "neither a post with its reply, nor a post with an id and a text")
            else:
                known[post.id] = post
                waiting.append((place, post))
    for where, post in waiting:
        if not post.parent:
            yield BadRow(where, "a post that is not a reply", excluded=True)
        elif post.parent not in known:
            yield BadRow(where, "a reply to a post that is not in the file", excluded=True)
        else:
            yield where, _flat(known[post.parent], post)


def _flat(post: Post, reply: Post) -> dict[str, Any]:
    return {
        "id": reply.id,
        "text": post.text,
        "reply": reply.text,
        "author": post.author,
        "reply_author": reply.author,
        "thread": reply.thread or post.thread or post.id,
        "likes": post.likes,
        "retweets": post.retweets,
        "reply_likes": reply.likes,
        "followers": reply.followers,
        "created_at": post.created,
        "reply_created_at": reply.created,
        "lang": reply.lang,
        "retweet": post.retweet or reply.retweet,
        "quote": post.quote or reply.quote,
        "media": post.media or reply.media,
    }


def _post(raw: dict[str, Any], users: dict[str, dict[str, Any]]) -> Post | None:
    """One post of any shape; None if it has no id or no text."""
    if any(key in raw for key in ("referenced_tweets", "public_metrics", "author_id", "edit_history_tweet_ids")):
        post = _api_v2(raw, users)
    elif any(key in raw for key in ("rawContent", "content", "renderedContent")):
        post = _snscrape(raw)
    elif "tweet" in raw:
        post = _twint(raw)
    else:
        post = _api_v1(raw)
    return post if post.id and post.text is not None else None


def _api_v2(raw: dict[str, Any], users: dict[str, dict[str, Any]]) -> Post:
    kinds = {link.get("type"): _id(link.get("id")) for link in _objects(raw.get("referenced_tweets"))}
    counts, user = _dict(raw, "public_metrics"), users.get(_id(raw.get("author_id")), {})
    return Post(
        _id(raw.get("id")),
        _dict(raw, "note_tweet").get("text") or raw.get("text"),
        raw.get("author_id"),
        _dict(user, "public_metrics").get("followers_count"),
        raw.get("created_at"),
        counts.get("like_count"),
        counts.get("retweet_count"),
        raw.get("lang"),
        kinds.get("replied_to", ""),
        raw.get("conversation_id"),
        "retweeted" in kinds,
        "quoted" in kinds,
        bool(_dict(raw, "attachments").get("media_keys")),
    )


def _api_v1(raw: dict[str, Any]) -> Post:
    user = _dict(raw, "user")
    entities = _dict(raw, "extended_entities") or _dict(raw, "entities")
    return Post(
        _id(raw.get("id_str") or raw.get("id")),
        raw.get("full_text", raw.get("text")),
        user.get("id_str") or user.get("screen_name"),
        user.get("followers_count"),
        raw.get("created_at"),
        raw.get("favorite_count"),
        raw.get("retweet_count"),
        raw.get("lang"),
        _id(raw.get("in_reply_to_status_id_str") or raw.get("in_reply_to_status_id")),
        raw.get("conversation_id_str"),
        "retweeted_status" in raw,
        bool(raw.get("is_quote_status")),
        bool(entities.get("media")),
    )


def _snscrape(raw: dict[str, Any]) -> Post:
    """snscrape and twscrape, which keeps its names."""
    user = _dict(raw, "user")
    media = raw.get("media")
    return Post(
        _id(raw.get("id_str") or raw.get("id")),
        raw.get("rawContent") or raw.get("content") or raw.get("renderedContent"),
        user.get("username"),
        user.get("followersCount"),
        raw.get("date"),
        raw.get("likeCount"),
        raw.get("retweetCount"),
        raw.get("lang"),
        _id(raw.get("inReplyToTweetId")),
        raw.get("conversationId"),
        bool(raw.get("retweetedTweet")),
        bool(raw.get("quotedTweet")),
        any(media.values()) if isinstance(media, dict) else bool(media),
    )


def _twint(raw: dict[str, Any]) -> Post:
    """twint names no parent: the parent is taken to be the post that opened the conversation."""
    name, thread = _id(raw.get("id")), _id(raw.get("conversation_id"))
    created = raw.get("created_at") or f"{raw.get('date', '')} {raw.get('time', '')}".strip()
    return Post(
        name, raw.get("tweet"), raw.get("username"), None, created, raw.get("likes_count"),
        raw.get("retweets_count"), raw.get("language"), thread if thread != name else "", thread,
        raw.get("retweet") is True, bool(raw.get("quote_url")), bool(raw.get("photos") or raw.get("video")),
    )  # fmt: skip


def delay(row: dict[str, Any]) -> float | None:
    """Seconds from the post to the reply; None where either time is missing or unreadable."""
    post, reply = (_time(row.get(find(row, key))) for key in ("created_at", "reply_created_at"))
    return None if post is None or reply is None else (reply - post).total_seconds()


def _time(value: Any) -> datetime | None:
    """ISO 8601, the API v1.1 form ("Wed Oct 10 20:19:24 +0000 2018") or seconds since 1970; UTC where
    unsaid."""
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value / 1000 if value > 1e11 else value, UTC)
        for read in (datetime.fromisoformat, lambda text: datetime.strptime(text, "%a %b %d %H:%M:%S %z %Y")):
            try:
                time = read(str(value).strip())
                return time if time.tzinfo else time.replace(tzinfo=UTC)
            except ValueError:
                continue
    except (OverflowError, OSError, ValueError):
        pass
    return None


def _id(value: Any) -> str:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _dict(row: dict[str, Any], key: str) -> dict[str, Any]:
    value = row.get(key)
    return value if isinstance(value, dict) else {}


def _objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
