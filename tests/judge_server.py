"""A local server that answers like the APIs of paid judges, and clients of it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from polychromic.metrics.judge_clients import Client

PROVIDERS = ("anthropic", "openai")
KEY = "sk-test-3f9a1c-secret"
VERDICT = json.dumps({"reason": "clearer", "verdict": "1"})


class Server:
    """Answers like both APIs, except that it first works off `troubles`; counts what it sent whole."""

    def __init__(self) -> None:
        self.troubles: list[str] = []
        self.reply: str | Callable[[str], str] = VERDICT
        self.answered: list[str] = []
        self.requests: list[dict] = []
        self.delay = 0.0
        self.lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def do_POST(self) -> None:
                outer.handle(self)

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()

    def url(self, provider: str) -> str:
        return f"http://127.0.0.1:{self.http.server_port}" + ("/v1" if provider == "openai" else "")

    def handle(self, handler: BaseHTTPRequestHandler) -> None:
        request = json.loads(handler.rfile.read(int(handler.headers["content-length"])))
        with self.lock:
            self.requests.append(request)
            trouble = self.troubles.pop(0) if self.troubles else ""
        prompt = request["messages"][0]["content"]
        body = self.body(handler.path, self.reply(prompt) if callable(self.reply) else self.reply)
        time.sleep(1.2 if trouble == "slow" else self.delay)
        if trouble == "slow":
            return None
        if trouble.isdigit():
            given = handler.headers.get("x-api-key") or handler.headers.get("authorization")
            error = {"type": "error", "error": {"type": "x", "message": f"wrong key {given}"}}
            return self.send(handler, int(trouble), json.dumps(error), {"retry-after": "0.05"})
        if trouble == "cut":
            return self.send(handler, 200, body, cut=True)
        if trouble in ("html", "json", "shape"):
            wrong = {
                "html": "<html>Bad gateway</html>",
                "json": body[: len(body) // 2],
                "shape": '{"ok": true}',
            }
            kind = "text/html" if trouble == "html" else "application/json"
            return self.send(handler, 200, wrong[trouble], {"content-type": kind})
        with self.lock:
            self.answered.append(prompt)
        return self.send(handler, 200, body)

    @staticmethod
    def send(handler, status: int, body: str, headers: dict[str, str] | None = None, cut: bool = False) -> None:
        data = body.encode()
        try:
            handler.send_response(status)
            for name, value in {"content-type": "application/json", **(headers or {})}.items():
                handler.send_header(name, value)
            handler.send_header("content-length", str(len(data)))
            handler.end_headers()
            handler.wfile.write(data[: len(data) // 2] if cut else data)
        except (BrokenPipeError, ConnectionResetError):
            pass
        handler.close_connection = True

    @staticmethod
    def body(path: str, text: str) -> str:
        if path == "/v1/messages":
            return json.dumps({
                "id": "m", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn",
                "content": [{"type": "text", "text": text}],
                    "usage": {"input_tokens": 100, "output_tokens": 20},
            })  # fmt: skip
        assert path == "/v1/chat/completions"
        return json.dumps({
            "id": "c", "object": "chat.completion", "created": 0, "model": "m",
            "choices": [
                {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
            ],
            "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120},
        })  # fmt: skip


@contextmanager
def running(server: Server) -> Iterator[Server]:
    """The server, closed at the end."""
    try:
        yield server
    finally:
        server.http.shutdown()
        server.http.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    with running(Server()) as server:
        yield server


@pytest.fixture
def judge_keys(monkeypatch) -> None:
    """Each provider's key in the environment."""
    from polychromic.metrics.judge_clients import KEYS

    for variable in KEYS.values():
        monkeypatch.setenv(variable, KEY)


def client(server: Server, provider: str, folder, **settings) -> Client:
    """A client with a budget of $1 that waits for nothing long."""
    from polychromic.metrics.judge_clients import Client

    settings = {"budget": 1.0, "first_wait": 0.02, "timeout": 0.8, "workers": 4, **settings}
    return Client(
        provider,
        "model-x",
        folder=folder,
        input_price=3.0,
        output_price=15.0,
        base_url=server.url(provider),
        **settings,
    )
