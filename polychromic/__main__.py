"""`python -m polychromic check|stale|summary|bundle ...`: each is described at the top of its module."""

from __future__ import annotations

import importlib
import os
import sys

COMMANDS = {
    "check": "polychromic.workflow.check",
    "stale": "polychromic.workflow.why_stale",
    "summary": "polychromic.workflow.summary",
    "bundle": "polychromic.workflow.bundle",
}


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] not in COMMANDS:
        print(f"usage: python -m polychromic {{{','.join(COMMANDS)}}} ...", file=sys.stderr)
        return 2
    try:
        command = importlib.import_module(COMMANDS[arguments[0]])
    except ModuleNotFoundError as error:
        print(f"this needs the package {error.name}: pip install 'polychromic[study]'.", file=sys.stderr)
        return 2
    try:
        return command.main(arguments[1:])
    except BrokenPipeError:  # the reader has seen enough, as in `... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
