"""What limits a study: remarks derived from its files, none written by hand.

The report shows them under the verdict; they are the paper's limitations.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import nan
from typing import Any

from polychromic import labels
from polychromic.metrics.audit import repeated_between
from polychromic.paper import wording
from polychromic.paper.results import Results
from polychromic.verifiers.calibration import headroom_warnings

MAX_SHARE = {
    "truncated": 0.05,
    "empty": 0.01,
    "copied": 0.05,
    "repetitive": 0.05,
    "extraction_failures": 0.05,
    "unjudged": 0.01,
}
"""Shares of an arm's samples above which an audit count gets a remark."""

PUBLIC_SETS = {
    "humaneval": "HumanEval is surely",
    "mbpp": "MBPP is surely",
    "codecontests": "CodeContests is very likely",
    "squad": "SQuAD is very likely",
    "nq_open": "NQ-open is very likely",
    "writingprompts": "WritingPrompts is very likely",
    "rocstories": "ROCStories is possibly",
}
"""Source formats that are public data sets, and how likely it is that a large model was trained on them."""


CLAIMS = {
    "generality": "The same settings help in every domain",
    "cost_in_use": "It costs nothing in use",
    "trade_off": "Answers are more diverse and no worse",
    "robustness": "Any λ from 0.1 to 0.5 will do",
}
"""The claims of a verdict other than the deciding one, in words."""


CITED = {
    "humaneval": ("HumanEval", "chen2021codex"),
    "mbpp": ("MBPP", "austin2021mbpp"),
    "codecontests": ("CodeContests", "li2022alphacode"),
    "squad": ("SQuAD", "rajpurkar2016squad"),
    "nq_open": ("NQ-open", "lee2019nqopen"),
    "writingprompts": ("WritingPrompts", "fan2018stories"),
    "rocstories": ("ROCStories", "mostafazadeh2016roc"),
}
"""The same formats with their names and citations."""


@dataclass(frozen=True)
class Remark:
    """topic: a few words; text: a sentence; serious: whether it may overturn a conclusion."""

    topic: str
    text: str
    serious: bool = False


def remarks(results: Results) -> list[Remark]:
    """All remarks of a study, the serious ones first."""
    found = [
        *_scope(results),
        *_plan(results),
        *_gaps(results),
        *_headroom(results),
        *_verifiers(results),
        *_contamination(results),
        *_audits(results),
        *_training(results),
    ]
    return sorted(found, key=lambda remark: not remark.serious)


def plan_hashes(results: Results) -> tuple[str, str]:
    """SHA-256 of the analysis plan before training (in power.json) and at the verdict; "" if not recorded."""
    return results.power.get("plan_sha256", ""), results.verdict.get("plan_sha256", "")


def fine_tuning_cost(results: Results) -> str:
    """That untrained arms have a higher Pass@k than the control, and where; "" where none has."""
    above = {domain: results.verdict["domains"][domain]["untrained_above"] for domain in results.domains()}
    places = [f"{labels.domain(d)}: {', '.join(map(labels.arm, arms))}" for d, arms in above.items() if arms]
    if not places:
        return ""
    metric, control = labels.metric(results.deepest), labels.arm(results.control)
    return (
        f"Fine-tuning itself cost {metric} in {len(places)} of {len(above)} domains, where untrained arms are above "
        f"{control} ({'; '.join(places)}): a gain over {control} is first of all a loss avoided."
    )


def null_control(results: Results) -> str:
    """What the same analysis found in the small-effect world, where little can be gained; "" where it was not run."""
    name = f"{results.study}-null"
    if not results.null:
        missing = f"The small-effect world ({name}, where little can be gained) has not been run beside this study."
        return missing if results.synthetic and not results.study.endswith("-null") else ""
    found = results.null["domains"]
    superior = [domain for domain, value in found.items() if value["superior"]]
    effects = "; ".join(f"{labels.domain(domain)} {labels.effect(value)}" for domain, value in found.items())
    return (
        f"In the small-effect world ({name}), where little can be gained, {labels.arm(results.primary)} is called "
        f"superior in {len(superior)} of {len(found)} domains: {effects}."
    )


def over_bases(results: Results) -> dict[str, Any]:
    """The mean gain over base models: `studies` (their number), `difference`, `low`, `high` and `reading` in words.

    Empty where no other base was run.
    """
    found = results.verdict["replication"]
    if len(found["studies"]) < 2 or "pooled" not in found["rows"]:
        return {}
    pooled = found["rows"]["pooled"]
    reading = (
        "above zero" if pooled["low"] > 0 else "below zero" if pooled["high"] < 0 else "not shown to differ from zero"
    )
    return {
        **{name: pooled[name] for name in ("difference", "low", "high")},
        "studies": len(found["studies"]),
        "reading": reading,
    }


