"""Rows of public data sets, tweet exports and anybody's own tables, as records.

A source is declared in config by its `format` and where it lies (`path`, or `hub` for the Hugging Face hub).
Each format is a class whose `record` turns one row into one record, or says why it cannot.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from polychromic.data.fields import (
    MISSING,
    Unusable,
    digest,
    found,
    inside,
    lines,
    listed,
    nearest,
    number,
    optional,
    plain,
    quoted,
    reachable,
    text,
    texts,
)
from polychromic.data.near_duplicates import normal
from polychromic.data.readers import read_rows
from polychromic.data.rows import BadRow, Row
from polychromic.errors import StudyError
from polychromic.hub_lock import hub_rows
from polychromic.records import Record
from polychromic.settings import Settings

PARTS = ("train", "val", "test", "evaluation")
Part = Literal["train", "val", "test", "evaluation"]


class BaseSource(Settings):
    path: str | None = None
    """A file: .jsonl, .json, .csv, .tsv, .parquet, or the first four gzipped."""
    hub: str | None = None
    """Instead of `path`: a data set's name on the Hugging Face hub."""
    config: str | None = None
    """The hub data set's configuration, where it has several."""
    split: str = "train"
    """The hub data set's split."""
    revision: str | None = None
    """Commit of the hub data set. Left out, it is resolved at first use and kept in the study's lock.json."""
    part: Part | None = None
    """The part all its rows belong to. `evaluation` is divided into val and test by group; None: into all
    three."""
    keep: tuple[str, ...] = ("mismatched", "reading")
    """Further columns to keep, where a row has them. `mismatched`: answers known to be wrong for the
    prompt."""
    max_bad_share: float = Field(0.05, ge=0, le=1)
    """More unusable rows than this share stop the run."""

    @model_validator(mode="after")
    def _one_place(self):
        if (self.path is None) == (self.hub is None):
            raise ValueError("a source needs either `path` or `hub`")
        return self

    def flatten(self, rows: Iterator[Row | BadRow]) -> Iterator[Row | BadRow]:
        """One row a record, from files that nest or spread them."""
        return rows

    def record(self, row: dict[str, Any]) -> Record:
        """The record of a row; its id and group may be left empty. Raises Unusable."""
        raise NotImplementedError

    def parse(self, rows: Iterator[Row | BadRow]) -> Iterator[Record | BadRow]:
        """A record or a BadRow for every row."""
        seen: Counter[str] = Counter()
        for item in self.flatten(rows):
            if isinstance(item, BadRow):
                yield item
                continue
            where, row = item
            try:
                record = self._with_extras(self.record(row), row)
            except Unusable as problem:
                yield BadRow(where, str(problem), problem.excluded)
                continue
            name = record.id
            if not name:  # by content; equal rows are told apart by a count
                name = digest(record.prompt, record.target)
                seen[name] += 1
                name += f"-{seen[name]}" if seen[name] > 1 else ""
            yield replace(
                record,
                id=name,
                group=record.group or digest(normal(record.prompt)),
                part=record.part or self.part,
                meta={**record.meta, "origin": where},
            )

    def _with_extras(self, record: Record, row: dict[str, Any]) -> Record:
        references = tuple(dict.fromkeys((*record.references, *texts(row, "references"))))
        kept = {key: plain(row[key]) for key in self.keep if row.get(key) is not None}
        tests = record.tests
        if tests is not None and row.get("probes") is not None:
            tests = {**tests, "probes": plain(row["probes"])}
        return replace(record, references=references, tests=tests, meta={**record.meta, **kept})


class HumanEval(BaseSource):
    """Chen et al. 2021: complete a function from its header and docstring; judged by `check(candidate)`."""

    format: Literal["humaneval"]

    def record(self, row: dict[str, Any]) -> Record:
        prompt, name = text(row, "prompt"), text(row, "entry_point")
        tests = {"kind": "check", "code": text(row, "test"), "entry_point": name, "setup": "", "cases": []}
        target = (prompt + text(row, "canonical_solution")).strip()
        return Record(optional(row, "task_id"), prompt, target, tests=tests, group=optional(row, "task_id"))


