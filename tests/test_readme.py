"""What the README shows must run."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import yaml

from polychromic.config.loading import load_study, parse_study, read_yaml

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_the_overlays_are_valid(tmp_path):
    base = read_yaml(ROOT / "config.yaml")
    for number, text in enumerate(blocks("yaml")):
        overlay = tmp_path / f"{number}.yaml"
        overlay.write_text(text, encoding="utf-8")
        study = load_study(ROOT / "config.yaml", overlay)
        assert study != parse_study(base), yaml.safe_load(text)


def test_your_own_data_is_all_that_such_a_study_reads(tmp_path):
    data = (ROOT / "docs/data.md").read_text(encoding="utf-8")
    for text in (blocks("yaml")[0], textwrap.dedent(re.search(r" +```yaml\n(.*?)```", data, flags=re.DOTALL)[1])):
        overlay = tmp_path / "mine.yaml"
        overlay.write_text(text, encoding="utf-8")
        assert list(load_study(ROOT / "config.yaml", overlay).domains) == ["support"]


def test_links_lead_somewhere():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), f"README links to {target}, which is not there"
