# From samples to numbers: one job an arm and stage, all seeds and temperatures together.
rule encode:
    """Everything that needs the text encoder: sentence embeddings, each text once, and BERTScore."""
    input:
        unpack(inputs("encode")),
    output:
        **outputs("encode"),
    log:
        log_of("encode"),
    benchmark:
        benchmark_of("encode")
    conda:
        ENVIRONMENT
    resources:
        **ON_ONE_GPU,
    params:
        results=lambda wildcards: R,
    message:
        "encode {wildcards.domain}, {wildcards.arm}"
    script:
        "../workflow_scripts/encode.py"


rule verify:
    """Which samples pass, and an audit of truncated, empty, copied and duplicate ones."""
    input:
        unpack(inputs("verify")),
    output:
        **outputs("verify"),
    log:
        log_of("verify"),
    benchmark:
        benchmark_of("verify")
    conda:
        ENVIRONMENT
    params:
        cache=lambda wildcards: f"{R}/.judge",
    message:
        "verify {wildcards.domain}, {wildcards.arm}"
    script:
        "../workflow_scripts/verify.py"


rule diversity:
    """How the k answers of a prompt differ."""
    input:
        unpack(inputs("diversity")),
    output:
        **outputs("diversity"),
    log:
        log_of("diversity"),
    benchmark:
        benchmark_of("diversity")
    conda:
        ENVIRONMENT
    message:
        "diversity {wildcards.domain}, {wildcards.arm}"
    script:
        "../workflow_scripts/diversity.py"


rule quality:
    """How good a single answer is: ROUGE, BERTScore, exact match and F1."""
    input:
        unpack(inputs("quality")),
    output:
        **outputs("quality"),
    log:
        log_of("quality"),
    benchmark:
        benchmark_of("quality")
    conda:
        ENVIRONMENT
    message:
        "quality {wildcards.domain}, {wildcards.arm}"
    script:
        "../workflow_scripts/quality.py"


rule judge:
    """Preference between an arm's sample and the control's, asked in both orders."""
    input:
        unpack(inputs("judge")),
    output:
        **outputs("judge"),
    log:
        log_of("judge"),
    benchmark:
        benchmark_of("judge")
    conda:
        ENVIRONMENT
    params:
        cache=lambda wildcards: f"{R}/.judge",
    message:
        "judge {wildcards.domain}, {wildcards.arm}"
    script:
        "../workflow_scripts/judge.py"
