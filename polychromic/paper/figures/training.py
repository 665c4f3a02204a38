"""Training curves: cross-entropy, diversity and valid share by step."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullLocator

from polychromic import labels
from polychromic.paper.figures import figure, style
from polychromic.paper.figures.style import Drawing
from polychromic.paper.results import Results

SIGNALS = {
    "quality": ("Cross-\nentropy", "cross-entropy on training batches (nats a token, log scale)"),
    "diversity": ("Diversity\nD", "D of the sampled completions, each arm's own measure, in [0, 1]"),
    "valid": ("Valid", "share of samples that pass the gate, of arms that have one"),
}


@figure("training_dynamics", section="Training", title="training by step")
def training_dynamics(results: Results) -> Drawing:
    """Training curves: a column a domain, a row a signal, a line an arm with the span of its seeds."""
    results.require("train_logs", "verdict")
    rows = _without_absent_gates(results)
    domains = results.domains()
    arms = [arm for arm in results.arms(rows) if results.roles.get(arm) != "placebo"]
    signals = [name for name in SIGNALS if name in rows and rows[name].notna().any()]
    figure, axes = style.panels(
        len(signals), len(domains), height=0.7 + 0.72 * len(signals), sharex="col", sharey="row"
    )
    for line, signal in zip(axes, signals, strict=True):
        for ax, domain in zip(line, domains, strict=True):
            for arm in arms:  # the control is wider: it shows where another arm's line lies on it
                own = rows[(rows["domain"] == domain) & (rows["arm"] == arm)].dropna(subset=[signal])
                if not own.empty:
                    _curve(ax, own, signal, arm, width=1.8 if arm == results.control else 0.9)
            if signal == "quality":
                ax.set_yscale("log")
                ax.yaxis.set_major_locator(LogLocator(subs=(1, 3)))
                ax.yaxis.set_major_formatter("{x:g}")
                ax.yaxis.set_minor_locator(NullLocator())
            else:
                ax.locator_params(nbins=3)
        line[0].set_ylabel(SIGNALS[signal][0])
    for ax, domain in zip(axes[0], domains, strict=True):
        ax.set_title(labels.short_domain(domain), fontsize=6.5)
    for ax in axes[-1]:
        ax.set_xlabel("step")
    style.legend(figure, axes[0])
    seeds = rows.groupby(["domain", "arm"])["run"].nunique()
    return Drawing(
        figure,
        (
            f"Training dynamics by optimiser step. Rows: {'; '.join(SIGNALS[name][1] for name in signals)}. Lines are "
            f"means over the training seeds{_smoothing(rows)}; bands span the seeds (lowest to highest of "
            f"{labels.count_range(seeds, 'seed')})."
        ),
    )


_SMOOTH = 5


def _without_absent_gates(results: Results) -> pd.DataFrame:
    """The logs; "valid" is 1 by definition where an arm has no gate, and left out."""
    gated = {(run["domain"], run["arm"]): run["config"]["objective"]["gate"] for run in results.runs}
    has_gate = [
        gated.get(key, True) for key in zip(results.train_logs["domain"], results.train_logs["arm"], strict=True)
    ]
    rows = results.train_logs
    return rows.assign(valid=rows["valid"].where(has_gate)) if "valid" in rows else rows


def _window(steps: int) -> int:
    """Log steps to smooth over; fewer where a training has few."""
    return max(1, min(_SMOOTH, steps // 4))


def _smoothing(rows: pd.DataFrame) -> str:
    widest = _window(int(rows.groupby("domain")["step"].nunique().max()))
    return f", smoothed over up to {widest} log steps" if widest > 1 else ""


def _curve(ax: Axes, rows: pd.DataFrame, signal: str, arm: str, *, width: float) -> None:
    seeds = rows.pivot_table(index="step", columns="run", values=signal)
    seeds = seeds.rolling(_window(len(seeds)), min_periods=1, center=True).mean()
    look = style.look(arm)
    ax.fill_between(seeds.index, seeds.min(axis=1), seeds.max(axis=1), color=look.colour, alpha=0.2, linewidth=0)
    (line,) = ax.plot(
        seeds.index,
        seeds.mean(axis=1),
        color=look.colour,
        linestyle=look.line,
        label=look.name,
        linewidth=width,
    )
    style.tip(line, f"{look.name}: {SIGNALS[signal][1]}, {seeds.mean(axis=1).iloc[-1]:.3g} at the end")
