"""What each job of the study uses: its part of the config, the jobs whose outputs it reads, and raw files.

Together with the code of the job's script this is all that can make its outputs stale (see `staleness`).
A job is (rule, wildcards), e.g. ("train", {"domain": "qa", "arm": "lora", "seed": "42"}).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from polychromic.config.study import Domain, PromptArm, Study, TrainArm
from polychromic.data.readers import files_of
from polychromic.errors import StudyError
from polychromic.files import file_digest, write_json
from polychromic.metric_registry import BUILT_IN, modules_of
from polychromic.paper.figures import FIGURES
from polychromic.paper.tables import TABLES
from polychromic.workflow.stamps import digest, make_stamp, read_stamp, refresh

Job = tuple[str, dict[str, str]]

# What people read; needs no model.
FIGURE_RULES = ("figures", "tables", "report", "paper")
JUDGE_CODE = ("polychromic.metrics.judge", "polychromic.metrics.judge_clients", "workflow_scripts._judge")


def results_folder(study: Study) -> Path:
    return Path("results") / study.study


def sources(study: Study, domain: str) -> list[dict[str, Any]]:
    """A domain's sources, `{results}` in their paths filled in."""
    dumped = [_dump(source) for source in study.domains[domain].sources]
    for source in dumped:
        if source["path"]:
            source["path"] = source["path"].replace("{results}", str(results_folder(study)))
    return dumped


def raw_paths(study: Study, domain: str) -> list[Path]:
    """Local raw files of a domain's sources."""
    return [Path(source["path"]) for source in sources(study, domain) if source["path"]]


def is_embedded(study: Study, path: Path) -> bool:
    """Whether a raw file is made by the workflow itself."""
    return path.is_relative_to(results_folder(study))


def params(study: Study, job: Job) -> dict[str, Any]:
    """The config subset that a job uses, JSON-able."""
    rule, wildcards = job
    domain_name, arm_name = wildcards.get("domain"), wildcards.get("arm")
    domain = study.domains.get(domain_name)
    arm = study.arms.get(arm_name)
    if rule == "raw":
        return _dump(study.world, "kind", "seed", "raw_rows")
    if rule == "broad":
        return _dump(study.world, "seed", "broad_rows")
    if rule == "base":
        return _dump(study.world, "seed", "hidden", "layers", "vocabulary", "epochs")
    if rule == "curate":
        return {"seed": study.data_seed, "sources": sources(study, domain_name), **_dump(domain, "curation")}
    if rule == "review_sheet":
        return {}
    if rule == "split":
        return {"seed": study.data_seed, **_dump(domain, "split")}
    if rule in ("calibrate", "verify"):
        judge = _dump(study.judge, "provider", "model", "base_url") if domain.verifier.kind == "judge" else {}
        return {**_dump(domain, "verifier"), "encoder": study.metrics.encoder, **judge}
    if rule == "train":
        return {
            "model": _dump(study.model),
            "objective": _dump(study.objective_of(arm_name, domain_name)),
            "training": _dump(study.training_of(arm_name)),
            "study": study.study,
            "verifier": _dump(domain.verifier),
            "encoder": study.metrics.encoder,
            "gpus": study.gpus_per_job,
            **_prompting(study, domain),
        }
    if rule == "derive":
        return _dump(arm)
    if rule == "generate":
        prompted = isinstance(arm, PromptArm)
        shots = arm.shots if prompted else 0
        return {
            "model": _dump(study.model),
            "trained": not prompted,
            "shots": shots,
            "sampling": _dump(study.sampling),
            # A prompt arm has no frontier: nothing was trained.
            "temperatures": [study.sampling.temperature] if prompted else list(study.sampling.temperatures),
            "max_new_tokens": domain.max_new_tokens,
            "study": study.study,
            "split_seed": study.data_seed,
            **_prompting(study, domain, shots),
        }
    if rule == "encode":
        return {
            "encoder": study.metrics.encoder,
            "bertscore": study.metrics.bertscore,
            **_embedded_at(study, domain),
        }
    if rule == "diversity":
        return {"labelled": domain.verifier.kind in ("code", "answer"), **_embedded_at(study, domain)}
    if rule == "quality":
        return {"verifier": domain.verifier.kind, "temperature": study.sampling.temperature}
    if rule == "judge":
        return {
            **_dump(study.judge, "provider", "model", "base_url", "prompts"),
            "control": study.plan.control,
            "temperature": study.sampling.temperature,
            "seed": study.plan.seed,
        }
    if rule == "power":
        return {"plan_full": plan(study), "plan_sha256": digest(plan(study))}
    if rule in ("analyse", *FIGURE_RULES):
        title = {"title": study.title} if rule in ("report", "paper") else {}
        return {
            **plan(study),
            "plan_sha256": digest(plan(study)),
            **title,
            "embedded": study.world is not None,
            "world": study.world.kind if study.world else None,
            "model": study.model.name,
            "encoder": study.metrics.encoder,
            "arm_kinds": {name: arm.kind for name, arm in study.arms.items()},
            "ablations": _ablations(study),
        }
    raise KeyError(rule)


