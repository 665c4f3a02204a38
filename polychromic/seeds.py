"""One seed per draw, derived from what the draw is for, so that batch size and order do not matter."""

from __future__ import annotations

import hashlib


def derive_seed(*parts: object) -> int:
    """A 63-bit seed from the parts' text, e.g. (study seed, domain, arm, training seed, prompt id, T, sample).

    Parts are joined by a separator that cannot occur in an id, so ("a", "bc") and ("ab", "c") differ.
    """
    digest = hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
