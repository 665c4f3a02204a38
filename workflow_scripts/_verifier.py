"""A domain's verifier from the `verifier` section of the config."""

from __future__ import annotations

from typing import Any

from polychromic.verifiers import Verifier, make_verifier


def build_verifier(
    settings: dict[str, Any], encode: Any = None, threshold: float | None = None, grades: Any = None
) -> Verifier:
    """`encode` and `threshold` are used where answers are judged by similarity, `grades` where by a judge."""
    own = {key: value for key, value in settings.items() if key != "max_false_pass"}
    if own["kind"] == "similarity":
        own |= {"encode": encode, "threshold": threshold}
    elif own["kind"] == "judge":
        own |= {"grades": grades}
    return make_verifier(**own)
