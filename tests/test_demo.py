"""The embedded world: what its raw files promise, and that its answers are right by its own rules."""

import itertools
import json
import random
from collections import Counter

import pytest

from polychromic.demo import code, raw, social
from polychromic.demo.broad import ZERO_SHOT, documents, write_broad
from polychromic.demo.raw import write_raw
from polychromic.demo.scene import part_of
from polychromic.errors import StudyError

OPEN_TEXT = ("social", "creative")


def some_scenes(domain, count, part=None):
    rng = random.Random(1)
    found = (raw.DOMAINS[domain].scene(rng) for _ in itertools.count())
    return list(itertools.islice((scene for scene in found if part in (None, part_of(scene))), count))


def rows_of(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines[:-1]]  # the last one is cut off on purpose


def test_the_seed_decides_every_byte(tmp_path):
    def written(name, seed):
        write_broad(tmp_path / name / "broad", seed, 50, 0.85)
        paths = [*write_raw(tmp_path / name, 0.9, seed, 60), tmp_path / name / "broad"]
        return [path.read_bytes() for path in paths]

    assert written("a", 0) == written("b", 0)
    assert all(x != y for x, y in zip(written("a", 0), written("c", 1), strict=True))


def test_asking_for_more_prompts_than_there_are_is_an_error(monkeypatch):
    scene = some_scenes("qa", 1, "train")[0]
    monkeypatch.setattr(raw.DOMAINS["qa"], "scene", lambda rng: scene)
    with pytest.raises(StudyError, match="raw_rows"):
        list(raw.scenes("qa", "train", random.Random(0)))


@pytest.mark.parametrize("domain", raw.DOMAINS)
@pytest.mark.parametrize(("part", "spread"), [("train", (0.9, 0.05, 0.05)), ("evaluation", raw.EVEN)])
def test_the_readings_are_spread_as_designed(domain, part, spread):
    counts = Counter(row["reading"] for row in raw.clean_rows(domain, part, spread, 0, 100))
    names = raw.DOMAINS[domain].READING_NAMES
    assert [counts[name] for name in names] == pytest.approx([100 * share for share in spread], abs=1)


def test_without_skew_both_parts_have_all_readings_alike(tmp_path):
    write_raw(tmp_path, 1 / 3, 0, 240)
    for part in ("train", "eval"):
        counts = Counter(row["reading"] for row in rows_of(tmp_path / f"code.{part}.jsonl"))
        assert max(counts.values()) < 1.8 * min(counts.values())


@pytest.mark.parametrize("domain", raw.DOMAINS)
def test_no_prompt_and_no_topic_is_in_two_parts(domain):
    train, evaluation = some_scenes(domain, 300, "train"), some_scenes(domain, 150, "evaluation")
    broad = some_scenes(domain, 300, "broad")
    assert not {scene.topic for scene in train} & {scene.topic for scene in evaluation}
    for left, right in ((train, evaluation), (train, broad), (evaluation, broad)):
        assert not {scene.prompt for scene in left} & {scene.prompt for scene in right}


def test_the_broad_corpus_holds_no_prompt_of_the_study():
    text = "\n".join(prompt for prompt, _ in documents(1500, 0, 0.85))
    for domain in raw.DOMAINS:
        for part in ("train", "evaluation"):
            assert not any(scene.prompt in text for scene in some_scenes(domain, 100, part))


def test_programs_pass_their_own_tests_and_differ_between_readings():
    from polychromic.verifiers.code import behaviours, run

    rows = raw.clean_rows("code", "evaluation", raw.EVEN, 0, 12)
    assert all(run(row["code"], row["test_list"], code.ENTRY_POINT).passed for row in rows)
    for scene in some_scenes("code", 12):
        programs = [answers[0] for answers in scene.readings]
        distinct = set(behaviours(programs, [[xs] for xs in code.PROBE_INPUTS], code.ENTRY_POINT))
        assert None not in distinct
        assert len(distinct) == (3 if scene.extra["vague"] else 1)


@pytest.mark.parametrize("domain", raw.DOMAINS)
def test_a_wrong_answer_is_right_under_no_reading(domain):
    rng, broken = random.Random(0), 0
    for scene in some_scenes(domain, 100):
        text = raw.DOMAINS[domain].wrong(scene, rng)
        right = [answer for answers in scene.readings for answer in answers]
        if domain == "code":
            if "ys" in text:  # a name that is not there: the gate sees it
                broken += 1
                with pytest.raises(NameError):
                    code.run(text, code.TEST_INPUTS)
            else:
                assert code.run(text, code.TEST_INPUTS) not in [code.run(answer, code.TEST_INPUTS) for answer in right]
        elif domain == "qa":
            assert text not in right
        else:
            assert not any(f" {word} " in f" {text} " for word in scene.extra["about"][:2])
    assert domain != "code" or 30 < broken < 70


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9])
def test_the_share_of_wrong_answers_is_as_asked(share):
    opening = ZERO_SHOT.format(output=social.OUTPUT, input="")[:-1]
    found = [(prompt, text) for prompt, text in documents(6000, 0, share) if prompt.startswith(opening)]
    things = [word for words, *_ in social.THINGS for word in words]
    right = [any(thing in prompt and thing in text for thing in things) for prompt, text in found]
    assert 1 - sum(right) / len(right) == pytest.approx(share, abs=0.06)


