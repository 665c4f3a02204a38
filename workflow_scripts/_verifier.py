"""A domain's verifier from the `verifier` section of the config."""

from __future__ import annotations

from typing import Any

from polychromic.verifiers import Verifier, make_verifier


def build_verifier(settings: dict[str, Any], encode: Any, threshold: float | None = None) -> Verifier:
    """`encode` and `threshold` are used where answers are judged by similarity."""
    own = {key: value for key, value in settings.items() if key != "max_false_pass"}
    if own["kind"] == "similarity":
        own |= {"encode": encode, "threshold": threshold}
    return make_verifier(**own)
