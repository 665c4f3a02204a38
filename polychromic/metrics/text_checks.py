"""What can be seen to be wrong with a text without judging it: copied from its prompt, or repeating itself."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise

COPY_SHARE = 0.5  # of a text's word 4-grams, found in the prompt
REPEAT_SHARE = 0.4  # of a text's word trigrams, seen before in it
SAME_WORD_RUN = 4  # times in a row

# Chinese and Japanese are written without spaces: a character counts as a word.
_WORD = re.compile(
    r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\W\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+(?:['’]\w+)*"
)


def words(text: str) -> list[str]:
    """Lower-case words, without punctuation."""
    return _WORD.findall(text.lower())


def _ngrams(items: list[str], n: int) -> list[tuple[str, ...]]:
    return list(zip(*(items[start:] for start in range(n)), strict=False))


def copies(text: str, prompt: str) -> bool:
    """Whether more than half of a text's word 4-grams are the prompt's; of shorter texts, all words."""
    own, given = words(text), words(prompt)
    size = min(4, len(own))
    grams, known = _ngrams(own, size), set(_ngrams(given, size))
    if size < 3:  # one or two words are in many prompts; only the whole prompt is a copy
        return bool(own) and own == given
    return sum(gram in known for gram in grams) > COPY_SHARE * len(grams)


def repeats(text: str) -> bool:
    """Whether a text has one word many times in a row, or many of its word trigrams again and again."""
    own = words(text)
    run = 1
    for last, word in pairwise(own):
        run = run + 1 if word == last else 1
        if run >= SAME_WORD_RUN:
            return True
    trigrams = _ngrams(own, 3)
    again = len(trigrams) - len(Counter(trigrams))
    return len(trigrams) >= 6 and again > REPEAT_SHARE * len(trigrams)
