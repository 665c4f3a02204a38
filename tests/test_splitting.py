"""Parts depend on a row's own group, nothing leaks, and what would leak is rejected with its reason."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from project import REPOSITORY
from pydantic import ValidationError

from polychromic.data.splitting import Split, evaluation_prompts, measure_leakage, part_of, split
from polychromic.errors import StudyError
from polychromic.files import file_digest
from polychromic.records import Record, read_records, write_records


def record(n, group=None, **fields):
    """A record whose texts are like no other's."""
    words = random.Random(n).choices([f"{a}{b}{c}" for a in "bdkmt" for b in "aeiou" for c in "lnrsx"], k=16)
    texts = {"prompt": " ".join(words[:8]) + "?", "target": " ".join(words[8:])}
    return Record(id=str(n), group=str(n if group is None else group), **{**texts, **fields})


def parts(result):
    return {row.id: name for name, rows in result.parts.items() for row in rows}


RUN = """
import json, runpy, sys
from types import SimpleNamespace
from pathlib import Path
from polychromic.workflow.stamps import ROOT, make_stamp

class Named(dict):
    __getattr__ = dict.__getitem__
    __iter__ = lambda self: iter(self.values())

script, given = Path(sys.argv[1]), {key: Named(value) for key, value in json.loads(sys.argv[2]).items()}
used = {"aside": {"plugins": []}, **dict.copy(given.pop("stamp"))}
used["chosen"] = frozenset(used.pop("chosen", ()))
stamp = make_stamp(script.stem, {}, **used, script=script, lock=ROOT / "requirements.lock")
Path(given["input"].stamp).parent.mkdir(exist_ok=True)
Path(given["input"].stamp).write_text(json.dumps(stamp))
sys.path.insert(0, str(script.parent))
runpy.run_path(str(script), init_globals={"snakemake": SimpleNamespace(resources={}, log=["log.txt"], **given)})
"""


def run_script(folder, rule, stamp, env=(), **given):
    """Run a rule's script in a folder, with the names that Snakemake would give to it; returns the finished process.

    stamp: arguments of `make_stamp`; its `chosen` are the modules that the settings choose.
    """
    given = {"stamp": stamp, "input": {}, "output": {}, "wildcards": {"domain": "qa"}, **given}
    given["input"] = {"stamp": ".stamps/stamp.json", **given["input"]}
    given["output"] = {"done": "done.json", **given["output"]}
    script = REPOSITORY / "workflow_scripts" / f"{rule}.py"
    path = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-c", RUN, str(script), json.dumps(given)],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": path,
            **dict(env),
        },
        capture_output=True,
        text=True,
    )


LOOSE = Split(near_duplicate=0.95)


def test_the_shares_come_out():
    result = split([record(n) for n in range(1000)], LOOSE, seed=1)
    rows = result.leakage["rows"]
    assert 760 < rows["train"] < 840
    assert 70 < rows["val"] < 130
    assert 70 < rows["test"] < 130
    assert parts(result) != parts(split([record(n) for n in range(1000)], LOOSE, seed=2))


