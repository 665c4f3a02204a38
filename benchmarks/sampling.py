"""Group sampling against `generate()`: tokens a second at the same temperature, one shared prefill or none.

    python -m benchmarks.sampling [--study results/demo] [--prompts 24] [--samples 10] [--temperature 0.7]

Three ways to draw N completions of each prompt from a LoRA adapter of a finished `make demo`: `sample_groups`
(all prompts at once), `generate(num_return_sequences=N)` batched over all prompts, and a loop that calls
`generate()` for each prompt N times. Tokens up to the end token count; what is drawn after it is waste. The
last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch

from benchmarks.embedded import STUDY, base_folder, rows_of, settings
from polychromic.method.models import encode_prompt, load_adapter, load_base
from polychromic.method.sampling import sample_groups


def grouped(model, tokenizer, prompts, options) -> int:
    groups = sample_groups(
        model,
        tokenizer,
        prompts,
        [[1000 * i + j for j in range(options.samples)] for i in range(len(prompts))],
        temperature=options.temperature,
        max_new_tokens=options.max_new_tokens,
        batch_size=len(prompts) * options.samples,
    )
    return sum(len(sample.tokens) for group in groups for sample in group)


def generated(model, tokenizer, prompts, options, samples) -> int:
    batch = tokenizer.pad({"input_ids": prompts}, padding_side="left", return_tensors="pt").to(model.device)
    drawn = model.generate(
        input_ids=batch["input_ids"],
        attention_mask=batch["attention_mask"],
        do_sample=True,
        temperature=options.temperature,
        top_k=0,
        top_p=1.0,
        num_return_sequences=samples,
        max_new_tokens=options.max_new_tokens,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )[:, batch["input_ids"].shape[1] :]
    return int((drawn != tokenizer.pad_token_id).sum())


def looped(model, tokenizer, prompts, options) -> int:
    return sum(generated(model, tokenizer, [p], options, 1) for p in prompts for _ in range(options.samples))


def batched(model, tokenizer, prompts, options) -> int:
    return generated(model, tokenizer, prompts, options, options.samples)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", type=Path, default=STUDY)
    parser.add_argument("--domain", default="social")
    parser.add_argument("--prompts", type=int, default=24)
    parser.add_argument("--samples", type=int, default=10)
    parser.add_argument("--temperature", type=float, default=0.7)
    parser.add_argument("--max-new-tokens", type=int, default=64)
    parser.add_argument("--loop-prompts", type=int, default=2, help="prompts that the slow loop is timed on")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    model, tokenizer = load_base(base_folder(options.study), device="cpu")
    model = load_adapter(model, options.study / options.domain / "lora/seed-42/adapter").eval()
    rows = rows_of(options.study, options.domain, settings(options.study, "train", options.domain, "lora"))
    prompts = [encode_prompt(tokenizer, row["prompt"]) for row in rows[: options.prompts]]
    speeds: dict[str, float] = {}
    for _ in range(options.repeats):
        for name, way, some in (
            ("sample_groups", grouped, prompts),
            ("generate, batched", batched, prompts),
            ("generate, a prompt at a time", looped, prompts[: options.loop_prompts]),
        ):
            began = time.process_time()
            with torch.no_grad():
                tokens = way(model, tokenizer, some, options)
            speeds[name] = max(speeds.get(name, 0.0), tokens / (time.process_time() - began))

    print(f"{'':30}{'tokens/s (CPU time)':>20}{'times slower':>14}")
    for name, speed in speeds.items():
        print(f"{name:30}{speed:20.0f}{speeds['sample_groups'] / speed:14.1f}")
    print(
        json.dumps({"benchmark": "sampling", **vars(options), "study": str(options.study), "tokens_per_second": speeds})
    )


if __name__ == "__main__":
    main()
