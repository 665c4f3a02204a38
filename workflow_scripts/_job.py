"""What every script does around its work: settings in, log kept, errors told plainly, the done file out."""

from __future__ import annotations

import gc
import json
import os
import resource
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from _processes import IS_WORKER, take_cards

from polychromic.errors import StudyError, what_to_do
from polychromic.files import write_atomic
from polychromic.workflow.stamps import PACKAGE, PLUMBING, ROOT

# What importing torch and its kin makes stays; looking it through for garbage every seven hundred objects took a fifth
# of a job's start.
gc.set_threshold(100_000, 50, 50)

# What this module itself loads.
OWN = {
    f"{PACKAGE}/{name}.py"
    for name in ("__init__", "errors", "files", "workflow/__init__", "workflow/stamps", "workflow/fork_server")
}


@contextmanager
def job(snakemake: Any) -> Iterator[dict[str, Any]]:
    """Run a job's body with the settings of its stamp; on success copy the stamp to the done file.

    What is printed goes to the job's log. A StudyError is shown as a message, without a traceback.
    """
    # Read once: a plan made meanwhile with other settings may rewrite the file.
    text = Path(snakemake.input.stamp).read_text(encoding="utf-8")
    stamp = json.loads(text)
    settings = {**stamp["params"], **stamp["aside"], "key": stamp["key"], "upstream": stamp["upstream"]}
    if IS_WORKER:  # the job's first process keeps the log and writes the done file
        yield settings
        return
    console = os.fdopen(os.dup(2), "w", buffering=1)
    log = open(snakemake.log[0], "w", buffering=1, encoding="utf-8")  # noqa: SIM115 - lives as long as the process
    os.dup2(log.fileno(), 1)
    os.dup2(log.fileno(), 2)
    name = Path(snakemake.input.stamp).stem
    global _console
    _console = (console, name)
    try:
        take_cards(snakemake.resources.get("gpu", 0))
        yield settings
        _refuse_unstamped_code(stamp["code"])
    except StudyError as error:
        print(f"ERROR: {error}")
        console.write(f"\n[{name}] {error}\n\n")
        sys.exit(1)
    except OSError as error:
        if (message := what_to_do(error)) is None:
            raise
        console.write(f"\n[{name}] {message}\n\n")
        with suppress(OSError):
            traceback.print_exc()
        sys.exit(1)
    except BaseException:
        traceback.print_exc()
        console.write(f"\n[{name}] failed; the traceback is in {snakemake.log[0]}\n\n")
        raise
    print(_used(), flush=True)
    write_atomic(Path(snakemake.output.done), text)


def _used() -> str:
    """CPU time and peak memory of the job; Snakemake's benchmark file misses those of a forked job."""
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    seconds = sum(usage.ru_utime + usage.ru_stime for usage in (own, children))
    return f"used {seconds:.1f} s of CPU and {max(own.ru_maxrss, children.ru_maxrss) / 1024:.0f} MiB of memory"


def _refuse_unstamped_code(code: dict[str, str]) -> None:
    """A job may have loaded only code that its stamp knows, else an edit of that code would go unseen."""
    files = {
        Path(module.__file__)
        for name, module in list(sys.modules.items())
        if name.split(".")[0] == PACKAGE and getattr(module, "__file__", None)
    }
    unknown = {str(file.relative_to(ROOT)) for file in files} - set(code) - PLUMBING - OWN
    if unknown:
        raise StudyError(
            f"used {', '.join(sorted(unknown))}, which the job's stamp does not know: correct "
            "unused_code in polychromic/workflow/stages.py"
        )


_console: tuple[Any, str] | None = None


def progress(message: str) -> None:
    """Show a line on the console and in the log."""
    print(message, flush=True)
    if _console:
        console, name = _console
        console.write(f"[{name}] {message}\n")
