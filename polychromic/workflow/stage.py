"""What a stage is: one rule of the workflow, declared once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from polychromic.config.study import Domain, Study

Job = tuple[str, dict[str, str]]
"""(stage, wildcards), e.g. ("train", {"domain": "qa", "arm": "lora", "seed": "42"})."""

Output = tuple[Job, str]
"""An output of a job, by its name in `Stage.outputs`."""


class Stage:
    """One rule of the workflow. Its script has its name.

    Attributes:
        name: of the rule and of its script.
        scope: the wildcards of its jobs.
        outputs: {name: path under results/<study>/, or several}; a path that ends in "/" is a folder.
        packed: the outputs that belong in a bundle.
        texts: files of the project besides modules that its script reads.
        on_request: whether the target `all` leaves it out.
        optional: inputs that a person may have deleted once they were made, as samples are large.
    """

    name: str
    scope: tuple[str, ...] = ()
    outputs: Mapping[str, str | tuple[str, ...]] = {}
    packed: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    on_request = False
    optional: tuple[str, ...] = ()

    def exists(self, study: Study, **wildcards: str) -> bool:
        """Whether the study has this job."""
        return True

    def reads(self, study: Study, **wildcards: str) -> dict[str, Output | list[Output]]:
        """{input of the script: an output of another job, or a list of such}."""
        return {}

    def settings(self, study: Study, **wildcards: str) -> dict[str, Any]:
        """The part of the config that decides the outputs; JSON-able."""
        return {}

    def aside(self, study: Study, **wildcards: str) -> dict[str, Any]:
        """Further settings for the script, which cannot change its outputs."""
        return {}

    def modules(self, study: Study, **wildcards: str) -> Collection[str]:
        """Modules that the settings choose by name, through a registry. What the script imports is known without."""
        return ()

    def user_files(self, study: Study, **wildcards: str) -> list[Path]:
        """The user's own files that a job reads. They may be missing when a study is planned."""
        return []

    def outdated(self, study: Study, **wildcards: str) -> list[str]:
        """Why the outputs of a finished job no longer fit what is on this machine, besides what its stamp holds."""
        return []


def output(stage: str, name: str, **wildcards: str) -> Output:
    return (stage, wildcards), name


def results_folder(study: Study) -> Path:
    return Path("results") / study.study


def dump(model: Any, *fields: str) -> dict[str, Any]:
    """A section of the config, or some of its fields, JSON-able."""
    return model.model_dump(mode="json", include=set(fields) or None)


def sources(study: Study, domain: str) -> list[dict[str, Any]]:
    """A domain's sources, `{results}` in their paths filled in."""
    dumped = [dump(source) for source in study.domains[domain].sources]
    for source in dumped:
        if source["path"]:
            source["path"] = source["path"].replace("{results}", str(results_folder(study)))
    return dumped


def raw_paths(study: Study, domain: str) -> list[Path]:
    """Local raw files of a domain's sources."""
    return [Path(source["path"]) for source in sources(study, domain) if source["path"]]


def is_embedded(study: Study, path: Path) -> bool:
    """Whether a raw file is made by the workflow itself."""
    return path.is_relative_to(results_folder(study))


def decisions_file(domain: str) -> Path:
    """A person's review decisions: an optional input that no rule writes."""
    return Path("data/review") / f"{domain}.csv"


def verdict_beside(study: Study, ending: str) -> Path:
    """The verdict of the study of the same name and an ending, "null" or "ablations": an optional input."""
    ours = results_folder(study)
    return ours.with_name(f"{ours.name}-{ending}") / "statistics" / "verdict.json"


def prompt_settings(study: Study, domain: Domain, shots: int = 0) -> dict[str, Any]:
    """The templates that prompts of so many examples are made with."""
    templates = ("example", "few_shot") if shots else ("zero_shot",)
    return {"prompting": dump(study.prompting, *templates), "output": domain.output}
