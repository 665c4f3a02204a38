"""How much a forward pass may hold: tokens, halved where the memory of a card is too small for them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from polychromic.errors import StudyError

logger = logging.getLogger(__name__)
Result = TypeVar("Result")


@dataclass
class Budget:
    """Tokens, padding included, that one pass may hold. What was halved stays so."""

    tokens: int

    def rows(self, width: int, most: int) -> int:
        """How many rows of `width` tokens fit, at least 1 and at most `most`."""
        return max(1, min(most, self.tokens // width))

    def within(self, work: Callable[[], Result], *, least: int, what: str) -> Result:
        """Do the work, again with half the tokens each time that memory runs out.

        Args:
            work: reads `tokens` again, and can begin again after a torch.OutOfMemoryError.
            least: tokens of a single row. what: for the message.

        Raises:
            StudyError: not even a single row fits.
        """
        import torch

        while True:
            try:
                return work()
            except torch.OutOfMemoryError as error:
                said = str(error).split(". ")[0]
            # Outside of the handler, whose traceback keeps the tensors of the failed pass.
            if self.tokens <= least:
                raise StudyError(
                    f"{what}: memory does not hold a single row of {least} tokens ({said}). Shorten the prompts or "
                    "answers, take a smaller model or precision, or a larger card."
                )
            self.tokens = max(least, self.tokens // 2)
            logger.warning("%s: out of memory; going on with %d tokens at a time.", what, self.tokens)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
