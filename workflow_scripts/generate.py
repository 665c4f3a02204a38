"""Draw n completions a prompt at every temperature, from a base model with or without an adapter."""

import math
from pathlib import Path

import _fork
import pandas as pd
from _job import job, progress
from _model import load_base_model
from _processes import RANK, WORLD, run_on_each_card

from polychromic.data.splitting import evaluation_prompts
from polychromic.memory import Budget
from polychromic.method.models import encode_completion, encode_prompt, load_adapter
from polychromic.method.prompts import pick_examples, render
from polychromic.method.sampling import Completion, fused_attention, sample_groups
from polychromic.method.stream import Work
from polychromic.metrics.likelihood import reference_nll
from polychromic.parquet import write_parquet
from polychromic.records import read_records
from polychromic.seeds import derive_seed

COLUMNS = ["prompt_id", "temperature", "sample", "seed", "text", "tokens", "finish"]


def parts():
    """(part, records asked for, file) of what is sampled."""
    yield "test", "test_prompts", snakemake.output.samples
    yield "val", "validation_prompts", snakemake.output.samples_val


def generate(p):
    """This process's share of the prompts; the first process also reads how likely the references are."""
    model, tokenizer = load_base_model(snakemake, p["model"])
    if p["trained"]:
        model = load_adapter(model, snakemake.input.adapter)
    train = read_records(snakemake.input.train)
    wildcards, sampling = snakemake.wildcards, p["sampling"]

    def encoded_prompt(record):
        text = render(
            record.prompt,
            examples=pick_examples(train, record.id, p["shots"], seed=int(wildcards.seed)) if p["shots"] else (),
            output=p["output"],
            tokenizer=tokenizer if p["model"]["chat"] else None,
            turns=record.meta.get("turns", ()),
            **p["prompting"],
        )
        return encode_prompt(tokenizer, text)

    def draw(records, part):
        encoded = [encoded_prompt(record) for record in records]
        room = model.config.max_position_embeddings - p["max_new_tokens"]
        fits = [i for i, tokens in enumerate(encoded) if len(tokens) <= room]
        if len(fits) < len(records):
            progress(f"{part}: {len(records) - len(fits)} prompts are too long for the model; their samples are empty")
        # All temperatures of a prompt are drawn from one prefill, and all prompts in one stream.
        asked = [(temperature, i) for temperature in p["temperatures"] for i in range(sampling["samples"])]
        identity = p["study"], wildcards.domain, wildcards.arm, wildcards.seed
        seeds = [[derive_seed(*identity, record.id, *one) for one in asked] for record in records]
        work = Work()
        groups = sample_groups(
            model,
            tokenizer,
            [encoded[i] for i in fits],
            [seeds[i] for i in fits],
            temperature=[[temperature for temperature, _ in asked] for _ in fits],
            top_p=sampling["top_p"],
            max_new_tokens=p["max_new_tokens"],
            batch_size=sampling["batch_size"],
            budget=Budget(sampling["batch_tokens"]),
            work=work,
        )
        drawn = dict(zip(fits, groups, strict=True))
        rows = []
        for i, record in enumerate(records):
            group = drawn.get(i) or [Completion([], "", "too_long", seed, 0.0) for seed in seeds[i]]
            for (temperature, sample), c in zip(asked, group, strict=True):
                rows.append((record.id, temperature, sample, c.seed, c.text, len(c.tokens), c.finish))
        progress(
            f"{part}: {len(records)} prompts x {len(asked)} samples at T = {', '.join(map(str, p['temperatures']))}; "
            f"{work.kept_tokens:,} tokens in {work.steps:,} steps"
        )
        return in_order(pd.DataFrame(rows, columns=COLUMNS))

    def reference_likelihood(records):
        rows = [(encoded_prompt(record), encode_completion(tokenizer, record.target)) for record in records]
        longest = model.config.max_position_embeddings
        fits = [i for i, (prompt, target) in enumerate(rows) if len(prompt) + len(target) <= longest]
        with fused_attention(model):
            found = dict(zip(fits, reference_nll(model, [rows[i] for i in fits]), strict=True))
        table = [(record.id, *found.get(i, (math.nan, len(rows[i][1])))) for i, record in enumerate(records)]
        return pd.DataFrame(table, columns=["prompt_id", "nll", "tokens"])

    for part, setting, target in parts():
        count = sampling[setting]
        records = evaluation_prompts(read_records(snakemake.input[part]), count, p["split_seed"])
        if len(records) < count:
            progress(f"{part}: requested {count} prompts, {len(records)} available")
        write_parquet(shard(target, RANK) if WORLD > 1 else target, draw(records[RANK::WORLD], part))
        if part == "test" and RANK == 0:
            # Not shared out: padding differs between batches, and with it the last bit.
            write_parquet(snakemake.output.reference_nll, reference_likelihood(records))


def shard(target, rank):
    return f"{target}.shard-{rank}"


def join_shards(count):
    for _, _, target in parts():
        files = [Path(shard(target, rank)) for rank in range(count)]
        frames = [pd.read_parquet(file) for file in files]
        filled = [frame for frame in frames if len(frame)] or frames[:1]  # an empty one has no column types
        write_parquet(target, in_order(pd.concat(filled)))
        for file in files:
            file.unlink()


def in_order(samples):
    return samples.sort_values(["temperature", "prompt_id", "sample"], ignore_index=True)


with job(snakemake) as p:
    cards = snakemake.resources.get("gpu", 1)
    if run_on_each_card(cards, __real_file__):
        join_shards(cards)
    else:
        generate(p)
