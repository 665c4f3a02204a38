"""Train one LoRA adapter; go on from the last checkpoint of the same settings if there is one."""

import json
import logging
import shutil
import sys
import time
from importlib import import_module
from pathlib import Path

import _fork
from _job import job, progress
from _processes import RANK, WORLD, run_on_each_card

logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)


def train(p):
    import torch
    from _model import load_base_model

    from polychromic.files import appearing
    from polychromic.method.diversity import DIVERSITY, make_measure
    from polychromic.method.finetune import finetune, lora_settings, trainer_settings, training_rows
    from polychromic.method.model_card import write_model_card
    from polychromic.method.run_record import write_run_record
    from polychromic.records import read_records
    from polychromic.verifiers import VERIFIERS, make_verifier

    started = time.perf_counter()
    wildcards, t, o = snakemake.wildcards, p["training"], p["objective"]
    model, tokenizer = load_base_model(snakemake, p["model"])
    loaded = time.perf_counter() - started

    chat = tokenizer if p["model"]["chat"] else None
    train_rows = training_rows(read_records(snakemake.input.train), p["output"], p["prompting"], chat)
    held_back = None
    if t["early_stopping"] is not None:
        # A slice of the training part: validation rows are for choosing settings, not for stopping.
        cut = max(1, len(train_rows) // 20)
        train_rows, held_back = train_rows[:-cut], train_rows[-cut:]

    measure = None
    if o["weight"] > 0:
        encode = None
        if DIVERSITY[o["diversity"]].needs == "encoder" or "encoder" in VERIFIERS[p["verifier"]["kind"]].needs:
            load_encoder = import_module("_encoder").load_encoder  # by name: the stamp counts it where it is chosen

            encode = load_encoder(snakemake, p["encoder"]).encode
        verifier = make_verifier(**p["verifier"], encode=encode)
        measure = make_measure(o["diversity"], encode=encode, verifier=verifier, gate=o["gate"])

    # Under the key of these very settings: a checkpoint of other settings is never resumed from.
    checkpoints = Path(snakemake.params.checkpoints) / p["key"][:16]
    args = trainer_settings(
        t,
        o,
        output_dir=str(checkpoints),
        seed=int(wildcards.seed) + t["seed_offset"],
        seed_scope=f"{p['study']}/{wildcards.domain}/{wildcards.arm}",
        logging_steps=10,
        disable_tqdm=True,
        report_to="none",
        use_cpu=not torch.cuda.is_available(),
        ddp_backend="gloo" if WORLD > 1 and not torch.cuda.is_available() else None,
        ddp_find_unused_parameters=False,
        bf16=p["model"]["precision"] != "fp32",
    )
    partial = f"{snakemake.output.adapter}.partial"
    account = finetune(
        model,
        tokenizer,
        train_rows,
        args,
        lora_settings(t),
        partial,
        measure=measure,
        eval_rows=held_back,
        early_dir=f"{partial}/early",
        patience=t["early_stopping"],
        on_progress=progress,
    )
    if RANK > 0:
        return
    with appearing(snakemake.output.log) as log:
        shutil.copyfile(checkpoints / "train_log.jsonl", log)
    write_run_record(
        snakemake.output.record,
        identity={"study": p["study"], **wildcards},
        config={name: p[name] for name in ("model", "objective", "training", "verifier")},
        data=[Path(snakemake.input.train)],
        account={**account, "seconds": {"load": loaded, **account["seconds"]}},
        price_per_gpu_hour=p["price_per_gpu_hour"],
    )
    write_model_card(partial, json.loads(Path(snakemake.output.record).read_text()))
    shutil.copy(snakemake.output.record, partial)
    Path(partial).rename(snakemake.output.adapter)
    shutil.rmtree(snakemake.params.checkpoints)
    progress(f"{account['steps']} steps, {account['seconds']['total']:.0f} s, loss {account['train_loss']:.3f}")


with job(snakemake) as p:
    if not run_on_each_card(p["gpus"], __real_file__):
        train(p)
