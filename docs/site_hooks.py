"""What the site adds to the pages: [@key] becomes a link into the references, a page made from references.bib."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.structure.files import File

PAGE = "references.md"


def on_config(config):
    bib = (Path(config.docs_dir) / "references.bib").read_text(encoding="utf-8")
    config.extra["references"] = dict(
        sorted(
            ((key, _fields(body)) for key, body in re.findall(r"^@\w+\{([^,]+),\n(.*?)^\}", bib, flags=re.M | re.S)),
            key=lambda entry: (_authors(entry[1]), entry[1]["year"]),
        )
    )
    return config


def on_files(files, config):
    entries = [
        f'- <a id="{key}"></a>{_authors(entry)} {entry["year"]}. *{entry["title"]}*. {_where(entry)}\n'
        for key, entry in config.extra["references"].items()
    ]
    files.append(File.generated(config, PAGE, content="# References\n\n" + "".join(entries)))
    return files


def on_page_markdown(markdown, page, config, files):
    entries = config.extra["references"]
    target = posixpath.relpath(PAGE, posixpath.dirname(page.file.src_uri) or ".")

    def links(match):
        keys = [key.strip().removeprefix("@") for key in match[1].split(";")]
        return "({})".format(
            ", ".join(f"[{_authors(entries[key])} {entries[key]['year']}]({target}#{key})" for key in keys)
        )

    return re.sub(r"\[(@\w+(?:;\s*@\w+)*)\]", links, markdown)


def _fields(body: str) -> dict[str, str]:
    return {
        name: value.replace("{", "").replace("}", "")
        for name, value in re.findall(r"^  (\w+) = \{(.*)\},$", body, flags=re.M)
    }


def _authors(entry: dict[str, str]) -> str:
    names = [name.split(",")[0] for name in entry["author"].split(" and ")]
    return (
        names[0]
        if len(names) == 1
        else " and ".join(names)
        if len(names) == 2 and names[1] != "others"
        else f"{names[0]} et al."
    )


def _where(entry: dict[str, str]) -> str:
    if "eprint" in entry:
        return f"[arXiv:{entry['eprint']}](https://arxiv.org/abs/{entry['eprint']})"
    place = entry.get("journal") or entry.get("booktitle") or entry.get("publisher") or entry.get("howpublished") or ""
    return f"[{place or 'link'}]({entry['url']})" if "url" in entry else f"{place}."
