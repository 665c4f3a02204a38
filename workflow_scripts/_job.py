"""What every script does around its work: settings in, log kept, errors told plainly, the done file out."""

from __future__ import annotations

import json
import os
import shutil
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from polychromic.errors import StudyError


@contextmanager
def job(snakemake: Any) -> Iterator[dict[str, Any]]:
    """Run a job's body with the settings of its stamp; on success copy the stamp to the done file.

    What is printed goes to the job's log. A StudyError is shown as a message, without a traceback.
    """
    stamp = Path(snakemake.input.stamp)
    console = os.fdopen(os.dup(2), "w", buffering=1)
    log = open(snakemake.log[0], "w", buffering=1, encoding="utf-8")  # noqa: SIM115 - lives as long as the process
    os.dup2(log.fileno(), 1)
    os.dup2(log.fileno(), 2)
    name = stamp.stem
    global _console
    _console = (console, name)
    try:
        yield json.loads(stamp.read_text(encoding="utf-8"))["params"]
    except StudyError as error:
        print(f"ERROR: {error}")
        console.write(f"\n[{name}] {error}\n\n")
        sys.exit(1)
    except OSError as error:
        traceback.print_exc()
        remedy = {28: "The disk is full: free some space", 30: "The folder is read-only: make it writable",
                  13: "Permission denied: make it writable"}.get(error.errno)
        if remedy is None:
            raise
        console.write(f"\n[{name}] {error.filename or 'results'}: {remedy}, and run the same command again.\n\n")
        sys.exit(1)
    except BaseException:
        traceback.print_exc()
        console.write(f"\n[{name}] failed; the traceback is in {snakemake.log[0]}\n\n")
        raise
    sys.stdout.flush()
    partial = Path(f"{snakemake.output.done}.partial")
    shutil.copyfile(stamp, partial)
    os.replace(partial, snakemake.output.done)


_console: tuple[Any, str] | None = None


def progress(message: str) -> None:
    """Show a line on the console and in the log."""
    print(message, flush=True)
    if _console:
        console, name = _console
        console.write(f"[{name}] {message}\n")
