"""The data behind the study: the curation funnel and the verifiers' calibration."""

from __future__ import annotations

from math import nan

from statsmodels.stats.proportion import proportion_confint

from polychromic import labels
from polychromic.paper.figures import figure, style
from polychromic.paper.figures.style import Drawing
from polychromic.paper.results import Results


@figure("curation_funnel", section="Data")
def curation_funnel(results: Results) -> Drawing:
    """Rows left after each step from the raw files to the parts, a panel a domain; idle steps are left out."""
    results.require("funnels")
    domains = results.domains()
    steps = {domain: funnel_steps(results.funnels[domain]) for domain in domains}
    shown = {domain: [steps[domain][0], *(s for s in steps[domain][1:] if s[1])] for domain in domains}
    heights = [len(rows) + 1.6 for rows in shown.values()]
    figure, axes = style.panels(len(domains), 1, height=0.35 + 0.115 * sum(heights), height_ratios=heights)
    for (ax,), domain in zip(axes, domains, strict=True):
        rows = shown[domain]
        total = rows[0][2]
        for y, (name, rejected, left) in enumerate(rows):
            bar = ax.barh(y, left, color=style.SKY, height=0.82, linewidth=0)[0]
            style.tip(bar, f"{name}: {left:,} of {total:,} left, {rejected:,} rejected")
            if rejected:
                ax.barh(
                    y,
                    rejected,
                    left=left,
                    color=style.RED,
                    alpha=0.35,
                    hatch="////",
                    edgecolor="white",
                    height=0.82,
                    linewidth=0,
                )
            ax.text(
                total * 1.01,
                y,
                f"{left:,}" + (f"  (−{rejected:,})" if rejected else ""),
                va="center",
                fontsize=5.5,
            )
        ax.set_yticks(range(len(rows)), [name.replace("_", " ") for name, _, _ in rows], fontsize=5.8)
        ax.invert_yaxis()
        ax.set_xlim(0, total * 1.28)
        ax.set_xticks([])
        ax.spines["bottom"].set_visible(False)
        ax.grid(visible=False)
        ax.set_title(labels.domain(domain))
    counts = "; ".join(f"{labels.domain(d)}: {steps[d][0][2]:,} read, {steps[d][-1][2]:,} kept" for d in domains)
    idle = {d: sum(1 for s in steps[d][1:] if not s[1]) for d in domains}
    return Drawing(
        figure,
        (
            "Rows left after each filter, after a person's review where there was one, and after the split, which "
            f"rejects what would leak; hatched: rejected there. {counts}. Steps that rejected nothing are not drawn "
            f"({', '.join(f'{labels.domain(d)} {n}' for d, n in idle.items())})."
        ),
    )


def funnel_steps(funnel: dict) -> list[tuple[str, int, int]]:
    """(name, rejected there, left after) for "read" and every step of a funnel.json, in order."""
    steps = [(step["filter"], int(step["rejected"]), int(step["out"])) for step in funnel["steps"]]
    return [("read", 0, int(funnel["read"])), *steps]


@figure("calibration", section="Data")
def calibration(results: Results) -> Drawing:
    """True-pass and false-pass rates of each domain's verifier; over the threshold where it has one."""
    results.require("calibrations")
    domains = [domain for domain in results.domains() if domain in results.calibrations]
    figure, axes = style.domain_panels(domains)
    told = []
    for ax, domain in zip(axes, domains, strict=True):
        value = results.calibrations[domain]
        rates = {
            "right answers pass": ("true_pass", style.BLUE, "o", "-", value["n_right"]),
            "mismatched answers pass": ("false_pass", style.RED, "s", "--", _mismatched(value)),
        }
        for at, (name, (rate, colour, marker, line, n)) in enumerate(rates.items()):
            x = value.get("threshold", at)
            low, high = proportion_confint(round(value[rate] * n), n, method="wilson") if n else (nan, nan)
            ends = style.whiskers(value[rate], low, high)
            ax.errorbar([x], [value[rate]], ends, color=colour, marker=marker, linestyle=line, label=name)
            text = f"{value[rate]:.1%} [{low:.1%}, {high:.1%}] of {n:,} {name}"
            style.mark(ax, x, value[rate], text)
            told.append(f"{labels.domain(domain)}: {text}" if not at else text)
            if "curve" in value:
                curve = value["curve"]
                ax.plot([p["threshold"] for p in curve], [p[rate] for p in curve], color=colour, linestyle=line)
        if "curve" in value:
            ax.axvline(value["threshold"], color="black", linewidth=0.7, linestyle=(0, (1, 1)))
            ax.set_xlabel("similarity threshold")
        else:
            ax.set_xticks([0, 1], ["right\nanswers", "mismatched\nanswers"])
            ax.set_xlim(-0.6, 1.6)
        ax.set_ylim(-0.03, 1.04)
    for ax in style.left(axes):
        ax.set_ylabel("share that passes")
    style.legend(figure, axes, columns=2)
    return Drawing(
        figure,
        "The verifiers' error rates on validation prompts, with 95 % Wilson intervals; of two kinds of mismatched "
        f"answers the worse is shown. {'; '.join(told)}.",
    )


def _mismatched(value: dict) -> int:
    """How many mismatched answers of the worse kind were judged."""
    by_kind = value["false_pass_by_kind"]
    return value["n_mismatched"][max(by_kind, key=by_kind.get)] if by_kind else 0
