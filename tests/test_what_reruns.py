"""Which edit makes which jobs run again: nothing more, nothing less.

Each row of the table is an edit of a copy of the project and the exact set of jobs that it must make stale,
as patterns of job names. The sets were written down before they were measured.
"""

from __future__ import annotations

import fnmatch
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from polychromic.config.loading import load_study
from polychromic.workflow import code, graph, stamps
from polychromic.workflow.staleness import Stamps

REPOSITORY = Path(__file__).resolve().parent.parent
COPIED = (
    "polychromic",
    "workflow_scripts",
    "rules",
    "profiles",
    "config.yaml",
    "requirements.lock",
    "Snakefile",
)

# Tails of the study that several edits share. `*` also crosses the dots of a name.
READ = ["figures", "tables", "report", "paper"]
DECIDED = ["analyse", *READ]


def measured(domain: str, arm: str) -> list[str]:
    """Everything that is computed from an arm's samples."""
    return [f"{rule}.{domain}.{arm}" for rule in ("encode", "verify", "diversity", "quality", "judge")]


def trained(domain: str, arm: str) -> list[str]:
    """A trained arm from its training on."""
    return [f"train.{domain}.{arm}.*", f"generate.{domain}.{arm}.*", *measured(domain, arm), *DECIDED]


def after_curation(domain: str) -> list[str]:
    """Everything of a domain behind its curated rows."""
    return [f"review_sheet.{domain}", *after_split(domain)]


def after_split(domain: str) -> list[str]:
    return [
        f"split.{domain}",
        f"calibrate.{domain}",
        f"train.{domain}.*",
        f"derive.{domain}.*",
        f"generate.{domain}.*",
        *measured(domain, "*"),
        *DECIDED,
    ]


# Every arm with weights of its own: those trained and those derived from them.
ADAPTED = ("lora*", "polychromic*", "scaled")
ALL_ADAPTED = [
    "train.*",
    "derive.*",
    *(pattern for arm in ADAPTED for pattern in (f"generate.*.{arm}.*", *measured("*", arm))),
]

# Judging compares with the control's samples: whatever changes those changes every arm's comparison.
CONTROL_JUDGED = ["judge.*"]

Edit = Callable[[Path], None]


def overlay(text: str) -> Edit:
    """Lay these settings over the study."""

    def edit(project: Path) -> None:
        (project / "overlay.yaml").write_text(text)

    return edit


def replace(file: str, old: str, new: str) -> Edit:
    def edit(project: Path) -> None:
        path = project / file
        text = path.read_text()
        assert old in text, f"{file} has no {old!r} any more: correct the table"
        path.write_text(text.replace(old, new, 1))

    return edit


def append(file: str, text: str) -> Edit:
    """Add code to the end of a file: a change that a syntax tree shows."""

    def edit(project: Path) -> None:
        path = project / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text((path.read_text() if path.exists() else "") + text)

    return edit


def upgrade(package: str) -> Edit:
    """Another version of a library in the lock."""

    def edit(project: Path) -> None:
        lock = project / "requirements.lock"
        text, count = re.subn(rf"(?m)^{package}==\S+", f"{package}==999", lock.read_text())
        assert count == 1, f"{package} is not locked any more: correct the table"
        lock.write_text(text)

    return edit


def touch_everything(project: Path) -> None:
    for path in project.rglob("*"):
        os.utime(path, (2e9, 2e9))


def shuffle_keys(project: Path) -> None:
    """The same settings with all keys in reverse order."""

    def turn(value):
        return {key: turn(value[key]) for key in reversed(value)} if isinstance(value, dict) else value

    for file in ("config.yaml", "profiles/demo/study.yaml"):
        settings = yaml.safe_load((project / file).read_text())
        keep = {"domains", "arms"}  # their order is that of the figures and tables
        turned = {key: value if key in keep else turn(value) for key, value in reversed(settings.items())}
        for section in keep & set(settings):
            turned[section] = {name: turn(value) for name, value in settings[section].items()}
        (project / file).write_text(yaml.safe_dump(turned, sort_keys=False, allow_unicode=True))


