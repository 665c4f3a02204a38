"""Rows of chats become records, and keep their roles where a model has a chat template."""

from __future__ import annotations

import json

import pytest
from test_prompts import TEMPLATES
from test_sources import read

from polychromic.data.curation import curate
from polychromic.data.filters import make_filter
from polychromic.data.review import Decision, apply_decisions
from polychromic.errors import StudyError
from polychromic.method.prompts import render
from polychromic.records import chat_text

USER, ANSWER = {"role": "user", "content": "Name a fruit."}, {"role": "assistant", "content": "A pear."}


def test_a_chat_of_messages_or_of_sharegpt(tmp_path):
    turns = [{"role": "system", "content": "Be short."}, USER, ANSWER, {"role": "user", "content": "Another?"}]
    last = {"role": "assistant", "content": "A plum."}
    shared = [{"from": {"user": "human", "assistant": "gpt"}.get(t["role"], t["role"]), "value": t["content"]}
              for t in [*turns, last, USER]]  # fmt: skip
    rows = [{"messages": [*turns, last], "id": 7}, {"conversations": shared}, {"messages": json.dumps([USER, ANSWER])}]
    first, second, third = read(tmp_path, rows, format="chat")
    assert (first.id, first.target, first.references) == ("7", "A plum.", ("A plum.",))
    assert first.meta["turns"] == second.meta["turns"] == turns
    assert first.prompt == "System: Be short.\n\nUser: Name a fruit.\n\nAssistant: A pear.\n\nUser: Another?"
    assert (third.prompt, third.target) == ("Name a fruit.", "A pear.")
    assert first.group == second.group == third.group, "they share their first question"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"chat": []}, "no column 'messages' or 'conversations'"),
        ({"messages": [USER]}, "no turn of the assistant"),
        ({"messages": [ANSWER]}, "the last answer follows no turn of the user"),
        ({"messages": [USER, ANSWER, ANSWER]}, "the last answer follows no turn of the user"),
        ({"messages": "hello"}, "not JSON"),
        ({"messages": [USER, {"role": "tool", "content": "3"}, ANSWER]}, "turn 2: a turn of 'tool'"),
        ({"messages": [USER, {"role": "assistant", "content": None}]}, "turn 2: no text"),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}, ANSWER]}, "turn 1: more than text"),
    ],
)
def test_a_chat_that_cannot_be_used_says_why(tmp_path, row, reason):
    [bad] = read(tmp_path, [row], format="chat")
    assert reason in bad.reason


def test_a_chat_read_as_a_table_gives_an_error_that_names_chats(tmp_path):
    with pytest.raises(StudyError, match="format: chat"):
        read(tmp_path, [{"messages": [USER, ANSWER]}], format="table", fields={"prompt": "q", "target": "a"})


def test_filters_and_edits_change_the_turns_with_the_prompt(tmp_path):
    turns = [USER, ANSWER, {"role": "user", "content": "Mail  ada@x.org?"}, {"role": "assistant", "content": "No."}]
    [record] = read(tmp_path, [{"messages": turns}], format="chat")
    filters = [make_filter({"filter": name}) for name in ("fix_text", "mask_personal_data")]
    [kept] = curate([record], filters, seed=0).kept
    assert kept.meta["turns"][-1]["content"] == "Mail <email>?"
    assert kept.prompt == chat_text(kept.meta["turns"])
    edit = Decision(kept.id, "edit", prompt="Another question?", target="Yes.")
    [edited] = apply_decisions([kept], [edit]).kept
    assert "turns" not in edited.meta, "they would still hold the old question"


def test_the_turns_of_a_chat_keep_their_roles_under_a_chat_template():
    class Chat:
        chat_template = "{...}"

        def apply_chat_template(self, messages, **settings):
            return [(message["role"], message["content"]) for message in messages]

    turns = [("system", "Be short."), ("user", "A fruit?"), ("assistant", "A pear."), ("user", "Another?")]
    turns = [{"role": role, "content": content} for role, content in turns]
    shown = render(chat_text(turns), output="reply", tokenizer=Chat(), turns=turns, **TEMPLATES)
    assert shown[:3] == [(turn["role"], turn["content"]) for turn in turns[:3]]
    assert shown[3] == ("user", render("Another?", output="reply", **TEMPLATES))
    plain = render(chat_text(turns), output="reply", turns=turns, **TEMPLATES)
    assert plain == render(chat_text(turns), output="reply", **TEMPLATES)
    assert "A pear." in plain
