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
# All that `polychromic.paper.results.read_results` reads besides.
OF_STUDY = [
    *(
        f"{R}/{d}/{name}"
        for d in DOMAINS
        for name in ("data/funnel.json", "data/leakage.json", "calibration.json")
    ),
    *(
        f"{R}/{d}/{a}/{name}"
        for d in DOMAINS
        for a in ARMS
        for name in ("audit.json", "passes.parquet")
    ),
    *(
        f"{R}/{d}/{a}/judge.parquet"
        for d in DOMAINS
        for a in ARMS
        if a != STUDY.plan.control
    ),
    *(
        f"{R}/{d}/{a}/seed-{s}/run.json"
        for d in DOMAINS
        for a in TRAINED + DERIVED
        for s in SEEDS
    ),
    *(
        f"{R}/{d}/{a}/seed-{s}/train_log.jsonl"
        for d in DOMAINS
        for a in TRAINED
        for s in SEEDS
    ),
]


rule figures:
    """Every figure as PDF and SVG for the paper and PNG for the eye, with its caption."""
    input:
        stamp=stamp("figures"),
        above=above("figures"),
        analysed=ancient(ANALYSED),
        of_study=ancient(OF_STUDY),
    output:
        folder=report(
            directory(f"{R}/figures"),
            patterns=["{name}.png"],
            caption="../docs/report/figure.rst",
            category="Figures",
            subcategory=figure_section,
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
        of_study=ancient(OF_STUDY),
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
    """One self-contained page: verdict, tables, figures, samples, audit, provenance; and one of times and costs."""
    input:
        stamp=stamp("report"),
        above=above("report"),
        analysed=ancient(ANALYSED),
        of_study=ancient(OF_STUDY),
        texts=texts,
        beside=verdicts_beside,
        figures=ancient(f"{R}/figures"),
    output:
        page=report(
            f"{R}/report.html", caption="../docs/report/page.rst", category="Report"
        ),
        costs=f"{R}/costs.html",
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
        of_study=ancient(OF_STUDY),
        beside=verdicts_beside,
        figures=ancient(f"{R}/figures"),
        bibliography=ancient("docs/references.bib"),
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
