"""Public sets of questions and answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from polychromic.data.fields import Unusable, digest, listed, optional, text, texts
from polychromic.data.rows import BadRow, Row
from polychromic.data.sources import SOURCES
from polychromic.data.sources.base import BaseSource
from polychromic.records import Record


@SOURCES.register("squad")
class Squad(BaseSource):
    """SQuAD v1.1 and v2 (Rajpurkar et al. 2016, 2018): the nested official JSON, or a row a question. The
    group is the article."""

    format: Literal["squad"]
    group_by: Literal["article", "context"] = "article"
    """Rows of one group stay in one part. Take `context` (the paragraph) if there are too few articles to divide."""
    unanswerable: bool = False
    """Keep questions without an answer, with `no_answer` as their target."""
    no_answer: str = "unanswerable"

    def flatten(self, rows: Iterator[Row | BadRow]) -> Iterator[Row | BadRow]:
        for item in rows:
            if isinstance(item, BadRow) or not isinstance(item[1].get("data"), list):
                yield item
                continue
            where, file = item
            for at, article in enumerate(file["data"], start=1):
                place = f"{where}, article {at}"
                try:
                    for paragraph in listed(article, "paragraphs"):
                        for question in listed(paragraph, "qas"):
                            title = {"title": article.get("title"), "context": paragraph.get("context")}
                            yield f"{place}, question {question.get('id')}", {**title, **question}
                except Unusable as problem:
                    yield BadRow(place, str(problem))

    def record(self, row: dict[str, Any]) -> Record:
        answers = row.get("answers")
        if isinstance(answers, dict):  # the hub's columns
            answers = answers.get("text")
        elif isinstance(answers, list) and all(isinstance(answer, dict) for answer in answers):
            answers = [answer.get("text") for answer in answers]
        accepted = texts({"answers": answers}, "answers")
        context, question = text(row, "context"), text(row, "question").strip()
        if not accepted and not self.unanswerable:
            raise Unusable("a question without an answer", excluded=True)
        return Record(
            optional(row, "id"),
            f"{context}\n{question}",
            accepted[0] if accepted else self.no_answer,
            accepted or (self.no_answer,),
            group=(optional(row, "title") if self.group_by == "article" else "") or digest(context),
            meta={"context": context, "question": question, "answerable": bool(accepted)},
        )


@SOURCES.register("nq_open")
class NqOpen(BaseSource):
    """NQ-open (Lee et al. 2019): a question and its accepted answers, no context."""

    format: Literal["nq_open"]

    def record(self, row: dict[str, Any]) -> Record:
        question, accepted = text(row, "question"), texts(row, "answer")
        if not accepted:
            raise Unusable("'answer' is empty")
        meta = {"context": "", "question": question, "answerable": True}
        return Record(optional(row, "id"), question, accepted[0], accepted, meta=meta)
