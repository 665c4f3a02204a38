"""The stages of the study, in the order data flows: what each job reads, uses and writes.

From this table follow the inputs and outputs of the rules (rules/common.smk), the jobs of a study and their order
(`graph`), their stamps (`stamps`) and the files of a bundle (`bundle`).
"""

from __future__ import annotations

from polychromic.workflow.stage import Stage
from polychromic.workflow.stages.data import Calibrate, Curate, Raw, ReviewSheet, Split
from polychromic.workflow.stages.metrics import Diversity, Encode, Judge, Quality, Verify
from polychromic.workflow.stages.models import Base, Broad, Derive, Generate, Packaged, Train
from polychromic.workflow.stages.reading import Analyse, Figures, Paper, Power, Report, Tables

STAGES: dict[str, Stage] = {
    stage.name: stage
    for stage in (
        Raw(), Broad(), Base(), Packaged(), Curate(), ReviewSheet(), Split(), Calibrate(), Train(), Derive(),
        Generate(), Encode(), Verify(), Diversity(), Quality(), Judge(), Power(), Analyse(), Figures(), Tables(),
        Report(), Paper(),
    )
}  # fmt: skip
