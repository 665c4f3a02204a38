"""Short answers, the way SQuAD scores them (Rajpurkar et al. 2016, arXiv 1606.05250, section 6.1)."""

from __future__ import annotations

import math
import re
import string
from collections import Counter
from collections.abc import Sequence

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalize_answer(text: str) -> str:
    """The official SQuAD normalisation: lower case, no ASCII punctuation, no English articles, single spaces."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact_match(prediction: str, references: str | Sequence[str]) -> float:
    """1.0 if the normalised prediction is one of the normalised references, else 0.0; NaN without references."""
    references = [references] if isinstance(references, str) else references
    answer = normalize_answer(prediction)
    return max((float(answer == normalize_answer(reference)) for reference in references), default=math.nan)


def token_f1(prediction: str, references: str | Sequence[str]) -> float:
    """F1 of the words that prediction and reference share, the best over the references, in [0, 1].

    If one of the two has no words after normalisation, F1 is 1.0 when both have none, else 0.0, as in the
    official SQuAD 2.0 script. NaN without references.
    """
    references = [references] if isinstance(references, str) else references
    words = normalize_answer(prediction).split()
    return max((_f1(words, normalize_answer(reference).split()) for reference in references), default=math.nan)


def _f1(prediction: list[str], reference: list[str]) -> float:
    if not prediction or not reference:
        return float(prediction == reference)
    shared = sum((Counter(prediction) & Counter(reference)).values())
    return 2 * shared / (len(prediction) + len(reference))
