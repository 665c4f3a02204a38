# Samples of an arm: n completions a prompt at every temperature, one job and one file an adapter.
rule generate:
    """Samples for the test prompts, and for validation prompts to choose T on."""
    input:
        stamp=stamp("generate", "{domain}", "{arm}", "{seed}"),
        above=above("generate"),
        base=base_model,
        adapter=adapter,
        train=ancient(f"{R}/{{domain}}/data/train.jsonl"),
        val=ancient(f"{R}/{{domain}}/data/val.jsonl"),
        test=ancient(f"{R}/{{domain}}/data/test.jsonl"),
    output:
        samples=f"{R}/{{domain}}/{{arm}}/seed-{{seed}}/samples.parquet",
        samples_val=f"{R}/{{domain}}/{{arm}}/seed-{{seed}}/samples_val.parquet",
        reference_nll=f"{R}/{{domain}}/{{arm}}/seed-{{seed}}/reference_nll.parquet",
        done=done("generate", "{domain}", "{arm}", "{seed}"),
    log:
        f"{R}/logs/generate.{{domain}}.{{arm}}.{{seed}}.log",
    benchmark:
        f"{R}/benchmarks/generate.{{domain}}.{{arm}}.{{seed}}.tsv"
    conda:
        ENVIRONMENT
    resources:
        **ON_GPU,
    params:
        results=lambda wildcards: R,
    message:
        "generate {wildcards.domain}, {wildcards.arm}, seed {wildcards.seed}"
    script:
        "../workflow_scripts/generate.py"
