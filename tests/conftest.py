"""Made once a test run: a tiny Qwen3 with a byte-level tokenizer, and a simulated study. No network, and no files
in the repository.
"""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest
from filelock import FileLock

pytest_plugins = ("judge_server",)

# As rules/common.smk has it for jobs: nothing here compiles, and importing the compiler takes 0.7 s.
os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")

# The files that take longest, first: the workers then end at about the same time. What reads the finished study comes
# late enough that another worker has made it.
LONG = (
    "test_slurm.py",
    "test_study.py",
    "test_architectures.py",
    "test_report.py",
    "test_judge_verifier.py",
    "test_nothing_lost.py",
    "test_snakemake_reruns.py",
    "test_sandbox_limits.py",
    "test_trainer.py",
    "test_wheel.py",
    "test_judge.py",
    "test_what_reruns.py",
    "test_sandbox_generated.py",
    "test_trainer_input.py",
    "test_paper.py",
)


# What the libraries make when they are imported stays. Without this each full collection looks at all of it for
# 0.3 s, and `Trainer.train` asks for one every time.
gc.disable()


def pytest_collection_finish():
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items):
    place = {name: number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: place.get(item.path.name, len(LONG)))


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_tokenizer():
    """Byte-level BPE with hardly any merges: any text can be encoded; `<|end|>` ends, `<|pad|>` pads."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<|pad|>", "<|end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(["the cat sat on the mat", "return a + b", "what is the answer?"] * 4, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|end|>", pad_token="<|pad|>")


@pytest.fixture(scope="session")
def tiny_model_dir(tmp_path_factory, tiny_tokenizer):
    """A folder with a saved tiny Qwen3 (hidden 32, 2 layers, random weights) and its tokenizer."""
    return save_tiny(tmp_path_factory.mktemp("tiny") / "base", tiny_tokenizer, head_dim=8)


@pytest.fixture(scope="session")
def wide_model_dir(tmp_path_factory, tiny_tokenizer):
    """The same with hidden 64, which 4-bit quantisation in blocks of 64 needs."""
    return save_tiny(tmp_path_factory.mktemp("wide") / "base", tiny_tokenizer, head_dim=16)


def save_tiny(folder, tokenizer, head_dim):
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=4 * head_dim,
        intermediate_size=8 * head_dim,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=head_dim,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        initializer_range=0.2,
        attn_implementation="eager",
    )
    Qwen3ForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def made_once(tmp_path_factory, name: str, make) -> Path:
    """The folder `name`, which `make(folder)` fills: one worker makes it for all."""
    root = tmp_path_factory.getbasetemp()
    folder = (root.parent if "PYTEST_XDIST_WORKER" in os.environ else root) / name
    folder.parent.mkdir(exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            make(tmp_path_factory.mktemp("made") / folder.name).rename(folder)
    return folder


@pytest.fixture(scope="session")
def toy_study(tmp_path_factory):
    """The results folder of a simulated study with ablations, and some of its figures. Copy it to change it."""

    def make(folder: Path) -> Path:
        from study_fixture import make_study

        from polychromic.paper.figures import FIGURES
        from polychromic.paper.figures.style import save
        from polychromic.paper.results import read_results

        made = make_study(folder, ablations=True, prompts=12)
        results = read_results(made)
        for name in ("passk_curves", "forest", "calibration"):
            save(FIGURES[name](results), made / "figures" / name)
        return made

    return made_once(tmp_path_factory, "results/toy", make)


@pytest.fixture(scope="session")
def curated(tmp_path_factory):
    """A project in which Snakemake has curated and split the tiny study's rows: see `project.copy_curated`."""
    from project import copy_project, run

    def make(folder: Path) -> Path:
        project = copy_project(folder)
        done = run(project, "data", options=("--cores", "1"))
        assert done.returncode == 0, done.stdout[-3000:]
        return project

    return made_once(tmp_path_factory, "projects/curated", make)


@pytest.fixture(scope="session")
def results(toy_study):
    """The simulated study as it is read: replace its fields, never change them."""
    from polychromic.paper.results import read_results

    return read_results(toy_study)


@pytest.fixture
def tiny_model(tiny_model_dir):
    """A fresh copy of the tiny model, in eval mode: tests may change it."""
    from polychromic.method.models import load_base

    return load_base(tiny_model_dir, attention="eager", device="cpu")[0]