def aside(study: Study, job: Job) -> dict[str, Any]:
    """Settings that a job is given but that cannot change its outputs, and so never make them stale."""
    rule, wildcards = job
    if rule == "train":
        return {"price_per_gpu_hour": study.cost.price_per_gpu_hour}
    grades = rule in ("calibrate", "verify") and study.domains[wildcards["domain"]].verifier.kind == "judge"
    if rule == "judge" or grades:
        return _dump(study.judge, "budget", "input_price", "output_price")
    return {}


def unused_code(study: Study, job: Job) -> frozenset[str]:
    """Modules that a job's script can import but that its settings keep it from using.

    So an edit of the sandbox leaves the domains without code alone. A job that loads one of them all the same
    fails (see workflow_scripts/_job.py): too much here cannot go unseen.
    """
    rule, wildcards = job
    if rule not in ("curate", "calibrate", "train", "verify"):
        return frozenset()
    domain = study.domains[wildcards["domain"]]
    kind, form = domain.verifier.kind, None
    filters = {step.filter for step in domain.curation.filters} if rule == "curate" else set()
    if rule == "train":
        objective = study.objective_of(wildcards["arm"], wildcards["domain"])
        form = objective.diversity if objective.weight > 0 else None
    verifies = rule in ("calibrate", "verify") or form is not None
    used = {
        "polychromic.verifiers.code": (verifies and kind == "code") or "canonical_passes" in filters,
        "polychromic.verifiers.answer": verifies and kind == "answer",
        "polychromic.verifiers.text": rule in ("calibrate", "verify") or (verifies and kind in ("similarity", "judge")),
        "polychromic.embedding": rule in ("calibrate", "verify")
        or form == "semantic"
        or (form is not None and kind == "similarity")
        or "semantic_duplicates" in filters,
        "polychromic.metrics.diversity": form in ("self_bleu", "distinct_n"),
        **dict.fromkeys(JUDGE_CODE, rule in ("calibrate", "verify") and kind == "judge"),
    }
    return frozenset(module for module, is_used in used.items() if not is_used)


def chosen_code(job: Job) -> list[str]:
    """Modules that a job loads by name, through a registry."""
    rule = job[0]
    modules = {
        "encode": modules_of("quality"),
        "diversity": modules_of("diversity"),
        "quality": modules_of("quality"),
        **dict.fromkeys(("analyse", *FIGURE_RULES), modules_of(*BUILT_IN)),
    }.get(rule, [])
    drawn = [FIGURES.module_of(name) for name in FIGURES] if rule in ("figures", "report", "paper") else []
    written = [TABLES.module_of(name) for name in TABLES] if rule in ("tables", "report", "paper") else []
    return sorted({*modules, *drawn, *written})


def plan(study: Study) -> dict[str, Any]:
    """The analysis plan: everything that decides the verdict besides the data. Hashed before training."""
    return {
        "study": study.study,
        "plan": _dump(study.plan),
        "domains": {
            name: {"quality_metric": d.quality_metric, "verifier": d.verifier.kind} for name, d in study.domains.items()
        },
        "arms": list(study.arms),
        "seeds": list(study.seeds),
        "sampling": _dump(study.sampling, "samples", "temperature", "frontier", "test_prompts"),
        "k": list(study.metrics.k),
    }


