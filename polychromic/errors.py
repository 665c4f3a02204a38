"""The one error that users see: it says what is wrong, where, and what to do."""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable


class StudyError(ValueError):
    """Bad config, bad row, missing model, no sandbox: the message names file, row or key, and the remedy."""


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known name that a misspelt one looks most like, if it looks like any."""
    return next(iter(difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.5)), None)


def nearest(word: str, known: Iterable[str]) -> str:
    """The end of a message about a misspelt name: the known one that it looks like, or all of them."""
    match = closest(word, known)
    return f". Did you mean {match!r}?" if match else f". Known: {', '.join(sorted(known))}"


def what_to_do(error: OSError) -> str | None:
    """A full disk or a folder that cannot be written to, in words; None for any other trouble."""
    remedies = {
        errno.ENOSPC: "the disk is full: free some space",
        errno.EDQUOT: "your quota is used up: free some space",
        errno.EROFS: "the file system is read-only: make it writable, or run from another folder",
        errno.EACCES: "no permission: make it readable and writable (chmod u+rw), or run from another folder",
    }
    remedy = remedies.get(error.errno)
    return remedy and f"{error.filename or 'results'}: {remedy}, then give the same command again."
