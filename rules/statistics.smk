# Power before, verdict after.
rule power:
    """The smallest effect and margin that the configured study can see; needs no data."""
    input:
        stamp=stamp("power"),
        above=above("power"),
    output:
        power=f"{R}/statistics/power.json",
        done=done("power"),
    log:
        f"{R}/logs/power.log",
    conda:
        ENVIRONMENT
    params:
        registered=str(stages.registered_plan_file(STUDY)),
    message:
        "power of the configured study"
    script:
        "../workflow_scripts/power.py"


rule analyse:
    """Intervals, tests, frontier and the verdict, from the cached metrics alone."""
    input:
        stamp=stamp("analyse"),
        above=above("analyse"),
        power=ancient(f"{R}/statistics/power.json"),
        tables=metric_tables(["passes", "passes_val", "diversity", "quality"], ARMS),
        audits=ancient(
            expand(f"{R}/{{domain}}/{{arm}}/audit.json", domain=DOMAINS, arm=ARMS)
        ),
        judged=metric_tables(
            ["judge"], [arm for arm in ARMS if arm != STUDY.plan.control]
        ),
    output:
        summary=f"{R}/statistics/summary.parquet",
        pairwise=f"{R}/statistics/pairwise.parquet",
        hypotheses=f"{R}/statistics/hypotheses.parquet",
        frontier=f"{R}/statistics/frontier.parquet",
        verdict=f"{R}/statistics/verdict.json",
        done=done("analyse"),
    log:
        f"{R}/logs/analyse.log",
    benchmark:
        f"{R}/benchmarks/analyse.tsv"
    conda:
        ENVIRONMENT
    params:
        results=lambda wildcards: R,
    message:
        "statistics and verdict"
    script:
        "../workflow_scripts/analyse.py"
