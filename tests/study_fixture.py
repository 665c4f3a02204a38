"""A small simulated results folder, in the schemas of a real study: a fixture, its numbers mean nothing.

Prompts get a success probability; the arms differ in how concentrated it is. Passes are drawn from it and
everything that a study measures is written; the statistics are then the real ones of these tables. As in a
study, prompt arms are sampled at one temperature alone.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from polychromic.records import Record, write_records
from polychromic.statistics.analysis import analyse
from polychromic.statistics.verdict import verdict

DOMAINS = ("social", "code", "creative", "qa")
ARMS = ("zero_shot", "few_shot", "lora", "polychromic", "polychromic_literal")
ABLATIONS = {
    **{f"polychromic_l0{v}0": {"weight": v / 10} for v in (1, 5)},
    "polychromic_n2": {"samples": 2},
    "polychromic_m8": {"every": 8},
    "polychromic_r8": {"rank": 8},
    "lora_r8": {"rank": 8, "weight": 0.0},
}
SEEDS = (42, 123, 456)
TEMPERATURES = (0.5, 0.7, 1.0, 1.3)
VALIDATION_PROMPTS = 4
N = 10
PLAN = "5a" * 32
# Mean ability and concentration (a small one: a prompt is always or never solved) of each arm in the
# simulation.
SKILL = {
    "zero_shot": (0.16, 1.2),
    "few_shot": (0.24, 1.1),
    "lora": (0.36, 0.45),
    "lora_again": (0.36, 0.45),
    "lora_low_rate": (0.36, 0.46),
    "polychromic": (0.36, 1.3),
    "polychromic_literal": (0.35, 0.7),
    "gem": (0.35, 0.9),
}


def write_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1, default=lambda number: number.item()), encoding="utf-8")


def plan_of(study: str, domains: tuple[str, ...], arms: tuple[str, ...]) -> dict:
    """The analysis plan of the simulated study, as the job of the analysis is given it."""
    verifiers = {"code": "code", "qa": "answer"}
    settings = {"weight": 0.3, "samples": 3, "every": 4, "quality": "ce", "rank": 16}
    trained = [arm for arm in arms if not arm.endswith("_shot")]
    return {
        "study": study,
        "plan": {
            **{"primary": "polychromic", "control": "lora", "literal": "polychromic_literal"},
            **{"alpha": 0.05, "margin": 0.05, "replicates": 100, "seed": 0, "prior_df": 4.0},
            "controls": [arm for arm in ("lora", "lora_low_rate") if arm in arms],
            "placebos": [arm for arm in ("lora_again",) if arm in arms],
        },
        "plan_sha256": PLAN,
        "domains": {
            domain: {
                "quality_metric": "token_f1" if domain == "qa" else "rouge_l",
                "verifier": verifiers.get(domain, "similarity"),
            }
            for domain in domains
        },
        "arms": list(arms),
        "arm_kinds": {arm: "train" if arm in trained else "prompt" for arm in arms},
        "ablations": {
            arm: settings | ({"weight": 0.0} if arm == "lora" else ABLATIONS.get(arm, {})) for arm in trained
        },
        "seeds": list(SEEDS),
        "sampling": {"samples": N, "temperature": 0.7, "frontier": [t for t in TEMPERATURES if t != 0.7]},
        "k": [1, 5, 10],
    }


def make_study(folder: Path, *, domains=DOMAINS, arms=ARMS, ablations=False, judge=True, prompts=60, seed=0) -> Path:
    """Write a simulated study under `folder` and return the folder."""
    rng = np.random.default_rng(seed)
    every_arm = (*arms, *(ABLATIONS if ablations else ()))
    tables: dict[str, dict[str, dict[str, pd.DataFrame]]] = {}
    for domain in domains:
        harder = rng.uniform(-0.08, 0.08)
        for arm in every_arm:
            where = folder / domain / arm
            made = _measured(rng, domain, arm, harder, prompts)
            if judge and arm.startswith("polychromic") and arm in arms:
                made["judge"] = _judged(rng, domain, arm, prompts)
            where.mkdir(parents=True, exist_ok=True)
            for name, frame in made.items():
                frame.to_parquet(where / f"{name}.parquet")
            tables.setdefault(domain, {})[arm] = made
            write_json(
                where / "audit.json",
                {
                    "samples": len(made["passes"]),
                    "duplicate_streams": 0,
                    "truncated": int(rng.integers(0, len(made["passes"]) // 30)),
                    "empty": int(rng.integers(0, 3)),
                    "copied": int(rng.integers(0, 9)),
                    "extraction_failures": 0,
                    "unjudged": 0,
                    "repetitive": 0,
                    "shared_draw_seeds": 0,
                    "statuses": made["passes"]["status"].value_counts().to_dict(),
                    "warnings": [],
                    "streams": {"seed 42, temperature 0.7, sample 0": f"digest of {arm}"},
                },
            )
            _write_seeds(rng, folder, domain, arm, made["passes"], prompts)
        _write_data(rng, folder, domain)
    plan = plan_of(folder.name, domains, every_arm)
    analysis = analyse(tables, plan)
    statistics = folder / "statistics"
    statistics.mkdir(parents=True, exist_ok=True)
    for name in ("summary", "pairwise", "hypotheses", "frontier"):
        getattr(analysis, name).to_parquet(statistics / f"{name}.parquet")
    write_json(statistics / "verdict.json", verdict(analysis, plan, registered=PLAN))
    power = {
        "smallest_effect": 0.09,
        "sentence": "With 60 prompts a gain of 0.090 is found 80 % of the time.",
    }
    write_json(statistics / "power.json", power | {"plan_sha256": PLAN})
    return folder


def _measured(rng, domain: str, arm: str, harder: float, prompts: int) -> dict[str, pd.DataFrame]:
    """passes, passes_val, diversity and quality of an arm."""
    skill, spread = SKILL.get(arm, (0.35, 1.0))
    temperatures = (0.7,) if arm.endswith("_shot") else TEMPERATURES
    base = 0.18 + 0.12 * spread
    ids = [f"{domain}-{x:03d}" for x in range(prompts)]
    tested = _passes(rng, (skill - harder, spread), ids, temperatures)
    cells = tested[tested["sample"] == 0][["seed", "prompt_id", "temperature"]].reset_index(drop=True)
    variety = base + 0.15 * cells["temperature"]
    noise = lambda scale: rng.normal(0, scale, len(cells))  # noqa: E731
    return {
        "passes": tested,
        "passes_val": _passes(rng, (skill, spread), [f"val-{x}" for x in range(VALIDATION_PROMPTS)], temperatures),
        "diversity": cells.assign(
            semantic_diversity=variety + noise(0.05),
            # Undefined for the first two prompts: their answers are of one word.
            distinct_2=np.where(cells["prompt_id"] < ids[2], np.nan, 0.2 + 1.4 * variety + noise(0.05)),
            self_bleu=0.75 - variety + noise(0.05),
        ),
        "quality": cells.assign(
            rouge_l=0.3 + 0.4 * skill - 0.002 * spread + noise(0.04), token_f1=0.5 + 0.4 * skill + noise(0.04)
        ),
    }


def _passes(rng, able: tuple[float, float], ids: list[str], temperatures: tuple[float, ...]) -> pd.DataFrame:
    skill, spread = able
    # Every arm finds the same prompts hard.
    rank = np.random.default_rng(zlib.crc32(ids[0].encode())).random(len(ids))
    ability = pd.Series(stats.beta.ppf(rank, max(0.05, skill) * spread, (1 - skill) * spread), ids)
    grid = pd.MultiIndex.from_product(
        [SEEDS, ids, temperatures, range(N)], names=["seed", "prompt_id", "temperature", "sample"]
    ).to_frame(index=False)
    able_to, t = grid["prompt_id"].map(ability), grid["temperature"]
    flat = np.minimum(0.9, 0.25 + 0.35 * t)
    passed = rng.random(len(grid)) < np.clip((1 - flat) * able_to + flat * able_to**0.8 * (1.12 - 0.4 * t), 0, 1)
    return grid.assign(
        passed=passed,
        status=np.where(passed, "passed", "failed"),
        score=passed.astype(float),
        label=[f"reading {'abc'[i % 3]}" for i in grid["sample"]],
    )


def _judged(rng, domain: str, arm: str, prompts: int) -> pd.DataFrame:
    lean, cells = rng.uniform(0.4, 0.55), prompts * len(SEEDS)
    winner = rng.choice(["arm", "control", "tie"], p=[lean, 0.75 - lean, 0.25], size=cells)
    return pd.DataFrame(
        {
            "seed": np.repeat(SEEDS, prompts),
            "prompt_id": [f"{domain}-{x:03d}" for x in range(prompts)] * len(SEEDS),
            "arm": arm,
            "control": "lora",
            "winner": winner,
            "first": winner,
            "second": winner,
            "length_arm": rng.integers(20, 60, cells),
            "length_control": rng.integers(20, 60, cells),
            "parse_failures": 0,
            "judge": "reference-similarity",
        }
    )


def _write_seeds(rng, folder: Path, domain: str, arm: str, passes: pd.DataFrame, prompts: int) -> None:
    words = ["quiet", "river", "stone", "lantern", "copper", "sudden", "map", "orchard", "signal", "north"]
    for seed in SEEDS:
        where = folder / domain / arm / f"seed-{seed}"
        where.mkdir(parents=True, exist_ok=True)
        rows = passes[passes["seed"] == seed]
        texts = [" ".join(rng.choice(words, 6)) + (" <b>&" if i % 7 == 0 else "") for i in range(9)]
        drawn = [
            texts[i] if domain != "code" else f"def f(x):\n    return x + {i}" for i in rng.integers(0, 9, len(rows))
        ]
        pd.DataFrame(
            {
                "prompt_id": rows["prompt_id"],
                "temperature": rows["temperature"],
                "sample": rows["sample"],
                "seed": range(len(rows)),
                "text": drawn,
                "tokens": 12,
                "finish": "stop",
            }
        ).to_parquet(where / "samples.parquet")
        if arm in ("zero_shot", "few_shot"):
            continue
        log = []
        for step in range(0, 181, 4):
            t = step / 180
            spread = 1.0 if arm.startswith("polychromic") else 0.55
            log.append(
                {
                    "step": step,
                    "loss": 0.4 + 2.2 * np.exp(-5 * t) + rng.normal(0, 0.03),
                    "quality": 0.5 + 2.2 * np.exp(-5 * t) + rng.normal(0, 0.03),
                    "diversity": spread * (0.3 + 0.2 * t) + rng.normal(0, 0.02),
                    "credit_spread": 0.1,
                    "grad_ratio": (0.3 if spread == 1 else 0.0) + abs(rng.normal(0, 0.02)),
                    "entropy": 1.2 * np.exp(-2 * t) + 0.3 * spread + rng.normal(0, 0.02),
                    "length": 16 + rng.normal(0, 0.5),
                    "valid": min(1.0, 0.4 + t + rng.normal(0, 0.02)),
                    "seconds_sample": 0.4,
                    "seconds_score": 0.1,
                    "seconds_backward": 0.3,
                }
            )
        (where / "train_log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in log), encoding="utf-8")
        sample = 300.0 * rng.uniform(0.9, 1.1) if arm.startswith("polychromic") else 0.0
        train = 200.0 * rng.uniform(0.9, 1.1)
        total = train + sample * 1.5 + 4
        write_json(
            where / "run.json",
            {
                "study": folder.name,
                "domain": domain,
                "arm": arm,
                "seed": seed,
                "status": "finished",
                "config": {
                    "model": {"name": "embedded"},
                    "training": {
                        "epochs": 2.0,
                        "learning_rate": 2e-4,
                        "rank": ABLATIONS.get(arm, {}).get("rank", 16),
                    },
                    "objective": {
                        "samples": 3,
                        "gate": arm != "polychromic_literal",
                        "weight": 0.3 if arm != "lora" else 0.0,
                        **ABLATIONS.get(arm, {}),
                    },
                },
                "data_sha256": {"train.jsonl": "ab" * 32},
                "packages": {"torch": "2.13.0", "peft": "0.21.2"},
                "git_commit": "c0ffee0",
                "hardware": {"platform": "Linux", "processor": "Some CPU", "cores": 2, "gpus": []},
                "seconds": {
                    "load": 2.0,
                    "train": train,
                    "sample": sample,
                    "score": sample / 4,
                    "backward": sample / 4,
                    "total": total,
                },
                "tokens": {"trained": 90_000, "sampled": 60_000 if sample else 0},
                "peak_memory_bytes": 1_200_000_000,
                "trainable_parameters": 196_608,
                "gpu_hours": 0.0,
                "price_per_gpu_hour": 0.0,
                "dollars": 0.0,
                "steps": 180,
            },
        )


def _write_data(rng, folder: Path, domain: str) -> None:
    left, steps = 1600, []
    for name in (
        "unusable",
        "language",
        "length",
        "unique_words",
        "urls",
        "near_duplicates",
        "draw",
        "review",
        "split",
    ):
        rejected = 0 if name == "urls" else int(rng.integers(0, 140))
        steps.append({"filter": name, "in": left, "out": left - rejected, "rejected": rejected, "changed": 0})
        left -= rejected
    funnel = {
        "sources": [{"format": "table", "from": f"data/raw/{domain}.csv"}],
        "read": 1600,
        "kept": left,
        "rejected": 1600 - left,
        "seed": 0,
        "steps": steps,
        "parts": {"train": left - 90, "val": 30, "test": 60},
    }
    write_json(folder / domain / "data" / "funnel.json", funnel)
    write_json(folder / domain / "data" / "leakage.json", {"leaks": 0, "rejected": 1})
    prompts = [
        Record(
            f"{domain}-{x:03d}",
            f"Prompt {x} of {domain}: what comes next?",
            "an answer",
            ("an answer", "another"),
        )
        for x in range(60)
    ]
    write_records(folder / domain / "data" / "test.jsonl", prompts)
    curve = [
        {
            "threshold": t / 20,
            "true_pass": float(1 / (1 + np.exp((t - 16) / 1.5))),
            "false_pass": float(1 / (1 + np.exp((t - 8) / 1.2))),
        }
        for t in range(21)
    ]
    judged = {
        "n": 50,
        "n_right": 50,
        "n_mismatched": {"other_prompt": 250, "same_prompt": 80},
        "warnings": [],
    }
    similarity = {"kind": "similarity", **curve[12], "curve": curve, **judged}
    similarity["false_pass_by_kind"] = {"other_prompt": 0.01, "same_prompt": curve[12]["false_pass"]}
    by_kind = {"other_prompt": 0.0, "same_prompt": 0.0}
    code = {"kind": "code", "true_pass": 1.0, "false_pass": 0.0, "false_pass_by_kind": by_kind, **judged}
    write_json(folder / domain / "calibration.json", code if domain == "code" else similarity)
