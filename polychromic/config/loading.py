"""From YAML files to a checked study: overlays, and messages that name file, key, value and remedy."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from polychromic.config.consistency import problems
from polychromic.config.study import Study, rebuild
from polychromic.errors import StudyError, nearest
from polychromic.registry import load_plugins


def merge(base: dict[str, Any], overlay: dict[str, Any]) -> dict[str, Any]:
    """Lay an overlay over a config, key by key, as Snakemake does; lists are replaced."""
    merged = dict(base)
    for key, value in overlay.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def read_files(*paths: str | Path) -> dict[str, Any]:
    """The first file's settings, with each further file laid over them.

    Raises:
        StudyError: as `read_yaml`; or if a null takes away a key that no file below has.
    """
    settings = read_yaml(paths[0])
    for path in paths[1:]:
        overlay = read_yaml(path)
        _refuse_idle_nulls(overlay, settings, f"{path}: ")
        settings = merge(settings, overlay)
    return settings


def _refuse_idle_nulls(overlay: dict[str, Any], below: dict[str, Any], where: str) -> None:
    named = {"domains", "arms"}  # elsewhere a null goes back to the default
    for section in named & overlay.keys():
        if not isinstance(overlay[section], dict):
            continue  # the typed study says what is wrong with it
        known = below.get(section)
        known = known if isinstance(known, dict) else {}
        for key, value in overlay[section].items():
            if value is None and key not in known:
                raise StudyError(f"{where}{section}.{key} is null, but no file below has it{nearest(str(key), known)}")


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Read a YAML mapping.

    Raises:
        StudyError: if the file is missing, holds no setting (Snakemake refuses such a file), is not UTF-8 or not YAML,
            or repeats a key; names file and line.
    """
    try:
        loaded = yaml.load(Path(path).read_text(encoding="utf-8"), Loader=_UniqueKeyLoader)
    except FileNotFoundError as error:
        raise StudyError(f"{path}: no such file. Give the path of a study's YAML file.") from error
    except OSError as error:
        raise StudyError(f"{path} cannot be read: {error.strerror}. Give the path of a study's YAML file.") from error
    except UnicodeDecodeError as error:
        line = Path(path).read_bytes()[: error.start].count(b"\n") + 1
        raise StudyError(f"{path}, line {line}: not UTF-8. Save the file as UTF-8.") from error
    except yaml.MarkedYAMLError as error:
        at = error.problem_mark or error.context_mark
        raise StudyError(f"{path}, line {at.line + 1}: not valid YAML ({error.problem}). Correct it.") from error
    except yaml.reader.ReaderError as error:
        line = Path(path).read_text(encoding="utf-8")[: error.position].count("\n") + 1
        shown = f"character {error.character:#06x}"
        raise StudyError(f"{path}, line {line}: not valid YAML ({shown} is not allowed). Take it out.") from error
    except RecursionError as error:
        raise StudyError(f"{path}: nested too deeply. Write it flatter.") from error
    if loaded is None:
        raise StudyError(f"{path}: the file holds no setting. Write one into it, or leave the file out.")
    if not isinstance(loaded, dict):
        found = {list: "a list", str: "a text"}.get(type(loaded), type(loaded).__name__)
        raise StudyError(f"{path}: {found} at the top, where `key: value` lines belong. Give each setting its key.")
    return loaded


