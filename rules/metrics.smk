# From samples to numbers: one job an arm and stage, all seeds and temperatures together.
rule encode:
    """Everything that needs the text encoder: sentence embeddings, each text once, and BERTScore."""
    input:
        stamp=stamp("encode", "{domain}", "{arm}"),
        above=above("encode"),
        samples=per_seed("samples.parquet"),
        samples_val=per_seed("samples_val.parquet"),
        test=ancient(f"{R}/{{domain}}/data/test.jsonl"),
    output:
        embeddings=f"{R}/{{domain}}/{{arm}}/embeddings.npz",
        bertscore=f"{R}/{{domain}}/{{arm}}/bertscore.parquet",
        done=done("encode", "{domain}", "{arm}"),
    log:
        f"{R}/logs/encode.{{domain}}.{{arm}}.log",
    benchmark:
        f"{R}/benchmarks/encode.{{domain}}.{{arm}}.tsv"
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
        stamp=stamp("verify", "{domain}", "{arm}"),
        above=above("verify"),
        samples=per_seed("samples.parquet"),
        samples_val=per_seed("samples_val.parquet"),
        val=ancient(f"{R}/{{domain}}/data/val.jsonl"),
        test=ancient(f"{R}/{{domain}}/data/test.jsonl"),
        similarity=similarity_inputs,
    output:
        passes=f"{R}/{{domain}}/{{arm}}/passes.parquet",
        passes_val=f"{R}/{{domain}}/{{arm}}/passes_val.parquet",
        audit=f"{R}/{{domain}}/{{arm}}/audit.json",
        done=done("verify", "{domain}", "{arm}"),
    log:
        f"{R}/logs/verify.{{domain}}.{{arm}}.log",
    benchmark:
        f"{R}/benchmarks/verify.{{domain}}.{{arm}}.tsv"
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
        stamp=stamp("diversity", "{domain}", "{arm}"),
        above=above("diversity"),
        samples=per_seed("samples.parquet"),
        embeddings=ancient(f"{R}/{{domain}}/{{arm}}/embeddings.npz"),
        passes=ancient(f"{R}/{{domain}}/{{arm}}/passes.parquet"),
        test=ancient(f"{R}/{{domain}}/data/test.jsonl"),
    output:
        table=f"{R}/{{domain}}/{{arm}}/diversity.parquet",
        done=done("diversity", "{domain}", "{arm}"),
    log:
        f"{R}/logs/diversity.{{domain}}.{{arm}}.log",
    benchmark:
        f"{R}/benchmarks/diversity.{{domain}}.{{arm}}.tsv"
    conda:
        ENVIRONMENT
    message:
        "diversity {wildcards.domain}, {wildcards.arm}"
    script:
        "../workflow_scripts/diversity.py"


rule quality:
    """How good a single answer is: ROUGE, BERTScore, exact match and F1."""
    input:
        stamp=stamp("quality", "{domain}", "{arm}"),
        above=above("quality"),
        samples=per_seed("samples.parquet"),
        bertscore=ancient(f"{R}/{{domain}}/{{arm}}/bertscore.parquet"),
        reference_nll=per_seed("reference_nll.parquet"),
        test=ancient(f"{R}/{{domain}}/data/test.jsonl"),
    output:
        table=f"{R}/{{domain}}/{{arm}}/quality.parquet",
        done=done("quality", "{domain}", "{arm}"),
    log:
        f"{R}/logs/quality.{{domain}}.{{arm}}.log",
    benchmark:
        f"{R}/benchmarks/quality.{{domain}}.{{arm}}.tsv"
    conda:
        ENVIRONMENT
    message:
        "quality {wildcards.domain}, {wildcards.arm}"
    script:
        "../workflow_scripts/quality.py"


rule judge:
    """Preference between an arm's sample and the control's, asked in both orders."""
    input:
        stamp=stamp("judge", "{domain}", "{arm}"),
        above=above("judge"),
        samples=per_seed("samples.parquet"),
        control=lambda w: ancient(
            expand(
                f"{R}/{w.domain}/{STUDY.plan.control}/seed-{{seed}}/samples.parquet",
                seed=SEEDS,
            )
        ),
        test=ancient(f"{R}/{{domain}}/data/test.jsonl"),
        embeddings=ancient(f"{R}/{{domain}}/{{arm}}/embeddings.npz"),
        control_embeddings=control_file("embeddings.npz"),
        references=ancient(f"{R}/{{domain}}/references.npz"),
    output:
        table=f"{R}/{{domain}}/{{arm}}/judge.parquet",
        done=done("judge", "{domain}", "{arm}"),
    log:
        f"{R}/logs/judge.{{domain}}.{{arm}}.log",
    benchmark:
        f"{R}/benchmarks/judge.{{domain}}.{{arm}}.tsv"
    conda:
        ENVIRONMENT
    params:
        cache=lambda wildcards: f"{R}/.judge",
    message:
        "judge {wildcards.domain}, {wildcards.arm}"
    script:
        "../workflow_scripts/judge.py"
