"""hypotheses.parquet: every question of the plan with its answer, a row each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from polychromic.statistics.inference import Comparison
from polychromic.statistics.rule import Ruling

SIZES = ("n_prompts", "n_seeds", "signature")
Signed = Callable[..., str]  # the signature of a domain's metric, with what is given besides their names


def hypotheses(
    rulings: Mapping[str, Ruling],
    pairwise: pd.DataFrame,
    frontier: pd.DataFrame,
    plan: Mapping[str, Any],
    signed: Signed,
) -> pd.DataFrame:
    """hypotheses.parquet: what the plan asks of every arm, a row per domain (and "pooled") and question.

    hypothesis: superiority (best Pass@k against the tuned control's, Holm over domains), noninferiority (best Pass@1
    and best quality metric against the control's, at the margin), frontier, and published (the differences from the
    control at the primary temperature, which decide nothing). The pooled loss of quality, which mixes metrics, is in
    verdict.json. low_simultaneous, high_simultaneous: Bonferroni over the
    domains.
    """
    control, temperature = plan["plan"]["control"], plan["sampling"]["temperature"]
    deepest = f"pass_at_{max(plan['k'])}"
    tested = pairwise.set_index(["domain", "metric", "temperature", "arm", "control"])
    gains = frontier.set_index(["domain", "arm", "temperature"])
    rows: list[dict[str, Any]] = []
    for arm, ruling in rulings.items():
        for domain, found in ruling.domains.items():
            asked = _question(domain, "superiority", arm, found.tuned.arm, deepest, *found.temperatures)
            tests = _tested(domain, deepest, found.gain, found.simultaneous, found.p_holm, found.superior, signed)
            rows.append(asked | tests)
            for loss in found.losses:
                asked = _question(domain, "noninferiority", arm, control, loss.metric, *loss.temperatures)
                margin = np.nan if loss.margin.value is None else loss.margin.value
                tests = _tested(domain, loss.metric, loss.difference, loss.simultaneous, np.nan, loss.kept, signed)
                rows.append(asked | tests | {"margin": margin})
            gain = gains.loc[domain, arm, temperature]
            rows.append(
                {
                    **_question(domain, "frontier", arm, control, deepest, temperature, np.nan),
                    "difference": gain["gain_over_control_frontier"],
                    "low": gain["gain_low"],
                    "high": gain["gain_high"],
                    "p": gain["gain_p"],
                    "holds": bool(gain["gain_low"] > 0) if gain["defined"] else None,
                    **{name: gain[name] for name in SIZES},
                }
            )
            for metric in (deepest, *(loss.metric for loss in found.losses)):
                row = tested.loc[(domain, metric, temperature, arm, control)]
                rows.append(
                    {
                        **_question(domain, "published", arm, control, metric, temperature, temperature),
                        **{name: row[name] for name in ("difference", "low", "high", "p", "p_holm", *SIZES)},
                    }
                )
        if len(ruling.domains) > 1:
            pooled = ruling.pooled
            asked = _question("pooled", "superiority", arm, "tuned control", deepest, np.nan, np.nan)
            rows.append(
                asked | _tested("pooled", deepest, pooled.gain, pooled.gain, pooled.gain.p, pooled.superior, signed)
            )
            loss, margin = pooled.losses[0], pooled.margins[0]
            asked = _question("pooled", "noninferiority", arm, control, "pass_at_1", np.nan, np.nan)
            kept = bool(loss.low > -margin) if margin > 0 else None
            rows.append(asked | _tested("pooled", "pass_at_1", loss, loss, np.nan, kept, signed) | {"margin": margin})
    return pd.DataFrame(rows)


def _tested(
    domain: str,
    metric: str,
    found: Comparison,
    simultaneous: Comparison,
    p_holm: float,
    holds: bool | None,
    signed: Signed,
) -> dict[str, Any]:
    return {
        **{name: float(getattr(found, name)) for name in ("difference", "low", "high", "p")},
        "low_simultaneous": float(simultaneous.low),
        "high_simultaneous": float(simultaneous.high),
        "p_holm": p_holm,
        "holds": holds,
        "n_prompts": found.n_prompts,
        "n_seeds": found.n_seeds,
        "signature": signed(domain, metric, prompts=found.n_prompts, seeds=found.n_seeds),
    }


def _question(domain, hypothesis, arm, control, metric, temperature, control_temperature) -> dict[str, Any]:
    return {
        "domain": domain,
        "hypothesis": hypothesis,
        "arm": arm,
        "control": control,
        "metric": metric,
        "temperature": temperature,
        "control_temperature": control_temperature,
    }
