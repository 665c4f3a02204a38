"""A copy of the project in a folder of its own, and a study small enough to run in a test."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from polychromic.cards import PRETEND

REPOSITORY = Path(__file__).resolve().parent.parent
COPIED = (
    "Snakefile",
    "config.yaml",
    "docs/references.bib",
    "docs/report",
    "envs",
    "examples",
    "gpu",
    "polychromic",
    "profiles",
    "requirements.lock",
    "rules",
    "workflow_scripts",
)

# One domain, the primary arm and its control, one seed: every stage, in the least time.
TINY = """
study: tiny
seeds: [42]
gpus_per_job: 0
model: {{name: {model}, precision: fp32, attention: eager, chat: false}}
training: {{epochs: 1, batch_size: 4, accumulation: 1, gradient_checkpointing: false, checkpoint_every: 2}}
sampling: {{samples: 3, frontier: [], test_prompts: 6, validation_prompts: 2}}
metrics: {{k: [1, 3], bertscore: false}}
plan: {{replicates: 100, controls: [lora], placebos: []}}
domains:
  social: null
  code: null
  creative: null
  qa:
    sources: [{{format: squad, path: data/raw/questions.jsonl}}]
    curation: {{min_rows: 20}}
    max_new_tokens: 4
arms:
  zero_shot: null
  few_shot: null
  polychromic_literal: null
  lora_low_rate: null
  wise_ft: null
  scaled: null
  lora_again: null
  polychromic: {{objective: {{prompts: 2, samples: 2, every: 2, max_new_tokens: 4}}}}
"""


def questions() -> str:
    """Eighty questions, of a few words each."""
    rows = []
    for number in range(80):
        place, thing = ("mat", "sofa", "roof", "wall")[number % 4], ("cat", "dog", "fox")[number % 3]
        context = f"A {thing} no. {number} sat on the {place}."
        row = {"id": f"q{number}", "title": f"tale {number}", "context": context}
        rows.append({**row, "question": f"Where did no. {number} sit?", "answers": {"text": [f"the {place}"]}})
    return "".join(json.dumps(row) + "\n" for row in rows)


def copy_project(folder: Path, model: Path | str = "models/none") -> Path:
    """The project's own files, as a clone would have them, and `tiny.yaml`, a study of `model`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in COPIED:
        source, target = REPOSITORY / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_symlink():
            target.symlink_to(os.readlink(source))
        elif source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, target)
    (folder / "tiny.yaml").write_text(TINY.format(model=model))
    (folder / "data/raw").mkdir(parents=True)
    (folder / "data/raw/questions.jsonl").write_text(questions())
    return folder


def copy_curated(curated: Path, folder: Path, model: Path | str = "models/none") -> Path:
    """A copy of the fixture `curated`, whose tiny study has its data, with a study of `model`."""
    shutil.copytree(curated, folder, symlinks=True)
    (folder / "tiny.yaml").write_text(TINY.format(model=model))
    return folder


def command(
    *targets: str,
    profile: str | None = "profiles/demo",
    overlays: tuple[str, ...] = (),
    options=(),
    quiet: tuple[str, ...] = ("--quiet", "reason"),
) -> list[str]:
    """`snakemake` on the tiny study; `quiet=()`: as quiet as the profile."""
    files = ["tiny.yaml", *overlays]
    snakemake = [str(Path(sys.executable).with_name("snakemake")), *(["--profile", profile] if profile else [])]
    return [*snakemake, "--configfile", *files, *options, *quiet, "--", *targets]


# In the environment of every run, to be found nowhere afterwards.
SECRETS = {"HF_TOKEN": "hf_zDqkXw", "ANTHROPIC_API_KEY": "sk-ant-zDqkXw", "OPENAI_API_KEY": "sk-zDqkXw"}


def environment(project: Path, **more: str) -> dict[str, str]:
    """The library comes from the copy; one thread a process, as two cores may be all there is; cards are pretended."""
    threads = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    return {**os.environ, **threads, **SECRETS, "PYTHONPATH": str(project), "HF_HUB_OFFLINE": "1", PRETEND: "1", **more}


def run(project: Path, *targets: str, timeout: float = 900, env: dict[str, str] | None = None, **how):
    """Run the tiny study; returns the finished process, its output joined in `.stdout`."""
    return subprocess.run(
        command(*targets, **how),
        cwd=project,
        env=env or environment(project),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
    )


def times(results: Path) -> dict[Path, int]:
    """When each file of a study was written, in nanoseconds; stamps, which Snakemake's start may write, left out."""
    files = (path for path in results.rglob("*") if path.is_file())
    return {path: path.stat().st_mtime_ns for path in files if path.parent.name != ".stamps" or ".done." in path.name}
