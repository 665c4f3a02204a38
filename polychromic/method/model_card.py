"""The card of an adapter: what it is, how it was made, how to load it. The same in two equal runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

CARD = """---
library_name: peft
base_model: {base}
pipeline_tag: text-generation
tags: [lora, {kind}]
---

# {study}: {domain}, {arm}, seed {seed}

A LoRA adapter {purpose}.{made}
`run.json` beside this file is its full record: settings, data, versions, hardware, time and cost.

```python
from peft import AutoPeftModelForCausalLM

model = AutoPeftModelForCausalLM.from_pretrained("path/to/this/folder")
```

| | |
|---|---|
| base model | `{base}`{revision}, {precision} |
| rank, alpha, dropout | {rank}, {alpha}, {dropout} |
| quality term | {quality} |
| diversity term | {diversity} |
| epochs, learning rate | {epochs}, {learning_rate} |
| rows of training data | {rows} |
{data}
It answers one kind of prompt, that of its training data, and was measured on that alone: see the study's
report for what it gains and what it costs. It adds no safety to the base model.
"""


TRAINER_CARD = """---
library_name: peft
base_model: {base}
pipeline_tag: text-generation
tags: [lora, {kind}]
---

# Adapter of {base}

Trained with `PolychromicTrainer` {version}: L = L_quality - λ E[D(y_1..y_N)].

| | |
|---|---|
| quality term | {quality} |
| diversity term | {diversity} |
| steps, learning rate | {steps}, {learning_rate} |

"""

PAPER = (
    'The method: "Polychromic LoRA: Diversity-Aware Parameter-Efficient Fine-Tuning for Improved Pass@k Performance" '
    "(CITATION.cff of the `polychromic` package).\n"
)

MADE = {
    "wise_ft": "the weighted mean of two checkpoints of its training, {share:g} x the last + {rest:g} x an earlier one "
    "(WiSE-FT), with twice the rank",
    "scale": "its change of the weights times {share:g}",
}


def diversity_words(weight: float, measure: str, samples: int) -> str:
    """The diversity term in words: its lambda, D and N."""
    return f"λ = {weight}, D = {measure}, N = {samples} samples a prompt"


def write_trainer_card(adapter: str | Path, trainer) -> None:
    """Write README.md into the folder of an adapter that a `PolychromicTrainer` saves."""
    from polychromic import __version__

    args = trainer.args
    measure = getattr(trainer.term and trainer.term.measure, "label", "a custom function")
    text = TRAINER_CARD.format(
        base=trainer.model.config._name_or_path or "unnamed",
        kind="polychromic-lora" if trainer.term else "baseline",
        version=__version__,
        quality=args.quality,
        diversity=diversity_words(args.weight, measure, args.samples) if trainer.term else "none",
        steps=trainer.state.global_step,
        learning_rate=args.learning_rate,
    )
    Path(adapter, "README.md").write_text(text + (PAPER if trainer.term else ""), encoding="utf-8")


def write_model_card(adapter: str | Path, record: dict[str, Any]) -> None:
    """Write README.md into an adapter's folder, from the run record (see `run_record.write_run_record`).

    The record of an adapter made from a trained one has the entry "derived": method, source and share.
    """
    model, training, objective = (record["config"][part] for part in ("model", "training", "objective"))
    weight, derived = objective["weight"], record.get("derived")
    diversity = diversity_words(weight, objective["diversity"], objective["samples"])
    hashes = [f"| SHA-256 of `{name}` | `{sha}` |\n" for name, sha in record["data_sha256"].items()]
    purpose = "trained for answers that differ, so that the best of several is better" if weight else "(baseline)"
    made = ""
    if derived:
        share = derived["share"]
        how = MADE[derived["method"]].format(share=share, rest=1 - share)
        made = (
            f" It was not trained itself: it is made from `{derived['source']}`, {how}.\nThe table is of that training."
        )
        purpose = "made from a trained one"
    text = CARD.format(
        **{key: record[key] for key in ("study", "domain", "arm", "seed", "rows")},
        **{key: training[key] for key in ("rank", "alpha", "dropout", "epochs", "learning_rate")},
        kind="polychromic-lora" if weight else "baseline",
        purpose=purpose,
        made=made,
        base=model["name"],
        revision=f" at `{model['revision']}`" if model["revision"] else "",
        precision=model["precision"],
        quality=objective["quality"],
        diversity=diversity if weight else "none",
        data="".join(hashes),
    )
    Path(adapter, "README.md").write_text(text + (f"\n{PAPER}" if weight else ""), encoding="utf-8")
