"""Every filter rejects what it is for and passes what it is not for; the counts always add up."""

from __future__ import annotations

import csv
import json
import re
import textwrap
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from polychromic.config.loading import merge, parse_study, read_yaml
from polychromic.data.curation import curate, draw
from polychromic.data.filters import make_filter
from polychromic.data.filters.language import identify
from polychromic.data.near_duplicates import NearDuplicates, jaccard, near_pairs, normal, shingles
from polychromic.data.rows import BadRow
from polychromic.data.sources import make_source
from polychromic.data.sources.base import read_source
from polychromic.errors import StudyError
from polychromic.records import Record, write_jsonl

POST = "My bus broke down this morning and now I have to walk to work in the rain."
REPLY = "You should call the garage about your bus and take an umbrella with you."
GOOD = Record("good", POST, REPLY, (REPLY,), meta={"likes": 150, "tag": "WP", "reply_author": "x"})


def steps(*filters):
    return [make_filter(step) for step in filters]


def run(records, *filters, **settings):
    return curate(records, steps(*filters), seed=1, **settings)


def changed(**fields):
    return Record(**{**asdict(GOOD), "id": "other", **fields})


TEST = {"kind": "asserts", "code": "assert f(2) == 4", "entry_point": "f", "setup": "", "cases": []}
REJECTED = [
    ({"filter": "language"}, {"target": "Mein Hund ist heute morgen weggelaufen und ich suche ihn."}, "de"),
    ({"filter": "language"}, {"prompt": "👩‍👩‍👧 😂😂"}, None),
    ({"filter": "length", "min": 30, "max": 280}, {"target": "ok"}, 2),
    ({"filter": "length", "unit": "words", "max": 20, "text": "prompt"}, {"prompt": f"{POST} {POST}"}, 34),
    ({"filter": "unique_words", "min": 8}, {"target": "no no no no no no no no no no"}, 1),
    ({"filter": "urls"}, {"target": REPLY + " https://example.com/x"}, "https://example.com/x"),
    ({"filter": "urls"}, {"prompt": POST + " pic.twitter.com/abc"}, "pic.twitter.com/abc"),
    ({"filter": "mentions", "max": 1}, {"target": "Ask @ada and @bo about it"}, 2),
    ({"filter": "mentions"}, {"target": "@ada @bo"}, "mentions only"),
    ({"filter": "hashtags", "max": 1}, {"target": REPLY + " #bus #rain"}, 2),
    ({"filter": "spam"}, {"target": "Claim your AIRDROP, link in bio!"}, "claim your"),
    ({"filter": "spam", "phrases": ["cheap watches"]}, {"prompt": "Buy cheap watches now"}, "cheap watches"),
    ({"filter": "generic"}, {"target": "So true, thanks for sharing! lol, well said indeed"}, 0.889),
    ({"filter": "toxicity"}, {"target": "you are a fucking clown of a man"}, 0.5),
    ({"filter": "copy_of_prompt"}, {"target": POST[10:]}, 1.0),
    ({"filter": "bounds", "key": "likes", "min": 100, "max": 2000}, {"meta": {"likes": 3}}, 3),
    ({"filter": "bounds", "key": "likes", "min": 100}, {"meta": {}}, "likes missing"),
    ({"filter": "bounds", "key": "likes", "min": 100}, {"meta": {"likes": ""}}, "likes missing"),
    ({"filter": "bounds", "key": "likes", "min": 100}, {"meta": {"likes": "3.0"}}, 3),
    ({"filter": "bounds", "key": "likes", "min": 1}, {"meta": {"likes": True}}, "likes no number"),
    ({"filter": "bounds", "key": "likes", "min": 1}, {"meta": {"likes": "many"}}, "likes no number"),
    ({"filter": "refuse", "key": "retweet"}, {"meta": {"retweet": True}}, True),
    ({"filter": "refuse", "key": "retweet"}, {"meta": {"retweet": "TRUE"}}, "TRUE"),
    ({"filter": "refuse", "key": "tag", "values": ["ot"]}, {"meta": {"tag": "OT"}}, "OT"),
    (
        {"filter": "answer_in_context"},
        {"meta": {"context": "Built in 1905."}, "references": ("1906",)},
        REPLY,
    ),
    (
        {"filter": "exact_duplicates"},
        {"prompt": POST.upper(), "target": REPLY.replace(".", " !")},
        "pair of good",
    ),
    ({"filter": "exact_duplicates", "text": "target"}, {"prompt": "Something else"}, "target of good"),
    (
        {"filter": "near_duplicates", "text": "target"},
        {"target": REPLY.replace(" with", " wit")},
        None,
    ),
    ({"filter": "canonical_passes"}, {"target": "def f(x):\n    return x", "tests": TEST}, "failed"),
    ({"filter": "canonical_passes"}, {"target": "def f(x):\n    retrun x", "tests": TEST}, "error"),
    ({"filter": "fix_text"}, {"target": "\u200b \u00a0\n"}, "empty target"),
]


