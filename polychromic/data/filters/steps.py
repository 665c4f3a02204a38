"""The steps of curation. Each is a typed setting that says, record by record: keep, change or reject, and
why.

A domain lists its filters in config in the order in which they are applied; `curation.curate` runs them.
`text` says which of a record's texts a filter looks at.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from polychromic.data.fields import Unusable, number
from polychromic.data.filters import word_lists
from polychromic.data.filters.base import (
    Compared,
    Filter,
    Rejection,
    Text,
    TextFilter,
    Verdict,
    batched,
    bound,
    chosen_text,
    having,
    map_texts,
    model_folder,
    outside,
    phrases_in,
    words,
)
from polychromic.errors import StudyError
from polychromic.records import Record

# --- repairs: they change texts and reject what is empty afterwards -----------------------------------------


class Repair(Filter):
    def change(self, text: str) -> str:
        raise NotImplementedError

    def judge(self, record: Record) -> Verdict:
        changed = map_texts(record, self.change)
        for key in ("prompt", "target"):
            if not getattr(changed, key).strip():
                return Rejection(f"empty {key}", "some text")
        return changed


class FixText(Repair):
    """Mojibake, HTML entities, odd quotes and ligatures (ftfy), line ends, runs of spaces and blank lines.
    Records with tests are left as they are: in code, quotes and spaces are the text."""

    filter: Literal["fix_text"]

    def judge(self, record: Record) -> Verdict:
        return record if record.tests is not None else super().judge(record)

    def change(self, text: str) -> str:
        import ftfy

        text = re.sub("[\u200b\u2060\ufeff]", "", ftfy.fix_text(text))  # invisible, and not in any word
        text = re.sub(r"[^\S\n]+", " ", text)
        return re.sub(r"\n{3,}", "\n\n", re.sub(r" ?\n ?", "\n", text)).strip()


class MaskPersonalData(Repair):
    """Handles, e-mail addresses and phone numbers become @user, <email> and <phone>. Wherever it stands in
    the list, no file that curation writes holds them, rejected rows included. Not for code, where @ is a
    decorator."""

    filter: Literal["mask_personal_data"]
    handles: bool = True
    emails: bool = True
    phones: bool = True

    def masked(self, record: Record) -> Record:
        return map_texts(record, self.change)

    def change(self, text: str) -> str:
        if self.emails:
            text = _EMAIL.sub("<email>", text)
        if self.handles:
            text = _HANDLE.sub("@user", text)
        if self.phones:
            text = _PHONE.sub(lambda match: "<phone>" if _is_phone(match[0]) else match[0], text)
        return text


_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_HANDLE = re.compile(r"(?<![\w@])[@＠]\w{1,30}")
# International (+49 ...), or at least 9 digits in groups with phone punctuation; not years, ranges or
# amounts.
_PHONE = re.compile(
    r"(?<![\w.,$€£])"
    r"(?:\+\d[\d ()./-]{7,18}\d|\(?\d{2,4}\)?[ ./-]\d{2,4}[ ./-]\d{2,5}(?:[ ./-]\d{2,5})?)"
    r"(?![\w,])"
)


def _is_phone(text: str) -> bool:
    digits = re.sub(r"\D", "", text)
    is_date = re.fullmatch(r"\d{4}[./ -]\d{2}[./ -]\d{2}|\d{2}[./ -]\d{2}[./ -]\d{4}", text)
    return 9 <= len(digits) <= 15 and not is_date


class Urls(Repair):
    """Web addresses: `remove` them, or `reject` texts that hold one."""

    filter: Literal["urls"]
    policy: Literal["reject", "remove"] = "reject"

    def change(self, text: str) -> str:
        return re.sub(r" {2,}", " ", _URL.sub("", text)).strip()

    def judge(self, record: Record) -> Verdict:
        if self.policy == "remove":
            return super().judge(record)
        found = _URL.search(record.prompt) or _URL.search(record.target)
        return Rejection(found[0], "no address") if found else record


_URL = re.compile(r"(?:https?://|www\.)\S+|\b(?:pic\.twitter|t|bit)\.(?:com|co|ly)/\S+", re.IGNORECASE)


class Mentions(TextFilter):
    """@mentions: those that open a reply are its address, not its text, and go; more than `max` others
    reject."""

    filter: Literal["mentions"]
    text: Text = "both"
    strip_leading: bool = True
    max: int | None = Field(None, ge=0)

    def judge(self, record: Record) -> Verdict:
        if self.strip_leading:
            record = map_texts(record, lambda text: re.sub(r"^(?:\s*[@＠]\w{1,30}:?)+\s*", "", text))
            for text in (record.prompt, record.target):
                if not text.strip():
                    return Rejection("mentions only", "some text")
        return super().judge(record)

    def problem(self, text: str) -> Rejection | None:
        count = len(_HANDLE.findall(text))
        return Rejection(count, self.max) if self.max is not None and count > self.max else None


class Hashtags(TextFilter):
    """More than `max` #hashtags reject."""

    filter: Literal["hashtags"]
    text: Text = "both"
    max: int = Field(2, ge=0)

    def problem(self, text: str) -> Rejection | None:
        count = len(re.findall(r"(?<![\w#&])[#＃]\w*[^\W\d_]\w*", text))
        return Rejection(count, self.max) if count > self.max else None