CODE = "\n\ndef added():\n    return 1\n"

TABLE: dict[str, tuple[Edit, list[str]]] = {
    # ---- nothing
    "touch of every file": (touch_everything, []),
    "key order": (shuffle_keys, []),
    "a comment": (append("polychromic/method/trainer.py", "\n# a remark\n"), []),
    "a docstring": (append("polychromic/method/objective.py", '\n"""A remark."""\n'), []),
    "threads of a rule": (replace("rules/train.smk", "    message:", "    threads: 4\n    message:"), []),
    "a rule's memory": (replace("rules/train.smk", "**ON_GPU,", "mem_mb=1,\n        **ON_GPU,"), []),
    "judge's budget": (overlay("judge: {budget: 100}"), []),
    "code that checks the config": (append("polychromic/config/study.py", CODE), []),
    "code that decides staleness": (append("polychromic/workflow/stamps.py", CODE), []),
    "upgrade of a tool": (upgrade("pytest"), []),
    # ---- the end of the chain
    "a figure's colour": (append("polychromic/paper/figures/style.py", CODE), ["figures", "report", "paper"]),
    "the tables' module": (append("polychromic/paper/tables/main.py", CODE), ["tables", "report", "paper"]),
    "the report's module": (append("polychromic/paper/report.py", CODE), ["report"]),
    "the report's style": (append("polychromic/paper/templates/report.css", "a { }\n"), ["report"]),
    "the null study": (append("results/demo-null/statistics/verdict.json", "{}"), ["report", "paper"]),
    "the ablation study": (
        append("results/demo-ablations/statistics/verdict.json", "{}"),
        ["figures", "report", "paper"],
    ),
    "the bibliography": (append("docs/references.bib", "@misc{x}\n"), ["paper"]),
    "the review sheet's page": (append("polychromic/data/review.html", "<p>\n"), ["review_sheet.*"]),
    "upgrade of seaborn": (upgrade("seaborn"), ["figures", "report", "paper"]),
    "title": (overlay("title: Another"), ["report", "paper"]),
    "price of a GPU hour": (overlay("cost: {price_per_gpu_hour: 2.5}"), []),
    # ---- statistics
    "margin of the plan": (overlay("plan: {margin: 0.1}"), ["power", *DECIDED]),
    "the statistics' module": (append("polychromic/statistics/inference.py", CODE), ["power", *DECIDED]),
    "the frontier's module": (append("polychromic/statistics/front.py", CODE), DECIDED),
    # ---- metrics
    "a diversity metric": (append("polychromic/metrics/diversity.py", CODE), ["diversity.*", *DECIDED]),
    "a quality metric": (append("polychromic/metrics/quality.py", CODE), ["quality.*", *DECIDED]),
    "the judge's client": (append("polychromic/metrics/judge_clients.py", CODE), ["judge.*", *DECIDED]),
    "the judge's model": (overlay("judge: {model: another}"), ["judge.*", *DECIDED]),
    "BERTScore off": (
        overlay("metrics: {bertscore: false}"),
        ["encode.*", "verify.social.*", "verify.creative.*", "diversity.*", "quality.*", "judge.*", *DECIDED],
    ),
    # ---- arms, seeds, domains
    "lambda of one arm": (
        overlay("arms: {polychromic: {objective: {weight: 0.35}}}"),
        trained("*", "polychromic"),
    ),
    "a new arm": (
        overlay("arms: {p_02: {kind: train, objective: {weight: 0.2}}}"),
        ["power", *trained("*", "p_02")],
    ),
    "a derived arm": (
        overlay("arms: {half: {kind: derived, method: wise_ft, source: lora}}"),
        ["power", "derive.*.half.*", "generate.*.half.*", *measured("*", "half"), *DECIDED],
    ),
    "a seed added": (
        overlay("seeds: [42, 123, 456, 789]"),
        ["power", "train.*.789", "derive.*.789", "generate.*.789", *measured("*", "*"), *DECIDED],
    ),
    "a new domain": (
        overlay("domains: {poems: {sources: [{format: rocstories, path: x.csv}], verifier: {kind: similarity}}}"),
        ["power", "curate.poems", *after_curation("poems")],
    ),
    "an arm removed": (overlay("arms: {few_shot: null}"), ["power", *DECIDED]),
    # ---- prompts, data, model
    "the zero-shot template": (
        overlay('prompting: {zero_shot: "{input}"}'),
        ["generate.*.zero_shot.*", *measured("*", "zero_shot"), *ALL_ADAPTED, *CONTROL_JUDGED, *DECIDED],
    ),
    "the few-shot template": (
        overlay('prompting: {few_shot: "{input}"}'),
        ["generate.*.few_shot.*", *measured("*", "few_shot"), *DECIDED],
    ),
    "one domain's filter": (
        overlay("domains: {qa: {curation: {filters: [{filter: fix_text}]}}}"),
        ["curate.qa", *after_curation("qa")],
    ),
    "review decisions": (append("data/review/qa.csv", "id,decision\n"), after_split("qa")),
    "learning rate of all": (
        overlay("training: {learning_rate: 0.1}"),
        [
            job
            for job in [*ALL_ADAPTED, *CONTROL_JUDGED, *DECIDED]
            if "lora*" not in job and job != "train.*"  # lora_low_rate has a rate of its own
        ]
        + [
            pattern
            for arm in ("lora", "lora_again", "polychromic*")
            for pattern in (f"train.*.{arm}.*", f"generate.*.{arm}.*", *measured("*", arm))
        ],
    ),
    "a sampling temperature": (
        overlay("sampling: {frontier: [0.5]}"),
        ["generate.*", *measured("*", "*"), "power", *DECIDED],
    ),
    # ---- code behind many stages
    "the trainer": (
        append("polychromic/method/trainer.py", CODE),
        [*ALL_ADAPTED, *CONTROL_JUDGED, *DECIDED],
    ),
    "the sandbox": (
        append("polychromic/verifiers/sandbox/fork_server.py", CODE),
        ["curate.code", *after_curation("code")],
    ),
    "upgrade of torch": (
        upgrade("torch"),
        [
            "base",
            "train.*",
            "derive.*",
            "generate.*",
            "encode.*",
            "calibrate.*",
            "verify.*",
            "diversity.*",
            "quality.*",
            "judge.*",
            *DECIDED,
        ],
    ),
}


