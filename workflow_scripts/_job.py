"""What every script does around its work: settings in, log kept, errors in plain words, the done file out."""

from __future__ import annotations

import gc
import json
import os
import resource
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any

from _processes import IS_WORKER, take_cards

from polychromic.errors import StudyError, what_to_do
from polychromic.files import write_atomic
from polychromic.registry import load_plugins
from polychromic.workflow import progress as run_progress
from polychromic.workflow.code import PACKAGE, PLUMBING, ROOT
from polychromic.workflow.stamps import outputs_of, stamp_text, verify_inputs

# Importing torch makes objects that stay. The default thresholds let the garbage collector look through them so often
# that it took a fifth of a job's start.
gc.set_threshold(100_000, 50, 50)

# What this module itself loads.
OWN = {f"{PACKAGE}/{name}.py" for name in ("__init__", "cards", "errors", "files", "registry")}


@contextmanager
def job(snakemake: Any) -> Iterator[dict[str, Any]]:
    """Run a job's body with the settings of its stamp; on success copy the stamp to the done file.

    What is printed goes to the job's log. A StudyError is shown as a message, without a traceback.
    """
    # Read once: a plan made meanwhile with other settings may rewrite the file.
    text = Path(snakemake.input.stamp).read_text(encoding="utf-8")
    stamp = json.loads(text)
    settings = {**stamp["params"], **stamp["aside"], "key": stamp["key"], "upstream": stamp["upstream"]}
    results = Path(snakemake.input.stamp).parents[1]
    if IS_WORKER:  # the job's first process keeps the log and writes the done file
        load_plugins(settings["plugins"])
        yield settings
        return
    console = os.fdopen(os.dup(2), "w", buffering=1)
    log = open(snakemake.log[0], "w", buffering=1, encoding="utf-8")  # noqa: SIM115 - lives as long as the process
    os.dup2(log.fileno(), 1)
    os.dup2(log.fileno(), 2)
    name = Path(snakemake.input.stamp).stem
    global _console
    _console = (console, name, results)
    run_progress.job_begins(results, name, snakemake.log[0])

    def failed(message: str) -> None:
        console.write(f"\n{name}: {message}\n\n")
        with suppress(OSError):
            run_progress.job_failed(results, name, snakemake.log[0], message)

    try:
        _refuse_other_code(stamp["code"])
        verify_inputs(stamp, results, snakemake.input)
        load_plugins(settings["plugins"])
        take_cards(snakemake.resources.get("gpu", 0))
        yield settings
    except StudyError as error:
        print(f"ERROR: {error}")
        failed(str(error))
        sys.exit(1)
    except OSError as error:
        if (message := what_to_do(error)) is None:
            raise
        failed(message)
        with suppress(OSError):
            traceback.print_exc()
        sys.exit(1)
    except BaseException as error:
        traceback.print_exc()
        failed(f"{type(error).__name__}: {error}. The traceback is in the log.")
        raise
    print(_used(), flush=True)
    written = [Path(path) for path in snakemake.output if path != snakemake.output.done]
    run_progress.job_ends(results, name)
    write_atomic(snakemake.output.done, stamp_text({**stamp, "outputs": outputs_of(written, results)}))


def _used() -> str:
    """CPU time and peak memory of the job; Snakemake's benchmark file misses those of a forked job."""
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    seconds = sum(usage.ru_utime + usage.ru_stime for usage in (own, children))
    return f"used {seconds:.1f} s of CPU and {max(own.ru_maxrss, children.ru_maxrss) / 1024:.0f} MiB of memory"


def _refuse_other_code(code: Iterable[str]) -> None:
    """From here on a job may load only code of ours that its stamp knows: an edit of other code would go unseen."""
    guard = _OnlyStampedCode({*code, *PLUMBING, *OWN})
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] == PACKAGE and getattr(module, "__file__", None):
            guard.check(Path(module.__file__))
    sys.meta_path.insert(0, guard)


class _OnlyStampedCode(MetaPathFinder):
    def __init__(self, known: set[str]) -> None:
        self.known = known

    def find_spec(self, name, path=None, target=None):
        """Refuses a module, or leaves it to the finders behind this one."""
        if name.split(".")[0] == PACKAGE:
            base = ROOT.joinpath(*name.split("."))
            for file in (base / "__init__.py", base.with_suffix(".py")):
                if file.is_file():
                    self.check(file)
                    break

    def check(self, file: Path) -> None:
        name = str(file.relative_to(ROOT))
        if name not in self.known:
            raise StudyError(
                f"{name} is used by this job, but is not in its stamp, so that edits of it would not make the job "
                "run again: add it to `modules` of the job's stage in polychromic/workflow/stages."
            )


_console: tuple[Any, str, Path] | None = None


def progress(message: str) -> None:
    """Show a line on the console and in the log."""
    print(message, flush=True)
    if _console:
        console, name, results = _console
        console.write(f"[{run_progress.so_far(results)}] {name}: {message}\n")
