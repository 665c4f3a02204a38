"""The tables of the verdict: the decision by domain, the placebos, all arms on the front, the replications."""

from __future__ import annotations

from math import nan
from typing import Any

import pandas as pd

from polychromic import labels
from polychromic.paper import wording
from polychromic.paper.results import Results, is_ablation
from polychromic.paper.table_formats import Table, number, p_cell, with_interval
from polychromic.paper.tables import table

ROLES = {
    "primary": "primary",
    "control": "control family",
    "placebo": "placebo",
    "peer": "peer",
    "untrained": "untrained",
}
KINDS = {"temperature": "The control at another temperature", "family": "Members of the control's family"}
KINDS |= {"seeds": "The control with other seeds"}


@table("verdict", title="The verdict")
def verdict(results: Results) -> Table:
    """The verdict on the primary arm, pooled and by domain."""
    results.require("verdict", "hypotheses")
    gains = results.hypotheses[results.hypotheses["hypothesis"] == "superiority"]
    gains = gains[gains["arm"] == results.primary].set_index("domain")
    data, cells = [], []
    for domain in (*(["pooled"] if "pooled" in gains.index else []), *results.domains()):
        found = results.verdict["pooled"] if domain == "pooled" else results.verdict["domains"][domain]
        p = found["p"] if domain == "pooled" else found["p_holm"]
        losses = list(found["losses"].items())
        margins = list(found["margins"].values()) if domain == "pooled" else [loss["value"] for _, loss in losses]
        line = {"Domain": labels.domain(domain)}
        line["Tuned control"] = "each domain's" if domain == "pooled" else labels.arm(found["tuned_control"])
        line |= {f"Δ best {labels.metric(results.deepest)}": wording.effect(found), "p (Holm)": p_cell(p)}
        for name, (_, loss), margin in zip(("Pass@1", "quality"), losses, margins, strict=False):
            line[f"Δ best {name}"] = wording.effect(loss)
            line["Margin" if name == "Pass@1" else "Margin, quality"] = number(margin) if margin else "none"
        line["Claim"] = wording.outcome(found)[0]
        cells.append(line)
        interval = [found[name] for name in ("difference", "low", "high")]
        n = gains.loc[domain, "n_prompts"] * gains.loc[domain, "n_seeds"]
        data.append([domain, *interval, p, bool(found["supported"]), n, gains.loc[domain, "signature"]])
    return Table(
        pd.DataFrame(data, columns=["domain", "difference", "low", "high", "p", "supported", "n", "signature"]),
        pd.DataFrame(cells).fillna("–"),
        [""] * len(cells),
        f"The verdict on {labels.arm(results.primary)}, each arm at its own best temperature: best "
        f"{labels.metric(results.deepest)} against the tuned control; best Pass@1 and quality against "
        f"{labels.arm(results.control)}, with the margin of the loss that must be excluded. "
        f"{wording.intervals(gains.reset_index()).capitalize()}; {wording.sizes(gains.reset_index())}.",
    )


@table("decision", title="The decision, arm by arm")
def decision(results: Results) -> Table:
    """What the rule asked of each arm, and found; the CSV has a row a question."""
    results.require("hypotheses")
    rows = results.hypotheses[results.hypotheses["hypothesis"].isin(["superiority", "noninferiority"])]
    rows = rows.assign(n=rows["n_prompts"] * rows["n_seeds"])
    cells, groups = [], []
    for domain in (*results.domains(), "pooled"):
        own = rows[rows["domain"] == domain]
        for arm in results.arms(own):
            asked = own[own["arm"] == arm]
            gain = asked[asked["hypothesis"] == "superiority"].iloc[0]
            line = {"Arm": labels.arm(arm)}
            if domain == "pooled":
                line |= {"Tuned control": "each domain's", "T": "–"}
            else:
                line["Tuned control"] = labels.arm(gain["control"])
                line["T"] = f"{gain['temperature']:g} / {gain['control_temperature']:g}"
            line[f"Δ best {labels.metric(results.deepest)}"] = _effect(gain)
            line["p (Holm)"] = p_cell(gain["p"] if domain == "pooled" else gain["p_holm"])
            losses = asked[asked["hypothesis"] == "noninferiority"]
            for name in ("Pass@1", "quality"):
                found = losses[(losses["metric"] == "pass_at_1") == (name == "Pass@1")]
                row = found.iloc[0] if len(found) else None
                line[f"Δ best {name}"] = "–" if row is None else _effect(row)
                line[f"{name[:1].upper()}{name[1:]} kept"] = "–" if row is None else _kept(row)
            cells.append(line)
            groups.append(labels.domain(domain))
    return Table(
        rows,
        pd.DataFrame(cells),
        groups,
        f"The decision. Each arm at its own best temperature (T: of the arm / of the tuned control): its best "
        f"{labels.metric(results.deepest)} against that of the tuned control, chosen on validation prompts among the "
        f"family of {labels.arm(results.control)} without this arm; its best Pass@1 and quality metric against "
        f"{labels.arm(results.control)}'s. Kept: whether a loss of the margin, in brackets, is excluded. "
        f"{wording.intervals(rows).capitalize()}; {wording.sizes(rows)}.",
    )


def _effect(row: pd.Series) -> str:
    return with_interval(row["difference"], row["low"], row["high"], sign=True)


def _kept(row: pd.Series) -> str:
    if row["holds"] is None or pd.isna(row["margin"]) or row["margin"] <= 0:
        return "not assessable"
    return f"{'yes' if row['holds'] else 'no'} (−{row['margin']:.3g})"