class Mbpp(BaseSource):
    """Austin et al. 2021: a function from a sentence; judged by asserts. The sanitized edition reads as
    well."""

    format: Literal["mbpp"]
    part: Part | Literal["own"] | None = None
    """`own`: the authors' parts by task_id: 11-510 test, 511-600 val, 1-10 (few-shot) and 601-974 train."""
    show_test: bool = True
    """Show the first assert under the sentence, as the authors do: else the function's name is a guess."""

    def record(self, row: dict[str, Any]) -> Record:
        asserts = [lines(test) for test in texts(row, "test_list")]
        if not asserts:
            raise Unusable("'test_list' is empty")
        target = lines(text(row, "code")).strip()
        called = re.findall(r"\b(\w+)\s*\(", asserts[0])
        defined = set(re.findall(r"^(?:def|class)\s+(\w+)", target, re.MULTILINE))
        tests = {
            "kind": "asserts",
            "code": "\n".join(asserts),
            "entry_point": next((name for name in called if name in defined), None),
            "setup": lines(optional(row, "test_setup_code")) or "\n".join(texts(row, "test_imports")),
            "cases": [],
        }
        prompt = lines(text(row, "text" if "text" in row else "prompt")).strip()
        if self.show_test:
            prompt += "\n" + asserts[0]
        task = optional(row, "task_id")
        name = f"mbpp/{task}" if task else ""
        return Record(name, prompt, target, tests=tests, group=name, part=self._own(task))

    def _own(self, task: str) -> str | None:
        if self.part != "own":
            return None
        if not task.isdecimal() or not 1 <= int(task) <= 974:
            raise Unusable(f"'task_id' is {task!r}, in none of the authors' parts (1-974)")
        return "test" if 11 <= int(task) <= 510 else "val" if 511 <= int(task) <= 600 else "train"


class CodeContests(BaseSource):
    """Li et al. 2022: a contest problem; the program reads stdin and writes stdout. Problems without a
    Python 3 solution are left out. The group is the contest."""

    format: Literal["codecontests"]
    max_cases: int = Field(20, ge=1)
    """Public, then private, then generated cases, up to this many."""

    def record(self, row: dict[str, Any]) -> Record:
        cases = [case for key in ("public_tests", "private_tests", "generated_tests") for case in _cases(row, key)]
        if not cases:
            raise Unusable("no test cases")
        solutions = row.get("solutions") or {}
        if not isinstance(solutions, dict):
            raise Unusable("'solutions' is not an object of the lists 'language' and 'solution'")
        languages, programs = solutions.get("language") or [], solutions.get("solution") or []
        python3 = [
            program for language, program in zip(languages, programs, strict=False) if language in (3, "PYTHON3")
        ]
        if not python3:
            raise Unusable("no Python 3 solution", excluded=True)
        name = optional(row, "name")
        contest = re.match(r"\d+(?=_)", name)
        tests = {
            "kind": "stdio",
            "code": "",
            "entry_point": None,
            "setup": "",
            "cases": cases[: self.max_cases],
        }
        return Record(
            name,
            text(row, "description"),
            lines(min(python3, key=len)).strip(),
            tests=tests,
            group=f"contest/{contest[0]}" if contest else name,
        )


class Squad(BaseSource):
    """SQuAD v1.1 and v2 (Rajpurkar et al. 2016, 2018): the nested official JSON, or a row a question. The
    group is the article."""

    format: Literal["squad"]
    group_by: Literal["article", "context"] = "article"
    """What never parts in a split; `context` (the paragraph) where the articles are too few to be divided."""
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


class NqOpen(BaseSource):
    """NQ-open (Lee et al. 2019): a question and its accepted answers, no context."""

    format: Literal["nq_open"]

    def record(self, row: dict[str, Any]) -> Record:
        question, accepted = text(row, "question"), texts(row, "answer")
        if not accepted:
            raise Unusable("'answer' is empty")
        meta = {"context": "", "question": question, "answerable": True}
        return Record(optional(row, "id"), question, accepted[0], accepted, meta=meta)


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


