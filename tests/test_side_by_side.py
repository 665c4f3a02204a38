"""How the cores of a CPU are shared out among trainings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polychromic.config.loading import load_study
from polychromic.workflow.side_by_side import MEMORY_MB, own_model_on_cpu, side_by_side


@pytest.mark.parametrize(
    ("cores", "jobs", "gigabytes", "at_once", "threads"),
    [
        (2, 30, 24, 2, 1),
        (2, 1, 24, 1, 2),  # the last job has both cores
        (2, 30, 5, 1, 2),  # memory for one
        (2, 30, 1, 1, 2),  # less than one takes: it may still fit
        (16, 30, 30, 6, 2),
        (16, 30, None, 16, 1),
        (2, 0, 24, 1, 2),
    ],
)
def test_no_core_is_idle(cores, jobs, gigabytes, at_once, threads):
    found = side_by_side(cores, jobs, gigabytes and gigabytes * 1000)
    assert (found.jobs, found.threads) == (at_once, threads)


@given(cores=st.integers(1, 128), jobs=st.integers(0, 200), memory=st.none() | st.integers(0, 500_000))
def test_threads_never_outnumber_the_cores_nor_jobs_the_memory(cores, jobs, memory):
    found = side_by_side(cores, jobs, memory)
    assert 1 <= found.jobs * found.threads <= cores
    assert memory is None or found.jobs == 1 or found.jobs * MEMORY_MB <= memory


def test_too_little_memory_is_said_once_and_plainly():
    assert (
        side_by_side(2, 30, 5000)
        .remark(5000)
        .startswith(
            "5.0 GB of memory are free and a training takes up to 5: one training runs at a time, on 2 threads."
        )
    )
    assert not side_by_side(2, 30, 24000).remark(24000)
    assert not side_by_side(2, 1, 5000).remark(5000)  # there is no second job to wait


def test_only_a_model_of_ones_own_on_a_cpu_shares_out_threads():
    assert own_model_on_cpu(load_study("config.yaml", "profiles/laptop/study.yaml"))
    assert not own_model_on_cpu(load_study("config.yaml", "profiles/demo/study.yaml"))  # the same to the last bit
    assert not own_model_on_cpu(load_study("config.yaml"))
