"""Stories: public sets, and whole tales."""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import Field

from polychromic.data.fields import Unusable, digest, lines, optional, text
from polychromic.data.near_duplicates import normal
from polychromic.data.sources import SOURCES
from polychromic.data.sources.base import BaseSource
from polychromic.records import Record


@SOURCES.register("writingprompts")
class WritingPrompts(BaseSource):
    """WritingPrompts (Fan et al. 2018): a Reddit prompt and a story; rows, or the published .wp_source files.
    The group is the prompt."""

    format: Literal["writingprompts"]

    def record(self, row: dict[str, Any]) -> Record:
        prompt, story = (re.sub(r"\s*<newlines?>\s*", "\n", text(row, key)).strip() for key in ("prompt", "story"))
        tag = re.match(r"\[\s*(\w+)\s*\]\s*", prompt)  # "[ WP ] A dragon ..."
        prompt = prompt[tag.end() :] if tag else prompt
        if not prompt:
            raise Unusable("'prompt' is empty but for its tag")
        return Record(optional(row, "id"), prompt, story, (story,), meta={"tag": tag[1].upper()} if tag else {})


@SOURCES.register("rocstories")
class RocStories(BaseSource):
    """ROCStories (Mostafazadeh et al. 2016): the first of five sentences, then the other four. Rows of the
    cloze test give the right ending as target and the wrong one as mismatched."""

    format: Literal["rocstories"]

    def record(self, row: dict[str, Any]) -> Record:
        if "InputSentence1" not in row:
            story = [text(row, f"sentence{number}").strip() for number in range(1, 6)]
            target = " ".join(story[1:])
            return Record(
                optional(row, "storyid"),
                story[0],
                target,
                (target,),
                meta={"title": optional(row, "storytitle")},
            )
        story = [text(row, f"InputSentence{number}").strip() for number in range(1, 5)]
        endings = [" ".join([*story[1:], text(row, f"RandomFifthSentenceQuiz{number}").strip()]) for number in (1, 2)]
        right = optional(row, "AnswerRightEnding")
        if right not in ("1", "2"):
            raise Unusable(f"'AnswerRightEnding' is {right!r}, not 1 or 2", excluded=not right)
        target, wrong = endings[int(right) - 1], endings[2 - int(right)]
        return Record(optional(row, "InputStoryid"), story[0], target, (target,), meta={"mismatched": [wrong]})


@SOURCES.register("stories")
class Stories(BaseSource):
    """Whole tales without prompts: the opening is the prompt, what follows is the target. Both end with a sentence.
    Hard line wraps are undone. The group is the title."""

    format: Literal["stories"]
    opening_words: int = Field(60, ge=5)
    continuation_words: int = Field(120, ge=5)
    """Tales with less than half of this after the opening are left out."""

    def record(self, row: dict[str, Any]) -> Record:
        paragraphs = re.split(r"\n\s*\n", lines(text(row, "text")))
        tale = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs if paragraph.strip())
        opening = cut(tale, self.opening_words)
        continuation = cut(tale[len(opening) :].strip(), self.continuation_words)
        if len(continuation.split()) < self.continuation_words / 2:
            raise Unusable(f"too short for {self.opening_words} + {self.continuation_words} words", excluded=True)
        title = optional(row, "title")
        meta = {"title": title, "lang": optional(row, "lang") or None}
        group = digest(normal(title)) if title else ""
        return Record(optional(row, "id"), opening.strip(), continuation, (continuation,), group=group, meta=meta)


def cut(tale: str, words: int) -> str:
    """The shortest run of whole sentences with at least `words` words; all of it if there are fewer."""
    ends = [match.end() for match in re.finditer(r"\S+", tale)]
    if len(ends) <= words:
        return tale
    end = re.compile(r"[.!?][\"'”’)]*(?=\s)").search(tale, ends[words - 1] - 3)
    return tale[: end.end()] if end else tale
