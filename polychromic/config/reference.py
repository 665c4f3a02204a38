"""Files made from the typed settings: `python -m polychromic.config.reference` writes them.

docs/configuration.md explains every setting; docs/config.schema.json lets editors complete a study's YAML. A test
shows the difference when they drift.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from polychromic.config.study import Study


def schema_json() -> str:
    """The JSON schema of a study's YAML file."""
    return json.dumps(Study.model_json_schema(), indent=1, sort_keys=True) + "\n"


def configuration_page() -> str:
    """docs/configuration.md: every setting with type, default and meaning."""
    schema = Study.model_json_schema()
    models = {"Study": schema, **schema["$defs"]}
    parts = [
        "# Configuration\n\nGenerated from the typed settings by `python -m polychromic.config.reference`. A study is "
        "`config.yaml`, with any number of overlays laid over it key by key (`--configfile a.yaml b.yaml`); lists are "
        "replaced whole. Unknown keys are refused, and a broken file is named with its line. Targets of Snakemake "
        "come after `--`: `--configfile a.yaml b.yaml -- all`.\n"
    ]
    for name, model in models.items():
        if "properties" not in model:
            continue
        parts.append(f"\n## {name}\n\n{_line(model.get('description', ''))}\n")
        parts.append("| key | type | default | meaning |\n|---|---|---|---|")
        for key, field in model["properties"].items():
            default = json.dumps(field["default"], ensure_ascii=False) if "default" in field else "required"
            default = "see its section" if len(default) > 90 else default
            meaning = _line(field.get("description", "")).replace("|", "\\|")
            parts.append(f"| `{key}` | {_type(field)} | `{default}` | {meaning} |")
    return "\n".join(parts) + "\n"


def _line(text: str) -> str:
    """One line of Markdown, in which `<` does not start HTML."""
    return " ".join(text.split()).replace("<", "&lt;")


def _type(field: dict[str, Any]) -> str:
    if "$ref" in field:
        name = field["$ref"].rsplit("/", 1)[-1]
        return f"[{name}](#{name.lower()})"
    for key in ("anyOf", "oneOf"):
        if key in field:
            return " or ".join(_type(option) for option in field[key])
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    if field.get("type") == "array":
        return f"list of {_type(field['items'])}" if isinstance(field.get("items"), dict) else "list"
    return field.get("type", "any")


GENERATED = {
    "docs/config.schema.json": schema_json,
    "docs/configuration.md": configuration_page,
}

if __name__ == "__main__":
    root = Path(__file__).resolve().parents[2]
    for file, make in GENERATED.items():
        (root / file).write_text(make(), encoding="utf-8")
        print(f"wrote {file}")
