"""Graphics cards of a job's own, and several processes for one job."""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO

from polychromic.errors import StudyError

IS_WORKER = "RANK" in os.environ
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
    if subprocess.run([*torchrun, script], check=False).returncode:
        raise StudyError(f"one of the job's {count} processes failed; the log says which and why")
    return True


def take_cards(count: int, cards: list[str] | None = None) -> None:
    """Keep `count` of this machine's graphics cards for this process, as long as it lives; wait until they are free.

    Under SLURM the cards are given already, and on a machine without any there is nothing to keep.

    Args:
        cards: the machine's cards; found where not given.

    Raises:
        StudyError: the machine has too few.
    """
    if not count or IS_WORKER or "SLURM_JOB_ID" in os.environ:
        return
    cards = _visible_cards() if cards is None else cards
    if not cards:
        return
    if len(cards) < count:
        raise StudyError(f"gpus_per_job is {count}, this machine has {len(cards)}: lower it, or use a larger machine")
    while True:
        for card in cards:
            # A lock of the system's: it goes with the process, however that ends.
            file = open(Path(tempfile.gettempdir()) / f"polychromic-card-{card}.lock", "w")  # noqa: SIM115
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


def _visible_cards() -> list[str]:
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return [card for card in given.split(",") if card]
    return sorted(re.findall(r"\d+", " ".join(path.name for path in Path("/dev").glob("nvidia[0-9]*"))))
