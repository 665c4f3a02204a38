"""A judge's server that lies, stalls and steals, against the client: money, keys and later runs are safe."""

from __future__ import annotations

import gzip
import json
import logging
import resource
import time
from pathlib import Path

import pytest
from judge_server import KEY, PROVIDERS, VERDICT, Server, client, running

from polychromic.errors import StudyError
from polychromic.metrics.judge import COMPARE_SCHEMA, ModelJudge, Pair
from polychromic.metrics.judge_clients import KEYS, Client
from polychromic.metrics.judge_ledger import Ledger


class Hostile(Server):
    """Answers by `attack(server, handler, path)` where it is set."""

    attack = None

    def handle(self, handler) -> None:
        if self.attack is None:
            return super().handle(handler)
        request = json.loads(handler.rfile.read(int(handler.headers["content-length"])))
        with self.lock:
            self.requests.append({"path": handler.path, **request})
        try:
            return self.attack(handler)
        except (BrokenPipeError, ConnectionResetError):
            handler.close_connection = True


@pytest.fixture
def server():
    with running(Hostile()) as server:
        yield server


pytestmark = pytest.mark.usefixtures("judge_keys")


def with_usage(path: str, usage: object) -> str:
    body = json.loads(Server.body(path, VERDICT))
    return json.dumps({**body, "usage": usage})


INF = float("inf")
USAGES = [
    (-(10**6), -(10**6)), (10**30, 10**30), (INF, 1), (1, -INF), (float("nan"), 1), ("100", "20"), (None, None),
    ([[1]], {"a": 1}), (True, True), (1.5, 2.5), (0, 10**6), (-1, 10),
]  # fmt: skip


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("usage", USAGES, ids=str)
def test_a_lie_about_usage_costs_the_estimate(server, tmp_path, provider, usage) -> None:
    names = ("input_tokens", "output_tokens") if provider == "anthropic" else ("prompt_tokens", "completion_tokens")
    told = dict(zip(names, usage, strict=True))
    server.attack = lambda handler: server.send(handler, 200, with_usage(handler.path, told))
    judge = client(server, provider, tmp_path)
    estimate = judge.estimate(["q"], COMPARE_SCHEMA)
    assert judge.ask(["q"], COMPARE_SCHEMA) == [VERDICT]
    assert 1.0 - judge.ledger.left() == pytest.approx(estimate)
    assert client(server, provider, tmp_path).ask(["q"], COMPARE_SCHEMA) == [VERDICT]


@pytest.mark.parametrize("usage", [None, [], "x", 3])
def test_usage_of_no_form_costs_the_estimate(server, tmp_path, usage) -> None:
    server.attack = lambda handler: server.send(handler, 200, with_usage(handler.path, usage))
    judge = client(server, "openai", tmp_path)
    estimate = judge.estimate(["q"], COMPARE_SCHEMA)
    judge.ask(["q"], COMPARE_SCHEMA)
    assert 1.0 - judge.ledger.left() == pytest.approx(estimate)


def test_the_budget_holds_with_requests_in_flight(server, tmp_path) -> None:
    server.attack = lambda handler: server.send(
        handler, 200, with_usage(handler.path, {"prompt_tokens": 10**5, "completion_tokens": 10**5})
    )
    judge = client(server, "openai", tmp_path, budget=0.5, workers=8)
    prompts = [f"q{number}" for number in range(50)]
    assert judge.estimate(prompts, COMPARE_SCHEMA) < 0.5
    judge.ask(prompts, COMPARE_SCHEMA)
    assert judge.ledger.left() >= 0
    with pytest.raises(StudyError, match="is left"):
        judge.ask([f"more {number}" for number in range(50)], COMPARE_SCHEMA)


def test_texts_of_many_tokens_are_estimated_as_such(server, tmp_path) -> None:
    judge = client(server, "openai", tmp_path)
    assert judge.estimate(["電" * 1000], {}) - judge.estimate([""], {}) >= 2999 * 3e-6


@pytest.mark.parametrize("provider", PROVIDERS)
def test_replies_of_deep_brackets_harm_no_later_run(server, tmp_path, provider) -> None:
    server.reply = "[" * 100_000
    judge = ModelJudge(client(server, provider, tmp_path))
    pairs = [Pair("task", (), "one", "two")]
    assert judge.verdicts(pairs) == judge.verdicts(pairs) == [None]
    server.attack = lambda handler: server.send(handler, 200, '{"a":' * 100_000)
    with pytest.raises(StudyError, match="not the API's"):
        client(server, provider, tmp_path, attempts=2).ask(["q"], COMPARE_SCHEMA)


@pytest.mark.parametrize("after", ["nan", "inf", "-inf", "-5", "1e400", "soon"])
def test_any_retry_after_is_survived(server, tmp_path, after, monkeypatch) -> None:
    monkeypatch.setattr("polychromic.metrics.judge_clients.LONGEST_WAIT", 0.1)
    troubles = [429]

    def attack(handler):
        if troubles:
            return server.send(handler, troubles.pop(), "{}", {"retry-after": after})
        return server.send(handler, 200, server.body(handler.path, VERDICT))

    server.attack = attack
    assert client(server, "openai", tmp_path).ask(["q"], COMPARE_SCHEMA) == [VERDICT]


