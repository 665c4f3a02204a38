# The study, and what its stages (polychromic/workflow/stages) say that each rule reads and writes.
import atexit
import gc
import os
import sys
from pathlib import Path

from snakemake.logging import LogEvent, get_event, logger
from snakemake.settings.enums import Quietness

from polychromic.config.loading import merge, parse_study, read_files
from polychromic.errors import StudyError, what_to_do
from polychromic.workflow import fork_server, graph, progress
from polychromic.workflow.check import refuse_what_must_fail
from polychromic.workflow.plan import register_plan, registered_plan_file
from polychromic.workflow.side_by_side import MEMORY_MB, own_model_on_cpu, side_by_side
from polychromic.workflow.stage import decisions_file, results_folder
from polychromic.workflow.staleness import Stamps, refresh_stamps
from polychromic.workflow.stages import STAGES

# The profiles' `quiet: [host, reason]`: of Snakemake itself the console shows what went wrong, its log file everything.
# Not `quiet: all`, which hides errors too, on the console and in the file.
OUTPUT = workflow.output_settings
if Quietness.HOST in (OUTPUT.quiet or ()) and not OUTPUT.dryrun:
    for handler in logger.handlers:
        if handler.name == "DefaultStreamHandler":
            handler.setLevel("WARNING")
            handler.addFilter(lambda record: get_event(record) != LogEvent.JOB_ERROR)

# Snakemake's graph of jobs is millions of long-lived objects. Raising the GC thresholds saves a quarter of the planning.
gc.set_threshold(1_000_000)
atexit.register(gc.freeze)

# Jobs run side by side; numerical libraries would each take all cores. A job with more threads asks for them itself.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

# Keep freed memory: otherwise a small CPU job spends a third of its time on getting the same pages again.
os.environ.setdefault("MALLOC_MMAP_THRESHOLD_", "4000000000")
os.environ.setdefault("MALLOC_TRIM_THRESHOLD_", "16000000000")
os.environ.setdefault("MALLOC_TOP_PAD_", "300000000")

# Batches differ in length: without this the memory of a card goes to pieces that no batch fits into.
os.environ.setdefault("PYTORCH_ALLOC_CONF", "expandable_segments:True")

FILES = ["config.yaml", *map(str, workflow.overwrite_configfiles)]
try:
    # Not by Snakemake's `configfile:`, whose errors name no file and no line, and whose merged config hides repeated
    # keys and loses the order of arms and domains, which the plan's hash needs.
    STUDY = parse_study(merge(read_files(*FILES), config), origin=" + ".join(FILES))
except StudyError as error:
    sys.exit(f"Error in {error}")

# On a CPU nothing here is compiled; without this every job loads the compiler, for a second or more.
if not STUDY.gpus_per_job:
    os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")

R = str(results_folder(STUDY))
DOMAINS, ARMS, SEEDS = list(STUDY.domains), list(STUDY.arms), list(STUDY.seeds)
ON_GPU = dict(gpu=STUDY.gpus_per_job) if STUDY.gpus_per_job else {}
ON_ONE_GPU = dict(gpu=1) if STUDY.gpus_per_job else {}
# Training and generation with a model of some size on the CPU.
ON_CPU = dict(mem_mb=MEMORY_MB) if own_model_on_cpu(STUDY) else {}
THREADS, MEMORY_REMARK = 1, ""
# For `--sdm conda`; otherwise the jobs use the environment that Snakemake runs in.
ENVIRONMENT = "../envs/gpu.yaml" if STUDY.gpus_per_job else "../envs/cpu.yaml"
STAMPS = Stamps(
    STUDY,
    Path(workflow.basedir) / "workflow_scripts",
    Path(workflow.basedir) / "requirements.lock",
)