def upstream(study: Study, job: Job) -> list[Job]:
    """The jobs whose outputs a job reads."""
    rule, wildcards = job
    domain, arm, seed = (wildcards.get(key) for key in ("domain", "arm", "seed"))
    of_domain, of_arm = {"domain": domain}, {"domain": domain, "arm": arm}
    base: list[Job] = [("base", {})] if study.world else []
    split: Job = ("split", of_domain)
    if rule == "base":
        return [("broad", {})]
    if rule == "curate":
        return [("raw", {})] if any(is_embedded(study, path) for path in raw_paths(study, domain)) else []
    if rule in ("review_sheet", "split"):
        return [("curate", of_domain)]
    if rule == "calibrate":
        return [split]
    if rule == "train":
        return [split, *base]
    if rule == "derive":
        return [("train", {"domain": domain, "arm": study.arms[arm].source, "seed": seed})]
    if rule == "generate":
        kind = study.arms[arm].kind
        made: list[Job] = [] if kind == "prompt" else [("train" if kind == "train" else "derive", wildcards)]
        return [split, *base, *made]
    if rule == "encode":
        return [split, *_generated(study, of_arm)]
    if rule == "verify":
        similar = study.domains[domain].verifier.kind == "similarity"
        judging: list[Job] = [("calibrate", of_domain), ("encode", of_arm)] if similar else []
        return [split, *_generated(study, of_arm), *judging]
    if rule == "diversity":
        return [*_generated(study, of_arm), ("encode", of_arm), ("verify", of_arm)]
    if rule == "quality":
        return [split, *_generated(study, of_arm), ("encode", of_arm)]
    if rule == "judge":
        control = {"domain": domain, "arm": study.plan.control}
        samples = [*_generated(study, of_arm), *_generated(study, control)]
        return [split, *samples, ("calibrate", of_domain), ("encode", of_arm), ("encode", control)]
    if rule == "analyse":
        return [
            ("power", {}),
            *(
                (r, {"domain": d, "arm": a})
                for r in ("verify", "diversity", "quality")
                for d in study.domains
                for a in study.arms
            ),
            *judged(study),
        ]
    if rule in ("figures", "tables"):
        return [("analyse", {})]
    if rule in ("report", "paper"):
        return [("figures", {}), ("tables", {})]
    return []


def _generated(study: Study, of_arm: dict[str, str]) -> list[Job]:
    return [("generate", {**of_arm, "seed": str(seed)}) for seed in study.seeds]


def nearest(study: Study, job: Job) -> list[Job]:
    """The jobs whose outputs a job reads, less those that another of these reads too: when they run, so does it."""
    read = upstream(study, job)
    by_others = {job_name(further) for up in read for further in upstream(study, up)}
    return [up for up in read if job_name(up) not in by_others]


def judged(study: Study) -> list[Job]:
    """Every arm against the control."""
    return [("judge", {"domain": d, "arm": a}) for d in study.domains for a in study.arms if a != study.plan.control]


def raw_files(study: Study, job: Job) -> list[Path]:
    """Files of the user's that a job reads; they are looked up when the job starts and may be missing now."""
    rule, wildcards = job
    if rule == "curate":
        own = [path for path in raw_paths(study, wildcards["domain"]) if not is_embedded(study, path)]
        return [file for path in own for file in files_of(path)]
    if rule == "split":
        return [decisions_file(wildcards["domain"])]
    if rule in ("report", "paper"):
        return verdicts_beside(study)
    return []


def verdicts_beside(study: Study) -> list[Path]:
    """Verdicts of the study's null control and ablations, studies of the same name and an ending: optional inputs."""
    ours = results_folder(study)
    return [ours.with_name(f"{ours.name}-{ending}") / "statistics" / "verdict.json" for ending in ("null", "ablations")]


def decisions_file(domain: str) -> Path:
    """A person's review decisions: an optional input that no rule writes."""
    return Path("data/review") / f"{domain}.csv"


# Files of the project besides its modules that a rule's script reads.
TEXTS = {
    "review_sheet": ("polychromic/data/review.html",),
    "report": tuple(
        f"polychromic/paper/templates/{name}"
        for name in ("report.html.j2", "report.css", "report.js", "costs.html.j2", "parts.html.j2")
    ),
    "paper": ("polychromic/paper/templates/paper.tex.j2", "docs/references.bib"),
}


class Stamps:
    """The stamps of a study's jobs, each made once."""

    def __init__(self, study: Study, scripts: Path, lock: Path):
        self.study, self.scripts, self.lock = study, scripts, lock
        self._made: dict[str, dict[str, Any]] = {}

    def of(self, job: Job) -> dict[str, Any]:
        rule, wildcards = job
        name = job_name(job)
        if name not in self._made:
            above = {job_name(up): self.of(up)["key"] for up in upstream(self.study, job)}
            above |= self._raw_digests(job)
            self._made[name] = make_stamp(
                rule,
                wildcards,
                params(self.study, job),
                self.scripts / f"{rule}.py",
                self.lock,
                above,
                aside=aside(self.study, job),
                unused=unused_code(self.study, job),
                chosen=chosen_code(job),
                texts=TEXTS.get(rule, ()),
            )
        return self._made[name]

    def _raw_digests(self, job: Job) -> dict[str, str]:
        """Hashes of the user's files that a job reads. One that is not here counts as it was when the job was done:
        results are copied to where the raw rows are not.
        """
        paths = raw_files(self.study, job)
        done = read_stamp(done_file(self.study, job)) if paths else None
        known = done["upstream"] if done else {}
        return {str(p): file_digest(p) if p.is_file() else known.get(str(p), "missing") for p in paths}


