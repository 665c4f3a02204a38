"""No file that curation writes holds a handle, an e-mail address or a phone number, in whatever field it came."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.personal_data import measure, measure_examples
from polychromic.config.loading import load_study
from polychromic.data.curation import curate
from polychromic.data.filters import make_filter
from polychromic.data.pseudonyms import KEY_FILE, Pseudonyms
from polychromic.data.rows import BadRow
from polychromic.data.sources import make_source
from polychromic.data.sources.base import read_source
from polychromic.errors import StudyError
from polychromic.files import write_json
from polychromic.records import Record
from polychromic.workflow import graph, staleness

MASK = {"filter": "mask_personal_data"}
TEXT = "Some words that hold nothing of anybody."


def mask(text, **settings):
    return make_filter({**MASK, **settings}).change(text)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("ask @Ada_Moe or ＠bo now", "ask @user or @user now"),
        ("@ada.moe and @ada.bsky.social, @ada@mastodon.social. @" + "a" * 40, "@user and @user, @<email>. @user"),
        ("ada＠example.org", "<email>"),
        ("tel:00442079460958x12, 0170-5551200 ext. 7", "tel:<phone>, <phone>"),
        ("write to ada.moe+x@mail.example.org!", "write to <email>!"),
        ("اتصل ب @ada", "اتصل ب @user"),
        ("call +49 (0) 171 123-4567 today", "call <phone> today"),
        ("call (555) 123-4567.", "call <phone>."),
        ("call +49 170 5551200, please", "call <phone>, please"),
        ("dial 00 49 170 5551200 or 011 49 170 5551200", "dial <phone> or <phone>"),
        ("555-867-5309, ext", "<phone>, ext"),
        ("Tel.+49 30 1234567 or Tel.:+49/30/1234567", "Tel.<phone> or Tel.:<phone>"),
        ("030 1234567", "<phone>"),
        ("0170-5551200 (0170) 5551200 0170/5551200", "<phone> <phone> <phone>"),
        ("00491705551200", "<phone>"),
        ("on 02.11.2024 0170 5551200", "on 02.11.2024 <phone>"),
        ("06.12.34.56.78 or 06 12 34 56 78", "<phone> or <phone>"),
        ("2125550123 and 212.555.0123", "<phone> and <phone>"),
    ],
)
def test_personal_data_is_masked(text, masked):
    assert mask(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "2024-11-24 12345",
        "between 1905-1911 and 2024-05-01, 10 000 000 people",
        "it cost $1.234.567,89 or 12.345.678 dollars, 5,000 3,000 1000",
        "ISBN 978-3-16-148410-0 and 0-19-852663-6",
        "pi is 3.14159265358979, the server 192.168.100.200",
        "from 01/02/2024 12:30:45 to 2024-05-01T10:20:30Z",
        "order 1732452913 of 31.12.2023 100200300",
    ],
)
def test_other_numbers_stay(text):
    assert mask(text) == text


def test_the_region_decides_about_numbers_without_a_country_code():
    swiss = "Ruf an: 44 668 18 00 oder 0446681800"
    assert mask(swiss, region="US") == "Ruf an: 44 668 18 00 oder <phone>"
    assert mask("call 2125550123", region="DE") == "call 2125550123"


SECRETS = ["ada@example.org", "@ada_moe", "+49 170 5551200", "0170-5551200"]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("first", [True, False])
def test_no_field_of_what_is_written_holds_it(tmp_path, secret, first):
    """Ids, groups, meta of any shape, reasons and places of rejected rows."""
    rows = [
        {"p": f"{TEXT} {n}", "t": f"{TEXT} {n} {secret}", "id": f"{secret}/{n}", "who": secret, "tel": secret, "n": n,
         "more": {"list": [{"deep": secret}, secret], secret: 1}, "part": None, "refs": [secret],
         "tests": {"kind": "asserts", "code": f"# {secret}", "cases": [{"in": secret}]}}
        for n in range(6)
    ]  # fmt: skip
    rows += [{**rows[0], "id": secret}, {**rows[1], "id": secret}, {**rows[2], "part": secret, "id": 9}]
    (tmp_path / "x.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    columns = {"prompt": "p", "target": "t", "id": "id", "group": "who", "part": "part", "references": "refs"}
    fields = {**columns, "tests": "tests", "meta": ["tel", "more", "n"]}
    source = {"format": "table", "path": "x.jsonl", "fields": fields}
    others = [
        {"filter": "exact_duplicates"},
        {"filter": "cap", "key": "tel", "max": 3},
        {"filter": "bounds", "key": "n", "max": 2},
    ]
    masking = make_filter(MASK)
    others = [make_filter(step) for step in others]
    filters = [masking, *others] if first else [*others, masking]
    read = list(read_source(make_source({**source, "max_bad_share": 1}), tmp_path))
    result = curate(read, filters, seed=0)
    assert {type(row) for row in read} == {Record, BadRow}
    assert len(result.kept) == 3
    written = json.dumps([*map(asdict, result.kept), *result.rejected, result.funnel], ensure_ascii=False)
    assert secret.strip("@") not in written
    with pytest.raises(StudyError) as caught:
        list(
            read_source(
                make_source({**source, "max_bad_share": 0}),
                tmp_path,
                hidden=masking.hidden,
            )
        )
    assert secret.strip("@") not in str(caught.value)


def test_phone_numbers_that_are_whole_numbers_are_masked_and_counts_are_not():
    record = Record("x", TEXT, TEXT, meta={"tel": 491705551200, "call": "2125550123", "likes": 150, "at": 1732452913.0})
    [kept] = curate([record], [make_filter(MASK)], seed=0).kept
    assert kept.meta == {"tel": "<phone>", "call": "<phone>", "likes": 150, "at": 1732452913.0}


emails = st.sampled_from(["a@x.org", "b@x.org", "c@x.org", "seven", "8"])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(emails, emails), max_size=12))
def test_pseudonyms_keep_apart_and_together_what_was(drawn):
    records = [Record(name, TEXT, TEXT, group=group) for name, group in drawn]
    pseudonym = Pseudonyms()
    named = [make_filter(MASK).named(record, pseudonym) for record in records]
    for key in ("id", "group"):
        before, after = ([getattr(record, key) for record in some] for some in (records, named))
        assert len(set(before)) == len(set(after)) == len(set(zip(before, after, strict=True)))
        assert all("@" not in name for name in after)
        assert all(new == old for old, new in zip(before, after, strict=True) if "@" not in old)


def test_the_key_is_made_once_for_its_owner_alone(tmp_path):
    file = tmp_path / "data/pseudonyms.key"
    first = Pseudonyms(file)
    assert not file.exists(), "where no name needs a pseudonym"
    assert first("a@x.org") == Pseudonyms(file)("a@x.org") != Pseudonyms()("a@x.org")
    assert file.stat().st_mode & 0o077 == 0
    assert [path.name for path in file.parent.iterdir()] == [file.name]


@pytest.mark.parametrize("row", [{}, {"thread": "t1"}])
def test_the_group_of_an_author_is_keyed(row):
    row = {"id": "1", "text": TEXT, "reply": TEXT, "author": "@Ada", "reply_author": "ben", **row}
    record = make_source({"format": "tweets", "path": "x.jsonl", "group_by": "author"}).record(row)
    hashed = make_source({"format": "tweets", "path": "x.jsonl"}).record({**row, "author": "", "thread": "ada"}).group
    assert record.group == hashed, "a plain hash of the name, as anyone can make it"
    [kept] = curate([record], [make_filter(MASK)], seed=0, pseudonym=Pseudonyms()).kept
    assert kept.group != hashed
    assert hashed not in json.dumps(asdict(kept))


def test_a_pseudonym_says_which_key_it_was_made_with(tmp_path):
    first, other = Pseudonyms(tmp_path / "a.key"), Pseudonyms(tmp_path / "b.key")
    assert first.used is None
    first("x")
    other("x")
    assert first.used == Pseudonyms(tmp_path / "a.key").key_digest != other.used
    assert first.used not in (tmp_path / "a.key").read_text()


def test_with_another_key_curation_runs_again(tmp_path, monkeypatch):
    root = Path(__file__).parent.parent
    monkeypatch.chdir(tmp_path)
    study = load_study(root / "config.yaml")
    stamps = staleness.Stamps(study, root / "workflow_scripts", root / "requirements.lock")
    job = ("curate", {"domain": "social"})
    pseudonym = Pseudonyms(KEY_FILE)
    pseudonym("@ada")
    [account] = graph.output_paths(study, job, "account")
    write_json(account, {"pseudonym_key": pseudonym.used})
    write_json(graph.done_file(study, job), stamps.of(job))
    assert staleness._changes(study, job, stamps) == []
    KEY_FILE.unlink()
    assert staleness._changes(study, job, stamps) == [], "results that were copied to where the key is not"
    KEY_FILE.write_text("another")
    [why] = staleness._changes(study, job, stamps)
    assert str(KEY_FILE) in why


def test_the_recall_that_the_documentation_states_is_kept():
    measured = measure(seed=0, count=150)
    assert measured["e-mail addresses"]["found"] == 1
    assert measured["handles"]["found"] == 1
    for region in ("US", "GB", "DE", "FR", "IN"):
        assert measured[f"phone numbers, {region}"]["found"] > 0.9
    assert measured["international phone numbers"]["found"] > 0.99
    assert measured["no phone numbers (dates, amounts, versions, ...)"]["found"] < 0.02


def test_so_is_that_on_numbers_that_the_patterns_were_not_written_for():
    measured = measure_examples(
        seed=0, regions=("AR", "AU", "BR", "CN", "EG", "ES", "IT", "JP", "KE", "MX", "NG", "PL")
    )
    for style, row in measured.items():
        assert row["found"] > 0.85, style
