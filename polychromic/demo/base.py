"""The embedded base model: a byte-level BPE and a tiny Qwen3, trained from scratch in minutes.

Trained on small batches of whole documents of similar length, with Muon (Jordan et al. 2024) for the matrices: of the
settings tried, this one taught a model of a million parameters to copy from its prompt in the fewest steps.
"""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from polychromic.errors import StudyError
from polychromic.files import appearing

END = "<|endoftext|>"
PAD = "<|pad|>"
PROMPT_WEIGHT = 0.1  # of a prompt's tokens in the loss: most of them cannot be predicted
HEAD = 32  # width of an attention head
CHUNK = 4096  # documents that are sorted by length together


@dataclass(frozen=True)
class Document:
    """Token ids of a prompt, perhaps empty, and of what follows it, end token included."""

    prompt: list[int]
    text: list[int]


def train_tokenizer(texts: list[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE of `vocabulary` tokens, among them an end and a padding token."""
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator(
        texts, vocab_size=vocabulary, min_frequency=2, special_tokens=[END, PAD], show_progress=False
    )
    return PreTrainedTokenizerFast(tokenizer_object=bpe._tokenizer, eos_token=END, pad_token=PAD, padding_side="left")


def batches(lengths: list[int], size: int, rng: random.Random) -> list[list[int]]:
    """One epoch: every index once, in batches of at most `size` tokens (padding counted), in random order."""
    order = rng.sample(range(len(lengths)), len(lengths))
    found = []
    for start in range(0, len(order), CHUNK):
        batch: list[int] = []
        for index in sorted(order[start : start + CHUNK], key=lengths.__getitem__):
            if batch and (len(batch) + 1) * lengths[index] > size:
                found.append(batch)
                batch = []
            batch.append(index)
        found.append(batch)
    rng.shuffle(found)
    return found


def make_model(
    vocabulary: int, hidden: int, layers: int, positions: int, tokenizer: PreTrainedTokenizerFast
) -> Qwen3ForCausalLM:
    """A randomly initialised Qwen3 of these sizes, input and output embeddings tied."""
    heads = max(2, hidden // HEAD)
    return Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=vocabulary,
            hidden_size=hidden,
            intermediate_size=3 * hidden,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            num_key_value_heads=heads // 2,
            head_dim=HEAD,
            max_position_embeddings=positions,
            tie_word_embeddings=True,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            attn_implementation="eager",
        )
    )


def train_base(
    corpus: str | Path,
    out: str | Path,
    seed: int = 0,
    *,
    hidden: int = 128,
    layers: int = 4,
    vocabulary: int = 1200,
    epochs: float = 1.0,
    matrix_rate: float = 0.02,
    other_rate: float = 4e-3,
    batch: int = 1024,
    positions: int = 1024,
    on_progress: Callable[[str], None] = print,
) -> dict[str, float]:
    """Train tokenizer and model on `corpus` (lines {"prompt", "text"}) and save both to the folder `out`.

    matrix_rate, other_rate: peak learning rates of Muon (matrices) and AdamW (embeddings, norms), with warmup and
    linear decay to zero. batch: tokens a step. positions: the context's length, in tokens.

    Returns {"parameters", "tokens", "seconds", "loss"}: the loss is the weighted mean cross-entropy, in nats,
    of the last 5 % of steps. The same seed, corpus and number of threads give the same weights.

    Raises:
        StudyError: if the corpus holds less than one batch.
    """
    started = time.perf_counter()
    with open(corpus, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    prompts, texts = [row["prompt"] for row in rows], [row["text"] for row in rows]
    tokenizer = train_tokenizer([row["prompt"] + row["text"] for row in rows[:20_000]], vocabulary)
    # Apart, as prompts and completions are tokenised everywhere else.
    documents = [
        Document(prompt, [*text, tokenizer.eos_token_id])
        for prompt, text in zip(tokenizer(prompts)["input_ids"], tokenizer(texts)["input_ids"], strict=True)
    ]
    lengths = [len(document.prompt) + len(document.text) for document in documents]
    if sum(lengths) < batch:
        raise StudyError(f"{corpus}: {sum(lengths)} tokens are less than one batch of {batch}. Raise broad_rows.")

    torch.manual_seed(seed)
    rng = random.Random(seed)
    model = make_model(len(tokenizer), hidden, layers, positions, tokenizer).train()
    optimizers = _optimizers(model, matrix_rate, other_rate)
    peaks = [group["lr"] for optimizer in optimizers for group in optimizer.param_groups]
    rounds = math.ceil(epochs)
    plan = [chosen for _ in range(rounds) for chosen in batches(lengths, batch, rng)]
    plan = plan[: max(1, round(len(plan) * epochs / rounds))]
    parameters = sum(parameter.numel() for parameter in model.parameters())
    print(f"base: {parameters / 1e6:.2f} M parameters, {len(plan)} steps", flush=True)

    # The matrices are too small to share one among threads: side by side they are done sooner, to the same bits.
    pool = ThreadPoolExecutor(2, initializer=torch.set_num_threads, initargs=(1,))
    losses: list[float] = []
    seen = 0
    for step, chosen in enumerate(plan, start=1):
        rate = min(step / 50, 1.0) * (1 - (step - 1) / len(plan))
        for group, peak in zip((g for o in optimizers for g in o.param_groups), peaks, strict=True):
            group["lr"] = peak * rate
        losses.append(_step(model, [documents[index] for index in chosen], tokenizer.pad_token_id))
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        list(pool.map(lambda optimizer: optimizer.step(), optimizers))
        model.zero_grad()
        seen += sum(lengths[index] for index in chosen)
        if step % max(1, len(plan) // 10) == 0 or step == len(plan):
            spent = time.perf_counter() - started
            recent = sum(losses[-50:]) / len(losses[-50:])
            on_progress(
                f"{step} of {len(plan)} steps, loss {recent:.3f}, {seen / spent:,.0f} tokens/s, "
                f"about {spent / step * (len(plan) - step):.0f} s left"
            )

    with appearing(out) as folder:
        model.eval().save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    last = losses[-max(1, len(plan) // 20) :]
    return {
        "parameters": parameters,
        "tokens": seen,
        "seconds": time.perf_counter() - started,
        "loss": sum(last) / len(last),
    }


def _optimizers(model: Qwen3ForCausalLM, matrix_rate: float, other_rate: float) -> list[torch.optim.Optimizer]:
    matrices, others = [], []
    for name, parameter in model.named_parameters():
        (matrices if parameter.ndim == 2 and "embed" not in name else others).append(parameter)
    halves = matrices[::2], matrices[1::2]
    return [
        *(torch.optim.Muon(half, lr=matrix_rate, weight_decay=0.01, momentum=0.95) for half in halves),
        torch.optim.AdamW(others, lr=other_rate, betas=(0.9, 0.98), weight_decay=0.0, fused=True),
    ]


def _step(model: Qwen3ForCausalLM, documents: list[Document], pad: int) -> float:
    """Accumulate the gradient of the weighted mean cross-entropy per token; returns it, in nats."""
    width = max(len(document.prompt) + len(document.text) for document in documents)
    ids = torch.full((len(documents), width), pad)
    weights = torch.zeros(len(documents), width)
    for row, document in enumerate(documents):
        start, end = len(document.prompt), len(document.prompt) + len(document.text)
        ids[row, :end] = torch.tensor(document.prompt + document.text)
        weights[row, :start] = PROMPT_WEIGHT
        weights[row, start:end] = 1.0
    # Padding is on the right, where no causal token sees it: no mask is needed.
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(input_ids=ids, use_cache=False).logits
    losses = torch.nn.functional.cross_entropy(
        logits[:, :-1].float().flatten(0, 1), ids[:, 1:].flatten(), reduction="none"
    )
    weights = weights[:, 1:].flatten()
    loss = (losses * weights).sum() / weights.sum()
    loss.backward()
    return loss.item()
