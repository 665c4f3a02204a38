"""Paid judges' clients against a server that misbehaves on purpose."""

from __future__ import annotations

import logging
import subprocess
import sys
import time

import pytest
from judge_server import KEY, PROVIDERS, VERDICT, client

from polychromic.errors import StudyError
from polychromic.metrics.judge import (
    COMPARE_SCHEMA,
    ModelJudge,
    Pair,
)
from polychromic.metrics.judge_clients import KEYS, Client

pytestmark = pytest.mark.usefixtures("judge_keys")


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("trouble", ["429", "408", "409", "500", "503", "529", "slow", "cut", "html", "json", "shape"])
def test_troubles_are_retried_until_the_reply_comes(server, tmp_path, provider: str, trouble: str) -> None:
    server.troubles = [trouble, trouble]
    judge = client(server, provider, tmp_path)
    assert judge.ask(["a?"], COMPARE_SCHEMA) == [VERDICT]
    assert len(server.requests) == 3
    assert server.answered == ["a?"]
    spent = 1.0 - judge.ledger.left()
    paid = 100 * 3e-6 + 20 * 15e-6
    # Refused requests are free; what may have been billed without a reply stays in the ledger.
    assert spent == pytest.approx(paid) if trouble.isdigit() else spent > 2 * paid


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_second_run_pays_nothing(server, tmp_path, provider: str) -> None:
    prompts = [f"question {i}" for i in range(20)]
    first = client(server, provider, tmp_path).ask([*prompts, *prompts], COMPARE_SCHEMA)
    assert sorted(server.answered) == sorted(prompts)
    server.troubles = ["500"] * 99  # the endpoint may even be gone
    again = client(server, provider, tmp_path, budget=0.01)
    assert again.estimate(prompts, COMPARE_SCHEMA) == 0
    assert again.ask([*prompts, *prompts], COMPARE_SCHEMA) == first
    assert len(server.answered) == 20
    changed = {**COMPARE_SCHEMA, "title": "other"}
    assert again.estimate(prompts[:1], changed) > 0  # another request is another key


@pytest.mark.parametrize("provider", PROVIDERS)
def test_requests_ask_for_structured_output(server, tmp_path, provider: str) -> None:
    client(server, provider, tmp_path).ask(["q"], COMPARE_SCHEMA)
    request = server.requests[0]
    wanted = request["output_config"]["format"] if provider == "anthropic" else request["response_format"]
    assert wanted["type"] == "json_schema"
    assert COMPARE_SCHEMA in (wanted.get("schema"), wanted.get("json_schema", {}).get("schema"))


@pytest.mark.parametrize("provider", PROVIDERS)
def test_odd_texts_are_asked_about(server, tmp_path, provider: str) -> None:
    texts = ["", "x" * 10_000, "مرحبا 👩‍👩‍👧", "half \ud83d here", "{braces}"]
    judge = ModelJudge(client(server, provider, tmp_path))
    assert judge.verdicts([Pair("{prompt}", ("r",), text, "other") for text in texts]) == ["1"] * 5
    assert sum("half ? here" in prompt for prompt in server.answered) == 1


@pytest.mark.parametrize("provider", PROVIDERS)
def test_giving_up_keeps_what_came_and_the_next_run_resumes(server, tmp_path, provider: str) -> None:
    prompts = [f"q{i}" for i in range(6)]
    server.troubles = ["", "", "", *["500"] * 3]
    stubborn = client(server, provider, tmp_path, attempts=3, workers=1)
    with pytest.raises(StudyError, match=r"InternalServerError.*3 of 6 replies are kept .*run again"):
        stubborn.ask(prompts, COMPARE_SCHEMA)
    assert len(server.requests) == 6  # nothing was begun after the failure
    assert client(server, provider, tmp_path).ask(prompts, COMPARE_SCHEMA) == [VERDICT] * 6
    assert sorted(server.answered) == prompts


@pytest.mark.parametrize("provider", PROVIDERS)
def test_refusals_stop_at_once_and_never_show_the_key(server, tmp_path, provider: str, caplog, capfd) -> None:
    caplog.set_level(logging.DEBUG)
    server.troubles = ["401"]
    judge = client(server, provider, tmp_path)
    with pytest.raises(StudyError, match="AuthenticationError") as refused:
        judge.ask(["q"], COMPARE_SCHEMA)
    assert len(server.requests) == 1
    judge.ask(["q"], COMPARE_SCHEMA)
    written = "".join(path.read_text() for path in tmp_path.iterdir())
    shown = str(refused.value) + caplog.text + "".join(capfd.readouterr()) + written + repr(judge)
    assert "[key]" in str(refused.value)
    assert KEY not in shown
    assert refused.value.__cause__ is None


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_missing_key_is_named(monkeypatch, tmp_path, provider: str) -> None:
    monkeypatch.delenv(KEYS[provider])
    with pytest.raises(StudyError, match=KEYS[provider]):
        Client(provider, "m", folder=tmp_path, budget=1, input_price=1, output_price=1)


def test_the_budget_is_checked_before_the_first_request(server, tmp_path) -> None:
    judge = client(server, "anthropic", tmp_path, budget=0.02)
    with pytest.raises(StudyError, match=r"up to \$0\.\d+ .* \$0\.02 is left"):
        judge.ask([f"q{i}" for i in range(9)], COMPARE_SCHEMA)
    assert server.requests == []


def test_the_budget_holds_under_way_and_between_clients(server, tmp_path) -> None:
    judge = client(server, "openai", tmp_path, budget=0.02, workers=1)
    server.troubles = ["shape"] * 9  # each may have been billed
    with pytest.raises(StudyError, match=r"raise judge\.budget"):
        judge.ask(["q"], COMPARE_SCHEMA)
    assert len(server.requests) == 2
    assert 0 <= judge.ledger.left() < 0.008
    with pytest.raises(StudyError, match="is left"):
        client(server, "openai", tmp_path, budget=0.02).ask(["other"], COMPARE_SCHEMA)
    assert len(server.requests) == 2


KILLED = """
import sys
from polychromic.metrics.judge_clients import Client
url, folder, provider = sys.argv[1:]
prices = {"input_price": 3, "output_price": 15, "budget": 9}
client = Client(provider, "model-x", folder=folder, base_url=url, workers=2, **prices)
client.ask([f"q{i}" for i in range(30)], {})
"""


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_killed_run_loses_only_what_was_under_way(server, tmp_path, provider: str) -> None:
    server.delay = 0.03
    command = [sys.executable, "-c", KILLED, server.url(provider), str(tmp_path), provider]
    process = subprocess.Popen(command)
    deadline = time.monotonic() + 60
    while len(server.answered) < 8 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.wait()
    time.sleep(0.1)
    before = len(server.answered)
    assert 8 <= before < 30
    server.delay = 0.0
    prompts = [f"q{i}" for i in range(30)]
    for _ in range(2):  # the second of these asks for nothing
        assert client(server, provider, tmp_path).ask(prompts, {}) == [VERDICT] * 30
        assert set(server.answered) == set(prompts)
        assert len(server.answered) <= 30 + 2  # at most the two under way were asked twice


def test_jobs_side_by_side_pay_for_the_same_request_once(server, tmp_path) -> None:
    server.delay = 0.1
    command = [sys.executable, "-c", KILLED, server.url("openai"), str(tmp_path), "openai"]
    jobs = [subprocess.Popen(command) for _ in range(2)]
    assert [job.wait(timeout=60) for job in jobs] == [0, 0]
    assert sorted(server.answered) == sorted(f"q{i}" for i in range(30))
    assert list(tmp_path.glob("*.lock")) == []
