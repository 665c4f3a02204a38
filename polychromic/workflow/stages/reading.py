"""From numbers to what people read."""

from __future__ import annotations

from polychromic.metric_registry import BUILT_IN, modules_of
from polychromic.paper.disclosures import disclosures_file
from polychromic.paper.figures import FIGURES
from polychromic.paper.tables import TABLES
from polychromic.registry import Registry
from polychromic.workflow.plan import analysis_plan, analysis_settings, plan_hash
from polychromic.workflow.stage import Stage, output, results_folder, verdict_beside
from polychromic.workflow.stages.inputs import sampled


class Power(Stage):
    name = "power"
    outputs = {"power": "statistics/power.json"}
    packed = ("power",)

    def settings(self, study):
        return {"plan_full": analysis_plan(study), "plan_sha256": plan_hash(study)}


class Analyse(Stage):
    name = "analyse"
    outputs = {
        "summary": "statistics/summary.parquet",
        "pairwise": "statistics/pairwise.parquet",
        "hypotheses": "statistics/hypotheses.parquet",
        "frontier": "statistics/frontier.parquet",
        "verdict": "statistics/verdict.json",
    }
    packed = tuple(outputs)

    def reads(self, study):
        cells = [{"domain": domain, "arm": arm} for domain in study.domains for arm in study.arms]
        tables = [("verify", "passes"), ("verify", "passes_val"), ("diversity", "table"), ("quality", "table")]
        return {
            "power": output("power", "power"),
            "tables": [output(stage, name, **cell) for cell in cells for stage, name in tables],
            "audits": [output("verify", "audit", **cell) for cell in cells],
            "judged": [output("judge", "table", **cell) for cell in cells if cell["arm"] != study.plan.control],
        }

    def settings(self, study):
        return analysis_settings(study)

    def modules(self, study):
        return modules_of(*BUILT_IN)

    def user_files(self, study):
        others = study.plan.replications
        return [results_folder(study).with_name(name) / "statistics" / "verdict.json" for name in others]


class Read(Stage):
    """A stage that turns cached numbers into what people read. It needs no model."""

    shows: tuple[Registry, ...] = (FIGURES, TABLES)
    """Registries of what it draws."""

    def reads(self, study):
        """All that `paper.results.read_results` reads."""
        of_arms = [{"domain": domain, "arm": arm} for domain in study.domains for arm in study.arms]
        makers = {"train": ("record", "log"), "derive": ("record",)}
        runs = [
            output(makers_stage, name, **cell, seed=str(seed))
            for cell in of_arms
            for makers_stage in [{"train": "train", "derived": "derive"}.get(study.arms[cell["arm"]].kind)]
            if makers_stage
            for seed in study.seeds
            for name in makers[makers_stage]
        ]
        return {
            "analysed": [*(output("analyse", name) for name in Analyse.outputs), output("power", "power")],
            "of_study": [
                *(output("split", name, domain=domain) for domain in study.domains for name in ("funnel", "leakage")),
                *(output("calibrate", "calibration", domain=domain) for domain in study.domains),
                *(output("verify", name, **cell) for cell in of_arms for name in ("audit", "passes")),
                *(output("judge", "table", **cell) for cell in of_arms if cell["arm"] != study.plan.control),
                *runs,
            ],
        }

    def settings(self, study):
        return analysis_settings(study)

    def modules(self, study):
        return {*modules_of(*BUILT_IN), *(shown.module_of(name) for shown in self.shows for name in shown)}


class Figures(Read):
    name = "figures"
    outputs = {"folder": "figures/"}
    packed = ("folder",)
    shows = (FIGURES,)

    def user_files(self, study):
        """Of other studies and benchmarks: the ablations' verdict and the sensitivity map are drawn where they are."""
        return [verdict_beside(study, "ablations"), results_folder(study) / "sensitivity.csv"]


class Tables(Read):
    name = "tables"
    outputs = {"folder": "tables/"}
    packed = ("folder",)
    shows = (TABLES,)


class Document(Read):
    """What is made of figures and tables, and of the verdicts of the study's null control and ablations."""

    def reads(self, study):
        made = [output("figures", "folder"), output("tables", "folder")]
        return {**super().reads(study), "made": made}

    def settings(self, study):
        return {**analysis_settings(study), "title": study.title}

    def user_files(self, study):
        return [verdict_beside(study, "null"), verdict_beside(study, "ablations")]

    def _texts(self, study):
        """The prompts and answers that a document shows."""
        cells = [{"domain": domain, "arm": arm} for domain in study.domains for arm in study.arms]
        tests = [output("split", "test", domain=domain) for domain in study.domains]
        samples = [read for cell in cells for read in sampled(study, cell["domain"], cell["arm"], "samples")["samples"]]
        return {"texts": [*tests, *samples]}


class Report(Document):
    name = "report"
    outputs = {"page": "report.html", "costs": "costs.html"}
    packed = ("page", "costs")
    texts = tuple(
        f"polychromic/paper/templates/{name}"
        for name in ("report.html.j2", "report.css", "report.js", "costs.html.j2", "parts.html.j2")
    )
    optional = ("texts",)

    def reads(self, study):
        return {**super().reads(study), **self._texts(study)}


class Paper(Document):
    name = "paper"
    outputs = {"folder": "paper/"}
    packed = ("folder",)
    texts = (
        "polychromic/paper/templates/paper.tex.j2",
        "polychromic/paper/templates/polychromic.sty",
        "docs/references.bib",
    )
    on_request = True
    optional = ("texts",)

    def reads(self, study):
        return {**super().reads(study), **self._texts(study)}

    def user_files(self, study):
        return [*super().user_files(study), disclosures_file(results_folder(study).name)]