def test_most_sentences_are_vague():
    share = sum(scene.extra["vague"] for scene in some_scenes("code", 400)) / 400
    assert 0.75 < share < 0.95


def test_answers_are_different_spans_of_the_context():
    for scene in some_scenes("qa", 200):
        spans = [answers[0] for answers in scene.readings]
        assert all(scene.extra["context"].count(span) == 1 for span in spans)
        assert len(set(spans)) == 3
        assert all(scene.extra["question"] not in exact for exact, _ in scene.extra["exact"])


@pytest.mark.parametrize("domain", OPEN_TEXT)
def test_evaluation_rows_bring_references_and_mismatched_answers(domain):
    for row in raw.clean_rows(domain, "evaluation", raw.EVEN, 0, 20):
        assert len(row["references"]) >= 4
        assert not set(row["references"]) & set(row["mismatched"])


@pytest.mark.parametrize("domain", raw.DOMAINS)
def test_text_is_english_to_the_language_filter(domain):
    from polychromic.data.filters.language import identify

    texts = [scene.prompt for scene in some_scenes(domain, 40)]
    if domain in OPEN_TEXT:
        texts += [scene.readings[i % 3][0] for i, scene in enumerate(some_scenes(domain, 40))]
    english = [language == "en" and probability >= 0.8 for language, probability in map(identify, texts)]
    assert sum(english) / len(english) > 0.93


@pytest.mark.parametrize("domain", raw.DOMAINS)
def test_raw_rows_hold_every_kind_of_mess(domain):
    clean = raw.clean_rows(domain, "train", (0.9, 0.05, 0.05), 0, 60)
    rows = raw.messy(domain, clean, "train", 0, 40)
    prompt, target = raw.FIELDS[domain]
    assert len(rows) == 100
    assert len({row["task_id" if domain == "code" else "id"] for row in rows}) == 100
    assert sum(not row.get(prompt) or not row.get(target) for row in rows) >= 2  # broken
    assert any(row.get(prompt) in raw.FOREIGN for row in rows)
    assert any(len(str(row.get(prompt))) > 1000 for row in rows)
    assert max(Counter(row.get(prompt) for row in rows).values()) >= 2  # duplicates


@pytest.mark.slow
@pytest.mark.parametrize("domain", OPEN_TEXT)
def test_the_encoder_separates_the_readings(domain):
    """A paraphrase by another template is nearer to a reading's references than other readings' answers."""
    import numpy as np
    from scipy.stats import mannwhitneyu

    from polychromic.embedding import Encoder

    encode = Encoder().encode
    right, wrong = [], []
    for scene in some_scenes(domain, 40):
        half = [answers[: len(answers) // 2] for answers in scene.readings]  # each template once
        vectors = [np.asarray(encode(answers)) for answers in half]
        for reading, own in enumerate(vectors):
            likeness = own @ own.T
            np.fill_diagonal(likeness, -1)
            right += list(likeness.max(1))
            for other in (vectors[(reading + 1) % 3], vectors[(reading + 2) % 3]):
                wrong += list((other @ own.T).max(1))
    area = mannwhitneyu(right, wrong).statistic / (len(right) * len(wrong))
    assert area > 0.95


@pytest.fixture(scope="module")
def tiny_base(tmp_path_factory):
    from polychromic.demo.base import train_base

    folder = tmp_path_factory.mktemp("base")
    write_broad(folder / "broad.jsonl", 0, 300, 0.85)
    settings = {"hidden": 32, "layers": 1, "vocabulary": 400}
    summary = train_base(folder / "broad.jsonl", folder / "model", 0, **settings)
    train_base(folder / "broad.jsonl", folder / "again", 0, **settings)
    return folder, summary


def test_the_base_is_reproduced_and_loads_as_any_model(tiny_base):
    from polychromic.method.models import load_base

    folder, summary = tiny_base
    names = ("model.safetensors", "tokenizer.json")
    for name in names:
        assert (folder / "model" / name).read_bytes() == (folder / "again" / name).read_bytes()
    model, tokenizer = load_base(folder / "model", attention="eager")
    assert model.config.model_type == "qwen3"
    assert tokenizer.eos_token_id != tokenizer.pad_token_id
    assert summary["loss"] < 6.5


def test_prompt_and_answer_meet_at_a_token_boundary(tiny_base):
    """Apart, as they are generated, they tokenise as they did together in the broad corpus."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_base[0] / "model")

    def tokens(text):
        return tokenizer(text)["input_ids"]

    for domain, module in raw.DOMAINS.items():
        for scene in some_scenes(domain, 10):
            prompt = f"Generate {module.OUTPUT} for: {scene.prompt}\n"
            for answers in scene.readings:
                assert tokens(prompt) + tokens(answers[0]) == tokens(prompt + answers[0])


def test_a_corpus_of_less_than_a_batch_is_refused(tmp_path):
    from polychromic.demo.base import train_base

    write_broad(tmp_path / "broad.jsonl", 0, 3, 0.85)
    with pytest.raises(StudyError, match="broad_rows"):
        train_base(tmp_path / "broad.jsonl", tmp_path / "model", hidden=32, layers=1, vocabulary=300)
