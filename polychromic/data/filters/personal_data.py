"""Masking of personal data. What it finds and what it misses is measured by `benchmarks.personal_data`."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar, Literal

import phonenumbers
from pydantic import field_validator

from polychromic.data.filters import FILTERS
from polychromic.data.filters.base import Repair, map_texts
from polychromic.records import Record

EMAIL = re.compile(r"[\w.+-]+[@＠][\w-]+(?:\.[\w-]+)+")
HANDLE = re.compile(r"(?<![\w@])[@＠]\w+(?:[.-]\w+)*")  # with dots, as some networks have them
# Forms that are phone numbers in any country; the library knows those of one region besides.
PHONE = re.compile(
    r"""
    (?<![\w+]) (?<!\d[.,])                              # not the end of a word, of a longer number or of an amount
    (?! \d{1,2} [./-] \d{1,2} [./-] (?:19|20)\d\d \b )  # a date
    (?: \+ \d (?: [\ ./()-]{0,3} \d ){7,14}             # +49 (0) 170 5551200
      | (?: 00 | 011 ) [\ .-]? [1-9] (?: [\ ./()-]{0,3} \d ){7,13}  # 00491705551200, 011 49 170 5551200
      | \(? 0\d{1,4} \)? (?: [\ ./-]{0,3} \d ){7,9}     # 0170-5551200, (030) 1234567, 06 12 34 56 78
      | (?: 1 [\ .-] )? \(? [2-9]\d\d \)? [\ .-]{1,2} \d{3} [\ .-] \d{4}  # (555) 123-4567
    )
    (?: \ ? (?: x | ext\.? ) \ ? \d{1,6} )?            # an extension
    (?! \w | [.,]\d )
    """,
    re.VERBOSE,
)
_SEVEN_DIGITS = re.compile(r"(?:\d\D{0,3}){7}")
_WITHIN_A_NUMBER = re.compile(r"\d[.,-]$")
_ONLY_DIGITS = re.compile(r"\+?\d{9,15}")
AUTHORS = ("author", "reply_author")
"""Keys in meta that hold a hash of who wrote a post, for the caps of curation alone."""


@FILTERS.register("mask_personal_data")
class MaskPersonalData(Repair):
    """Handles, e-mail addresses and phone numbers become @user, <email> and <phone>, in all that curation
    writes, rejected rows included, whatever the filter's place in the list. Not for code, where @ is a
    decorator."""

    hides: ClassVar[bool] = True
    filter: Literal["mask_personal_data"]
    handles: bool = True
    emails: bool = True
    phones: bool = True
    region: str = "US"
    """The country (ISO 3166, two letters) in whose form phone numbers without a country code are written."""

    @field_validator("region")
    @classmethod
    def _known(cls, region: str) -> str:
        if region not in phonenumbers.SUPPORTED_REGIONS:
            raise ValueError(f"region {region!r} is not a country code: give two capital letters, such as US, GB or DE")
        return region

    def change(self, text: str) -> str:
        if self.emails:
            text = EMAIL.sub("<email>", text)
        if self.handles:
            text = HANDLE.sub("@user", text)
        if self.phones and _SEVEN_DIGITS.search(text):
            text = PHONE.sub("<phone>", text)
            found = list(phonenumbers.PhoneNumberMatcher(text, self.region))
            for match in reversed(found):
                if not _WITHIN_A_NUMBER.search(text[: match.start]):
                    text = text[: match.start] + "<phone>" + text[match.end :]
        return text

    def hidden(self, value: Any) -> Any:
        """A JSON value with all of its texts masked, keys included, and whole numbers that are phone numbers too."""
        if isinstance(value, dict):
            return {self.hidden(key): self.hidden(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.hidden(item) for item in value]
        if isinstance(value, str):
            return "<phone>" if self._is_phone(value) else self.change(value)
        if isinstance(value, int | float) and not isinstance(value, bool) and float(value).is_integer():
            return "<phone>" if self._is_phone(str(int(value))) else value
        return value

    def masked(self, record: Record) -> Record:
        """The record with no personal data in any text, its tests and its meta included."""
        changed = replace(map_texts(record, self.change), tests=self.hidden(record.tests))
        meta = {key: None if key in AUTHORS else self.hidden(value) for key, value in changed.meta.items()}
        return replace(changed, meta=meta)

    def named(self, record: Record, pseudonym: Callable[[str], str]) -> Record:
        """The record with a pseudonym for an id or a group that holds personal data, or is the hash of an author:
        equal ones stay equal."""
        names = {key: getattr(record, key) for key in ("id", "group")}
        authors = {record.meta.get(key) for key in AUTHORS}
        hidden = {key: pseudonym(name) for key, name in names.items() if name in authors or self.hidden(name) != name}
        return replace(record, **hidden) if hidden else record

    def _is_phone(self, text: str) -> bool:
        """Whether a text of digits alone is a valid phone number, with its country code or without."""
        if not self.phones or not _ONLY_DIGITS.fullmatch(text):
            return False
        try:
            candidates = [phonenumbers.parse("+" + text.lstrip("+"), None), phonenumbers.parse(text, self.region)]
        except phonenumbers.NumberParseException:
            return False
        return any(map(phonenumbers.is_valid_number, candidates))