def all_jobs(study: Study) -> list[Job]:
    """Every job of the study, in the order data flows."""
    world: list[Job] = [("raw", {}), ("broad", {}), ("base", {})] if study.world else []
    data: list[Job] = [
        (rule, {"domain": d}) for rule in ("curate", "review_sheet", "split", "calibrate") for d in study.domains
    ]
    made = {"prompt": [], "train": ["train"], "derived": ["derive"]}
    runs: list[Job] = [
        (rule, {"domain": d, "arm": a, "seed": str(s)})
        for d in study.domains
        for a, arm in study.arms.items()
        for rule in [*made[arm.kind], "generate"]
        for s in study.seeds
    ]
    measured: list[Job] = [
        (rule, {"domain": d, "arm": a})
        for rule in ("encode", "verify", "diversity", "quality")
        for d in study.domains
        for a in study.arms
    ]
    return [
        *world,
        *data,
        *runs,
        *measured,
        *judged(study),
        ("power", {}),
        ("analyse", {}),
        *((rule, {}) for rule in FIGURE_RULES),
    ]


def registered_plan_file(study: Study) -> Path:
    return results_folder(study) / ".stamps" / "plan.json"


def register_plan(study: Study) -> None:
    """Write down the analysis plan and its hash. Once anything has been trained, what is written stays.

    The verdict compares it with the plan that it was made by, and says whether that has changed since.
    """
    file = registered_plan_file(study)
    trained = any(results_folder(study).glob("*/*/seed-*/run.json"))
    if not (trained and file.is_file()):
        write_json(file, {"plan_sha256": digest(plan(study)), "plan": plan(study)})


def refresh_stamps(study: Study, stamps: Stamps) -> list[Job]:
    """Bring the stamp files of all jobs up to date. Returns the stale jobs.

    Raises:
        StudyError: if another run of this study is under way and the stamps of its jobs would change.
    """
    if _under_way(study):
        changed = [job for job in all_jobs(study) if read_stamp(stamp_file(study, job)) != stamps.of(job)]
        if changed:
            raise StudyError(
                f"{results_folder(study)}: a run of this study is under way here, and settings or code have changed "
                f"since it began ({job_name(changed[0])} first); jobs that have not started would go by the new ones. "
                "Wait for it, or give this study another name; `python -m polychromic stale` says what would re-run. "
                "If it was killed: `snakemake --unlock`."
            )
    return [job for job in all_jobs(study) if refresh(stamps.of(job), stamp_file(study, job), done_file(study, job))]


def _under_way(study: Study) -> bool:
    """Whether Snakemake holds a lock on this study's outputs."""
    ours = f"{results_folder(study)}/"
    locks = Path(".snakemake/locks").glob("*.output.lock")
    return any(line.startswith(ours) for lock in locks for line in lock.read_text(encoding="utf-8").splitlines())


def job_name(job: Job) -> str:
    rule, wildcards = job
    return ".".join([rule, *wildcards.values()])


def stamp_file(study: Study, job: Job) -> Path:
    return results_folder(study) / ".stamps" / f"{job_name(job)}.json"


def done_file(study: Study, job: Job) -> Path:
    return results_folder(study) / ".stamps" / f"{job_name(job)}.done.json"


def _dump(model: Any, *fields: str) -> dict[str, Any]:
    return model.model_dump(mode="json", include=set(fields) or None)


def _embedded_at(study: Study, domain: Domain) -> dict[str, Any]:
    """Texts are embedded at every temperature where answers are judged by similarity, else at the primary one."""
    return {"everywhere": domain.verifier.kind == "similarity", "temperature": study.sampling.temperature}


def _prompting(study: Study, domain: Domain, shots: int = 0) -> dict[str, Any]:
    templates = ("example", "few_shot") if shots else ("zero_shot",)
    return {"prompting": _dump(study.prompting, *templates), "output": domain.output}


def _ablations(study: Study) -> dict[str, Any]:
    """What distinguishes the trained arms, for the ablation figures: {arm: {weight, samples, rank, ...}}."""
    first = next(iter(study.domains))
    objectives = {
        name: study.objective_of(name, first) for name, arm in study.arms.items() if isinstance(arm, TrainArm)
    }
    return {
        name: {
            "weight": o.weight,
            "samples": o.samples,
            "quality": o.quality,
            "rank": study.training_of(name).rank,
        }
        for name, o in objectives.items()
    }
