# The typed study, and the stamps that decide what is stale (see polychromic/workflow/stamps.py and polychromic/workflow/stages.py).
import atexit
import gc
import os
import sys
from pathlib import Path

from polychromic.workflow import stages, fork_server
from polychromic.config.study import merge, parse_study, read_yaml
from polychromic.errors import StudyError, what_to_do

# The graph of jobs is millions of objects that live to the end: looking for garbage among them again and again, and
# once more at the exit, is a quarter of the time that planning takes.
gc.set_threshold(1_000_000)
atexit.register(gc.freeze)

# Jobs run side by side; numerical libraries would each take all cores. A job with more threads asks for them itself.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

# Give freed memory back late: at small sizes a CPU job spends a third of its time on asking for the same pages again.
os.environ.setdefault("MALLOC_MMAP_THRESHOLD_", "4000000000")
os.environ.setdefault("MALLOC_TRIM_THRESHOLD_", "16000000000")
os.environ.setdefault("MALLOC_TOP_PAD_", "300000000")

# On a CPU nothing here is compiled; without this every job loads the compiler, for a second or more.
if not config.get("gpus_per_job"):
    os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")

FILES = ["config.yaml", *map(str, workflow.overwrite_configfiles)]
try:
    # Read again, for a key that stands twice, and for the order of arms and domains: Snakemake's merged config shows
    # neither, and the plan's hash knows the order.
    in_order = {}
    for file in FILES:
        in_order = merge(in_order, read_yaml(file))
    STUDY = parse_study(merge(in_order, config), origin=" + ".join(FILES))
except StudyError as error:
    sys.exit(f"Error in {error}")

R = str(stages.results_folder(STUDY))
DOMAINS, ARMS, SEEDS = list(STUDY.domains), list(STUDY.arms), list(STUDY.seeds)
PROMPTED = [arm for arm in ARMS if STUDY.arms[arm].kind == "prompt"]
TRAINED = [arm for arm in ARMS if STUDY.arms[arm].kind == "train"]
DERIVED = [arm for arm in ARMS if STUDY.arms[arm].kind == "derived"]
ON_GPU = dict(gpu=STUDY.gpus_per_job) if STUDY.gpus_per_job else {}
ON_ONE_GPU = dict(gpu=1) if STUDY.gpus_per_job else {}
# For `--sdm conda`; otherwise the jobs use the environment that Snakemake runs in.
ENVIRONMENT = "../envs/gpu.yaml" if STUDY.gpus_per_job else "../envs/cpu.yaml"
STAMPS = stages.Stamps(
    STUDY,
    Path(workflow.basedir) / "workflow_scripts",
    Path(workflow.basedir) / "requirements.lock",
)


onstart:
    # With a limit on the rate of jobs Snakemake plans anew some time after each plan and each end of a job, and so ever
    # more often, and cannot be told to have none.
    workflow.scheduler.job_rate_limiter = None
    # It takes as long to start as one of these jobs takes to import torch: worth it for several.
    with_torch = {"calibrate", "train", "derive", "generate", "encode"}
    if sys.platform == "linux" and workflow.local_exec and not STUDY.gpus_per_job:
        if (
            sum(job.rule.name in with_torch for job in workflow.dag.needrun_jobs())
            > 3
        ):
            fork_server.start()


wildcard_constraints:
    domain="|".join(DOMAINS),
    arm="|".join(ARMS),
    seed=r"\d+",


if workflow.is_main_process:
    # Before Snakemake looks at any file, so that it sees these as they are now.
    try:
        stages.register_plan(STUDY)
        if "--unlock" not in sys.argv:
            stages.refresh_stamps(STUDY, STAMPS)
    except StudyError as error:
        sys.exit(f"Error: {error}")
    except OSError as error:
        sys.exit(f"Error: {what_to_do(error) or error}")


def stamp(rule, *wildcards):
    """What a job uses. The file is new when that has changed since the job was done, else from 1970."""
    return f"{R}/.stamps/{'.'.join([rule, *wildcards])}.json"


def above(rule):
    """The done files of the jobs whose outputs a job reads: a job that runs makes those below it run.

    The files themselves are `ancient` inputs: they must be there, but their times say nothing.
    """
    return lambda wildcards: [
        str(stages.done_file(STUDY, up))
        for up in stages.nearest(STUDY, (rule, dict(wildcards)))
    ]


def done(rule, *wildcards):
    """Written when a job has succeeded: its stamp. Travels with the results."""
    return f"{R}/.stamps/{'.'.join([rule, *wildcards])}.done.json"


def per_seed(name):
    """A file of each seed of an arm."""
    return ancient(
        expand(
            f"{R}/{{domain}}/{{arm}}/seed-{{seed}}/{name}",
            seed=SEEDS,
            allow_missing=True,
        )
    )


def base_model(wildcards):
    """The tiny base model of an embedded study; other bases come from the hub or a folder."""
    return ancient(f"{R}/base/model") if STUDY.world else []


def raw_rows(wildcards):
    return ancient(
        [
            str(p)
            for p in stages.raw_paths(STUDY, wildcards.domain)
            if stages.is_embedded(STUDY, p)
        ]
    )


def source_run(name):
    return lambda wildcards: ancient(
        f"{R}/{wildcards.domain}/{STUDY.arms[wildcards.arm].source}/seed-{wildcards.seed}/{name}"
    )


def adapter(wildcards):
    return ancient(
        []
        if wildcards.arm in PROMPTED
        else f"{R}/{{domain}}/{{arm}}/seed-{{seed}}/adapter".format(**wildcards)
    )


def similarity_inputs(wildcards):
    if STUDY.domains[wildcards.domain].verifier.kind != "similarity":
        return []
    domain, arm = f"{R}/{wildcards.domain}", f"{R}/{wildcards.domain}/{wildcards.arm}"
    return ancient(
        [
            f"{domain}/calibration.json",
            f"{domain}/references.npz",
            f"{arm}/embeddings.npz",
        ]
    )


def control_file(name):
    return lambda wildcards: ancient(
        f"{R}/{wildcards.domain}/{STUDY.plan.control}/{name}"
    )


def metric_tables(names, arms):
    return ancient(
        expand(
            f"{R}/{{domain}}/{{arm}}/{{name}}.parquet",
            domain=DOMAINS,
            arm=arms,
            name=names,
        )
    )


def texts(wildcards):
    """Prompts and samples. What a finished job has made and a person has taken away, as samples are large, is not
    made again for the page's sake: it then shows none.
    """
    made = {f"{R}/{d}/data/test.jsonl": done("split", d) for d in DOMAINS} | {
        f"{R}/{d}/{a}/seed-{s}/samples.parquet": done("generate", d, a, str(s))
        for d in DOMAINS
        for a in ARMS
        for s in SEEDS
    }
    return ancient(
        [
            file
            for file, finished in made.items()
            if os.path.exists(file) or not os.path.exists(finished)
        ]
    )


def verdicts_beside(wildcards):
    """Those of the null and of the ablation study, where they have been run."""
    return ancient([str(p) for p in stages.verdicts_beside(STUDY) if p.exists()])


def figure_section(wildcards):
    """Where a figure stands in Snakemake's report."""
    from polychromic.paper.figures import FIGURES

    return FIGURES[wildcards.name].section