@pytest.mark.parametrize(
    ("step", "fields", "value"),
    REJECTED,
    ids=lambda value: value.get("filter") if isinstance(value, dict) else "",
)
def test_a_filter_rejects_what_it_is_for_and_passes_the_rest(step, fields, value):
    good = GOOD
    if step["filter"] == "canonical_passes":
        good = changed(id="good", target="def f(x):\n    return 2 * x", tests=TEST)
    result = run([good, changed(**fields)], step)
    assert [record.id for record in result.kept] == ["good"]
    [row] = result.rejected
    assert row["id"] == "other"
    assert row["filter"].startswith(step["filter"])
    assert row["bound"] is not None
    assert row["record"]["id"] == "other"
    if value is not None:
        assert row["value"] == value or str(row["value"]).startswith(f"{value} ")


def test_a_semantic_duplicate_says_the_same_in_other_words():
    other = changed(target="Phone the garage regarding the bus, and bring your umbrella along.")
    apart = changed(id="apart", target="The moon landing was filmed by a very small cat.")
    result = run([GOOD, other, apart], {"filter": "semantic_duplicates", "text": "target", "threshold": 0.75})
    assert [record.id for record in result.kept] == ["good", "apart"]
    assert "to good" in result.rejected[0]["value"]


def test_a_classifier_can_judge_toxicity(tmp_path):
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

    (tmp_path / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "bad", "good"]))
    BertTokenizer(str(tmp_path / "vocab.txt")).save_pretrained(tmp_path)
    config = BertConfig(
        vocab_size=7,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=8,
        id2label={0: "fine", 1: "toxic"},
        label2id={"fine": 0, "toxic": 1},
    )
    BertForSequenceClassification(config).save_pretrained(tmp_path)
    result = run([GOOD], {"filter": "toxicity", "model": str(tmp_path), "max": 0.0})
    assert 0.3 < result.rejected[0]["value"] < 0.7  # random weights: about one half, so more than 0
    assert not run([GOOD], {"filter": "toxicity", "model": str(tmp_path), "max": 1.0}).rejected
    with pytest.raises(StudyError, match="no label 'hate'"):
        run([GOOD], {"filter": "toxicity", "model": str(tmp_path), "label": "hate"})
    weights = BertForSequenceClassification.from_pretrained(tmp_path).state_dict()
    (tmp_path / "model.safetensors").unlink()
    torch.save(weights, tmp_path / "pytorch_model.bin")
    with pytest.raises(StudyError, match=r"toxicity: cannot load the model .* in safetensors"):
        run([GOOD], {"filter": "toxicity", "model": str(tmp_path)})


def test_text_is_repaired_but_code_is_left_alone():
    messy = changed(target="Itâ€™s  late &amp; dark.\r\n\r\n\r\n\r\nGo\u00a0home. ")
    code = changed(id="code", target="def f(x):\n    return  'â€™'", tests=TEST)
    result = run([GOOD, messy, code], {"filter": "fix_text"})
    assert [record.target for record in result.kept[1:]] == ["It's late & dark.\n\nGo home.", code.target]
    assert result.kept[0] is GOOD
    assert result.funnel["steps"][-1]["changed"] == 1


def test_leading_mentions_are_an_address_not_text():
    [record] = run([changed(target="@ada @bo: " + REPLY)], {"filter": "mentions"}).kept
    assert record.target == REPLY
    assert record.references == (REPLY,)


def test_a_cap_keeps_the_first_of_each():
    records = [changed(id=str(n), meta={"reply_author": "ab"[n % 2]}) for n in range(6)] + [changed(id="none", meta={})]
    result = run(records, {"filter": "cap", "key": "reply_author", "max": 2})
    assert [record.id for record in result.kept] == ["0", "1", "2", "3", "none"]


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (
            {"filter": "cap", "key": "reply_autor"},
            "cap: no row has the key 'reply_autor' (did you mean 'reply_author'?) in its meta. The keys are 'likes', "
            "'reply_author', 'tag'. Correct `key`; of a table, list the column under `fields.meta`.",
        ),
        ({"filter": "refuse", "key": "retweet"}, "refuse: no row has the key 'retweet' in its meta."),
        ({"filter": "refuse", "key": "Tag", "values": ["OT"]}, "(did you mean 'tag'?)"),
    ],
)
def test_a_key_that_no_row_has_stops_the_run(step, message):
    """Else all of them would pass."""
    with pytest.raises(StudyError, match=re.escape(message)):
        run([GOOD, changed(meta={})], step)
    assert run([], step).kept == []
    assert len(run([GOOD, changed(meta={step["key"]: None})], step).kept) == 2