class Tweets(BaseSource):
    """Posts and their replies: a pair a row, or threads as the X API v2 (pages with `includes`), API v1.1,
    snscrape, twscrape and twint write them. Authors are kept as pseudonyms only."""

    format: Literal["tweets"]
    group_by: Literal["thread", "author"] = "thread"
    """What never parts in a split; where a row lacks it the other one, then the post's text."""

    def flatten(self, rows: Iterator[Row | BadRow]) -> Iterator[Row | BadRow]:
        from polychromic.data.social_exports import pair

        return pair(rows)

    def record(self, row: dict[str, Any]) -> Record:
        from polychromic.data.social_exports import delay, find, is_true

        post, reply = text(row, find(row, "text")), text(row, find(row, "reply"))
        author, reply_author, thread = (
            digest(value.lower().lstrip("@"))[:12] if (value := optional(row, find(row, key))) else ""
            for key in ("author", "reply_author", "thread")
        )
        meta = {key: number(row, find(row, key)) for key in ("likes", "retweets", "reply_likes", "followers")}
        meta |= {
            "delay_seconds": delay(row),
            "lang": optional(row, find(row, "lang")) or None,
            "author": author or None,
            "reply_author": reply_author or None,
            "retweet": is_true(row, "retweet") or post.startswith("RT @") or reply.startswith("RT @"),
            "quote": is_true(row, "quote"),
            "media": is_true(row, "media"),
            "bot": bool(re.search(r"^bot_|_bot_|bot$", optional(row, find(row, "reply_author")).lower())),
        }
        group = (thread or author) if self.group_by == "thread" else (author or thread)
        return Record(optional(row, find(row, "id")), post, reply, (reply,), group=group, meta=meta)


