# Curated records -> train, val, test; calibration of what "passes" on val.
rule split:
    """The source's own parts, else 80/10/10 by group; review decisions are applied and counted; leakage must be zero."""
    input:
        stamp=stamp("split", "{domain}"),
        above=above("split"),
        curated=ancient(f"{R}/{{domain}}/data/curated.jsonl"),
        curation=ancient(f"{R}/{{domain}}/data/curation.json"),
    output:
        train=f"{R}/{{domain}}/data/train.jsonl",
        val=f"{R}/{{domain}}/data/val.jsonl",
        test=f"{R}/{{domain}}/data/test.jsonl",
        rejected=f"{R}/{{domain}}/data/split_rejected.jsonl",
        leakage=f"{R}/{{domain}}/data/leakage.json",
        funnel=f"{R}/{{domain}}/data/funnel.json",
        done=done("split", "{domain}"),
    log:
        f"{R}/logs/split.{{domain}}.log",
    benchmark:
        f"{R}/benchmarks/split.{{domain}}.tsv"
    conda:
        ENVIRONMENT
    params:
        decisions=lambda wildcards: str(stages.decisions_file(wildcards.domain)),
    message:
        "split {wildcards.domain}"
    script:
        "../workflow_scripts/split.py"


rule calibrate:
    """The threshold at which mismatched answers pass at most as often as configured, found on val."""
    input:
        stamp=stamp("calibrate", "{domain}"),
        above=above("calibrate"),
        val=ancient(f"{R}/{{domain}}/data/val.jsonl"),
        test=ancient(f"{R}/{{domain}}/data/test.jsonl"),
    output:
        calibration=f"{R}/{{domain}}/calibration.json",
        references=f"{R}/{{domain}}/references.npz",
        done=done("calibrate", "{domain}"),
    log:
        f"{R}/logs/calibrate.{{domain}}.log",
    benchmark:
        f"{R}/benchmarks/calibrate.{{domain}}.tsv"
    conda:
        ENVIRONMENT
    params:
        results=lambda wildcards: R,
        cache=lambda wildcards: f"{R}/.judge",
    message:
        "calibrate the verifier of {wildcards.domain}"
    script:
        "../workflow_scripts/calibrate.py"
