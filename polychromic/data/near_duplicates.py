"""When two texts are the same (after normalisation) or nearly the same (by the Jaccard index of their shingles).

A shingle is a window of 8 bytes of the normalised text. Curation finds near-duplicates among any number of
rows by MinHash (Broder 1997) and LSH, and checks each candidate exactly. Splits and the leakage report
compare the parts pair by pair, exactly, with no hashing that could miss one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

import numpy as np

SHINGLE = 8
PERMUTATIONS = 128
_NOT_WORD = re.compile(r"[\W_]+")


def normal(text: str) -> str:
    """The text as it is compared: NFKC, case folded, runs of punctuation and spaces replaced by one space.

    A text of punctuation or emoji alone is only stripped: nothing would be left to compare.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    return _NOT_WORD.sub(" ", folded).strip() or text.strip()


def shingles(text: str) -> np.ndarray:
    """The sorted distinct shingles of the normalised text, each 8 bytes read as a uint64."""
    data = np.frombuffer(normal(text).encode().ljust(SHINGLE), dtype=np.uint8)
    windows = np.lib.stride_tricks.sliding_window_view(data, SHINGLE)
    return np.unique(np.ascontiguousarray(windows).view("<u8"))


def jaccard(left: np.ndarray, right: np.ndarray) -> float:
    """|intersection| / |union| of two shingle sets."""
    shared = len(np.intersect1d(left, right, assume_unique=True))
    return shared / (len(left) + len(right) - shared)


class NearDuplicates:
    """An index of texts that finds one whose Jaccard index with a new text is at least `threshold`.

    Bands and rows of the LSH are chosen so that a pair at the threshold is missed at most once in a thousand;
    candidates are compared exactly, so nothing below the threshold is ever reported.
    """

    def __init__(self, threshold: float) -> None:
        from datasketch import MinHash

        self.threshold = threshold
        fits = [r for r in range(1, 65) if (1 - threshold**r) ** (PERMUTATIONS // r) <= 1e-3]
        self._rows = max(fits, default=1)
        # Shingles are integers already: no hash on top (datasketch mixes them itself).
        self._empty = MinHash(PERMUTATIONS, hashfunc=int, scheme="affine64")
        # datasketch's own LSH index takes as much time as all the rest; a dict of bands finds the same.
        self._buckets: dict[tuple[int, bytes], list[int]] = {}
        self._keys: list[str] = []
        self._signatures: list[np.ndarray] = []
        self._shingles: list[np.ndarray] = []

    def add(self, key: str, text: str) -> tuple[str, float] | None:
        """The nearest text in the index, as (its key, the Jaccard index). If there is none, add the text and return
        None.

        A text that has a near-duplicate is not added, so that chains of small edits do not grow.
        """
        grams = shingles(text)
        sketch = self._empty.copy()
        sketch.update_batch(grams.tolist())
        signature = sketch.hashvalues
        bands = [
            (start, signature[start : start + self._rows].tobytes())
            for start in range(0, PERMUTATIONS - self._rows + 1, self._rows)
        ]
        candidates = list({at for band in bands for at in self._buckets.get(band, ())})
        if candidates:
            # The share of equal hashes estimates the index within 0.2 (more than 4 standard deviations).
            estimates = (np.stack([self._signatures[at] for at in candidates]) == signature).mean(1)
            likely = [candidates[at] for at in np.flatnonzero(estimates >= self.threshold - 0.2)]
            nearest = max(((jaccard(grams, self._shingles[at]), -at) for at in likely), default=(0.0, 0))
            if nearest[0] >= self.threshold:
                return self._keys[-nearest[1]], nearest[0]
        for band in bands:
            self._buckets.setdefault(band, []).append(len(self._keys))
        self._keys.append(key)
        self._signatures.append(signature)
        self._shingles.append(grams)
        return None


def near_pairs(left: Sequence[str], right: Sequence[str], threshold: float) -> Iterator[tuple[int, int, float]]:
    """All (i, j, Jaccard index >= threshold) of texts left[i], right[j], exactly.

    Multiplies sparse shingle incidence matrices in blocks: memory is bounded, time grows with len(left) * len(right).
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