@table("placebos", title="Placebos")
def placebos(results: Results) -> Table | None:
    """Treatments that must not win, put through the whole rule. None where none could be run."""
    results.require("verdict", "hypotheses")
    sized = results.hypotheses[results.hypotheses["hypothesis"] == "superiority"].drop_duplicates("domain")
    sized = sized.set_index("domain")
    data, cells, groups = [], [], []
    for placebo in sorted(results.verdict["placebos"], key=lambda found: list(KINDS).index(found["kind"])):
        won = [labels.short_domain(domain) for domain, found in placebo["domains"].items() if found["supported"]]
        won += ["pooled"] if placebo["pooled"]["supported"] and len(placebo["domains"]) > 1 else []
        line = {"Placebo": placebo["name"], "Supported in": ", ".join(won) or "none"}
        for domain in (*results.domains(), "pooled"):
            found = placebo["pooled"] if domain == "pooled" else placebo["domains"].get(domain)
            if found is None or domain not in sized.index:
                continue
            interval = [found[name] for name in ("difference", "low", "high")]
            line[labels.short_domain(domain)] = with_interval(*interval, sign=True)
            row = sized.loc[domain]
            outcome = [found[name] for name in ("superior", "noninferior", "supported")]
            n = row["n_prompts"] * row["n_seeds"]
            data.append([placebo["name"], placebo["kind"], domain, *interval, *outcome, n, row["signature"]])
        cells.append(line)
        groups.append(KINDS[placebo["kind"]])
    if not cells:
        return None
    columns = ["placebo", "kind", "domain", "difference", "low", "high", "superior", "noninferior", "supported"]
    return Table(
        pd.DataFrame(data, columns=[*columns, "n", "signature"]),
        pd.DataFrame(cells),
        groups,
        "Placebos: treatments that must not win, put through the same rule, each against the tuned control that is "
        f"chosen without it. Differences in best {labels.metric(results.deepest)}; supported would mean above zero "
        "after Holm's adjustment and no loss beyond the margin.",
        by="Kind",
    )


@table("peers", title="All arms at their best temperatures")
def peers(results: Results) -> Table:
    """All arms at their best temperatures, and who is on the front of best Pass@1 and best Pass@k."""
    results.require("verdict", "hypotheses")
    signatures = results.summary.drop_duplicates("metric").set_index("metric")["signature"]
    deep = labels.metric(results.deepest)
    data, cells, groups = [], [], []
    for domain in results.domains():
        found = {row["arm"]: row for row in results.verdict["peers"][domain]}
        for arm in results.arms(pd.DataFrame({"arm": list(found)}), ablations=True):
            row, line = found[arm], {"Arm": labels.arm(arm)}
            for key, metric in (("pass_at_1", "pass_at_1"), ("pass_at_k", results.deepest)):
                best = row[key]
                gap: dict[str, Any] = best.get("from_primary", dict.fromkeys(("difference", "low", "high", "p"), nan))
                name = labels.metric(metric)
                line[f"Best {name}"] = with_interval(best["value"], best["low"], best["high"])
                line[f"T ({name})"] = f"{best['temperature']:g}"
                line[f"Δ {name}"] = (
                    "–"
                    if pd.isna(gap["difference"])
                    else with_interval(gap["difference"], gap["low"], gap["high"], sign=True)
                )
                data.append(
                    {
                        **{"domain": domain, "arm": arm, "role": row["role"], "metric": metric},
                        **{name: best[name] for name in ("value", "low", "high", "temperature")},
                        **{f"{name}_from_primary": gap[name] for name in ("difference", "low", "high", "p")},
                        **{"on_front": row["on_front"], "seed_sd": row["seed_sd"]},
                        "n": row["n_prompts"] * row["n_seeds"],
                        "signature": signatures[metric],
                    }
                )
            line |= {"Role": ROLES[row["role"]], "Front": "●" if row["on_front"] else ""}
            line["Seed SD"] = "–" if row["seed_sd"] is None else number(row["seed_sd"])
            if not is_ablation(arm) or row["on_front"]:
                cells.append(line)
                groups.append(labels.domain(domain))
    return Table(
        pd.DataFrame(data),
        pd.DataFrame(cells),
        groups,
        f"All arms as they would be deployed, each at its best temperature for Pass@1 and for {deep}. Δ: from "
        f"{labels.arm(results.primary)}, 95 % intervals, not adjusted. Front: no other arm is at least as good in both "
        f"and better in one. Seed SD: standard deviation of best {deep} over training seeds.",
    )


@table("replication", title="Replication on other bases")
def replication(results: Results) -> Table | None:
    """The gain over studies on other bases. None where no other was run."""
    results.require("verdict", "hypotheses")
    found = results.verdict["replication"]
    if len(found["studies"]) < 2:
        return None
    count = len(found["studies"])
    data, cells = [], []
    for domain in (*results.domains(), "pooled"):
        if (row := found["rows"].get(domain)) is None:
            continue
        line = {"Domain": labels.domain(domain)}
        line |= {study: number(row["differences"][study], sign=True) for study in found["studies"]}
        line["Mean"] = with_interval(row["difference"], row["low"], row["high"], sign=True)
        cells.append(line)
        signature = f"replication|of:best {results.deepest}|studies:{count}"
        data.append(
            [domain, *row["differences"].values(), *(row[k] for k in ("difference", "low", "high")), count, signature]
        )
    columns = ["domain", *found["studies"], "difference", "low", "high", "n", "signature"]
    return Table(
        pd.DataFrame(data, columns=columns),
        pd.DataFrame(cells),
        [""] * len(cells),
        f"Replication: the gain in best {labels.metric(results.deepest)} over the tuned control in {count} studies on "
        f"different bases, and their mean with a 95 % t interval of {count - 1} degrees of freedom over bases.",
    )
