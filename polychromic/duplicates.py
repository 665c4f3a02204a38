"""When are two texts the same? Exact after normalisation; near by the Jaccard index of their shingles.

A shingle is a window of 5 bytes of the normalised text. Curation finds near-duplicates among any number of
rows by MinHash (Broder 1997) and LSH, and checks each candidate exactly. Splits and the leakage report
compare the parts pair by pair, exactly, with no hashing that could miss one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

import numpy as np

SHINGLE = 5
_NOT_WORD = re.compile(r"[\W_]+")


def normal(text: str) -> str:
    """The text that exact comparison sees: NFKC, case folded, punctuation and space runs as one space.

    A text of punctuation or emoji alone stays as it is: there would be nothing left to compare.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    return _NOT_WORD.sub(" ", folded).strip() or text.strip()


def shingles(text: str) -> np.ndarray:
    """The sorted distinct shingles of the normalised text, each 5 bytes packed in a uint64."""
    data = np.frombuffer(normal(text).encode().ljust(SHINGLE), dtype=np.uint8).astype(np.uint64)
    count = len(data) - SHINGLE + 1
    packed = np.zeros(count, dtype=np.uint64)
    for offset in range(SHINGLE):
        packed = (packed << np.uint64(8)) | data[offset : offset + count]
    return np.unique(packed)


def jaccard(left: np.ndarray, right: np.ndarray) -> float:
    """|intersection| / |union| of two shingle sets."""
    shared = len(np.intersect1d(left, right, assume_unique=True))
    return shared / (len(left) + len(right) - shared)


class NearDuplicates:
    """Texts seen so far, asked for one with Jaccard index >= threshold.

    Bands and rows of the LSH are chosen so that a pair at the threshold is missed at most once in a thousand;
    candidates are compared exactly, so nothing below the threshold is ever reported.
    """

    def __init__(self, threshold: float, permutations: int = 64) -> None:
        from datasketch import MinHash, MinHashLSH

        self.threshold = threshold
        fits = [r for r in range(1, permutations + 1) if (1 - threshold**r) ** (permutations // r) <= 1e-3]
        rows = max(fits, default=1)
        # Shingles are integers already: no hash on top (datasketch mixes them itself).
        self._empty = MinHash(permutations, hashfunc=int, scheme="affine64")
        self._index = MinHashLSH(num_perm=permutations, params=(permutations // rows, rows))
        self._seen: dict[str, np.ndarray] = {}

    def add(self, key: str, text: str) -> tuple[str, float] | None:
        """The nearest text seen before, as (its key, the Jaccard index); None, and remembered, if there is
        none.

        A text that has a near-duplicate is not remembered: chains of small edits don't grow.
        """
        grams = shingles(text)
        sketch = self._empty.copy()
        sketch.update_batch(grams.tolist())
        near = [(jaccard(grams, self._seen[other]), other) for other in self._index.query(sketch)]
        if near and (best := max(near))[0] >= self.threshold:
            return best[1], best[0]
        self._index.insert(key, sketch, check_duplication=False)
        self._seen[key] = grams
        return None


def near_pairs(
    left: Sequence[str], right: Sequence[str], threshold: float
) -> Iterator[tuple[int, int, float]]:
    """All (i, j, Jaccard index >= threshold) of texts left[i], right[j], exactly.

    One sparse product of shingle incidence matrices, in blocks: memory stays bounded, time grows with
    len(left) * len(right).
    """
    if not left or not right:
        return
    sets_left, sets_right = ([shingles(text) for text in texts] for texts in (left, right))
    vocabulary = np.unique(np.concatenate(sets_left + sets_right))
    rows_right = _incidence(sets_right, vocabulary).T.tocsr()
    size_right = np.array([len(grams) for grams in sets_right])
    block = max(1, 4_000_000 // len(right))
    for start in range(0, len(left), block):
        sets = sets_left[start : start + block]
        shared = (_incidence(sets, vocabulary) @ rows_right).tocoo()
        size_left = np.array([len(grams) for grams in sets])
        index = shared.data / (size_left[shared.row] + size_right[shared.col] - shared.data)
        for at in np.flatnonzero(index >= threshold):
            yield start + int(shared.row[at]), int(shared.col[at]), float(index[at])


def _incidence(sets: Sequence[np.ndarray], vocabulary: np.ndarray):
    """Sparse 0/1 matrix, a row per shingle set, a column per shingle of the sorted vocabulary."""
    from scipy.sparse import csr_array

    columns = np.searchsorted(vocabulary, np.concatenate(sets))
    starts = np.concatenate([[0], np.cumsum([len(grams) for grams in sets])])
    return csr_array((np.ones(len(columns), np.int32), columns, starts), shape=(len(sets), len(vocabulary)))