def test_a_group_never_parts():
    result = split([record(n, group=n // 10) for n in range(600)], LOOSE, seed=3)
    where = parts(result)
    assert all(len({where[str(n)] for n in range(10 * g, 10 * g + 10)}) == 1 for g in range(60))


def test_own_parts_are_kept_and_evaluation_is_divided():
    own = [record(n, part=("train", "val", "test")[n % 3]) for n in range(30)]
    shared = [record(n, part="evaluation") for n in range(30, 330)]
    where = parts(split(own + shared, LOOSE, seed=1))
    assert all(where[str(n)] == ("train", "val", "test")[n % 3] for n in range(30))
    assert {where[str(n)] for n in range(30, 330)} == {"val", "test"}
    assert 70 < sum(where[str(n)] == "val" for n in range(30, 330)) < 130


def test_a_leak_is_cut_on_the_side_that_comes_later():
    old = [record(n) for n in range(100)]
    where = parts(split(old, LOOSE, seed=1))
    test_row = next(row for row in old if where[row.id] == "test")
    train_group = next(row.group for row in old if where[row.id] == "train")
    newcomers = [
        record(901, group=train_group, prompt=test_row.prompt.upper() + " !!"),
        record(902, group=train_group, target=test_row.target + " "),
        record(903, group=train_group, prompt=test_row.prompt[:-1] + "s?", part="val"),
    ]
    result = split(old + newcomers, LOOSE, seed=1)
    assert parts(result) == where
    reasons = {row["id"]: (row["value"], row["bound"]) for row in result.rejected}
    assert reasons["901"] == (f"same prompt (1.000) as {test_row.id}", "would tie train to test")
    assert reasons["902"] == (f"same target (1.000) as {test_row.id}", "would tie train to test")
    assert reasons["903"][0].startswith("same group")
    # Where targets may be equal by nature, they are not compared.
    prompts_only = split(old + newcomers, Split(near_duplicate=0.95, compare=("prompt",)), seed=1)
    assert {row["id"] for row in prompts_only.rejected} == {"901", "903"}


def test_near_duplicates_across_parts_are_a_leak():
    base = "the old mill by the river turned all night long while nobody was there to watch it"
    rows = [record(n) for n in range(200)]
    train = next(row for row in rows if part_of(row, LOOSE, 1) == "train")
    test = next(row for row in rows if part_of(row, LOOSE, 1) == "test")
    rows += [
        record(901, train.group, prompt=base),
        record(902, test.group, prompt=base.replace("river", "rivers")),
    ]
    result = split(rows, Split(near_duplicate=0.8, compare=("prompt",)), seed=1)
    assert "902" in {row["id"] for row in result.rejected}
    assert result.leakage["leaks"] == 0
    assert "902" in parts(split(rows, LOOSE, seed=1))


def test_a_broken_split_is_measured_as_broken():
    same, near = record(1), "a rather long prompt that differs by a single letter at its very end"
    broken = {
        "train": [same, record(2, group="g", prompt=near + "s")],
        "val": [record(3, group="g", prompt=near)],
        "test": [record(4, prompt=same.prompt, target=same.target)],
    }
    counts = measure_leakage(broken, Split())["pairs_across_parts"]
    assert counts == {"same group": 1, "same prompt": 1, "near prompt": 2, "same target": 1, "near target": 1}


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 20),
            st.sampled_from("abcd"),
            st.sampled_from("wxyz"),
            st.sampled_from([None, None, "train", "test"]),
        ),
        min_size=1,
        max_size=40,
    ),
    st.integers(0, 5),
    st.data(),
)
def test_rows_never_move_whatever_is_added_and_nothing_leaks(drawn, seed, data):
    settings_ = Split(near_duplicate=0.9)
    filler = [record(1000 + n, part=part) for n, part in enumerate(("train", "val", "test"))]
    rows = filler + [
        Record(
            id=str(n),
            prompt=f"{a * 9} prompt {n % 7}",
            target=f"{b * 9} target {n % 5}",
            group=str(group),
            part=part,
        )
        for n, (group, a, b, part) in enumerate(drawn)
    ]
    old = rows[: data.draw(st.integers(3, len(rows)))]
    before, after = split(old, settings_, seed=seed), split(rows, settings_, seed=seed)
    for result, given_rows in ((before, old), (after, rows)):
        assert sum(map(len, result.parts.values())) + len(result.rejected) == len(given_rows)
        assert result.leakage["leaks"] == 0
    # Appended: the old rows are exactly where they were.
    assert {row: part for row, part in parts(after).items() if row in {r.id for r in old}} == parts(before)
    # Inserted anywhere: a row may be found to be a leak, it never changes sides.
    anywhere = parts(split([*filler, *data.draw(st.permutations(rows[3:]))], settings_, seed=seed))
    assert all(anywhere[row] == part for row, part in parts(after).items() if row in anywhere)


def test_an_empty_part_and_odd_shares_are_refused():
    with pytest.raises(StudyError, match=r"val has 0 .*, test has 0 .*20 records in 1 groups.*smaller"):
        split([record(n, group="one") for n in range(20)], LOOSE, seed=1)
    with pytest.raises(ValidationError, match=r"add up to 1"):
        Split(train=0.8, val=0.1, test=0.2)


