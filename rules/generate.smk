# Samples of an arm: n completions a prompt at every temperature, one job and one file an adapter.
def adapter(wildcards):
    return ancient(
        []
        if wildcards.arm in PROMPTED
        else f"{R}/{{domain}}/{{arm}}/seed-{{seed}}/adapter".format(**wildcards)
    )


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
    resources:
        **ON_GPU,
    params:
        results=R,
    message:
        "generate {wildcards.domain}, {wildcards.arm}, seed {wildcards.seed}"
    script:
        "../workflow_scripts/generate.py"
