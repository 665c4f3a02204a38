"""What a 4-bit base takes to load, from its full weights and from the machine's copy (`method/four_bit_copy.py`).

    python -m benchmarks.loading [--layers 12]

A Qwen3 of some 200 MB with random weights, on the CPU, its files in the page cache. The first job hashes the full
weights, the second the copy, and later ones neither. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from unittest.mock import patch

import bitsandbytes  # noqa: F401  importing it is not part of loading
import torch
from transformers import Qwen3Config, Qwen3ForCausalLM

from benchmarks.gpu_models import SHAPES, tokenizer_of_words
from polychromic.method.four_bit_copy import copies, load_four_bit

WIDE = {"hidden_size": 768, "intermediate_size": 2304, "num_attention_heads": 12, "num_key_value_heads": 4}


def megabytes(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.glob("*.safetensors")) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=12)
    options = parser.parse_args()
    torch.manual_seed(0)
    tokenizer = tokenizer_of_words()
    with tempfile.TemporaryDirectory() as scratch:
        base = Path(scratch, "base")
        config = Qwen3Config(**{**SHAPES["tiny"], **WIDE, "head_dim": 64, "num_hidden_layers": options.layers})
        config.eos_token_id, config.pad_token_id = tokenizer.eos_token_id, tokenizer.pad_token_id
        Qwen3ForCausalLM(config).bfloat16().save_pretrained(base)
        tokenizer.save_pretrained(base)
        seconds, logits = [], []
        with patch("huggingface_hub.constants.HF_HUB_CACHE", str(Path(scratch, "hub"))):
            for _ in range(3):
                began = time.perf_counter()
                model, _ = load_four_bit(base, base, device="cpu")
                seconds.append(time.perf_counter() - began)
                logits.append(model(torch.arange(16).unsqueeze(0)).logits)
            sizes = megabytes(base), megabytes(next(path for path in copies().iterdir() if path.is_dir()))
    found = {
        "full_mb": round(sizes[0], 1),
        "copy_mb": round(sizes[1], 1),
        "first_job_seconds": round(seconds[0], 2),
        "second_job_seconds": round(seconds[1], 2),
        "later_job_seconds": round(seconds[2], 2),
        "same_logits": all(torch.equal(logits[0], other) for other in logits),
    }
    print(f"reads        {sizes[0]:7.1f} MB of full weights, {sizes[1]:7.1f} MB of the copy")
    print(f"loads in     {seconds[0]:7.2f} s the first time, {seconds[1]:.2f} s the second, {seconds[2]:.2f} s later")
    print(f"same logits  {found['same_logits']}")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
