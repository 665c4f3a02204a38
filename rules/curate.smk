# Raw rows -> curated records. In an embedded study the raw rows are made here too.
rule raw:
    """Synthetic raw rows, as messy as real ones."""
    input:
        stamp=stamp("raw"),
        above=above("raw"),
    output:
        rows=[
            f"{R}/raw/{c}.{part}.jsonl"
            for c in ("social", "code", "creative", "qa")
            for part in ("train", "eval")
        ],
        done=done("raw"),
    log:
        f"{R}/logs/raw.log",
    benchmark:
        f"{R}/benchmarks/raw.tsv"
    conda:
        ENVIRONMENT
    message:
        "synthetic raw rows"
    script:
        "../workflow_scripts/raw.py"


rule curate:
    """Raw rows of a domain's sources through its filters; every rejected row is kept with its reason."""
    input:
        stamp=stamp("curate", "{domain}"),
        above=above("curate"),
        raw=raw_rows,
    output:
        curated=f"{R}/{{domain}}/data/curated.jsonl",
        rejected=f"{R}/{{domain}}/data/rejected.jsonl",
        account=f"{R}/{{domain}}/data/curation.json",
        done=done("curate", "{domain}"),
    log:
        f"{R}/logs/curate.{{domain}}.log",
    benchmark:
        f"{R}/benchmarks/curate.{{domain}}.tsv"
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
        stamp=stamp("review_sheet", "{domain}"),
        above=above("review_sheet"),
        curated=ancient(f"{R}/{{domain}}/data/curated.jsonl"),
        rejected=ancient(f"{R}/{{domain}}/data/rejected.jsonl"),
        account=ancient(f"{R}/{{domain}}/data/curation.json"),
    output:
        sheet=f"{R}/{{domain}}/review/sheet.csv",
        page=f"{R}/{{domain}}/review/index.html",
        rejected=f"{R}/{{domain}}/review/rejected.html",
        done=done("review_sheet", "{domain}"),
    log:
        f"{R}/logs/review_sheet.{{domain}}.log",
    conda:
        ENVIRONMENT
    params:
        decisions=lambda wildcards: str(stages.decisions_file(wildcards.domain)),
    message:
        "review sheet of {wildcards.domain}"
    script:
        "../workflow_scripts/review_sheet.py"


rule review:
    input:
        expand(rules.review_sheet.output.page, domain=DOMAINS),