@pytest.mark.parametrize("line", ["0.0077 12", "0.00", "\0\0\0", "nan 00000000", "0.5\n0.5", "{}", "-720.0"])
def test_a_torn_ledger_line_is_set_aside(tmp_path, line, caplog) -> None:
    ledger = Ledger(tmp_path / "spending.jsonl", 1.0)
    ledger.add(0.25)
    with ledger.path.open("a") as file:
        file.write(line)
    assert ledger.left() == 0.75
    assert "line 2 is damaged" in caplog.text
    ledger.add(0.5)
    assert Ledger(ledger.path, 1.0).left() == 0.25
    with pytest.raises(StudyError, match=r"raise judge\.budget"):
        ledger.add(0.3)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(server, tmp_path, provider, status) -> None:
    other = Hostile()
    target = other.url(provider) + "/v1/messages"
    server.attack = lambda handler: server.send(handler, status, "", {"location": target})
    try:
        with pytest.raises(StudyError):
            client(server, provider, tmp_path).ask(["a secret prompt"], COMPARE_SCHEMA)
        assert other.requests == []
        assert len(server.requests) == 1
    finally:
        other.http.shutdown()
        other.http.server_close()


def drip(handler, head: bytes) -> None:
    handler.wfile.write(head)
    for _ in range(100):
        handler.wfile.write(b" ")
        handler.wfile.flush()
        time.sleep(0.1)


@pytest.mark.parametrize(
    "head",
    [b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n", b"HTTP/1.1 200 OK\r\nx-slow: "],
    ids=["body", "headers"],
)
def test_a_slow_drip_does_not_beat_the_timeout(server, tmp_path, head) -> None:
    server.attack = lambda handler: drip(handler, head)
    start = time.monotonic()
    with pytest.raises(StudyError):
        client(server, "openai", tmp_path, timeout=0.3, attempts=2).ask(["q"], COMPARE_SCHEMA)
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("provider", PROVIDERS)
def test_bombs_are_refused(server, tmp_path, provider) -> None:
    bomb = gzip.compress(b" " * (300 << 20), 1)
    bodies = [(bomb, {"content-encoding": "gzip"}), (b" " * (30 << 20), {})]

    def attack(handler):
        data, headers = bodies[len(server.requests) % 2]
        handler.send_response(200)
        for name, value in {**headers, "content-length": str(len(data))}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(data)

    server.attack = attack
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(StudyError, match="Garbage"):
        client(server, provider, tmp_path, attempts=2, timeout=5).ask(["q"], COMPARE_SCHEMA)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10  # KiB


@pytest.mark.parametrize("provider", PROVIDERS)
def test_an_echoed_key_is_kept_nowhere(server, tmp_path, provider, caplog, capfd) -> None:
    caplog.set_level(logging.DEBUG)
    server.reply = json.dumps({"reason": f"your key is {KEY}", "verdict": "1"})
    judge = ModelJudge(client(server, provider, tmp_path))
    assert judge.verdicts([Pair("task", (), "one", "two")]) == ["1"]
    server.attack = lambda handler: server.send(handler, 400, json.dumps({"error": {"message": f"bad {KEY}"}}))
    with pytest.raises(StudyError) as refused:
        judge.verdicts([Pair("another", (), "one", "two")])
    kept = "".join(path.read_text() for path in Path(tmp_path).iterdir())
    assert KEY not in kept + str(refused.value) + "".join(capfd.readouterr()) + caplog.text


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_key_is_stripped_or_refused_before_money_is_booked(server, tmp_path, provider, monkeypatch, caplog) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv(KEYS[provider], f"  {KEY}\n")
    assert client(server, provider, tmp_path).ask(["q"], COMPARE_SCHEMA) == [VERDICT]
    for broken in (f"{KEY}\nx-evil: 1", f"{KEY} 2", f"{KEY}\u2019", "\n"):
        monkeypatch.setenv(KEYS[provider], broken)
        with pytest.raises(StudyError, match=KEYS[provider]):
            Client(provider, "m", folder=tmp_path / "other", budget=1, input_price=1, output_price=1)
    assert not list((tmp_path / "other").glob("spending*"))
    assert KEY not in caplog.text


@pytest.mark.parametrize("content", [None, "", "no verdict here"])
def test_an_unreadable_reply_is_asked_for_once_more_and_counted(server, tmp_path, content) -> None:
    replies = [content]

    def attack(handler):
        text = replies.pop() if replies else VERDICT
        return server.send(handler, 200, server.body(handler.path, text))

    server.attack = attack
    judge = ModelJudge(client(server, "openai", tmp_path))
    assert judge.verdicts([Pair("task", (), "one", "two")]) == ["1"]
    assert len(server.requests) == 2
    (kept,) = (json.loads(path.read_text()) for path in tmp_path.glob("*.json"))
    assert kept["unreadable"] == 1
    assert 1.0 - judge.client.ledger.left() == pytest.approx(2 * (100 * 3e-6 + 20 * 15e-6))
