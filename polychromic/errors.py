"""The one error that users see: it says what is wrong, where, and what to do."""

from __future__ import annotations


class StudyError(ValueError):
    """Bad config, bad row, missing model, no sandbox: the message names file, row or key, and the remedy."""
