"""A small simulated results folder, in the schemas of a real study: a fixture, its numbers mean nothing.

Prompts get a success probability; the arms differ in how concentrated it is. From drawn passes the
statistics files are filled with plain normal intervals (the real ones are `polychromic.statistics`'
business).
"""

from __future__ import annotations

import json
from math import comb, sqrt
from pathlib import Path

import numpy as np
import pandas as pd

from polychromic.records import Record, write_records

DOMAINS = ("social", "code", "creative", "qa")
ARMS = ("zero_shot", "few_shot", "lora", "polychromic", "polychromic_literal")
ABLATIONS = {
    **{f"polychromic_l0{v}0": {"weight": v / 10} for v in (1, 2, 5)},
    **{f"polychromic_n{v}": {"samples": v} for v in (2, 5)},
    **{f"polychromic_r{v}": {"rank": v} for v in (4, 8, 32)},
}
SEEDS = (42, 123, 456)
TEMPERATURES = (0.5, 0.7, 1.0, 1.3)
N = 10
PLAN = "5a" * 32
# Mean ability and concentration (a small one: a prompt is always or never solved) of each arm in the
# simulation.
SKILL = {
    "zero_shot": (0.16, 1.2),
    "few_shot": (0.24, 1.1),
    "lora": (0.36, 0.45),
    "polychromic": (0.36, 1.3),
    "polychromic_literal": (0.35, 0.7),
    "gem": (0.35, 0.9),
}


def pass_at_k(correct: np.ndarray, k: int) -> np.ndarray:
    table = np.array([1 - comb(N - c, k) / comb(N, k) for c in range(N + 1)])
    return table[correct]


def write_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1, default=lambda number: number.item()), encoding="utf-8")


def interval(values: np.ndarray) -> tuple[float, float, float]:
    """Mean of a [prompts, seeds] array with a plain 95 % interval over prompts."""
    mean, half = values.mean(), 1.96 * values.mean(axis=1).std() / sqrt(len(values))
    return mean, mean - half, mean + half


