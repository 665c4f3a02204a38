# Curated records -> train, val, test; calibration of what "passes" on val.
rule split:
    """The source's own parts, else 80/10/10 by group; review decisions are applied and counted; leakage must be zero."""
    input:
        unpack(inputs("split")),
    output:
        **outputs("split"),
    log:
        log_of("split"),
    benchmark:
        benchmark_of("split")
    conda:
        ENVIRONMENT
    params:
        decisions=lambda wildcards: str(decisions_file(wildcards.domain)),
    message:
        "split {wildcards.domain}"
    script:
        "../workflow_scripts/split.py"


rule calibrate:
    """The threshold at which mismatched answers pass at most as often as configured, found on val."""
    input:
        unpack(inputs("calibrate")),
    output:
        **outputs("calibrate"),
    log:
        log_of("calibrate"),
    benchmark:
        benchmark_of("calibrate")
    conda:
        ENVIRONMENT
    params:
        results=lambda wildcards: R,
        cache=lambda wildcards: f"{R}/.judge",
    message:
        "calibrate the verifier of {wildcards.domain}"
    script:
        "../workflow_scripts/calibrate.py"
