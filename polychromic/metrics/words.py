"""Words of a text, for surface metrics.

On text with spaces between words both tokenizers below equal the published ones (sacreBLEU's 13a, rouge-score's
default). Those read a Chinese sentence as one word (13a) or as none (rouge-score), and every score of it becomes 0;
here each character of a script written without spaces is a word, as in sacreBLEU's `zh`.
"""

from __future__ import annotations

import re
from functools import lru_cache

from sacrebleu.metrics.bleu import BLEU

# Thai to Burmese, Khmer, CJK radicals to unified ideographs (with kana), compatibility forms, full-width
# forms, extensions B-H.
_UNSPACED = re.compile(
    "([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fff\u3005-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U000323af])"
)
_WORD = re.compile(r"[^\W_]+")
WORDS = "case:mixed|tok:13a+unspaced|version:sacrebleu-{sacrebleu}"
"""The part of a signature that says how `bleu_tokens` splits a text."""
_tokenize_13a = BLEU().tokenizer


@lru_cache(maxsize=4096)
def bleu_tokens(text: str) -> tuple[str, ...]:
    """Words and punctuation marks, case kept: the tokenizer of mteval-v13a, as in sacreBLEU."""
    return tuple(_tokenize_13a(_UNSPACED.sub(r" \1 ", text).rstrip()).split())


@lru_cache(maxsize=4096)
def rouge_tokens(text: str) -> tuple[str, ...]:
    """Runs of letters and digits in lower case, no stemming: rouge-score's default, with letters beyond
    a-z."""
    return tuple(_WORD.findall(_UNSPACED.sub(r" \1 ", text.lower())))
