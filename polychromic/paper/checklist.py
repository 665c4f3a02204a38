"""The reproducibility checklist, answered from the study's files."""

from __future__ import annotations

from polychromic import labels
from polychromic.paper.caveats import plan_hashes
from polychromic.paper.results import Results
from polychromic.paper.wording import judges, machine


def checklist(results: Results) -> list[tuple[str, str]]:
    """(question, answer) pairs; nothing is answered that the files do not show."""
    before, now = plan_hashes(results)
    rows = results.summary[results.summary["domain"] != "pooled"]
    seeds = labels.span(rows["n_seeds"])
    leaks = sum(found["leaks"] for found in results.leakage.values())
    commits = {(run.get("git_commit") or "none")[:12] for run in results.runs}
    placebos = results.verdict["placebos"]
    tuned = results.verdict["tuned_control"]
    tries = tuned["tries"]
    return [
        ("Was the analysis plan fixed before training?", "Not recorded." if not before else _yes(before == now)),
        ("Training seeds of each arm?", f"{seeds}."),
        ("Do intervals cover both prompts and training seeds?", _yes(rows["n_seeds"].max() > 1)),
        ("Are tests adjusted for the number of domains?", "Yes: Holm; the pooled test is one."),
        ("Was the control tuned, and on validation prompts?", _yes(_validated(tuned))),
        (
            "Settings tried of the method and of the control?",
            f"{tries['primary']} and {tries['family']}.",
        ),
        ("Placebos run, and placebos that won?", f"{len(placebos)} and {sum(p['supported'] for p in placebos)}."),
        ("Near-duplicates between training and test rows?", f"{leaks}." if results.leakage else "Not checked."),
        ("Are the verifiers' error rates reported?", _yes(bool(results.calibrations))),
        ("Is the code of every training recorded?", _yes("none" not in commits and bool(commits))),
        ("Hardware?", "; ".join(sorted({machine(run["hardware"]) for run in results.runs})) + "."),
        ("Did a model judge?", _judged(results)),
    ]


def _yes(value: bool) -> str:
    return "Yes." if value else "No."


def _judged(results: Results) -> str:
    if models := judges(results.judge):
        return f"Yes: {', '.join(models)}."
    return "No." if results.judge.empty else "No: answers were compared by their cosine to the accepted ones."


def _validated(tuned: dict) -> bool:
    return all(found["chosen_on"] == "validation" for found in tuned["domains"].values())
