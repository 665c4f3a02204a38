from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest
import torch
from peft import AutoPeftModelForCausalLM, LoraConfig, get_peft_model
from project import REPOSITORY, environment
from test_model_card import RECORD

from polychromic.errors import StudyError
from polychromic.method.adapter_merging import average_adapters, scale_adapter
from polychromic.method.models import load_adapter, load_base


@pytest.fixture
def save_adapter(tiny_model_dir, tmp_path):
    """Saves a random adapter; returns its folder."""

    def save(name, seed, **settings):
        base, _ = load_base(tiny_model_dir, attention="eager", device="cpu")
        torch.manual_seed(seed)
        settings = {"r": 4, "lora_alpha": 6, "target_modules": ["q_proj", "down_proj"], **settings}
        model = get_peft_model(base, LoraConfig(init_lora_weights=False, **settings))
        model.save_pretrained(tmp_path / name)
        return tmp_path / name

    return save


def change(folder, base_dir):
    """dW of every adapted module."""
    model = load_adapter(load_base(base_dir, attention="eager", device="cpu")[0], folder)
    return {
        name: module.get_delta_weight("default").detach()
        for name, module in model.named_modules()
        if hasattr(module, "get_delta_weight")
    }


@pytest.mark.parametrize(
    "settings",
    [{}, {"use_rslora": True}, {"rank_pattern": {"down_proj": 3}, "alpha_pattern": {"down_proj": 5}}],
)
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_average_is_exact(save_adapter, tiny_model_dir, tmp_path, settings, share):
    early, late = save_adapter("early", 1, **settings), save_adapter("late", 2, **settings)
    average_adapters(early, late, tmp_path / "average", share=share)
    first, second, average = (change(f, tiny_model_dir) for f in (early, late, tmp_path / "average"))
    assert len(average) == 4
    for name, delta in average.items():
        torch.testing.assert_close(delta, (1 - share) * first[name] + share * second[name], atol=1e-5, rtol=1e-4)


def test_scaling_interpolates_with_the_base(save_adapter, tiny_model_dir, tmp_path):
    whole = save_adapter("whole", 1)
    scale_adapter(whole, tmp_path / "half", share=0.5)
    scale_adapter(whole, tmp_path / "none", share=0.0)
    full, half, none = (change(f, tiny_model_dir) for f in (whole, tmp_path / "half", tmp_path / "none"))
    for name in full:
        torch.testing.assert_close(half[name], 0.5 * full[name])
        assert not none[name].any()


def test_what_cannot_be_averaged_is_refused(save_adapter, tmp_path):
    early = save_adapter("early", 1)
    with pytest.raises(StudyError, match="differ in lora_alpha, r"):
        average_adapters(early, save_adapter("other", 2, r=8, lora_alpha=8), tmp_path / "x")
    with pytest.raises(StudyError, match="not a plain LoRA"):
        scale_adapter(save_adapter("dora", 2, use_dora=True), tmp_path / "x", share=0.5)
    with pytest.raises(StudyError, match="holds no adapter"):
        scale_adapter(tmp_path / "nothing", tmp_path / "x", share=0.5)
    with pytest.raises(StudyError, match="trained in full"):
        scale_adapter(save_adapter("full", 2, modules_to_save=["o_proj"]), tmp_path / "x", share=0.5)


JOB = """
import runpy, sys
from types import SimpleNamespace as Of
sys.path.insert(0, "workflow_scripts")
class Named(dict):
    # as Snakemake's: iterates over the values
    __getattr__ = dict.__getitem__
    def __iter__(self):
        return iter(self.values())
arm = {"wise_ft": "wise_ft", "scale": "scaled"}[sys.argv[1]]
job = Of(
    input=Named(stamp=".stamps/stamp.json", adapter="source", record="source/run.json"),
    output=Named(adapter="out", record="run.json", done="done.json"),
    log=["log.txt"], resources={}, wildcards=Of(arm=arm),
)
runpy.run_path(sys.argv[2], init_globals={"snakemake": job})
"""


@pytest.mark.parametrize("method", ["wise_ft", "scale"])
def test_the_job_leaves_a_card_a_record_and_an_adapter_for_plain_peft(method, save_adapter, tmp_path):
    """As a trained adapter has them."""
    source = save_adapter("source", 2)
    shutil.copytree(save_adapter("early", 1), source / "early")
    (source / "run.json").write_text(json.dumps({**RECORD, "arm": "lora"}))
    settings = {"kind": "derived", "method": method, "source": "lora", "share": 0.25}
    (tmp_path / ".stamps").mkdir()
    (tmp_path / ".stamps/stamp.json").write_text(
        json.dumps(
            {
                "key": "x",
                "upstream": {},
                "params": settings,
                "aside": {"plugins": []},
                "code": {f"polychromic/method/{name}.py": "x" for name in ("__init__", "adapter_merging")},
            }
        )
    )
    script = str(REPOSITORY / "workflow_scripts/derive.py")
    (tmp_path / "workflow_scripts").symlink_to(REPOSITORY / "workflow_scripts")
    done = subprocess.run(
        [sys.executable, "-c", JOB, method, script], cwd=tmp_path, env=environment(REPOSITORY), capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()
    assert (tmp_path / "done.json").is_file()

    record = json.loads((tmp_path / "run.json").read_text())
    assert record["derived"] == settings
    assert json.loads((tmp_path / "out/run.json").read_text()) == record
    card = (tmp_path / "out/README.md").read_text()
    assert "It was not trained itself: it is made from `lora`" in card
    assert ("0.25 x the last + 0.75 x an earlier one" if method == "wise_ft" else "weights times 0.25") in card

    loaded = AutoPeftModelForCausalLM.from_pretrained(tmp_path / "out")
    whole = AutoPeftModelForCausalLM.from_pretrained(source)
    ids = torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        assert not torch.equal(loaded(ids).logits, whole(ids).logits)
    rank = loaded.peft_config["default"].r
    assert rank == (8 if method == "wise_ft" else 4)
