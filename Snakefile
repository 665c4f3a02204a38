# Polychromic LoRA: curation -> split -> train -> generate -> metrics -> statistics -> paper.
# `snakemake --profile gpu all` runs the study of config.yaml on a cluster; `make demo` the embedded one here.
from snakemake.utils import min_version

min_version("9.0")


include: "rules/common.smk"
include: "rules/curate.smk"
include: "rules/split.smk"
include: "rules/train.smk"
include: "rules/generate.smk"
include: "rules/metrics.smk"
include: "rules/statistics.smk"
include: "rules/paper.smk"


localrules:
    all,
    data,
    models,
    generations,
    metrics,
    statistics,
    review,


rule all:
    default_target: True
    input:
        rules.figures.output,
        rules.tables.output,
        rules.report.output,


rule data:
    input:
        done("split"),
        done("calibrate"),


rule models:
    input:
        done("train"),
        done("derive"),


rule generations:
    input:
        done("generate"),


rule metrics:
    input:
        done("verify"),
        done("diversity"),
        done("quality"),


rule statistics:
    input:
        rules.analyse.output,