def test_parts_that_are_too_small_for_the_study_stop_the_split():
    """Not the analysis, after everything has been trained. Rows of one prompt count once."""
    rows = [record(n, part="train") for n in range(40)]
    rows += [record(n, part="test", prompt="the same?") for n in range(100, 103)]
    rows += [record(n, part="val") for n in range(200, 203)]
    with pytest.raises(StudyError, match="test has 1 different prompts and needs 2 .*Add a source with `part: test`"):
        split(rows, LOOSE, seed=1, needs={"test": 2, "val": 3})
    rows.append(record(103, part="test"))
    assert split(rows, LOOSE, seed=1, needs={"test": 2, "val": 3}).parts["test"]
    with pytest.raises(StudyError, match="val has 3 different prompts and needs 4"):
        split(rows, LOOSE, seed=1, needs={"test": 2, "val": 4})
    with pytest.raises(StudyError, match=r"test has \d+ different prompts and needs 50.*sampling.test_prompts"):
        split([record(n) for n in range(90)], LOOSE, seed=1, needs={"test": 50})


def test_rows_that_are_all_of_one_part_are_refused_with_the_reason():
    with pytest.raises(StudyError, match=r"Every row already has a part \(train 20\).*`part: evaluation`"):
        split([record(n, part="train") for n in range(20)], LOOSE, seed=1)


def test_prompts_are_chosen_by_hash_and_share_their_references():
    rows = [record(n, references=(f"r{n}",)) for n in range(50)]
    twice = record(99, prompt=rows[7].prompt, references=("another",))
    chosen = evaluation_prompts([*rows, twice], 50, seed=1)
    assert len(chosen) == 50
    assert {row.references for row in chosen if row.prompt == rows[7].prompt} == {("r7", "another")}
    fewer = evaluation_prompts(rows[:40], 10, seed=1)
    more = evaluation_prompts(rows, 10, seed=1)
    assert fewer == evaluation_prompts(rows[:40][::-1], 10, seed=1)
    assert [row for row in more if int(row.id) < 40] == [row for row in fewer if row in more]
    assert len(evaluation_prompts(rows[:3], 10, seed=1)) == 3


def split_job(folder, applied):
    """The split's own script, where its stamp says that the decisions were these."""
    parts = {part: f"{part}.jsonl" for part in ("train", "val", "test")}
    return run_script(
        folder,
        "split",
        {"params": {"seed": 1, "split": LOOSE.model_dump(mode="json")}, "upstream": {"qa.csv": applied}},
        input={"curated": "curated.jsonl", "curation": "curation.json"},
        output={**parts, **{name: f"{name}.json" for name in ("rejected", "leakage", "funnel")}},
        params={"decisions": "qa.csv"},
    )


def test_decisions_that_were_applied_are_not_undone_in_silence(tmp_path):
    """The split runs again, say for another seed, where the person's file is not."""
    write_records(tmp_path / "curated.jsonl", [record(n) for n in range(100)])
    counts = {"read": 100, "kept": 100, "rejected": 0, "steps": [], "parts": {"any": 100}}
    (tmp_path / "curation.json").write_text(json.dumps(counts))

    def kept():
        return sum(len(read_records(tmp_path / f"{part}.jsonl")) for part in ("train", "val", "test"))

    assert split_job(tmp_path, "missing").returncode == 0
    assert kept() == 100
    (tmp_path / "qa.csv").write_text("id,decision\n7,drop\n")
    applied = file_digest(tmp_path / "qa.csv")
    assert split_job(tmp_path, applied).returncode == 0
    assert kept() == 99
    (tmp_path / "qa.csv").unlink()
    (tmp_path / "done.json").unlink()
    refused = split_job(tmp_path, applied)
    assert refused.returncode == 1
    assert "qa.csv is not there, and its decisions were applied before. Put the file back" in refused.stderr
    assert not (tmp_path / "done.json").exists()
    (tmp_path / "qa.csv").touch()
    assert split_job(tmp_path, applied).returncode == 0, "an empty file takes them back"
    assert kept() == 100
