"""The published study: what `config.yaml` says, and the files generated from it and from the typed settings.

`python -m polychromic.config.reference` writes config.yaml, config.schema.json (editors complete from it) and
docs/configuration.md; a test shows the difference when they drift.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from polychromic.config.study import Study, parse_study

TEXT_FILTERS = [
    {"filter": "fix_text"},
    {"filter": "mask_personal_data"},
    {"filter": "language", "language": "en", "confidence": 0.8},
]

STUDY: dict[str, Any] = {
    "study": "qwen3-8b",
    "title": "Polychromic LoRA on Qwen3-8B",
    "gpus_per_job": 1,
    "objective": {
        "samples": 4,
        "every": 5,
        "prompts": 16,
        "temperature": 0.9,
        "top_p": 0.9,
        "max_new_tokens": 100,
    },
    "plan": {"controls": ["lora", "lora_low_rate", "wise_ft", "scaled"], "placebos": ["lora_again"]},
    "domains": {
        "social": {
            "output": "reply",
            "sources": [{"format": "tweets", "path": "data/raw/social.jsonl"}],
            "curation": {
                "filters": [
                    {"filter": "refuse", "key": "retweet"},
                    {"filter": "refuse", "key": "quote"},
                    {"filter": "refuse", "key": "media"},
                    {"filter": "bounds", "key": "likes", "min": 100, "max": 2000},
                    {"filter": "bounds", "key": "retweets", "min": 10, "max": 500},
                    {"filter": "bounds", "key": "reply_likes", "min": 5, "max": 500},
                    {"filter": "bounds", "key": "followers", "min": 200, "max": 20_000},
                    {"filter": "bounds", "key": "delay_seconds", "min": 300, "max": 604_800},
                    {"filter": "fix_text"},
                    {"filter": "mentions", "strip_leading": True, "max": 2},
                    {"filter": "mask_personal_data"},
                    {"filter": "urls", "policy": "reject"},
                    {"filter": "hashtags", "max": 2},
                    {"filter": "length", "min": 30, "max": 280},
                    {"filter": "unique_words", "min": 8},
                    {"filter": "language", "language": "en", "confidence": 0.8},
                    {"filter": "spam"},
                    {"filter": "generic", "max": 0.5},
                    {"filter": "toxicity", "max": 0.3},
                    {"filter": "copy_of_prompt", "max": 0.9},
                    {"filter": "cap", "key": "reply_author", "max": 10},
                    {"filter": "exact_duplicates", "text": "target"},
                    {"filter": "semantic_duplicates", "text": "target", "threshold": 0.9},
                ],
            },
            "verifier": {"kind": "similarity", "min_words": 3, "max_words": 80},
            "diversity": {"form": "semantic"},
            "quality_metric": "rouge_l",
            "max_new_tokens": 120,
        },
        "code": {
            "output": "code",
            "sources": [
                # Benchmarks first: of two rows that tie parts together, the later one is rejected.
                {"format": "humaneval", "hub": "openai/openai_humaneval", "split": "test", "part": "test"},
                *(
                    {
                        "format": "mbpp",
                        "hub": "google-research-datasets/mbpp",
                        "config": "full",
                        "split": split,
                        "part": part,
                    }
                    for split, part in (("test", "test"), ("validation", "val"), ("train", "train"))
                ),
            ],
            "curation": {
                "filters": [
                    {"filter": "fix_text"},
                    {"filter": "canonical_passes"},
                    {"filter": "exact_duplicates", "text": "prompt"},
                ],
            },
            "split": {"compare": ["prompt"]},
            "verifier": {"kind": "code", "timeout": 3.0},
            "diversity": {"form": "behaviour"},
            "quality_metric": "rouge_l",
            "max_new_tokens": 256,
        },
        "creative": {
            "output": "story",
            "sources": [{"format": "writingprompts", "path": "data/raw/writingprompts.jsonl"}],
            "curation": {
                "filters": [
                    *TEXT_FILTERS,
                    {"filter": "urls", "policy": "reject"},
                    {"filter": "length", "unit": "words", "min": 40, "max": 300},
                    {"filter": "toxicity", "max": 0.3},
                    {"filter": "near_duplicates", "text": "target", "threshold": 0.8},
                ],
            },
            "verifier": {"kind": "similarity", "min_words": 20, "max_words": 350},
            "diversity": {"form": "semantic"},
            "quality_metric": "rouge_l",
            "max_new_tokens": 400,
        },
        "qa": {
            "output": "answer",
            "sources": [
                {"format": "squad", "hub": "rajpurkar/squad", "split": "validation", "part": "evaluation"},
                {"format": "squad", "hub": "rajpurkar/squad", "split": "train", "part": "train"},
            ],
            "curation": {
                "filters": [
                    {"filter": "fix_text"},
                    {"filter": "answer_in_context"},
                    {"filter": "exact_duplicates", "text": "prompt"},
                ],
            },
            "split": {"compare": ["prompt"]},
            "verifier": {"kind": "answer"},
            "diversity": {"form": "answer"},
            "quality_metric": "token_f1",
            "max_new_tokens": 32,
        },
    },
    "arms": {
        "zero_shot": {"kind": "prompt", "shots": 0},
        "few_shot": {"kind": "prompt", "shots": 5},
        "lora": {"kind": "train"},
        # What LoRA can do without a diversity term: the tuned control is the best of these (plan.controls).
        "lora_low_rate": {"kind": "train", "training": {"learning_rate": 5e-5}},
        "wise_ft": {"kind": "derived", "method": "wise_ft", "source": "lora", "share": 0.5},
        "scaled": {"kind": "derived", "method": "scale", "source": "lora", "share": 0.7},
        # The true null: LoRA with three other seeds (plan.placebos).
        "lora_again": {"kind": "train", "training": {"seed_offset": 1000}},
        "polychromic": {"kind": "train", "objective": {"weight": 0.3}},
        "polychromic_literal": {
            "kind": "train",
            "objective": {"weight": 0.3, "diversity": "semantic", "gate": False},
        },
    },
}

HEADER = """\
# yaml-language-server: $schema=config.schema.json
# The published study. `snakemake --profile gpu all` runs it; profiles/demo/study.yaml lays the embedded study over it.
# Generated by `python -m polychromic.config.reference`: edit freely in your own overlay (--configfile), or edit
# polychromic/config/reference.py and generate again. Every key is explained in docs/configuration.md.
"""


def config_yaml() -> str:
    """The published study, section by section, with the docstring of each setting that stands at its default."""
    study = parse_study(STUDY)
    full = study.model_dump(mode="json", exclude_none=True)
    lines = [HEADER]
    for key, field in Study.model_fields.items():
        if key not in full or key == "world":
            continue
        model = field.annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            lines.append(f"\n{key}:")
            for name, inner in model.model_fields.items():
                if name in full[key]:
                    lines += _comment(inner.description, "  ") + _dump({name: full[key][name]}, "  ")
        else:
            value = STUDY[key] if key in ("domains", "arms") else full[key]
            lines += ["", *_comment(field.description, ""), *_dump({key: value}, "")]
    return "\n".join(lines) + "\n"


def _comment(text: str | None, indent: str) -> list[str]:
    return [f"{indent}# {' '.join(text.split())}"] if text else []


def _dump(value: dict[str, Any], indent: str) -> list[str]:
    class Plain(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return True

    (key, content), *_ = value.items()
    if isinstance(content, str):
        # JSON's quoting keeps a line break in a template visible.
        plain = re.fullmatch(r"[\w/.-][\w/. -]*", content)
        text = f"{key}: {content if plain else json.dumps(content, ensure_ascii=False)}"
    elif isinstance(content, dict):
        text = yaml.dump(value, Dumper=Plain, sort_keys=False, allow_unicode=True, width=110, default_flow_style=None)
    else:
        text = f"{key}: {json.dumps(content)}"
    return [indent + line for line in text.rstrip().splitlines()]


def schema_json() -> str:
    """The JSON schema of a study's YAML file."""
    return json.dumps(Study.model_json_schema(), indent=1, sort_keys=True) + "\n"


