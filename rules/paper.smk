# From cached numbers to what people read. Nothing here needs a model, an adapter or torch.
rule figures:
    """Every figure as PDF and SVG for the paper and PNG for the eye, with its caption."""
    input:
        unpack(inputs("figures")),
    output:
        folder=report(
            outputs("figures")["folder"],
            patterns=["{name}.png"],
            caption="../docs/report/figure.rst",
            category="Figures",
            subcategory=figure_section,
            labels={"figure": "{name}"},
        ),
        done=outputs("figures")["done"],
    log:
        log_of("figures"),
    benchmark:
        benchmark_of("figures")
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
        unpack(inputs("tables")),
    output:
        **outputs("tables"),
    log:
        log_of("tables"),
    benchmark:
        benchmark_of("tables")
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
        unpack(inputs("report")),
    output:
        page=report(
            outputs("report")["page"],
            caption="../docs/report/page.rst",
            category="Report",
        ),
        costs=outputs("report")["costs"],
        done=outputs("report")["done"],
    log:
        log_of("report"),
    benchmark:
        benchmark_of("report")
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
        unpack(inputs("paper")),
    output:
        **outputs("paper"),
    log:
        log_of("paper"),
    conda:
        ENVIRONMENT
    params:
        results=lambda wildcards: R,
    message:
        "paper"
    script:
        "../workflow_scripts/paper.py"