# --- what a text is like ------------------------------------------------------------------------------------


class Language(TextFilter):
    """py3langid's language, at a posterior probability of at least `confidence`."""

    filter: Literal["language"]
    text: Text = "both"
    language: str = "en"
    confidence: float = Field(0.8, gt=0, lt=1)

    def problem(self, text: str) -> Rejection | None:
        found, probability = identify(text)
        if found == self.language and probability >= self.confidence:
            return None
        return Rejection(f"{found} {probability:.2f}", f"{self.language} >= {self.confidence:g}")


@cache
def _identifier():
    from py3langid import langid

    return langid.LanguageIdentifier.from_model_file(langid.MODEL_FILE)


def identify(text: str) -> tuple[str, float]:
    """The most probable language (ISO 639-1) and its naive-Bayes posterior, by the letters of the text's
    first thousand characters.

    (py3langid's own `norm_probs` divides the log-odds by the root of the length: 0.1 for "so true, I agree".)
    """
    import numpy as np

    languages, scores = zip(*_identifier().rank(_NOT_LETTERS.sub(" ", text[:1000])), strict=True)
    weights = np.exp(np.array(scores) - scores[0])
    return languages[0], float(1 / weights.sum())


_NOT_LETTERS = re.compile(r"(?:[@＠#＃]\w+|https?://\S+|[^\w\s'’]|[\d_])+")


class Length(TextFilter):
    """Bounds on a text's length."""

    filter: Literal["length"]
    unit: Literal["characters", "words"] = "characters"
    min: int | None = Field(None, ge=0)
    max: int | None = Field(None, ge=0)

    def problem(self, text: str) -> Rejection | None:
        value = len(text) if self.unit == "characters" else len(text.split())
        return outside(value, self.min, self.max)


class UniqueWords(TextFilter):
    """At least `min` different words."""

    filter: Literal["unique_words"]
    min: int = Field(8, ge=1)

    def problem(self, text: str) -> Rejection | None:
        return outside(len(set(words(text))), self.min, None)


class Spam(TextFilter):
    """Spam and bot phrases (`word_lists.SPAM` and your own): one of them rejects."""

    filter: Literal["spam"]
    text: Text = "both"
    phrases: tuple[str, ...] = ()

    def problem(self, text: str) -> Rejection | None:
        found = phrases_in(text, (*word_lists.SPAM, *self.phrases))
        return Rejection(found[0], "no spam phrase") if found else None


class Generic(TextFilter):
    """The share of a text's words that generic phrases (`word_lists.GENERIC` and your own) make up."""

    filter: Literal["generic"]
    max: float = Field(0.5, ge=0, le=1)
    phrases: tuple[str, ...] = ()

    def problem(self, text: str) -> Rejection | None:
        total = len(words(text))
        generic = sum(len(phrase.split()) for phrase in phrases_in(text, (*word_lists.GENERIC, *self.phrases)))
        return outside(round(generic / total, 3) if total else 1.0, None, self.max)


