"""Paid judges: Anthropic's models and any OpenAI-compatible endpoint, asked through their official SDKs.

Each reply is kept in its own file, named by the content of its request, before anything else is done with
it: a run that is killed loses at most the requests under way, and a re-run asks only for what is missing.
What each request may cost is written to a ledger before it is sent, so that the budget holds over all jobs
that share the folder, and after a crash. Keys come from the environment (ANTHROPIC_API_KEY, OPENAI_API_KEY)
and go nowhere but into the SDK.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import math
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt
from tenacity.wait import wait_random_exponential
from tqdm import tqdm

from polychromic.errors import StudyError
from polychromic.metrics.judge_ledger import Ledger
from polychromic.metrics.judge_providers import KEYS, MAX_TOKENS, Garbage, Provider, connect

BYTES_PER_TOKEN = 3  # of ASCII, a low guess for English and code; any other byte may be a token by itself
OVERHEAD = 200  # tokens that a provider may add to a prompt
LONGEST_WAIT = 60.0


class Client:
    """Asks a model for JSON of a given schema, each request once in the life of a folder.

    model: as the provider names it. base_url: another endpoint with the same interface; such an endpoint
    may do without a key. folder: where replies and the ledger are kept. budget: dollars that may be spent
    on this folder in all. input_price, output_price: dollars per million tokens. workers: requests under
    way at a time. attempts, first_wait (seconds, doubled each time, at random), timeout (seconds): for rate
    limits (429), 408, 409, 5xx, garbage, timeouts and cut connections; a server's `retry-after` is heeded
    up to a minute.
    """

    def __init__(
        self,
        provider: Provider,
        model: str,
        *,
        folder: str | Path,
        budget: float,
        input_price: float,
        output_price: float,
        base_url: str | None = None,
        workers: int = 8,
        attempts: int = 6,
        first_wait: float = 1.0,
        timeout: float = 60.0,
    ) -> None:
        self.provider, self.model, self.base_url = provider, model, base_url
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ledger = Ledger(self.folder / "spending.jsonl", budget)
        self._prices = (input_price / 1e6, output_price / 1e6)
        self._workers, self._attempts, self._first_wait = workers, attempts, first_wait
        self._key = os.environ.get(KEYS[provider], "").strip() or ("none" if base_url else "")
        if not self._key:
            raise StudyError(f"judge {model!r}: the environment has no {KEYS[provider]}; set it and run again")
        if not (self._key.isascii() and self._key.isprintable()) or " " in self._key:
            raise StudyError(f"judge {model!r}: {KEYS[provider]} is not a key: it holds blanks or special characters")
        self._send = connect(provider, self._key, base_url, timeout)

    @property
    def name(self) -> str:
        return f"{self.provider}:{self.model}"

    def estimate(self, prompts: Sequence[str], schema: dict[str, Any]) -> float:
        """Dollars that asking these prompts would cost at most, short of retries; what is kept costs
        nothing."""
        missing = {self._path(prompt, schema): prompt for prompt in prompts}
        return sum(self._cost_at_most(text, schema) for path, text in missing.items() if not path.exists())

    def ask(self, prompts: Sequence[str], schema: dict[str, Any], readable: Callable[[str], bool] = bool) -> list[str]:
        """The model's replies, word for word but for the key, in the order of the prompts. What was asked before
        is not asked again.

        Args:
            readable: whether a reply is of use; another is requested once.

        Raises:
            StudyError: the estimate is over what is left of the budget (then nothing is sent), the budget
                ends under way, the endpoint refuses, or it fails `attempts` times in a row. Replies that came
                are kept.
        """
        estimate, left = self.estimate(prompts, schema), self.ledger.left()
        if estimate > max(left, 0.0):
            raise StudyError(
                f"judge {self.name}: up to ${estimate:.2f} for these requests, but ${left:.2f} is left of "
                f"the budget of ${self.ledger.budget:.2f}. Raise judge.budget or lower judge.prompts."
            )
        distinct = list(dict.fromkeys(prompts))
        stop = threading.Event()  # after the first failure no further request is begun

        def reply(prompt: str) -> str | None:
            if stop.is_set():
                return None
            try:
                return self._reply(prompt, schema, readable)
            except BaseException:
                stop.set()
                raise

        with ThreadPoolExecutor(self._workers) as pool:
            jobs = [pool.submit(reply, prompt) for prompt in distinct]
            try:
                for job in tqdm(jobs, desc=f"judge {self.name}", disable=None):
                    job.exception()
            except BaseException:  # Ctrl-C while waiting: finish what is under way, begin nothing more
                stop.set()
                raise
        failures = [error for job in jobs if (error := job.exception()) is not None]
        if failures:
            kept = sum(self._path(prompt, schema).exists() for prompt in distinct)
            raise StudyError(
                f"judge {self.name}: {self._described(failures[0])}. {kept} of {len(distinct)} replies are "
                f"kept in {self.folder}; run again to ask for the others only."
            ) from None
        replies = dict(zip(distinct, (job.result() for job in jobs), strict=True))
        return [replies[prompt] for prompt in prompts]

    def _reply(self, prompt: str, schema: dict[str, Any], readable: Callable[[str], bool]) -> str:
        path = self._path(prompt, schema)
        if not path.exists():
            with _alone(path.with_suffix(".lock")):
                if not path.exists():
                    self._fetch(path, prompt, schema, readable)
        return json.loads(path.read_text(encoding="utf-8"))["text"]

    def _fetch(self, path: Path, prompt: str, schema: dict[str, Any], readable: Callable[[str], bool]) -> None:
        retrying = Retrying(
            stop=stop_after_attempt(self._attempts),
            wait=self._wait,
            retry=retry_if_exception(_is_transient),
            reraise=True,
        )
        reply = retrying(self._pay, prompt, schema)
        if unreadable := not readable(reply["text"]):
            try:
                reply = retrying(self._pay, prompt, schema)
                unreadable += not readable(reply["text"])
            except Exception:  # the first one is paid for, and kept whatever happened to the second
                _write(path, {"request": self._request(prompt, schema), **reply, "unreadable": 1})
                raise
        _write(path, {"request": self._request(prompt, schema), **reply, "unreadable": int(unreadable)})

    def _pay(self, prompt: str, schema: dict[str, Any]) -> dict[str, Any]:
        """One attempt, entered into the ledger before it is made and corrected once its cost is known."""
        at_most = self._cost_at_most(prompt, schema)
        self.ledger.add(at_most)
        try:
            # UTF-8 has no lone surrogates, half of a broken emoji.
            text, usage = self._send(self.model, prompt.encode("utf-8", "replace").decode(), schema)
        except Exception as error:
            # Refused: not billed. Timed out, cut or garbled: it may have been, and stays in the ledger.
            if getattr(error, "status_code", None) is not None:
                self.ledger.add(-at_most)
            raise
        dollars = self._cost(usage, at_most)
        self.ledger.add(dollars - at_most, spent=True)
        return {
            "text": self._without_key(text),
            "usage": list(usage) if dollars < at_most else None,
            "dollars": dollars,
        }

    def _cost(self, usage: tuple[Any, Any], at_most: float) -> float:
        """Dollars by the server's token counts; the estimate if these are not counts or cost more."""
        if not all(type(tokens) is int and 0 <= tokens < 1 << 32 for tokens in usage):
            return at_most
        return min(sum(tokens * price for tokens, price in zip(usage, self._prices, strict=True)), at_most)

    def _cost_at_most(self, prompt: str, schema: dict[str, Any]) -> float:
        text = prompt + json.dumps(schema)
        size = len(text.encode("utf-8", "replace"))
        ascii_size = sum(map(str.isascii, text))
        tokens = OVERHEAD + ascii_size / BYTES_PER_TOKEN + size - ascii_size
        return tokens * self._prices[0] + MAX_TOKENS * self._prices[1]

    def _wait(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        headers = getattr(getattr(error, "response", None), "headers", {})
        try:
            asked = float(headers.get("retry-after", 0))
        except ValueError:  # a date
            asked = 0.0
        asked = asked if math.isfinite(asked) else 0.0
        drawn = wait_random_exponential(multiplier=self._first_wait, max=LONGEST_WAIT)(state)
        return min(max(asked, drawn), LONGEST_WAIT)

    def _request(self, prompt: str, schema: dict[str, Any]) -> dict[str, Any]:
        return {
            "provider": self.provider, "base_url": self.base_url, "model": self.model, "prompt": prompt,
            "schema": schema, "max_tokens": MAX_TOKENS,
        }  # fmt: skip

    def _path(self, prompt: str, schema: dict[str, Any]) -> Path:
        content = json.dumps(self._request(prompt, schema), sort_keys=True)
        return self.folder / f"{hashlib.blake2b(content.encode(), digest_size=16).hexdigest()}.json"

    def _without_key(self, text: str) -> str:
        """An endpoint may repeat the key that it was given."""
        return text if self._key == "none" else text.replace(self._key, "[key]")

    def _described(self, error: BaseException) -> str:
        causes = [error, *([error.__cause__] if error.__cause__ else [])]
        text = "; ".join(f"{type(each).__name__}: {' '.join(str(each).split())}" for each in causes)
        return self._without_key(text)[:300]


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """While another process has the lock, wait: two jobs that need the same reply pay for it once."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    lock.unlink(missing_ok=True)  # not after a failure: who waits for it must keep others out


def _write(path: Path, content: dict[str, Any]) -> None:
    """Write a file that is there whole or not at all, even if the machine goes down."""
    partial = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.partial")
    with partial.open("w", encoding="utf-8") as file:
        json.dump(content, file, sort_keys=True)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def _is_transient(error: BaseException) -> bool:
    """Whether the same request may succeed later. The SDKs' errors have the same names and fields."""
    status = getattr(error, "status_code", None)
    if status is not None:
        return status in (408, 409, 429) or status >= 500
    return isinstance(error, Garbage) or type(error).__name__ in ("APIConnectionError", "APITimeoutError")