class Stories(BaseSource):
    """Whole tales without prompts: the opening is the prompt, what follows the target, cut at sentence ends.
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


class Columns(Settings):
    """Which column holds what; `a.b` looks inside an object."""

    prompt: str
    target: str
    references: str | None = None
    """A column of texts: accepted answers besides the target."""
    tests: str | None = None
    """Code: a `check(candidate)` function or asserts as one text, a list of asserts, or the whole tests
    object."""
    entry_point: str | None = None
    id: str | None = None
    group: str | None = None
    part: str | None = None
    """A column that says train, val, test or evaluation."""
    meta: tuple[str, ...] = ()
    """Columns that filters may look at."""


class Table(BaseSource):
    """Any data set, by its columns."""

    format: Literal["table"]
    fields: Columns

    @cached_property
    def _columns(self) -> list[tuple[str, str]]:
        """(use, name) of every column that is asked for."""
        alone = self.fields.model_dump(exclude={"meta"})
        return [(use, name) for use, name in alone.items() if name] + [("meta", name) for name in self.fields.meta]

    def flatten(self, rows: Iterator[Row | BadRow]) -> Iterator[Row | BadRow]:
        """The rows as they are.

        Raises:
            StudyError: after the last row, if there is a column that none of them had, whatever share may be bad: it
                is misspelt.
        """
        unseen = self._columns
        there, lacking = set(), set()
        for item in rows:
            if unseen and not isinstance(item, BadRow):
                names = {column: reachable(item[1], column[1]) for column in unseen}
                unseen = [column for column in unseen if column[1] not in names[column]]
                there.update(name for column in unseen for name in names[column])
                lacking.update(column for column in unseen if inside(item[1], column[1]) is MISSING)
            yield item
        # Of an object that is null in every row nobody knows what it would hold.
        if missing := [column for column in unseen if column in lacking]:
            told = " or ".join(f"{name!r}{nearest(name, there)} for `{use}`" for use, name in missing)
            raise StudyError(
                f"{self.path or self.hub}: no row has a column {told}. The columns are {quoted(there)}. Correct "
                "`fields` of this source."
            )

    def record(self, row: dict[str, Any]) -> Record:
        fields = self.fields
        columns = {use: name for use, name in self._columns if use != "meta"}
        # A key that a row leaves out is null there, but not what every row must have.
        values = {use: found(row, name) for use, name in columns.items()}
        for use in ("prompt", "target"):
            if inside(row, columns[use]) is MISSING:
                there = reachable(row, columns[use])
                raise Unusable(f"no column {columns[use]!r}{nearest(columns[use], there)}; found {quoted(there)}")
        target = text(values, "target", columns)
        part = optional(values, "part", columns) or None
        part = {"validation": "val", "dev": "val", "valid": "val"}.get(part, part)
        if part is not None and part not in PARTS:
            raise Unusable(f"{fields.part!r} is {part!r}, not one of {', '.join(PARTS)}")
        entry_point = optional(values, "entry_point", columns)
        tests = _tests(values["tests"], entry_point) if values.get("tests") is not None else None
        return Record(
            optional(values, "id", columns),
            text(values, "prompt", columns),
            target,
            tuple(dict.fromkeys((target, *texts(values, "references")))),
            tests,
            optional(values, "group", columns),
            part,
            {name: plain(found(row, name)) for name in fields.meta},
        )


Source = Annotated[
    HumanEval | Mbpp | CodeContests | Squad | NqOpen | WritingPrompts | RocStories | Tweets | Stories | Table,
    Field(discriminator="format"),
]


def read_source(
    source: BaseSource, root: str | Path = ".", lock: str | Path | None = None
) -> Iterator[Record | BadRow]:
    """A record or a BadRow for every row of a source, in its order.

    root: the folder that `source.path` is relative to. lock: the file that remembers hub revisions.

    Raises:
        StudyError: the file is missing or damaged, or more than `max_bad_share` of its rows are unusable.
    """
    rows: Iterable[Row | BadRow]
    if source.path is not None:
        rows, name = read_rows(Path(root) / source.path, source.path), source.path
    else:
        rows, name = hub_rows(source.hub, source.config, source.split, source.revision, lock), source.hub
    read, bad = 0, []
    for item in source.parse(iter(rows)):
        read += 1
        if isinstance(item, BadRow) and not item.excluded:
            bad.append(item)
        yield item
    if len(bad) > source.max_bad_share * read:
        shown = "\n".join(f"  {row.where}: {row.reason}" for row in bad[:5])
        raise StudyError(
            f"{name}: {len(bad)} of {read} rows are unusable, more than max_bad_share "
            f"{source.max_bad_share:g}:\n{shown}\n"
            f"Correct them or `format: {source.format}`, or raise max_bad_share of this source."
        )


def cut(tale: str, words: int) -> str:
    """The shortest run of whole sentences with at least `words` words; all of it if there are fewer."""
    ends = [match.end() for match in re.finditer(r"\S+", tale)]
    if len(ends) <= words:
        return tale
    end = re.compile(r"[.!?][\"'”’)]*(?=\s)").search(tale, ends[words - 1] - 3)
    return tale[: end.end()] if end else tale


def _cases(row: dict[str, Any], key: str) -> list[dict[str, str]]:
    """Input-output pairs of a CodeContests column: two lists, or a list of objects."""
    value = row.get(key)
    if isinstance(value, dict):
        given, wanted = value.get("input"), value.get("output")
        if not isinstance(given, list) or not isinstance(wanted, list) or len(given) != len(wanted):
            raise Unusable(f"{key!r} is not two lists 'input' and 'output' of one length")
        value = [{"input": one, "output": other} for one, other in zip(given, wanted, strict=True)]
    cases = listed({key: value or []}, key)
    if not all(isinstance(case.get(end), str) for case in cases for end in ("input", "output")):
        raise Unusable(f"{key!r} holds a case whose input or output is not a text")
    return [{"input": case["input"], "output": case["output"]} for case in cases]


def _tests(value: Any, entry_point: str) -> dict[str, Any]:
    if isinstance(value, dict):
        value = plain(value)
        if value.get("kind", "asserts") not in ("check", "asserts", "stdio"):
            raise Unusable(f"tests of kind {value['kind']!r}, not check, asserts or stdio")
        return {
            "kind": "asserts",
            "code": "",
            "entry_point": entry_point or None,
            "setup": "",
            "cases": [],
            **value,
        }
    code = lines("\n".join(texts({"tests": value}, "tests")))
    kind = "check" if re.search(r"^def check\(", code, re.MULTILINE) else "asserts"
    return {"kind": kind, "code": code, "entry_point": entry_point or None, "setup": "", "cases": []}