def placebo_line(results: Results) -> str:
    """What the placebos did, in one sentence."""
    placebos = results.verdict["placebos"]
    won = [placebo["name"] for placebo in placebos if placebo["supported"]]
    if not placebos:
        return "No placebo could be run: the rule has not been tested in this study."
    if won:
        verb = "is" if len(won) == 1 else "are"
        return (
            f"{len(won)} of {len(placebos)} placebos {verb} supported too ({', '.join(won)}), and must not be: do not "
            "trust this verdict."
        )
    return (
        f"All {len(placebos)} placebos fail, as they must." if len(placebos) > 1 else "The placebo fails, as it must."
    )


def claims(results: Results) -> dict[str, dict[str, str]]:
    """The verdict's claims; robustness is taken from the ablation study beside this one where this study has none."""
    found = dict(results.verdict["claims"])
    if results.ablations and found.get("robustness", {}).get("status") == "not run":
        robust = results.ablations["claims"]["robustness"]
        places = ", ".join(map(labels.domain, results.ablations["domains"]))
        found["robustness"] = robust | {"sentence": f"In {results.study}-ablations ({places}): {robust['sentence']}"}
    return found


def tries(results: Results) -> str:
    """How many settings were tried for each side of the comparison."""
    found = results.verdict["tuned_control"]["tries"]
    return (
        f"On validation prompts {found['primary']} settings of {labels.arm(results.primary)} were tried, and "
        f"{found['family']} members of the control's family."
    )


def ablations_beside(results: Results) -> str:
    """The ablation study beside this one: its verdict, by its own family of controls, and which arms are on the front.
    "" where it was not run.
    """
    if not results.ablations.get("peers"):
        return ""
    study, verdict = f"{results.study}-ablations", ""
    if results.ablations.get("pooled"):
        family = len(results.ablations["tuned_control"]["family"])
        verdict = f"In {study}, with {family} controls to choose from: {results.ablations['pooled']['sentence']} "
    places = [
        f"{labels.domain(domain)} {', '.join(labels.arm(row['arm']) for row in rows if row['on_front'])}"
        for domain, rows in results.ablations["peers"].items()
    ]
    deep = labels.metric(results.deepest)
    return f"{verdict}On the front of best Pass@1 and best {deep} in {study}: {'; '.join(places)}."


def public_sets(results: Results) -> str:
    """The public data sets of the study with their citations, as LaTeX; "" where there are none."""
    formats = dict.fromkeys(source["format"] for funnel in results.funnels.values() for source in funnel["sources"])
    cited = [rf"{name}~\citep{{{key}}}" for known, (name, key) in CITED.items() if known in formats]
    return "" if results.synthetic else ", ".join(cited)


def training_cost(results: Results) -> str:
    """Time and money of one training of the primary arm against the control's, means over domains and seeds.

    Not among the claims, as it differs between two equal runs.
    """
    spent = [
        (run["arm"], run["seconds"]["total"] / 3600, run["dollars"]) for run in results.runs if "derived" not in run
    ]
    own, control = ([row[1:] for row in spent if row[0] == arm] for arm in (results.primary, results.control))
    if not own or not control:
        return ""
    (hours, dollars), (hours_control, dollars_control) = (
        [sum(column) / len(rows) for column in zip(*rows, strict=True)] for rows in (own, control)
    )
    money = (
        f" and {wording.dollars(dollars)} against {wording.dollars(dollars_control)} dollars"
        if dollars or dollars_control
        else ""
    )
    return (
        f"One training of {labels.arm(results.primary)} took {hours / hours_control:.1f} times as long as one of "
        f"{labels.arm(results.control)} ({wording.duration(hours)} against "
        f"{wording.duration(hours_control)}{money})."
    )


def _scope(results: Results) -> list[Remark]:
    found = []
    if results.synthetic:
        text = (
            "This study was run in the embedded world: synthetic corpora and a tiny model. It shows that "
            "the method "
            "and the analysis work as described, not how large the effect is elsewhere."
        )
        found.append(Remark("synthetic", text))
    if results.study.endswith("-null"):
        text = (
            "This is the small-effect world: training and test ask for the readings alike often, and little can be "
            "gained. The true null is the placebo of the control with other seeds."
        )
        found.append(Remark("small-effect world", text, serious=True))
    if results.power.get("sentence"):
        found.append(Remark("power", results.power["sentence"]))
    if any(placebo["supported"] for placebo in results.verdict.get("placebos", [])):
        found.append(Remark("placebos", placebo_line(results), serious=True))
    found += [Remark("verdict", warning, serious=True) for warning in results.verdict.get("warnings", [])]
    return found + [Remark("data", note) for note in results.verdict.get("notes", [])]


def _plan(results: Results) -> list[Remark]:
    before, now = plan_hashes(results)
    if not before or not now or before == now:
        return []
    text = (
        f"The analysis plan was {before[:12]} before training and {now[:12]} at the verdict: it changed "
        "in between, so the tests were not fixed in advance."
    )
    return [Remark("plan changed", text, serious=True)]


