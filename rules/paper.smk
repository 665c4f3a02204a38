# From cached numbers to what people read. Nothing here needs a model, an adapter or torch.
ANALYSED = [
    f"{R}/statistics/{name}"
    for name in (
        "summary.parquet",
        "pairwise.parquet",
        "hypotheses.parquet",
        "frontier.parquet",
        "verdict.json",
        "power.json",
    )
]
RECORDS = [
    f"{R}/{d}/{a}/seed-{s}/run.json"
    for d in DOMAINS
    for a in TRAINED + DERIVED
    for s in SEEDS
]
CURVES = [
    f"{R}/{d}/{a}/seed-{s}/train_log.jsonl"
    for d in DOMAINS
    for a in TRAINED
    for s in SEEDS
]
AUDITS = [f"{R}/{d}/{a}/audit.json" for d in DOMAINS for a in ARMS]
PASSES = [f"{R}/{d}/{a}/passes.parquet" for d in DOMAINS for a in ARMS]
OF_DATA = [
    f"{R}/{d}/{name}"
    for d in DOMAINS
    for name in ("data/funnel.json", "data/leakage.json", "calibration.json")
]


rule figures:
    """Every figure as PDF and SVG for the paper and PNG for the eye, with its caption."""
    input:
        stamp=stamp("figures"),
        above=above("figures"),
        analysed=ancient(ANALYSED),
        of_data=ancient(OF_DATA),
        curves=ancient(CURVES),
        records=ancient(RECORDS),
        passes=ancient(PASSES),
    output:
        folder=report(
            directory(f"{R}/figures"),
            patterns=["{name}.png"],
            caption="../docs/report/figure.rst",
            category="Figures",
            labels={"figure": "{name}"},
        ),
        done=done("figures"),
    log:
        f"{R}/logs/figures.log",
    benchmark:
        f"{R}/benchmarks/figures.tsv"
    conda:
        ENVIRONMENT
    params:
        results=lambda wildcards: R,
    message:
        "figures"
    script:
        "../workflow_scripts/figures.py"


rule tables:
    """Results, pairwise tests, ablations and costs as CSV, LaTeX and Markdown."""
    input:
        stamp=stamp("tables"),
        above=above("tables"),
        analysed=ancient(ANALYSED),
        records=ancient(RECORDS),
    output:
        main=f"{R}/tables/main.csv",
        done=done("tables"),
    log:
        f"{R}/logs/tables.log",
    benchmark:
        f"{R}/benchmarks/tables.tsv"
    conda:
        ENVIRONMENT
    params:
        results=lambda wildcards: R,
    message:
        "tables"
    script:
        "../workflow_scripts/tables.py"


rule report:
    """One self-contained page: verdict, tables, figures, samples side by side, audit, provenance."""
    input:
        stamp=stamp("report"),
        above=above("report"),
        analysed=ancient(ANALYSED),
        audits=ancient(AUDITS),
        records=ancient(RECORDS),
        figures=ancient(f"{R}/figures"),
        main=ancient(f"{R}/tables/main.csv"),
    output:
        page=report(
            f"{R}/report.html", caption="../docs/report/page.rst", category="Report"
        ),
        done=done("report"),
    log:
        f"{R}/logs/report.log",
    benchmark:
        f"{R}/benchmarks/report.tsv"
    conda:
        ENVIRONMENT
    params:
        results=lambda wildcards: R,
    message:
        "report page"
    script:
        "../workflow_scripts/report.py"


rule paper:
    """A LaTeX article with every number from the results, and its PDF where a TeX is installed."""
    input:
        stamp=stamp("paper"),
        above=above("paper"),
        analysed=ancient(ANALYSED),
        audits=ancient(AUDITS),
        figures=ancient(f"{R}/figures"),
        main=ancient(f"{R}/tables/main.csv"),
    output:
        folder=directory(f"{R}/paper"),
        done=done("paper"),
    log:
        f"{R}/logs/paper.log",
    conda:
        ENVIRONMENT
    params:
        results=lambda wildcards: R,
    message:
        "paper"
    script:
        "../workflow_scripts/paper.py"