class Toxicity(TextFilter):
    """1 - prod(1 - weight) over the profane words (0.5 strong, 0.2 mild); or a local classifier's
    probability."""

    filter: Literal["toxicity"]
    text: Text = "both"
    max: float = Field(0.3, ge=0, le=1)
    model: str | None = None
    """A text-classification model (hub name or folder) to ask instead of the words."""
    label: str = "toxic"
    """The label of `model` whose probability counts."""

    def locked(self, lock: str | Path) -> Filter:
        if self.model is None:
            return self
        return self.model_copy(update={"model": model_folder(self.model, lock)})

    def run(self, records: Iterable[Record]) -> Iterator[Verdict]:
        if self.model is None:
            yield from map(self.judge, records)
            return
        from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

        try:
            tokenizer = AutoTokenizer.from_pretrained(self.model, trust_remote_code=False)
            model = AutoModelForSequenceClassification.from_pretrained(
                self.model, trust_remote_code=False, use_safetensors=True
            )
        except (OSError, ValueError) as error:
            raise StudyError(
                f"toxicity: cannot load the model {self.model!r}: {error}. Give a folder with a text-classification "
                "model in safetensors, or a hub id that this machine can reach."
            ) from error
        classify = pipeline("text-classification", model, tokenizer=tokenizer, top_k=None, truncation=True)
        for record in records:
            scores = [
                next((score["score"] for score in answer if score["label"] == self.label), None)
                for answer in classify(list(self.texts(record)))
            ]
            if None in scores:
                raise StudyError(f"toxicity: the model {self.model} has no label {self.label!r}. Set `label`.")
            yield outside(round(max(scores), 3), None, self.max) or record

    def problem(self, text: str) -> Rejection | None:
        clean = 1.0
        for weight, listed in ((0.5, word_lists.STRONG), (0.2, word_lists.MILD)):
            clean *= (1 - weight) ** len(phrases_in(text, listed))
        return outside(round(1 - clean, 3), None, self.max)


class CopyOfPrompt(Filter):
    """How much of the target the prompt holds (longest aligned part, 0 to 1): echoes and quotes."""

    filter: Literal["copy_of_prompt"]
    max: float = Field(0.9, ge=0, le=1)

    def judge(self, record: Record) -> Verdict:
        from rapidfuzz import fuzz

        target, prompt = record.target.casefold(), record.prompt.casefold()
        alike = fuzz.partial_ratio if len(target) <= len(prompt) else fuzz.ratio
        return outside(round(alike(target, prompt) / 100, 3), None, self.max) or record


# --- what a record says about itself ------------------------------------------------------------------------


class Bounds(Filter):
    """Bounds on a number in meta: likes, retweets, followers, reply_likes, delay_seconds, a rating. A record
    that lacks it is rejected. A CSV's cells are texts: a number may be written in one."""

    filter: Literal["bounds"]
    key: str
    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _some_bound(self):
        if self.min is None and self.max is None:
            raise ValueError(f"bounds on {self.key!r}: give min, max or both")
        return self

    def judge(self, record: Record) -> Verdict:
        try:
            value = number(record.meta, self.key)
        except Unusable:
            return Rejection(f"{self.key} no number", bound(self.min, self.max))
        if value is None:
            return Rejection(f"{self.key} missing", bound(self.min, self.max))
        return outside(value, self.min, self.max) or record


class Refuse(Filter):
    """Reject records with a flag in meta (retweet, quote, media, bot), or with one of `values` there."""

    filter: Literal["refuse"]
    key: str
    values: tuple[str, ...] = ()
    """Refused values, in any case (tag: [OT]); none given: whatever is true, of a CSV's cells all but "", 0,
    false and no."""

    def run(self, records: Iterable[Record]) -> Iterator[Verdict]:
        return map(self.judge, having(records, self.filter, self.key))

    def judge(self, record: Record) -> Verdict:
        value = record.meta.get(self.key)
        if self.values:
            found = str(value).casefold() in {listed.casefold() for listed in self.values}
            return Rejection(value, f"not {', '.join(self.values)}") if found else record
        is_set = value.strip().casefold() not in ("", "0", "false", "no") if isinstance(value, str) else value
        return Rejection(value, f"no {self.key}") if is_set else record


class AnswerInContext(Filter):
    """QA by extraction: one of the accepted answers stands in the context. Records without a context pass."""

    filter: Literal["answer_in_context"]

    def judge(self, record: Record) -> Verdict:
        context = str(record.meta.get("context") or "").casefold()
        found = not context or any(answer.casefold() in context for answer in record.references)
        return record if found else Rejection(record.target, "in the context")