def _gaps(results: Results) -> list[Remark]:
    """Arms that a domain lacks or measured on fewer prompts or seeds, and runs that did not finish."""
    found = []
    vital = (results.control, results.primary)
    rows = results.at_temperature(results.summary)
    rows = rows[rows["metric"] == "pass_at_1"]
    for domain in results.domains():
        own = rows[rows["domain"] == domain].set_index("arm")
        for arm in results.arms():
            where = f"{labels.domain(domain)}, {labels.arm(arm)}"
            if arm not in own.index:
                found.append(Remark("missing arm", f"{where}: no results.", serious=arm in vital))
                continue
            for column, unit in (("n_prompts", "prompts"), ("n_seeds", "seeds")):
                count, most = own.loc[arm, column], own[column].max()
                if count < most:
                    text = f"{where}: {count} {unit} where other arms have {most}."
                    found.append(Remark(f"fewer {unit}", text, serious=arm in vital))
    if results.left_out:
        arms = ", ".join(results.left_out)
        text = f"The results folder also holds {arms}, which the statistics do not: not shown anywhere."
        found.append(Remark("arms left out", text))
    for run in results.runs:
        if run["status"] != "finished":
            where = f"{labels.domain(run['domain'])}, {labels.arm(run['arm'])}, seed {run['seed']}"
            text = f"{where}: training is recorded as {run['status']}."
            found.append(Remark("unfinished run", text, serious=True))
    return found


def _headroom(results: Results) -> list[Remark]:
    """Domains in which almost nothing or almost everything passes."""
    rows = results.at_temperature(results.summary).set_index(["domain", "arm", "metric"])["value"]
    return [
        Remark("headroom", warning, serious=True)
        for domain in results.domains()
        for arm in (results.control, results.primary)
        for warning in headroom_warnings(
            f"{labels.domain(domain)}, {labels.arm(arm)}",
            rows.get((domain, arm, "pass_at_1"), nan),
            rows.get((domain, arm, "pass_at_5"), nan),
        )
    ]


def _verifiers(results: Results) -> list[Remark]:
    found = []
    for domain, value in results.calibrations.items():
        for warning in value["warnings"]:
            found.append(Remark("verifier", f"{labels.domain(domain)}: {warning}", serious=True))
    for domain, value in results.leakage.items():
        if value["leaks"]:
            text = f"{labels.domain(domain)}: {value['leaks']} (near-)duplicates are in two parts of the split."
            found.append(Remark("leakage", text, serious=True))
    return found


def _contamination(results: Results) -> list[Remark]:
    """Public data sets that the base model was probably pre-trained on. The embedded model saw none."""
    if results.synthetic:
        return []
    model = next((run["config"]["model"]["name"] for run in results.runs), "the base model")
    return [
        Remark(
            "contamination",
            f"{labels.domain(domain)}: {PUBLIC_SETS[known]} in the pre-training of {model}. Compare the arms, which "
            "start from the same weights; the level itself does not measure skill.",
        )
        for domain, funnel in results.funnels.items()
        for known in dict.fromkeys(source["format"] for source in funnel["sources"])
        if known in PUBLIC_SETS
    ]


def _audits(results: Results) -> list[Remark]:
    found = []
    for (domain, arm), audit in results.audits.items():
        where = f"{labels.domain(domain)}, {labels.arm(arm)}"
        found += [Remark("samples", f"{where}: {warning}", serious=True) for warning in audit["warnings"]]
    for key, limit in MAX_SHARE.items():
        shares = [
            f"{labels.domain(domain)}, {labels.arm(arm)} {audit[key] / audit['samples']:.1%} of {audit['samples']:,}"
            for (domain, arm), audit in results.audits.items()
            if audit["samples"] and audit[key] / audit["samples"] > limit
        ]
        if shares:
            kind = key.replace("_", " ")
            found.append(Remark(kind, f"Samples that are counted as {kind}: {'; '.join(shares)}."))
    for domain in results.domains():
        own = {arm: audit["streams"] for (place, arm), audit in results.audits.items() if place == domain}
        for (first, second), streams in repeated_between(own).items():
            text = (
                f"{labels.domain(domain)}: {len(streams)} sample streams of {labels.arm(second)} repeat streams of "
                f"{labels.arm(first)} text for text, beginning with {streams[0][1]}. They were not drawn independently."
            )
            found.append(Remark("samples", text, serious=True))
    return found


def _training(results: Results) -> list[Remark]:
    """Warnings that training recorded: samples that collapsed or exploded, credits that stayed zero."""
    warned: dict[str, list[str]] = {}
    for run in results.runs:
        if "derived" in run:
            continue
        where = f"{labels.domain(run['domain'])}, {labels.arm(run['arm'])}, seed {run['seed']}"
        for warning in run.get("warnings", []):
            # The same warning of many runs differs in its numbers alone.
            warned.setdefault(re.sub(r"\d+(?:\.\d+)?(?:e[-+]?\d+)?", "#", warning), []).append(f"{where}: {warning}")
    return [
        Remark("training", first + (f" The same, with other numbers, in {len(rest)} more." if rest else ""))
        for first, *rest in warned.values()
    ]
