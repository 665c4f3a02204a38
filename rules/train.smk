# The base model of an embedded study, and one adapter per domain, trained arm and seed.
rule broad:
    """The synthetic corpus that the tiny base model is trained on."""
    input:
        stamp=stamp("broad"),
        above=above("broad"),
    output:
        corpus=f"{R}/base/broad.txt",
        done=done("broad"),
    log:
        f"{R}/logs/broad.log",
    benchmark:
        f"{R}/benchmarks/broad.tsv"
    conda:
        ENVIRONMENT
    message:
        "synthetic broad corpus"
    script:
        "../workflow_scripts/broad.py"


rule base:
    """The tiny Qwen3 of an embedded study, trained from scratch."""
    input:
        stamp=stamp("base"),
        above=above("base"),
        corpus=ancient(f"{R}/base/broad.txt"),
    output:
        model=directory(f"{R}/base/model"),
        done=done("base"),
    log:
        f"{R}/logs/base.log",
    benchmark:
        f"{R}/benchmarks/base.tsv"
    conda:
        ENVIRONMENT
    threads: 2
    message:
        "train the tiny base model from scratch (minutes)"
    script:
        "../workflow_scripts/base.py"


rule train:
    """A LoRA adapter. A killed run goes on from its last checkpoint, which lies outside the outputs."""
    input:
        stamp=stamp("train", "{domain}", "{arm}", "{seed}"),
        above=above("train"),
        base=base_model,
        train=ancient(f"{R}/{{domain}}/data/train.jsonl"),
    output:
        adapter=directory(f"{R}/{{domain}}/{{arm}}/seed-{{seed}}/adapter"),
        record=f"{R}/{{domain}}/{{arm}}/seed-{{seed}}/run.json",
        log=f"{R}/{{domain}}/{{arm}}/seed-{{seed}}/train_log.jsonl",
        done=done("train", "{domain}", "{arm}", "{seed}"),
    log:
        f"{R}/logs/train.{{domain}}.{{arm}}.{{seed}}.log",
    benchmark:
        f"{R}/benchmarks/train.{{domain}}.{{arm}}.{{seed}}.tsv"
    wildcard_constraints:
        arm="|".join(TRAINED) or "none",
    conda:
        ENVIRONMENT
    resources:
        **ON_GPU,
    params:
        results=lambda wildcards: R,
        checkpoints=lambda wildcards: f"{R}/.checkpoints/{wildcards.domain}.{wildcards.arm}.{wildcards.seed}",
    message:
        "train {wildcards.domain}, {wildcards.arm}, seed {wildcards.seed}"
    script:
        "../workflow_scripts/train.py"


rule derive:
    """An adapter made from a trained one: an average of two checkpoints (WiSE-FT), or the adapter scaled."""
    input:
        stamp=stamp("derive", "{domain}", "{arm}", "{seed}"),
        above=above("derive"),
        adapter=source_run("adapter"),
        record=source_run("run.json"),
    output:
        adapter=directory(f"{R}/{{domain}}/{{arm}}/seed-{{seed}}/adapter"),
        record=f"{R}/{{domain}}/{{arm}}/seed-{{seed}}/run.json",
        done=done("derive", "{domain}", "{arm}", "{seed}"),
    log:
        f"{R}/logs/derive.{{domain}}.{{arm}}.{{seed}}.log",
    wildcard_constraints:
        arm="|".join(DERIVED) or "none",
    conda:
        ENVIRONMENT
    message:
        "derive {wildcards.domain}, {wildcards.arm}, seed {wildcards.seed}"
    script:
        "../workflow_scripts/derive.py"
