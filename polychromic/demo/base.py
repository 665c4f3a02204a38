"""The embedded base model: a byte-level BPE and a tiny Qwen3, trained from scratch in minutes."""

from __future__ import annotations

import json
import math
import os
import time
from pathlib import Path

import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from polychromic.errors import StudyError

END = "<|endoftext|>"
PAD = "<|pad|>"


def train_tokenizer(texts: list[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE of `vocabulary` tokens, with an end and a pad token of their own."""
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator(
        texts, vocab_size=vocabulary, min_frequency=2, special_tokens=[END, PAD], show_progress=False
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe._tokenizer, eos_token=END, pad_token=PAD, padding_side="left"
    )


def pack(documents: list[list[int]], end: int, block: int) -> torch.Tensor:
    """Documents joined by end tokens, cut into rows: int64 [rows, block]; a last partial row is dropped."""
    stream = [token for document in documents for token in (*document, end)]
    rows = len(stream) // block
    return torch.tensor(stream[: rows * block]).view(rows, block)


def train_base(
    corpus: str | Path,
    out: str | Path,
    seed: int = 0,
    *,
    hidden: int = 128,
    layers: int = 4,
    vocabulary: int = 2000,
    epochs: float = 1.0,
    learning_rate: float = 4e-3,
    batch: int = 16,
    block: int = 256,
    positions: int = 1024,
) -> dict[str, float]:
    """Train tokenizer and model on `corpus` (JSON lines {"text"}) and save both to the folder `out`.

    Returns {"parameters", "tokens", "seconds", "loss"} (mean cross-entropy in nats of the last 5 % of steps).
    The same seed, corpus and number of threads give the same weights.

    Raises:
        StudyError: if the corpus holds less than one batch.
    """
    started = time.perf_counter()
    with open(corpus, encoding="utf-8") as file:
        texts = [json.loads(line)["text"] for line in file]
    tokenizer = train_tokenizer(texts[:20_000], vocabulary)
    rows = pack(tokenizer(texts)["input_ids"], tokenizer.eos_token_id, block)
    if len(rows) < batch:
        raise StudyError(
            f"{corpus}: {rows.numel()} tokens are less than one batch of {batch} x {block}. Raise broad_rows."
        )

    torch.manual_seed(seed)
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=3 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=hidden // 32,
        num_key_value_heads=max(1, hidden // 64),
        head_dim=32,
        max_position_embeddings=positions,
        rope_theta=10_000.0,
        tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        attn_implementation="eager",
    )
    model = Qwen3ForCausalLM(config).train()
    parameters = sum(p.numel() for p in model.parameters())
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, betas=(0.9, 0.98), weight_decay=0.05)
    steps = max(1, int(epochs * len(rows) / batch))
    warmup = max(1, steps // 30)
    size = f"{parameters / 1e6:.2f} M parameters, {rows.numel() / 1e6:.2f} M tokens"
    print(f"base: {size}, {steps} steps", flush=True)

    order = torch.cat([torch.randperm(len(rows)) for _ in range(math.ceil(epochs))])
    losses: list[float] = []
    for step in range(steps):
        rate = min(1.0, (step + 1) / warmup) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / steps)))
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * rate
        ids = rows[order[step * batch : (step + 1) * batch]]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(input_ids=ids, use_cache=False).logits
        loss = torch.nn.functional.cross_entropy(logits[:, :-1].float().flatten(0, 1), ids[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        if (step + 1) % max(1, steps // 20) == 0 or step + 1 == steps:
            spent = time.perf_counter() - started
            recent = sum(losses[-20:]) / len(losses[-20:])
            print(
                f"base: step {step + 1}/{steps}, loss {recent:.3f}, "
                f"{(step + 1) * batch * block / spent:,.0f} tokens/s, {spent:.0f} s, "
                f"about {spent / (step + 1) * (steps - step - 1):.0f} s left",
                flush=True,
            )

    out = Path(out)
    partial = out.with_name(out.name + ".partial")
    model.eval().save_pretrained(partial)
    tokenizer.save_pretrained(partial)
    os.replace(partial, out)
    last = losses[-max(1, steps // 20) :]
    return {
        "parameters": parameters,
        "tokens": steps * batch * block,
        "seconds": time.perf_counter() - started,
        "loss": sum(last) / len(last),
    }
