"""Graphics cards of a job's own, and several processes for one job."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO

from polychromic.cards import check_cuda, visible_cards
from polychromic.errors import StudyError

WORKER = "POLYCHROMIC_WORKER"
IS_WORKER = WORKER in os.environ
if not IS_WORKER:
    # Some platforms set these for every program; PyTorch would wait for processes that nobody started.
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        os.environ.pop(name, None)
RANK, WORLD = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))

_held: dict[str, IO[str]] = {}


def run_on_each_card(count: int, script: str) -> bool:
    """Start a job's script again in `count` processes that work together, and wait for them (torchrun's way).

    Returns:
        True in the job's first process, when the others have done its work. False in those others, and where
        one process is enough: the caller does the work.

    Raises:
        StudyError: one of the processes failed.
    """
    if count < 2 or IS_WORKER:
        return False
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
    if subprocess.run([*torchrun, script], env={**os.environ, WORKER: "1"}, check=False).returncode:
        raise StudyError(f"one of the job's {count} processes failed; the log says which and why")
    return True


def take_cards(count: int, cards: list[str] | None = None) -> None:
    """Keep `count` of the visible graphics cards for this process, as long as it lives; wait until they are free.

    The job then sees these and no others; a job without a card sees none. SLURM gives a job that it starts its own
    cards; in an allocation with more of them (`salloc`), jobs share them out among themselves.

    Args:
        cards: found where not given.

    Raises:
        StudyError: there are too few, or PyTorch cannot use them.
    """
    if IS_WORKER:
        return
    if not count:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
        return
    cards = visible_cards() if cards is None else cards
    allocation = os.environ.get("SLURM_JOB_ID", "")
    if cards and len(cards) < count:
        raise StudyError(f"gpus_per_job is {count}, here are {len(cards)} cards: lower it, or use a larger machine")
    if cards and not (allocation and len(cards) == count):
        _lock(count, cards, allocation)
    check_cuda(count)


def _lock(count: int, cards: list[str], allocation: str) -> None:
    while True:
        for card in cards:
            # A lock of the system's: it goes with the process, however that ends.
            file = open(Path(tempfile.gettempdir()) / f"polychromic-card-{allocation}{card}.lock", "w")  # noqa: SIM115
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.close()
                continue
            _held[card] = file
            if len(_held) == count:
                os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(_held)
                return
        # Never sit on some cards while waiting for others: two jobs could wait for each other.
        while _held:
            _held.popitem()[1].close()
        time.sleep(1)
