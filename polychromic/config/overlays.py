"""Overlays: the files of Snakemake's `--configfile`, checked before Snakemake reads them.

Snakemake calls a broken one "not valid JSON or YAML" and names neither file nor line. `profiles/default/config.yaml`
calls this: Snakemake first runs what a profile has under `__definitions__`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from polychromic.config.loading import read_yaml
from polychromic.errors import StudyError


def refuse_broken_overlays(arguments: Sequence[str]) -> None:
    """End the program where an overlay cannot be read, with a message that names file, line and remedy.

    Args:
        arguments: of Snakemake's command line.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--configfile", "--configfiles", nargs="+", default=[])
    known, _ = parser.parse_known_args(arguments)
    try:
        for file in known.configfile:
            read_yaml(file)
    except StudyError as error:
        targets = "" if Path(file).suffix else " Targets come after `--`, as in `--configfile a.yaml -- all`."
        sys.exit(f"Error in {error}{targets}")
