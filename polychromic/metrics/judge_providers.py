"""One request to a paid judge, through the provider's official SDK.

Nothing that comes back is trusted: a reply is bounded in bytes and in seconds, redirects are not followed, and
compressed replies are refused.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Literal

Provider = Literal["anthropic", "openai"]
KEYS = {"anthropic": "ANTHROPIC_API_KEY", "openai": "OPENAI_API_KEY"}
MAX_TOKENS = 512  # of a reply: a sentence and a verdict
MAX_REPLY = 1 << 20  # bytes of a reply's body

Send = Callable[[str, str, dict[str, Any]], tuple[str, tuple[Any, Any]]]
"""(model, prompt, schema) -> the reply's text, and the tokens read and written as the server reports them."""


class Garbage(Exception):
    """A reply with status 200 that is not what the API promises."""


def connect(provider: Provider, key: str, base_url: str | None, timeout: float) -> Send:
    """The function that sends a request. timeout: seconds that one may take in all."""
    send = (_connect_anthropic if provider == "anthropic" else _connect_openai)(key, base_url, timeout)

    def within(model: str, prompt: str, schema: dict[str, Any]) -> tuple[str, tuple[Any, Any]]:
        """`send`, given up where its headers come too slowly; the body has its own clock (`_Bounded`)."""
        done: list[Any] = []

        def run() -> None:
            try:
                done.append((send(model, prompt, schema), None))
            except BaseException as error:
                done.append((None, error))

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        thread.join(2 * timeout)
        if not done:
            raise Garbage(f"no whole reply within {2 * timeout:g} s")
        reply, error = done[0]
        if error is not None:
            raise error
        return reply

    return within


def _http_client(default: Any, timeout: float) -> Any:
    """The SDK's own HTTP client, made strict."""

    def bound(response: Any) -> None:
        if response.headers.get("content-encoding", "identity") != "identity":
            raise Garbage("a compressed reply, which was not asked for")
        response.stream = _bounded(response.stream, time.monotonic() + timeout)

    return default(
        follow_redirects=False,  # prompts and the key go to nobody else
        headers={"accept-encoding": "identity"},
        event_hooks={"response": [bound]},
    )


def _bounded(stream: Any, deadline: float) -> Any:
    from httpx2 import SyncByteStream

    class Bounded(SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            size = 0
            for part in stream:
                size += len(part)
                if size > MAX_REPLY:
                    raise Garbage(f"a reply of more than {MAX_REPLY:,} bytes")
                if time.monotonic() > deadline:
                    raise Garbage("a reply that comes too slowly")
                yield part

        def close(self) -> None:
            stream.close()

    return Bounded()


def _connect_anthropic(key: str, base_url: str | None, timeout: float) -> Send:
    from anthropic import Anthropic, DefaultHttpxClient

    http_client = _http_client(DefaultHttpxClient, timeout)
    # The retries are the caller's, not the SDK's, because each attempt has to pass the ledger.
    client = Anthropic(api_key=key, base_url=base_url, timeout=timeout, max_retries=0, http_client=http_client)

    def send(model: str, prompt: str, schema: dict[str, Any]) -> tuple[str, tuple[Any, Any]]:
        raw = client.messages.with_raw_response.create(
            model=model,
            max_tokens=MAX_TOKENS,
            messages=[{"role": "user", "content": prompt}],
            output_config={"format": {"type": "json_schema", "schema": schema}},
        )
        return _read(raw, _anthropic_text, "input_tokens", "output_tokens")

    return send


def _connect_openai(key: str, base_url: str | None, timeout: float) -> Send:
    from openai import DefaultHttpxClient, OpenAI

    http_client = _http_client(DefaultHttpxClient, timeout)
    client = OpenAI(api_key=key, base_url=base_url, timeout=timeout, max_retries=0, http_client=http_client)

    def send(model: str, prompt: str, schema: dict[str, Any]) -> tuple[str, tuple[Any, Any]]:
        raw = client.chat.completions.with_raw_response.create(
            model=model,
            max_completion_tokens=MAX_TOKENS,
            messages=[{"role": "user", "content": prompt}],
            response_format={
                "type": "json_schema",
                "json_schema": {"name": "reply", "schema": schema, "strict": True},
            },
        )
        return _read(raw, _openai_text, "prompt_tokens", "completion_tokens")

    return send


def _anthropic_text(body: dict[str, Any]) -> str:
    return "".join(block["text"] or "" for block in body["content"] if block["type"] == "text")


def _openai_text(body: dict[str, Any]) -> str:
    return body["choices"][0]["message"]["content"] or ""  # None when the model refuses


def _read(raw: Any, text: Callable[[dict[str, Any]], str], read: str, written: str) -> tuple[str, tuple[Any, Any]]:
    try:
        body = json.loads(raw.http_response.text)
        reply, usage = text(body), body.get("usage")
        if not isinstance(reply, str):
            raise TypeError(f"the text is a {type(reply).__name__}")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise Garbage(f"status 200 with a body that is not the API's ({type(error).__name__}: {error})") from None
    return reply, (usage.get(read), usage.get(written)) if isinstance(usage, dict) else (None, None)