def test_short_and_long_english_is_known_as_english():
    for text in (
        "so true, I really agree with you",
        POST,
        "Haha, clearly your bus wanted a holiday.",
        POST * 50,
    ):
        language, probability = identify(text)
        assert language == "en"
        assert probability > 0.8


def test_duplicate_ids_are_rejected_with_the_place_of_the_first():
    first = changed(id="x", meta={"origin": "a.jsonl, line 3"})
    second = changed(id="x", target="Other.", meta={"origin": "b.jsonl, line 9"})
    result = run([first, second])
    assert result.kept == [first]
    [row] = result.rejected
    assert (row["filter"], row["where"], row["bound"]) == (
        "duplicate_id",
        "b.jsonl, line 9",
        "first at a.jsonl, line 3",
    )


def test_the_draw_is_seeded_and_knows_the_parts():
    records = [changed(id=f"{part}{n}", part=part) for part in ("train", "test") for n in range(50)]
    assert draw(records, 10, seed=1) == draw(records, 10, seed=1) != draw(records, 10, seed=2)
    result = run(records, target_size=10)
    assert result.funnel["parts"] == {"test": 10, "train": 10}
    assert {row["filter"] for row in result.rejected} == {"draw"}
    assert [record.id for record in draw(list(reversed(records)), 10, seed=1)][::-1] == [
        r.id for r in draw(records, 10, seed=1)
    ]


def test_progress_is_reported():
    reported = []
    run(
        [changed(id=str(n)) for n in range(2500)],
        {"filter": "length", "min": 1},
        on_progress=lambda *what: reported.append(what),
    )
    assert reported == [("read", 1000), ("read", 2000), ("length", 1000), ("length", 2000)]


@pytest.mark.parametrize(
    "step",
    [
        {"filter": "lenght"},
        {"filter": "length", "minimum": 3},
        {"filter": "length", "min": 50, "max": 3},
        {"filter": "bounds", "key": "likes", "min": 50, "max": 3},
        {"filter": "mask_personal_data", "region": "Germany"},
        {"filter": "bounds", "key": "likes"},
        {"filter": "generic", "max": 2},
    ],
)
def test_a_filter_that_cannot_be_meant_is_refused(step):
    with pytest.raises((ValidationError, StudyError)):
        steps(step)


# --- duplicates


def test_normal_texts_and_shingles():
    assert normal("  Hello,\n WORLD!! ") == normal("hello world") == "hello world"
    assert normal("😂 😂") == "😂 😂"
    assert normal("ＦＵＬＬ width") == "full width"
    assert jaccard(shingles("hello world"), shingles("Hello, world.")) == 1
    assert len(shingles("a")) == 1


def test_minhash_finds_what_the_exact_join_finds():
    import random

    rng = random.Random(0)
    words = [f"word{n}" for n in range(400)]
    texts = [" ".join(rng.choices(words, k=15)) for _ in range(300)]
    texts += [text.replace(text.split()[3], "else", 1) for text in texts[:60]]  # Jaccard 0.7 to 0.9
    exact = {(i, j) for i, j, _ in near_pairs(texts, texts, 0.7) if i < j}
    seen = NearDuplicates(0.7)
    found = {(int(near[0]), at) for at, text in enumerate(texts) if (near := seen.add(str(at), text))}
    assert len(exact) > 40
    assert found == exact
    assert list(near_pairs([], texts, 0.8)) == []


# --- the counts add up, whatever comes in

