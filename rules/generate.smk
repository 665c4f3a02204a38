# Samples of an arm: n completions a prompt at every temperature, one job and one file an adapter.
rule generate:
    """Samples for the test prompts, and for validation prompts to choose T on."""
    input:
        unpack(inputs("generate")),
    output:
        **outputs("generate"),
    log:
        log_of("generate"),
    benchmark:
        benchmark_of("generate")
    conda:
        ENVIRONMENT
    threads: THREADS
    resources:
        **ON_GPU,
        **ON_CPU,
    params:
        results=lambda wildcards: R,
    message:
        "generate {wildcards.domain}, {wildcards.arm}, seed {wildcards.seed}"
    script:
        "../workflow_scripts/generate.py"
