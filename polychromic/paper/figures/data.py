"""How the verifiers' thresholds were set."""

from __future__ import annotations

from polychromic import labels
from polychromic.paper.figures import figure, style
from polychromic.paper.figures.style import Drawing
from polychromic.paper.results import Results
from polychromic.paper.wording import mismatched, rate_interval


@figure("calibration", section="Data", title="the verifiers' error rates")
def calibration(results: Results) -> Drawing | None:
    """True-pass and false-pass rates over the threshold, of verifiers that have one. None where none has."""
    results.require("calibrations")
    domains = [domain for domain in results.domains() if "curve" in results.calibrations.get(domain, {})]
    if not domains:
        return None
    figure, axes = style.domain_panels(domains)
    rates_in_words = []
    for ax, domain in zip(axes, domains, strict=True):
        value = results.calibrations[domain]
        rates = {
            "right answers pass": ("true_pass", style.BLUE, "o", "-", value["n_right"]),
            "mismatched answers pass": ("false_pass", style.RED, "s", "--", mismatched(value)),
        }
        for name, (rate, colour, marker, line, n) in rates.items():
            low, high = rate_interval(value[rate], n)
            ends = style.whiskers(value[rate], low, high)
            x = [value["threshold"]]
            ax.errorbar(x, [value[rate]], ends, color=colour, marker=marker, linestyle=line, label=name)
            text = f"{value[rate]:.1%} [{low:.1%}, {high:.1%}] of {n:,} {name}"
            style.mark(ax, value["threshold"], value[rate], text)
            rates_in_words.append(f"{labels.domain(domain)}: {text}" if rate == "true_pass" else text)
            ax.plot(
                [p["threshold"] for p in value["curve"]],
                [p[rate] for p in value["curve"]],
                color=colour,
                linestyle=line,
            )
        ax.axvline(value["threshold"], color="black", linewidth=0.7, linestyle=(0, (1, 1)))
        ax.set_xlabel("similarity threshold")
        ax.set_ylim(-0.03, 1.04)
    for ax in style.left(axes):
        ax.set_ylabel("share that passes")
    style.legend(figure, axes, columns=2)
    return Drawing(
        figure,
        "The verifiers' error rates on validation prompts, with 95 % Wilson intervals; of two kinds of mismatched "
        f"answers the worse is shown. {'; '.join(rates_in_words)}.",
    )
