"""The pages of the site: links lead somewhere, every page is listed, defaults are those of the code, snippets run."""

from __future__ import annotations

import re
import shutil
import textwrap
from pathlib import Path

import yaml

from polychromic.config.loading import load_study

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
GENERATED = {"references.md"}  # by docs/site_hooks.py
PAGES = {page.relative_to(DOCS).as_posix(): page.read_text(encoding="utf-8") for page in sorted(DOCS.rglob("*.md"))}


def prose(text: str) -> str:
    return re.sub(r"```.*?```", "", text, flags=re.DOTALL)


def anchors(text: str) -> set[str]:
    """Ids that Markdown gives to headings."""
    headings = re.findall(r"^#+ (.+)$", prose(text), flags=re.MULTILINE)
    plain = (
        re.sub(r"[^\w\s-]", "", heading.encode("ascii", "ignore").decode()).strip().lower() for heading in headings
    )
    return {re.sub(r"[-\s]+", "-", heading) for heading in plain}


def links():
    readme = {"../README.md": (ROOT / "README.md").read_text(encoding="utf-8")}
    for page, text in {**PAGES, **readme}.items():
        for target in re.findall(r"\]\(([^)\s]+)\)", prose(text)):
            if not re.match(r"https?://|mailto:", target):
                yield page, target


def test_no_link_between_pages_is_broken():
    broken = []
    for page, target in links():
        path, _, anchor = target.partition("#")
        file = (DOCS / page).parent / path if path else DOCS / page
        if file.name in GENERATED:
            continue
        found = file.exists() and (not anchor or file.suffix != ".md" or anchor in anchors(file.read_text("utf-8")))
        if not found:
            broken.append(f"{page}: {target}")
    assert broken == []


def test_your_own_data_is_all_that_such_a_study_reads(tmp_path):
    text = textwrap.dedent(re.search(r" +```yaml\n(.*?)```", PAGES["data.md"], flags=re.DOTALL)[1])
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
    assert list(load_study(ROOT / "config.yaml", tmp_path / "mine.yaml").domains) == ["support"]


def test_pages_link_to_nothing_outside_the_site():
    outside = [
        (page, target)
        for page, target in links()
        if page in PAGES and not ((DOCS / page).parent / target).resolve().is_relative_to(DOCS)
    ]
    assert outside == []


def test_angle_brackets_in_text_are_not_read_as_html():
    for page, text in PAGES.items():
        outside_code = re.sub(r"`[^`\n]*`|^    [^\n]*$|<!--.*?-->", "", prose(text), flags=re.DOTALL | re.MULTILINE)
        assert set(re.findall(r"<(\w+)", outside_code)) <= {"kbd"}, page


def test_every_page_is_in_the_index():
    sections = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    entries = [entry for section in sections for pages in section.values() for entry in pages]
    listed = [entry if isinstance(entry, str) else next(iter(entry.values())) for entry in entries]
    assert sorted(listed) == sorted({*PAGES, *GENERATED})


def test_the_table_of_defaults_is_that_of_the_code():
    from polychromic import PolychromicConfig

    trainer = PolychromicConfig("unused", report_to="none")
    studies = [load_study(ROOT / "config.yaml"), load_study(ROOT / "config.yaml", ROOT / "profiles/demo/study.yaml")]
    rows = re.findall(
        r"^\| `?([\w ]+?)`?(?: \(.\))? \| ([^|]+) \| ([^|]+) \| ([^|]+) \|", PAGES["settings.md"], re.MULTILINE
    )
    table = {name: [cell.strip() for cell in cells] for name, *cells in rows}
    from polychromic.method.settings import ObjectiveSettings

    assert set(ObjectiveSettings.__dataclass_fields__) <= set(table)
    for name, cells in table.items():
        if not hasattr(trainer, name):
            continue
        values = [getattr(trainer, name)]
        for study in studies:
            # Not `objective_of`: it adds the domain's own longest answer.
            parts = (study.arms["polychromic"].objective, study.objective, study.training_of("polychromic"))
            values.append(next(value for part in parts if (value := setting(part, name)) is not None))
        assert [cell if name == "quality" else float(cell) for cell in cells] == values, f"{name} in docs/settings.md"
    rates = [trainer.learning_rate, *(study.training_of("polychromic").learning_rate for study in studies)]
    assert [float(cell) for cell in table["learning rate"]] == rates
    epochs = [trainer.num_train_epochs, *(study.training_of("polychromic").epochs for study in studies)]
    assert [float(cell) for cell in table["epochs"]] == epochs


def setting(part, name):
    return part.get(name) if isinstance(part, dict) else getattr(part, name, None)


def test_the_snippets_train_sample_and_choose(tiny_model_dir, tmp_path, monkeypatch):
    """The quickstart and serving, word for word, with a tiny model under the name of the real one."""
    shutil.copytree(tiny_model_dir, tmp_path / "Qwen/Qwen3-0.6B")
    monkeypatch.chdir(tmp_path)
    train, sample = python_of("quickstart.md")
    names: dict = {}
    exec(train, names)
    assert any("diversity" in line for line in names["trainer"].state.log_history)
    exec(sample, names)
    assert len(names["answers"]) == 10
    template, groups, tests, judge = python_of("serving.md")
    names = {}
    exec(groups, names)
    assert len(names["answers"]) == 10
    exec(tests, names)
    assert names["best"] == names["programs"][0]
    exec(judge, names)
    assert names["best"] == "a full answer"
    compile(template, "serving.md", "exec")


def python_of(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", PAGES[page], flags=re.DOTALL)


def test_every_make_target_that_a_page_names_exists():
    targets = set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    pages = {**PAGES, "README.md": (ROOT / "README.md").read_text(encoding="utf-8")}
    named = {
        (page, target)
        for page, text in pages.items()
        for target in re.findall(r"(?:`|^)make ([a-z][\w-]*)", text, re.M)
    }
    assert named, "pages name targets"
    assert {(page, target) for page, target in named if target not in targets and not page.startswith("log/")} == set()


def test_the_environment_is_activated_before_the_commands_that_need_it():
    for page, text in PAGES.items():
        blocks = "".join(re.findall(r"^ *```(?:bash)?\n(.*?)```", text, flags=re.DOTALL | re.MULTILINE))
        command = re.search(r"^ *(snakemake|python -m|pip|hf|tmux) ", blocks, flags=re.MULTILINE)
        if command and not page.startswith(("log/", "architectures")):
            assert "source .venv/bin/activate" in blocks[: command.start()], f"{page}: {command[0]}"
