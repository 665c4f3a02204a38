# Raw rows -> curated records. In an embedded study the raw rows are made here too.
rule raw:
    """Synthetic raw rows, as messy as real ones."""
    input:
        unpack(inputs("raw")),
    output:
        **outputs("raw"),
    log:
        log_of("raw"),
    benchmark:
        benchmark_of("raw")
    conda:
        ENVIRONMENT
    message:
        "synthetic raw rows"
    script:
        "../workflow_scripts/raw.py"


rule curate:
    """Raw rows of a domain's sources through its filters; every rejected row is kept with its reason."""
    input:
        unpack(inputs("curate")),
    output:
        **outputs("curate"),
    log:
        log_of("curate"),
    benchmark:
        benchmark_of("curate")
    conda:
        ENVIRONMENT
    params:
        results=lambda wildcards: R,
    message:
        "curate {wildcards.domain}"
    script:
        "../workflow_scripts/curate.py"


rule review_sheet:
    """A sheet and a page for reading and marking the curated rows; decisions go to data/review/<domain>.csv."""
    input:
        unpack(inputs("review_sheet")),
    output:
        **outputs("review_sheet"),
    log:
        log_of("review_sheet"),
    conda:
        ENVIRONMENT
    params:
        decisions=lambda wildcards: str(decisions_file(wildcards.domain)),
    message:
        "review sheet of {wildcards.domain}"
    script:
        "../workflow_scripts/review_sheet.py"


rule review:
    input:
        expand(rules.review_sheet.output.page, domain=DOMAINS),