@pytest.fixture(scope="module")
def pristine(tmp_path_factory) -> Path:
    """A copy of the project's own files."""
    folder = tmp_path_factory.mktemp("project")
    for name in COPIED:
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, folder / name)
    return folder


def keys(project: Path, monkeypatch) -> dict[str, str]:
    """{job: key} of the embedded study in this copy of the project."""
    for module in (code, stamps):
        monkeypatch.setattr(module, "ROOT", project)
    monkeypatch.chdir(project)
    for function in (code._imports, code.code_of, code.libraries_of, code.locked_versions):
        function.cache_clear()
    files = [
        "config.yaml",
        "profiles/demo/study.yaml",
        *(["overlay.yaml"] if Path("overlay.yaml").exists() else []),
    ]
    study = load_study(*files)
    made = Stamps(study, project / "workflow_scripts", project / "requirements.lock")
    return {graph.job_name(job): made.of(job)["key"] for job in graph.all_jobs(study)}


@pytest.fixture(scope="module")
def before(pristine) -> dict[str, str]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        return keys(pristine, monkeypatch)


@pytest.mark.parametrize("name", TABLE)
def test_an_edit_makes_exactly_these_jobs_stale(name, pristine, before, tmp_path, monkeypatch):
    edit, expected = TABLE[name]
    project = tmp_path / "project"
    shutil.copytree(pristine, project)
    edit(project)
    after = keys(project, monkeypatch)
    stale = {job for job, key in after.items() if before.get(job) != key}
    wanted = {job for job in after if any(fnmatch.fnmatchcase(job, pattern) for pattern in expected)}
    more, less = sorted(stale - wanted), sorted(wanted - stale)
    assert not more, f"re-run without need: {more}"
    assert not less, f"not re-run: {less}"
