# Power before, verdict after.
rule power:
    """The smallest effect and margin that the configured study can see; needs no data."""
    input:
        unpack(inputs("power")),
    output:
        **outputs("power"),
    log:
        log_of("power"),
    conda:
        ENVIRONMENT
    params:
        registered=str(registered_plan_file(STUDY)),
    message:
        "power of the configured study"
    script:
        "../workflow_scripts/power.py"


rule analyse:
    """Intervals, tests, frontier and the verdict, from the cached metrics alone."""
    input:
        unpack(inputs("analyse")),
    output:
        **outputs("analyse"),
    log:
        log_of("analyse"),
    benchmark:
        benchmark_of("analyse")
    conda:
        ENVIRONMENT
    params:
        results=lambda wildcards: R,
    message:
        "statistics and verdict"
    script:
        "../workflow_scripts/analyse.py"
