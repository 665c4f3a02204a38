"""How many trainings run side by side on a CPU, and on how many threads each.

One thread a job is the fastest use of the cores. Where there are fewer jobs than cores, or too little memory for a
job a core, each job takes several threads instead, so that no core is idle.
"""

from __future__ import annotations

from dataclasses import dataclass

from polychromic.config.study import Study

MEMORY_MB = 5000  # of a training or generation with a small model of one's own (docs/performance.md)


@dataclass(frozen=True)
class SideBySide:
    """jobs: at the same time. threads: of each. short_of_memory: whether memory allows fewer than there are cores."""

    jobs: int
    threads: int
    short_of_memory: bool

    def remark(self, memory: int) -> str:
        """A warning before the run; none where memory suffices. memory: that jobs may take together, MB."""
        if not self.short_of_memory:
            return ""
        many = "one training runs" if self.jobs == 1 else f"{self.jobs} trainings run"
        return (
            f"{memory / 1000:.1f} GB of memory are free and a training takes up to {MEMORY_MB / 1000:g}: {many} at a "
            f"time, on {self.threads} threads. Close other programs for a faster run."
        )


def side_by_side(cores: int, jobs: int, memory: int | None) -> SideBySide:
    """How to share out the cores. jobs: that are to run. memory: that they may take together, in MB; None: any."""
    room = cores if memory is None else max(1, memory // MEMORY_MB)
    at_once = max(1, min(cores, jobs, room))
    return SideBySide(at_once, max(1, cores // at_once), room < min(cores, jobs))


def own_model_on_cpu(study: Study) -> bool:
    """Whether the cores train a model of some size. An embedded study's jobs are too small for several threads."""
    return not study.gpus_per_job and study.world is None
