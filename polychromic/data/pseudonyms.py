"""Pseudonyms for ids and groups that hold personal data: a keyed hash. Who lacks the key cannot test a guess."""

from __future__ import annotations

import hashlib
import os
import secrets
from contextlib import suppress
from functools import cached_property
from pathlib import Path

KEY_FILE = Path("data/pseudonyms.key")
"""Where a project keeps its key: next to the raw data, and never in results."""


class Pseudonyms:
    """Equal texts have equal pseudonyms.

    Args:
        file: the key, made at the first pseudonym if it is missing; None: a key that is kept nowhere.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._file = file

    def __call__(self, text: str) -> str:
        return "p-" + hashlib.blake2b(text.encode(), key=self._key, digest_size=8).hexdigest()

    @property
    def used(self) -> str | None:
        """A digest of the key, from which the key cannot be found; None while no pseudonym has been made."""
        return self.key_digest if "_key" in self.__dict__ else None

    @property
    def key_digest(self) -> str:
        return hashlib.blake2b(b"which key", key=self._key, digest_size=8).hexdigest()

    @cached_property
    def _key(self) -> bytes:
        fresh = secrets.token_hex(32)
        if self._file is None:
            return fresh.encode()
        if not self._file.is_file():
            self._file.parent.mkdir(parents=True, exist_ok=True)
            partial = self._file.with_name(f"{self._file.name}.{os.getpid()}.partial")
            with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                file.write(fresh)
            with suppress(FileExistsError):  # another job was first: its key counts
                os.link(partial, self._file)
            partial.unlink()
        return hashlib.sha256(self._file.read_bytes()).digest()