onstart:
    due = {job.rule.name for job in workflow.dag.needrun_jobs()}
    kinds = {job.resources.get("gpu_model") for job in workflow.dag.needrun_jobs()}
    try:
        refuse_what_must_fail(
            STUDY, due, here=workflow.local_exec, card_kinds=kinds - {None}
        )
    except StudyError as error:
        sys.exit(f"Error: {error}")
    if MEMORY_REMARK and due & {"train", "generate"}:
        print(MEMORY_REMARK, file=sys.stderr)
    progress.begin(
        Path(R), sum(job.rule.name in STAGES for job in workflow.dag.needrun_jobs())
    )
    # With a limit on the rate of jobs, Snakemake plans again after every plan and every finished job. It has no setting
    # for no limit.
    workflow.scheduler.job_rate_limiter = None
    # Starting it takes as long as one of these jobs takes to import torch.
    with_torch = {"calibrate", "train", "derive", "generate", "encode"}
    if sys.platform == "linux" and workflow.local_exec and not STUDY.gpus_per_job:
        if (
            sum(job.rule.name in with_torch for job in workflow.dag.needrun_jobs())
            > 3
        ):
            fork_server.start()


onerror:
    print(f"\n{progress.failures(Path(R))}", file=sys.stderr)


wildcard_constraints:
    domain="|".join(DOMAINS),
    arm="|".join(ARMS),
    seed=r"\d+",


if workflow.is_main_process:
    # Before Snakemake looks at any file, so that it sees these as they are now.
    try:
        register_plan(STUDY)
        if "--unlock" not in sys.argv:
            stale = refresh_stamps(STUDY, STAMPS)
            if own_model_on_cpu(STUDY):
                limit = workflow.global_resources.get("mem_mb")
                memory = limit.value if limit else None
                heavy = sum(job[0] in ("train", "generate") for job in stale)
                shared = side_by_side(
                    workflow.resource_settings.cores or 1, heavy, memory
                )
                THREADS, MEMORY_REMARK = shared.threads, shared.remark(memory)
    except StudyError as error:
        sys.exit(f"Error: {error}")
    except OSError as error:
        sys.exit(f"Error: {what_to_do(error) or error}")


def inputs(stage):
    """The inputs of a rule: its stamp, the done files of the jobs before it, and the files that its stage reads.

    A stamp is new when the job is to run, else from 1970. Done files make a job run when one before it has run. The
    files themselves are `ancient`: they must be there, but their times say nothing.
    """

    def of_job(wildcards):
        job = stage, {name: getattr(wildcards, name) for name in STAGES[stage].scope}
        return {
            "stamp": str(graph.stamp_file(STUDY, job)),
            "above": [
                str(graph.done_file(STUDY, up)) for up in graph.nearest(STUDY, job)
            ],
            **{
                name: ancient(paths)
                for name, paths in graph.input_paths(STUDY, job).items()
            },
        }

    return of_job


def outputs(stage):
    """The outputs of a rule, and its done file, which travels with the results."""

    def under_results(path):
        whole = str(Path(R) / path)
        return directory(whole) if graph.is_folder(path) else whole

    named = {
        name: (
            under_results(paths)
            if isinstance(paths, str)
            else [under_results(path) for path in paths]
        )
        for name, paths in STAGES[stage].outputs.items()
    }
    job = stage, {name: f"{{{name}}}" for name in STAGES[stage].scope}
    return {**named, "done": str(graph.done_file(STUDY, job))}


def log_of(stage):
    return f"{R}/logs/{graph.job_name((stage, {n: f'{{{n}}}' for n in STAGES[stage].scope}))}.log"


def benchmark_of(stage):
    return f"{R}/benchmarks/{graph.job_name((stage, {n: f'{{{n}}}' for n in STAGES[stage].scope}))}.tsv"


def done(stage):
    """The done files of all jobs of a stage."""
    return [
        str(graph.done_file(STUDY, job))
        for job in graph.all_jobs(STUDY)
        if job[0] == stage
    ]


def arms_of(stage):
    """A wildcard's pattern: the arms that have jobs of this stage."""
    arms = {job[1]["arm"] for job in graph.all_jobs(STUDY) if job[0] == stage}
    return "|".join(sorted(arms)) or "none"


def figure_section(wildcards):
    """The section of a figure in Snakemake's report."""
    from polychromic.paper.figures import FIGURES

    return FIGURES[wildcards.name].section
