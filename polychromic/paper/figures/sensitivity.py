"""Where the method helps: the gain over the tuned control in worlds of the embedded study."""

from __future__ import annotations

import numpy as np

from polychromic import labels
from polychromic.paper.figures import figure, style
from polychromic.paper.figures.style import Drawing
from polychromic.paper.results import DOMAIN_ORDER, Results, ordered
from polychromic.paper.table_formats import number, with_interval


@figure("sensitivity", section="Ablations", title="worlds in which the method helps")
def sensitivity(results: Results) -> Drawing | None:
    """A map a domain: the share of wrong answers across, the skew of the readings upwards, the gain as colour.

    Reads `sensitivity.csv` of the results folder, a row a world and domain:

        world_skew, wrong_share: the world's knobs, in [0, 1].
        domain: "pooled" may be among them.
        gain, low, high: of best Pass@k over the tuned control, with its 95 % interval.
        lora_pass1, zero_shot_pass1: best Pass@1 of the control and without training.

    None where no such file was made.
    """
    rows = results.sensitivity
    if rows.empty:
        return None
    domains = ordered(set(rows["domain"]), ("pooled", *DOMAIN_ORDER))
    skews, shares = sorted(rows["world_skew"].unique()), sorted(rows["wrong_share"].unique())
    figure, axes = style.domain_panels(domains, panel_height=0.4 + 0.3 * len(skews), sharex=True, sharey=True)
    most = max(0.05, float(rows["gain"].abs().max()))
    found = rows.set_index(["domain", "world_skew", "wrong_share"])
    for ax, domain in zip(axes, domains, strict=True):
        cells = np.full((len(skews), len(shares)), np.nan)
        for y, skew in enumerate(skews):
            for x, share in enumerate(shares):
                if (domain, skew, share) in found.index:
                    row = found.loc[(domain, skew, share)]
                    cells[y, x] = row["gain"]
                    sure = row["low"] > 0 or row["high"] < 0
                    ax.text(
                        x,
                        y,
                        number(row["gain"], sign=True),
                        ha="center",
                        va="center",
                        fontsize=6.5,
                        weight="bold" if sure else "normal",
                        color="white" if abs(row["gain"]) > 0.65 * most else "black" if sure else "#6A6A6A",
                    )
                    gain = with_interval(row["gain"], row["low"], row["high"], sign=True)
                    text = f"{labels.domain(domain)}, skew {skew:g}, {share:.0%} wrong: gain {gain}; "
                    text += f"Pass@1 of LoRA {row['lora_pass1']:.3f}, zero-shot {row['zero_shot_pass1']:.3f}"
                    style.mark(ax, x, y, text)
        ax.imshow(cells, cmap="PuOr_r", vmin=-most, vmax=most, origin="lower", aspect="auto")
        ax.set_xticks(range(len(shares)), [f"{share:.0%}" for share in shares])
        ax.set_yticks(range(len(skews)), [f"{skew:g}" for skew in skews])
        ax.grid(visible=False)
    for ax in style.left(axes):
        ax.set_ylabel("skew of training")
    for ax in axes:
        ax.tick_params(labelbottom=True)
    for ax in style.bottom(axes):
        ax.set_xlabel("wrong without training")
    return Drawing(
        figure,
        f"Where the method helps: gain in best Pass@k over the tuned control in {len(skews) * len(shares)} worlds. "
        "Upwards, training shows one reading more often; to the right, more of the base model's answers are wrong, so "
        "fine-tuning has more to teach. Bold: the 95 % interval excludes zero.",
    )