class _UniqueKeyLoader(yaml.SafeLoader):
    """In YAML a later key silently wins over an earlier one; in a study a key may be given once."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep=deep)
        except ValueError as error:  # such as the date 2024-13-01
            raise yaml.constructor.ConstructorError(None, None, str(error), node.start_mark) from error

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        merged = "tag:yaml.org,2002:merge"  # `<<: *name`, whose keys the mapping's own may repeat
        keys: list[Any] = []
        for node_of_key, _ in node.value:
            if node_of_key.tag == merged:
                continue
            key = self.construct_object(node_of_key, deep=True)
            if key in keys:
                mark = node_of_key.start_mark
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} is given twice", mark)
            keys.append(key)
        return super().construct_mapping(node, deep)


def load_study(*paths: str | Path) -> Study:
    """Read a study: the first file, with each further file laid over it.

    Raises:
        StudyError: naming file, key, value and remedy.
    """
    return parse_study(read_files(*paths), origin=" + ".join(map(str, paths)))


def parse_study(settings: dict[str, Any], origin: str = "config") -> Study:
    """Check settings against the typed study.

    Raises:
        StudyError: listing every problem with key, value and remedy.
    """
    try:
        settings = _without_nulls(settings)
    except RecursionError as error:  # `a: &a [*a]`
        raise StudyError(f"{origin}: a value holds itself. Write out what its alias stands for.") from error
    if plugins := settings.get("plugins"):
        if not isinstance(plugins, list | tuple) or not all(isinstance(file, str) for file in plugins):
            raise StudyError(f"{origin}: plugins: expected a list of Python files (is {plugins!r})")
        load_plugins(plugins)
        rebuild()
    try:
        study = Study.model_validate(settings)
        found = list(problems(study))
    except ValidationError as error:
        schema = cache(Study.model_json_schema)  # slow to make, and only for unknown keys
        found = [_explain(problem, settings, schema) for problem in _first_hand(error.errors(include_url=False))]
    if found:
        raise StudyError(f"{origin}: {len(found)} problem(s)\n  - " + "\n  - ".join(found))
    return study


def _without_nulls(value: Any) -> Any:
    """A null takes a key away, so that an overlay can remove an arm or a domain, or go back to a default."""
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [_without_nulls(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def _first_hand(problems: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without those that follow from another: a list with a bad item is also reported as too short."""
    places = [problem["loc"] for problem in problems]
    return [
        problem
        for problem, place in zip(problems, places, strict=True)
        if problem["type"] != "too_short"
        or not any(other[: len(place)] == place and other != place for other in places)
    ]


def _explain(problem: dict[str, Any], settings: dict[str, Any], schema: Callable[[], dict[str, Any]]) -> str:
    # Discriminated unions put the tag into the location; only keys that are in the file are of use.
    keys, value = [], settings
    for part in problem["loc"]:
        if (isinstance(value, dict) and part in value) or (
            isinstance(value, (list, tuple)) and isinstance(part, int) and part < len(value)
        ):
            value = value[part]
        elif problem["type"] == "missing" and part == problem["loc"][-1]:
            pass
        else:
            continue
        keys.append(str(part))
    where = ".".join(keys) or "the study"
    if problem["type"] == "extra_forbidden":
        known = _known_keys(problem["loc"], schema())
        if keys[-1] in known:  # of another kind of the same thing
            return f"{where}: not a setting of this kind. Set it to null if it comes from a file below"
        return f"{where}: unknown key{nearest(keys[-1], known)}"
    if problem["type"] == "missing":
        return f"{where}: missing. Add it"
    if problem["type"] == "union_tag_not_found":
        return f"{where}: {problem['ctx']['discriminator'].strip(chr(39))} is missing. Add it"
    if problem["type"] == "union_tag_invalid":
        key, tag = problem["ctx"]["discriminator"].strip("'"), problem["ctx"]["tag"]
        known = re.findall(r"'([^']*)'", problem["ctx"]["expected_tags"])
        return f"{where}.{key}: {tag!r} is unknown{nearest(tag, known)}"
    if problem["type"] == "invalid_key" or (problem["type"] == "string_type" and problem["loc"][-1] == "[key]"):
        section = ".".join(map(str, problem["loc"][:-2])) or "the study"
        remedy = "Put it in quotes; YAML reads yes, no, on and off as true and false"
        return f"{section}: the key {problem['input']!r} is not text. {remedy}"
    message = re.sub(r"^Value error, ", "", problem["msg"])
    shown = repr(problem["input"])
    at = f" (is {shown})" if len(shown) < 80 and problem["type"] != "value_error" else ""
    return f"{where}: {message}{at}"


def _known_keys(location: tuple[Any, ...], schema: dict[str, Any]) -> list[str]:
    """The keys allowed where the unknown one is, found by walking the schema."""
    nodes = [schema]

    def expand(node: dict[str, Any]) -> list[dict[str, Any]]:
        if "$ref" in node:
            return expand(schema["$defs"][node["$ref"].rsplit("/", 1)[-1]])
        options = node.get("anyOf", []) + node.get("oneOf", [])
        return [found for option in options for found in expand(option)] or [node]

    for part in location[:-1]:
        following = []
        for node in nodes:
            if part in node.get("properties", {}):
                following += expand(node["properties"][part])
            elif "patternProperties" in node:  # names of domains and arms
                following += [found for inner in node["patternProperties"].values() for found in expand(inner)]
            elif isinstance(part, int) and isinstance(node.get("items"), dict):
                following += expand(node["items"])
        # A tag of a discriminated union selects among the options already there.
        nodes = following or [n for n in nodes if part in str(n.get("properties", {}))] or nodes
    return sorted({key for node in nodes for key in node.get("properties", {})})