class Cap(Filter):
    """At most `max` records with the same value in meta, the first ones: replies of one author, tales of one
    source. Records without it pass."""

    filter: Literal["cap"]
    key: str = "reply_author"
    max: int = Field(10, ge=1)

    def run(self, records: Iterable[Record]) -> Iterator[Verdict]:
        counts: Counter[str] = Counter()
        for record in having(records, self.filter, self.key):
            value = record.meta.get(self.key)
            if value is None:
                yield record
                continue
            counts[str(value)] += 1
            full = counts[str(value)] > self.max
            yield Rejection(f"{self.key} {value}", self.max) if full else record


class CanonicalPasses(Filter):
    """Code: run each target in the sandbox against its own tests and reject what fails."""

    filter: Literal["canonical_passes"]
    timeout: float = Field(3.0, gt=0)

    def run(self, records: Iterable[Record]) -> Iterator[Verdict]:
        from polychromic.verifiers.code import run_many

        for some in batched(records, 64):
            tested = [record for record in some if record.tests and (record.tests["code"] or record.tests["cases"])]
            cases = [(record.target, record.tests, record.tests["entry_point"]) for record in tested]
            outcomes = dict(zip((record.id for record in tested), run_many(cases, self.timeout), strict=True))
            for record in some:
                outcome = outcomes.get(record.id)
                if outcome is None:
                    yield Rejection("no tests", "passes")
                else:
                    yield (
                        record if outcome.passed else Rejection(f"{outcome.status} {outcome.detail}".strip(), "passes")
                    )


# --- duplicates ---------------------------------------------------------------------------------------------


class ExactDuplicates(Filter):
    """The same text again, case, punctuation and spaces aside: the first record stays."""

    filter: Literal["exact_duplicates"]
    text: Compared = "pair"

    def run(self, records: Iterable[Record]) -> Iterator[Verdict]:
        from polychromic.data.near_duplicates import normal

        first: dict[str, str] = {}
        for record in records:
            same = first.setdefault(normal(chosen_text(record, self.text)), record.id)
            yield record if same == record.id else Rejection(f"{self.text} of {same}", "first of its kind")


class NearDuplicatesFilter(Filter):
    """Nearly the same text again, by MinHash: Jaccard index of 8-byte shingles >= threshold."""

    filter: Literal["near_duplicates"]
    text: Compared = "pair"
    threshold: float = Field(0.8, gt=0, le=1)

    def run(self, records: Iterable[Record]) -> Iterator[Verdict]:
        from polychromic.data.near_duplicates import NearDuplicates

        seen = NearDuplicates(self.threshold)
        for record in records:
            near = seen.add(record.id, chosen_text(record, self.text))
            yield Rejection(f"{near[1]:.3f} to {near[0]}", f"< {self.threshold:g}") if near else record


class SemanticDuplicates(Filter):
    """The same said in other words: cosine of sentence embeddings >= threshold with a record kept before.
    About 500 short texts a second on two cores, and time that grows with the square of the rows."""

    filter: Literal["semantic_duplicates"]
    text: Compared = "pair"
    threshold: float = Field(0.9, gt=0, le=1)
    model: str = "minilm"

    def locked(self, lock: str | Path) -> Filter:
        from polychromic.embedding import MINILM

        if self.model == MINILM:
            return self
        return self.model_copy(update={"model": model_folder(self.model, lock)})

    def run(self, records: Iterable[Record]) -> Iterator[Verdict]:
        import numpy as np

        from polychromic.embedding import Encoder

        records = list(records)
        vectors = Encoder(self.model).encode([chosen_text(record, self.text) for record in records])
        kept: list[int] = []
        for at, record in enumerate(records):
            cosines = vectors[kept] @ vectors[at]
            nearest = int(np.argmax(cosines)) if kept else -1
            if kept and cosines[nearest] >= self.threshold:
                yield Rejection(f"{cosines[nearest]:.3f} to {records[kept[nearest]].id}", f"< {self.threshold:g}")
            else:
                kept.append(at)
                yield record


AnyFilter = Annotated[
    FixText
    | MaskPersonalData
    | Urls
    | Mentions
    | Hashtags
    | Language
    | Length
    | UniqueWords
    | Spam
    | Generic
    | Toxicity
    | CopyOfPrompt
    | Bounds
    | Refuse
    | AnswerInContext
    | Cap
    | CanonicalPasses
    | ExactDuplicates
    | NearDuplicatesFilter
    | SemanticDuplicates,
    Field(discriminator="filter"),
]