cells = st.one_of(
    st.none(),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.text(max_size=30),
    st.just(POST),
    st.just(REPLY),
    st.lists(st.text(max_size=5), max_size=2),
    st.sampled_from(["@ada hi", "x@y.org", "\u202eright to left", "👩‍👩‍👧", "a\x00b"]),
)
objects = st.dictionaries(
    st.sampled_from(["prompt", "target", "id", "references", "likes", "part", "junk"]), cells, max_size=7
)
good = st.builds(
    lambda n, m: {"prompt": f"{POST} {n}", "target": f"{REPLY} {m}", "id": str(n), "likes": m},
    st.integers(0, 9),
    st.integers(0, 9),
)
mess = st.one_of(
    st.one_of(objects, good).map(lambda row: json.dumps(row).encode()),
    good.map(lambda row: json.dumps(row, ensure_ascii=False).encode()),
    st.binary(max_size=40).map(lambda data: data.replace(b"\n", b"").replace(b"\r", b"")),
    st.just(b'{"prompt": "cut short'),
)
STEPS = steps(
    {"filter": "fix_text"},
    {"filter": "mask_personal_data"},
    {"filter": "length", "min": 3, "max": 200},
    {"filter": "language"},
    {"filter": "urls", "policy": "remove"},
    {"filter": "mentions"},
    {"filter": "spam"},
    {"filter": "toxicity"},
    {"filter": "copy_of_prompt"},
    {"filter": "bounds", "key": "likes", "min": 1},
    {"filter": "exact_duplicates"},
    {"filter": "near_duplicates", "text": "pair"},
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(mess, max_size=25), st.integers(0, 25))
def test_no_row_is_lost_whatever_the_file_holds(tmp_path, lines, size):
    whole = {**dict.fromkeys(("id", "references", "part", "likes", "junk")), "prompt": "a row", "target": "is fine"}
    (tmp_path / "mess.jsonl").write_bytes(b"\n".join([json.dumps(whole).encode(), *lines]))
    fields = {
        "prompt": "prompt",
        "target": "target",
        "id": "id",
        "references": "references",
        "part": "part",
        "meta": ["likes", "junk"],
    }
    source = make_source({"format": "table", "path": "mess.jsonl", "fields": fields, "max_bad_share": 1})
    rows = list(read_source(source, tmp_path))
    assert len(rows) == 1 + sum(bool(line.decode("utf-8", "replace").strip()) for line in lines)
    result = curate(rows, STEPS, seed=0, target_size=size)
    funnel = result.funnel
    assert funnel["kept"] + funnel["rejected"] == funnel["read"] == len(rows)
    assert (len(result.kept), len(result.rejected)) == (funnel["kept"], funnel["rejected"])
    left = funnel["read"]
    for step in funnel["steps"]:
        assert step["in"] == left
        assert step["in"] - step["rejected"] == step["out"]
        left = step["out"]
    assert left == funnel["kept"]
    assert len({record.id for record in result.kept}) == len(result.kept)
    ways = sorted(row.where for row in rows if isinstance(row, BadRow))
    assert ways == sorted(row["where"] for row in result.rejected if row["record"] is None)
    write_jsonl(tmp_path / "out.jsonl", [*map(asdict, result.kept), *result.rejected])


def test_flags_and_numbers_in_the_cells_of_a_csv_count_as_such():
    cells = changed(meta={"likes": "150", "retweet": "False"})
    assert len(run([cells], {"filter": "bounds", "key": "likes", "min": 100}).kept) == 1
    assert len(run([cells], {"filter": "refuse", "key": "retweet"}).kept) == 1


def test_the_five_minutes_of_the_documentation(tmp_path):
    """Its example, on a CSV as it describes one: valid as a study, and every filter has its say."""
    text = (Path(__file__).parents[1] / "docs" / "data.md").read_text(encoding="utf-8")
    example = yaml.safe_load(textwrap.dedent(text.split("```yaml\n")[1].split("```")[0]))
    tickets = parse_study(merge(read_yaml("config.yaml"), example)).domains["support"]
    path = tmp_path / tickets.sources[0].path
    path.parent.mkdir(parents=True)
    with path.open("w", newline="") as file:
        sheet = csv.writer(file, delimiter=";")
        sheet.writerow(["question", "answer", "customer", "rating"])
        sheet.writerow([POST, REPLY + " Write to ada@example.org.", 7, 5])
        sheet.writerow([POST, REPLY + " Write to ada@example.org!", 8, 4])
        sheet.writerow([POST, "I am sorry, but we can do nothing for you today.", 9, 1])
        sheet.writerow(["Wo ist mein Paket? Es sollte seit gestern hier sein.", "Es ist leider noch nicht da.", 9, 5])
    result = curate(read_source(tickets.sources[0], tmp_path), tickets.curation.filters, seed=0)
    [kept] = result.kept
    assert kept.target.endswith("Write to <email>.")
    assert kept.group == "7"
    assert [row["filter"] for row in result.rejected] == ["language", "bounds rating", "exact_duplicates pair"]