def make_study(folder: Path, *, domains=DOMAINS, arms=ARMS, ablations=False, judge=True, prompts=60, seed=0) -> Path:
    """Write a simulated study under `folder` and return the folder."""
    rng = np.random.default_rng(seed)
    every_arm = (*arms, *(ABLATIONS if ablations else ()))
    summary, pairwise, hypotheses, frontier, verdicts = [], [], [], [], {}
    for d, domain in enumerate(domains):
        harder = rng.uniform(-0.08, 0.08)
        values: dict[tuple[str, float, str], np.ndarray] = {}
        for arm in every_arm:
            skill, spread = SKILL.get(arm, (0.35, 1.0))
            where = folder / domain / arm

            rows, diversity, quality = [], [], []
            ability = rng.beta(max(0.05, (skill - harder)) * spread, (1 - skill + harder) * spread, size=prompts)
            for temperature in TEMPERATURES:
                flat = min(0.9, 0.25 + 0.35 * temperature)
                p = (1 - flat) * ability + flat * ability**0.8 * (1.12 - 0.4 * temperature)
                passed = rng.random((len(SEEDS), prompts, N)) < np.clip(p, 0, 1)[None, :, None]
                correct = passed.sum(axis=2).T  # [prompts, seeds]
                for k in (1, 5, 10):
                    values[arm, temperature, f"pass_at_{k}"] = pass_at_k(correct, k)
                base = 0.18 + 0.12 * spread + 0.15 * temperature
                noise = lambda scale: rng.normal(0, scale, (prompts, len(SEEDS)))  # noqa: E731
                values[arm, temperature, "semantic_diversity"] = base + noise(0.05)
                values[arm, temperature, "distinct_2"] = 0.2 + 1.4 * base + noise(0.05)
                values[arm, temperature, "self_bleu"] = 0.75 - base + noise(0.05)
                values[arm, temperature, "rouge_l"] = 0.3 + 0.2 * skill - 0.02 * spread + noise(0.04)
                values[arm, temperature, "token_f1"] = 0.5 + 0.2 * skill + noise(0.04)
                for s, training_seed in enumerate(SEEDS):
                    for x in range(prompts):
                        key = {
                            "seed": training_seed,
                            "prompt_id": f"{domain}-{x:03d}",
                            "temperature": temperature,
                        }
                        diversity.append(
                            key
                            | {
                                m: values[arm, temperature, m][x, s]
                                for m in ("self_bleu", "distinct_2", "semantic_diversity")
                            }
                        )
                        quality.append(key | {m: values[arm, temperature, m][x, s] for m in ("rouge_l", "token_f1")})
                        rows += [
                            key
                            | {
                                "sample": i,
                                "passed": bool(ok),
                                "status": "passed" if ok else "failed",
                                "score": float(ok),
                                "label": f"reading {'abc'[i % 3]}",
                            }
                            for i, ok in enumerate(passed[s, x])
                        ]
            where.mkdir(parents=True, exist_ok=True)
            passes = pd.DataFrame(rows)
            passes.to_parquet(where / "passes.parquet")
            pd.DataFrame(diversity).to_parquet(where / "diversity.parquet")
            pd.DataFrame(quality).to_parquet(where / "quality.parquet")
            write_json(
                where / "audit.json",
                {
                    "samples": len(passes),
                    "duplicate_streams": 0,
                    "truncated": int(rng.integers(0, 90)),
                    "empty": int(rng.integers(0, 3)),
                    "copied": int(rng.integers(0, 9)),
                    "extraction_failures": 0,
                    "unjudged": 0,
                    "repetitive": 0,
                    "shared_draw_seeds": 0,
                    "statuses": passes["status"].value_counts().to_dict(),
                    "warnings": [],
                    "streams": {"seed 42, temperature 0.7, sample 0": f"digest of {arm}"},
                },
            )
            _write_seeds(rng, folder, domain, arm, passes, prompts)
            if judge and arm in ("polychromic", "polychromic_literal"):
                lean = rng.uniform(0.4, 0.55)
                cells = prompts * len(SEEDS)
                winner = rng.choice(["arm", "control", "tie"], p=[lean, 0.75 - lean, 0.25], size=cells)
                points = pd.Series(winner).map({"arm": 1.0, "tie": 0.5, "control": 0.0}).to_numpy()
                values[arm, 0.7, "judge_win_rate"] = points.reshape(len(SEEDS), prompts).T
                pd.DataFrame(
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
                    }
                ).to_parquet(where / "judge.parquet")
        for (arm, temperature, metric), array in values.items():
            value, low, high = interval(array)
            summary.append(
                {
                    "domain": domain,
                    "metric": metric,
                    "arm": arm,
                    "temperature": temperature,
                    "value": value,
                    "low": low,
                    "high": high,
                    "n_prompts": prompts,
                    "n_seeds": len(SEEDS),
                    "n_samples": 1 if metric == "judge_win_rate" else N,
                    "signature": f"{metric}|n:{N}|v:0.1.0",
                }
            )
        for (arm, temperature, metric), array in values.items():
            if arm == "lora" or ("lora", temperature, metric) not in values:
                continue
            control = values["lora", temperature, metric]
            value, low, high = interval(array - control)
            se = max((high - low) / 3.92, 1e-6)
            p = float(2 * (1 - _phi(abs(value) / se)))
            pairwise.append(
                {
                    "domain": domain,
                    "metric": metric,
                    "temperature": temperature,
                    "arm": arm,
                    "control": "lora",
                    "difference": value,
                    "low": low,
                    "high": high,
                    "p": p,
                    "p_holm": min(1.0, p * len(domains)),
                    "u": 0.5 * array.size**2,
                    "rank_biserial": value * 2,
                    "p_mwu": p,
                    "d_pooled": value * 2.5,
                    "d_pooled_low": low * 2.5,
                    "d_pooled_high": high * 2.5,
                    "d_paired": value * 3,
                    "d_paired_low": low * 3,
                    "d_paired_high": high * 3,
                    "n_prompts": prompts,
                    "n_seeds": len(SEEDS),
                }
            )
        for arm in every_arm:
            for temperature in TEMPERATURES:
                row: dict[str, object] = {"domain": domain, "arm": arm, "temperature": temperature}
                for k in (1, 5, 10):
                    value, low, high = interval(values[arm, temperature, f"pass_at_{k}"])
                    row |= {f"pass_at_{k}": value, f"pass_at_{k}_low": low, f"pass_at_{k}_high": high}
                gain = float(rng.normal(0.05, 0.02))
                defined = arm != "lora" and rng.random() > 0.2
                frontier.append(
                    row
                    | {
                        "gain_over_control_frontier": gain if defined else np.nan,
                        "gain_low": gain - 0.04 if defined else np.nan,
                        "gain_high": gain + 0.04 if defined else np.nan,
                        "defined": defined,
                    }
                )
        quality_metric = "token_f1" if domain == "qa" else "rouge_l"
        hypotheses += _hypotheses(domain, [r for r in pairwise if r["domain"] == domain], quality_metric)
        gain = next(h for h in hypotheses if h["domain"] == domain and h["arm"] == "polychromic")
        superior, noninferior = gain["holds"], d != 2
        verdicts[domain] = {
            "superior": superior,
            "noninferior": noninferior,
            "above_frontier": None if d == 1 else superior,
            "supported": superior and noninferior,
            "harmed": False,
            **{k: gain[k] for k in ("difference", "low", "high", "p_holm")},
            "quality_metric": quality_metric,
            "sentence": f"{domain}: the claim is simulated. Pass@10 {gain['difference']:+.3f} "
            f"[{gain['low']:+.3f}, {gain['high']:+.3f}].",
        }
        _write_data(rng, folder, domain)
    for key, rows in pd.DataFrame(summary).groupby(["metric", "arm", "temperature", "signature"]):
        pooled = {
            **dict(zip(("metric", "arm", "temperature", "signature"), key, strict=True)),
            "domain": "pooled",
        }
        pooled |= rows[["value", "low", "high"]].mean().to_dict()
        summary.append(pooled | {"n_prompts": int(rows["n_prompts"].sum()), "n_seeds": len(SEEDS), "n_samples": N})
    statistics = folder / "statistics"
    statistics.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(summary).to_parquet(statistics / "summary.parquet")
    pd.DataFrame(pairwise).to_parquet(statistics / "pairwise.parquet")
    pd.DataFrame(hypotheses).to_parquet(statistics / "hypotheses.parquet")
    pd.DataFrame(frontier).to_parquet(statistics / "frontier.parquet")
    verdict = {
        "study": folder.name,
        "plan_sha256": PLAN,
        "plan_changed": None,
        "plan": {"alpha": 0.05, "margin": 0.05, "primary": "polychromic", "control": "lora"},
        "primary_arm": "polychromic",
        "domains": verdicts,
        "claims": {
            "generality": {"status": "supported", "sentence": "The literal arm gains in 2 of 4 domains."},
            "robustness": {"status": "not run", "sentence": "The ablation over λ was not run."},
        },
        "notes": ["qa, lora, T = 0.7: distinct_2 is undefined for 2 of 60 prompts."],
    }
    write_json(statistics / "verdict.json", verdict)
    power = {
        "smallest_effect": 0.09,
        "sentence": "With 60 prompts a gain of 0.090 is found 80 % of the time.",
    }
    write_json(statistics / "power.json", power | {"plan_sha256": PLAN})
    return folder


def _hypotheses(domain: str, rows: list[dict], quality_metric: str) -> list[dict]:
    """What the plan asks of every arm: a gain in Pass@10 (first), no loss in Pass@1 and quality."""
    found = []
    for metric, hypothesis in (("pass_at_10", "superiority"), ("pass_at_1", None), (quality_metric, None)):
        for row in rows:
            if row["metric"] == metric and row["temperature"] == 0.7:
                margin = np.nan if hypothesis else 0.05
                keys = ("domain", "arm", "control", "metric", "temperature")
                found.append(
                    {
                        **{key: row[key] for key in (*keys, "difference", "low", "high", "p", "p_holm")},
                        "hypothesis": hypothesis or "noninferiority",
                        "low_simultaneous": row["difference"] - 1.27 * (row["difference"] - row["low"]),
                        "high_simultaneous": row["difference"] + 1.27 * (row["high"] - row["difference"]),
                        "margin": margin,
                        "holds": bool(row["low"] > (0 if hypothesis else -margin)),
                    }
                )
    return sorted(found, key=lambda row: row["hypothesis"] != "superiority")


def _phi(x: float) -> float:
    from math import erf

    return 0.5 * (1 + erf(x / sqrt(2)))


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
