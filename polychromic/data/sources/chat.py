"""Chats: rows of turns, as fine-tuning sets and chat services export them."""

from __future__ import annotations

from typing import Any, Literal

from polychromic.data.fields import CHAT_COLUMNS, Unusable, digest, is_blank, json_value, nearest, optional, quoted
from polychromic.data.near_duplicates import normal
from polychromic.data.sources import SOURCES
from polychromic.data.sources.base import BaseSource
from polychromic.records import Record, chat_text

ROLES = {
    **dict.fromkeys(("user", "human", "prompter"), "user"),
    **dict.fromkeys(("assistant", "gpt", "bot", "chatgpt", "model"), "assistant"),
    **dict.fromkeys(("system", "developer"), "system"),
}
"""What exports call who speaks, and what chat templates do."""


@SOURCES.register("chat")
class Chat(BaseSource):
    """Turns in a column `messages` (role, content) or `conversations` (ShareGPT's from, value). The last answer is the
    target, the turns before it are the prompt, and keep their roles under a chat template. The group is the first
    question."""

    format: Literal["chat"]

    def record(self, row: dict[str, Any]) -> Record:
        column = next((name for name in CHAT_COLUMNS if name in row), None)
        if column is None:
            raise Unusable(f"no column 'messages' or 'conversations'{nearest('messages', row)}; found {quoted(row)}")
        turns = _turns(row[column], column)
        answers = [at for at, turn in enumerate(turns) if turn["role"] == "assistant"]
        if not answers:
            raise Unusable(f"{column!r} holds no turn of the assistant")
        before, target = turns[: answers[-1]], turns[answers[-1]]["content"]
        if not before or before[-1]["role"] != "user":
            raise Unusable(f"{column!r}: the last answer follows no turn of the user")
        first = next(turn["content"] for turn in before if turn["role"] == "user")
        name = optional(row, "id") or optional(row, "conversation_id")
        meta = {"turns": before} if len(before) > 1 else {}
        return Record(name, chat_text(before), target, (target,), group=digest(normal(first)), meta=meta)


def _turns(value: Any, column: str) -> list[dict[str, str]]:
    """The turns, each {"role", "content"}; they may be in a cell as JSON."""
    if isinstance(value, str):
        try:
            value = json_value(value)
        except ValueError as error:
            raise Unusable(f"{column!r} is a text, and not JSON that can be used ({error})") from error
    if not isinstance(value, list) or not all(isinstance(turn, dict) for turn in value):
        raise Unusable(f"{column!r} is not a list of turns")
    turns = []
    for number, turn in enumerate(value, start=1):
        where = f"{column!r}, turn {number}"
        speaker = turn.get("role", turn.get("from"))
        if not isinstance(speaker, str):
            raise Unusable(f"{where}: no 'role' or 'from'; found {quoted(map(str, turn))}")
        if speaker.lower() not in ROLES:
            raise Unusable(f"{where}: a turn of {speaker!r}, which is not a user, assistant or system", excluded=True)
        turns.append({"role": ROLES[speaker.lower()], "content": _text(turn, where)})
    return turns


def _text(turn: dict[str, Any], where: str) -> str:
    content = next((turn[key] for key in ("content", "value", "text") if turn.get(key) is not None), None)
    if isinstance(content, list):  # parts, of which some may be images
        if not all(isinstance(part, dict) and isinstance(part.get("text"), str) for part in content):
            raise Unusable(f"{where}: more than text", excluded=True)
        content = "\n".join(part["text"] for part in content)
    if not isinstance(content, str) or is_blank(content):
        raise Unusable(f"{where}: no text")
    return content