def configuration_page() -> str:
    """docs/configuration.md: every setting with type, default and meaning."""
    schema = Study.model_json_schema()
    models = {"Study": schema, **schema["$defs"]}
    parts = [
        "# Configuration\n\nGenerated from the typed settings by `python -m polychromic.config.reference`. A study is "
        "`config.yaml`, with any number of overlays laid over it key by key (`--configfile a.yaml b.yaml`); lists are "
        "replaced whole. Unknown keys are refused.\n"
    ]
    for name, model in models.items():
        if "properties" not in model:
            continue
        parts.append(f"\n## {name}\n\n{' '.join(model.get('description', '').split())}\n")
        parts.append("| key | type | default | meaning |\n|---|---|---|---|")
        for key, field in model["properties"].items():
            default = json.dumps(field["default"], ensure_ascii=False) if "default" in field else "required"
            default = "see its section" if len(default) > 90 else default
            meaning = " ".join(field.get("description", "").split()).replace("|", "\\|")
            parts.append(f"| `{key}` | {_type(field)} | `{default}` | {meaning} |")
    return "\n".join(parts) + "\n"


def _type(field: dict[str, Any]) -> str:
    if "$ref" in field:
        name = field["$ref"].rsplit("/", 1)[-1]
        return f"[{name}](#{name.lower()})"
    for key in ("anyOf", "oneOf"):
        if key in field:
            return " or ".join(_type(option) for option in field[key])
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    if field.get("type") == "array":
        return f"list of {_type(field['items'])}" if isinstance(field.get("items"), dict) else "list"
    return field.get("type", "any")


GENERATED = {
    "config.yaml": config_yaml,
    "config.schema.json": schema_json,
    "docs/configuration.md": configuration_page,
}

if __name__ == "__main__":
    root = Path(__file__).resolve().parents[2]
    for file, make in GENERATED.items():
        (root / file).write_text(make(), encoding="utf-8")
        print(f"wrote {file}")
