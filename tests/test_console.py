"""What Snakemake says on the console under the profiles for one machine: what went wrong, and nothing else."""

from __future__ import annotations

import pytest
import yaml
from project import REPOSITORY, copy_project, run

LOCAL = ("demo", "laptop", "workstation")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return copy_project(tmp_path_factory.mktemp("console") / "project")


def quietly(project, *targets, options=()):
    return run(project, *targets, options=("--cores", "1", *options), quiet=())


def test_a_mistyped_target_is_named(project):
    done = quietly(project, "nonsense")
    assert done.returncode == 1
    assert "nonsense" in done.stdout


def test_an_error_in_the_snakefile_is_shown(project):
    snakefile = project / "Snakefile"
    whole = snakefile.read_text()
    snakefile.write_text(whole + "\nrule broken\n")
    done = quietly(project, "all")
    snakefile.write_text(whole)
    assert done.returncode == 1
    assert "Snakefile" in done.stdout


def test_a_broken_overlay_is_named_with_its_line_among_four(project):
    for number, text in enumerate(("seeds: [1]\n", "seeds: [1\nstudy: x\n", "seeds: [2]\n")):
        (project / f"{number}.yaml").write_text(text)
    done = run(project, "all", overlays=("0.yaml", "1.yaml", "2.yaml"), options=("-n",), quiet=())
    assert done.returncode == 1
    last = done.stdout.splitlines()[-1]
    assert "1.yaml, line 2" in last
    assert "Correct it" in last


def test_a_run_shows_its_jobs_alone(project):
    done = quietly(project, "results/tiny/.stamps/curate.qa.done.json")
    assert done.returncode == 0
    _, job, *rest = done.stdout.splitlines()  # the first line names the profile
    assert job == "[0 of 1] curate.qa: curation of qa"
    assert all(line.startswith("  ") for line in rest), "the job's own funnel"
    (log,) = [file.read_text() for file in (project / ".snakemake/log").iterdir() if "curate qa" in file.read_text()]
    assert len(log.splitlines()) > len(done.stdout.splitlines()), "the log file has all that the console leaves out"


def test_a_dry_run_shows_its_plan(project):
    assert "split qa" in quietly(project, "data", options=("-n",)).stdout


@pytest.mark.parametrize("name", LOCAL)
def test_all_profiles_of_one_machine_are_alike(name):
    assert yaml.safe_load((REPOSITORY / f"profiles/{name}/config.yaml").read_text())["quiet"] == ["host", "reason"]
