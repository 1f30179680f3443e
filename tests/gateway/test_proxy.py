"""Calls pass as they are, but for the model; answers are counted by the model that gave them."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import json
import socket
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from acr.gateway import process
from acr.nouns import Usage
from acr.settings import GatewaySettings
from tests.gateway.conftest import PATHS, Gate, Upstream, body, read, send, tier_map, until
from tests.model_server import ModelServer, Step

Models = Callable[..., ModelServer]
Gates = Callable[..., Gate]
USAGE = {"input": 1000, "cached": 400, "output": 50, "reasoning": 5}
COSTS = {
    "mock-tiny": (600 * 0.1 + 400 * 0.01 + 50 * 1.0) / 1e6,
    "mock-mid": (600 * 1.0 + 400 * 0.1 + 50 * 10.0) / 1e6,
    "mock-big": (600 * 10.0 + 400 * 1.0 + 50 * 100.0) / 1e6,
}
DIALECTS = pytest.mark.parametrize("dialect", PATHS)


@DIALECTS
@pytest.mark.parametrize("stream", [True, False])
def test_each_step_goes_to_its_tier_and_is_counted_by_who_answered(
    dialect: str, stream: bool, models: Models, gate: Gates
) -> None:
    server = models(steps=(Step(message="hi", usage=USAGE),))
    gateway = gate(server.url, router="frontier,minimal,mid")
    answers = [gateway.ask(PATHS[dialect], body(dialect, stream=stream)) for _ in range(3)]
    assert [a.status for a in answers] == [200, 200, 200]
    wanted = ["mock-big", "mock-tiny", "mock-mid"]
    assert [r.model for r in server.requests] == wanted
    steps = gateway.finish()
    assert [s.answered for s in steps] == wanted
    assert [s.asked for s in steps] == ["mock-big"] * 3
    assert [s.tier for s in steps] == ["frontier", "minimal", "mid"]
    assert [s.cost for s in steps] == pytest.approx([COSTS[m] for m in wanted])
    assert [s.n for s in steps] == [1, 2, 3]
    assert {s.status for s in steps} == {200}
    used = steps[0].usage
    assert used
    assert (used.input, used.cached_input, used.output, used.requests) == (600, 400, 50, 1)


@DIALECTS
def test_bytes_pass_but_for_the_model_and_what_it_does_not_take(
    dialect: str, models: Models, gate: Gates
) -> None:
    server = models()
    gateway = gate(server.url, router="frontier,minimal")
    odd = body(dialect, thinking={"a": 1}, reasoning={"effort": "high", "x": 1.0e0}, é="\n\u2028")
    odd = odd.replace(b'"stream": true', b'"stream" :\ttrue')
    for _ in range(2):
        gateway.ask(PATHS[dialect], odd)
    same, swapped = (r.raw for r in server.requests)
    assert same == odd
    expected = odd.replace(b"mock-big", b"mock-tiny").replace(b'"thinking": {"a": 1}, ', b"")
    assert swapped == expected.replace(b'"effort": "high", ', b"")


def test_the_answer_passes_byte_for_byte(gate: Gates) -> None:
    raw = bytes(range(256)) * 50

    def handle(handler: BaseHTTPRequestHandler, _: bytes) -> None:
        send(handler, 201, raw, Content_Type="x/y", X_Request_Id="7", Retry_After="3")

    with Upstream(handle) as upstream:
        gateway = gate(upstream.url)
        got = gateway.ask("/v1/any/%20thing?a=%2F&b", b"\x00\xff", {"X-Own": "é", "TE": "x"})
    assert (got.status, got.body) == (201, raw)
    assert got.headers == {
        "content-type": "x/y",
        "x-request-id": "7",
        "retry-after": "3",
        "content-length": str(len(raw)),
    }
    method, path, headers, sent = upstream.seen[0]
    assert (method, path, sent) == ("POST", "/v1/any/%20thing?a=%2F&b", b"\x00\xff")
    names = {k.lower(): v for k, v in headers}
    assert names["x-own"] == "é"
    assert "te" not in names
    assert "user-agent" not in names
    assert names["host"] == upstream.url.removeprefix("http://")


def test_credentials_reach_the_provider_and_nothing_else(gate: Gates, home: Path) -> None:
    secret = "canary-key-0123456789"
    with Upstream(lambda h, _: send(h, 200, b"{}")) as upstream:
        gateway = gate(upstream.url)
        given = {"Authorization": f"Bearer {secret}", "X-Api-Key": secret, "Cookie": secret}
        gateway.ask("/v1/messages", body("messages"), given)
        steps = gateway.finish()
    names = {k.lower(): v for k, v in upstream.seen[0][2]}
    assert names["authorization"] == f"Bearer {secret}"
    assert names["x-api-key"] == names["cookie"] == secret
    assert secret not in repr(steps)
    assert all(secret.encode() not in p.read_bytes() for p in home.rglob("*") if p.is_file())


@pytest.mark.parametrize("encoding", ["gzip", ""])
def test_compressed_answers_are_passed_as_they_are_and_counted(encoding: str, gate: Gates) -> None:
    told = {"model": "mock-mid-2", "usage": {"prompt_tokens": 10, "completion_tokens": 2}}
    raw = gzip.compress(json.dumps(told).encode()) if encoding else json.dumps(told).encode()

    def handle(handler: BaseHTTPRequestHandler, _: bytes) -> None:
        more = {"Content_Encoding": encoding} if encoding else {}
        send(handler, 200, raw, Content_Type="application/json", **more)

    with Upstream(handle) as upstream:
        gateway = gate(upstream.url)
        accepted = {"Accept-Encoding": "br, gzip;q=0.5, zstd"}
        got = gateway.ask(PATHS["chat"], body("chat", stream=False), accepted)
        (step,) = gateway.finish()
    assert got.body == raw
    assert dict(upstream.seen[0][2])["accept-encoding"] == "gzip"
    assert (step.answered, step.tier) == ("mock-mid-2", "mid")
    assert step.usage
    assert (step.usage.input, step.usage.output) == (10, 2)


def test_codexs_hint_names_the_model_that_is_sent(models: Models, gate: Gates) -> None:
    server = models(by_model={"mock-tiny": (Step(error=429),)})
    gateway = gate(server.url, router="minimal")
    gateway.ask(PATHS["responses"], body("responses"), {"X-Codex-Routing-Hint": "model=mock-big"})
    hints = [r.headers["x-codex-routing-hint"] for r in server.requests]
    assert hints == ["model=mock-tiny", "model=mock-big"]


def test_a_chatgpt_login_goes_to_where_chatgpt_answers(models: Models, home: Path) -> None:
    api, chatgpt = models(), models()
    tier_map(home)
    addresses = {"openai": f"{api.url}/v1", "chatgpt": f"{chatgpt.url}/backend-api/codex"}
    with process.start(process.config(GatewaySettings(), addresses)) as started:
        gateway = Gate(started)
        for headers in ({}, {"ChatGPT-Account-Id": "a"}):
            gateway.ask("/responses", body("responses"), headers, upstream="openai")
    assert [r.path for r in api.requests] == ["/v1/responses"]
    assert [r.path for r in chatgpt.requests] == ["/backend-api/codex/responses"]


def test_a_compressed_request_goes_on_as_it_is(models: Models, gate: Gates) -> None:
    server = models()
    gateway = gate(server.url, router="minimal")
    raw = gzip.compress(body("responses"))
    gateway.ask(PATHS["responses"], raw, {"Content-Encoding": "gzip"})
    (step,) = gateway.finish()
    assert [r.model for r in server.requests] == ["mock-big"]
    assert (step.answered, step.reason) == ("mock-big", "a compressed request is not read")


def test_other_paths_and_methods_pass(models: Models, gate: Gates) -> None:
    server = models(models=("a", "b"))
    gateway = gate(server.url)
    assert [m["id"] for m in gateway.ask("/v1/models").json()["data"]] == ["a", "b"]
    assert gateway.ask("/", method="HEAD").status == 200
    counted = gateway.ask("/v1/messages/count_tokens", body("messages"))
    assert counted.json()["input_tokens"] > 0
    assert gateway.ask("/v1/nothing/here", b"x").json()["error"]["code"] == 400
    assert gateway.ask("/v1/nothing/here", b"{}").status == 404
    assert gateway.finish() == []


def test_a_websocket_is_declined_so_that_codex_falls_back(models: Models, gate: Gates) -> None:
    gateway = gate(models().url)
    wanted = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    assert gateway.ask("/v1/responses", headers=wanted).status == 426
    assert gateway.ask("/v1/models").status == 200


@pytest.mark.parametrize("status", [400, 404, 429, 503, 529])
def test_a_routed_model_that_refuses_is_replaced_by_the_one_asked_for(
    status: int, models: Models, gate: Gates
) -> None:
    server = models(
        steps=(Step(message="hi", usage=USAGE),),
        by_model={"mock-tiny": (Step(error=status, body="no"),)},
    )
    gateway = gate(server.url, router="minimal")
    for _ in range(2):
        assert gateway.ask(PATHS["messages"], body("messages")).status == 200
    assert [r.model for r in server.requests] == ["mock-tiny", "mock-big", "mock-big"]
    assert server.requests[1].raw == body("messages")
    first, second = gateway.finish()
    assert first.answered == second.answered == "mock-big"
    assert f"mock-tiny refused it ({status})" in first.reason
    assert "refused a call before" in second.reason
    assert first.cost == pytest.approx(COSTS["mock-big"])


def test_a_stream_that_begins_with_an_error_counts_as_refused(gate: Gates) -> None:
    events = b'event: error\ndata: {"type": "error", "error": {"type": "overloaded_error"}}\n\n'

    def handle(handler: BaseHTTPRequestHandler, raw: bytes) -> None:
        told = events if b"mock-tiny" in raw else b'data: {"type": "message_stop"}\n\n'
        send(handler, 200, told, Content_Type="text/event-stream; charset=utf-8")

    with Upstream(handle) as upstream:
        gateway = gate(upstream.url, router="minimal")
        got = gateway.ask(PATHS["messages"], body("messages"))
        (step,) = gateway.finish()
    assert b"message_stop" in got.body
    assert len(upstream.seen) == 2
    assert step.answered == "mock-big"


@DIALECTS
@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 529])
def test_a_providers_error_is_passed_unchanged_and_tried_once(
    dialect: str, status: int, models: Models, gate: Gates
) -> None:
    server = models(steps=(Step(error=status, body="the provider's words"),))
    gateway = gate(server.url)
    got = gateway.ask(PATHS[dialect], body(dialect))
    assert (got.status, got.json()["error"]["message"]) == (status, "the provider's words")
    (step,) = gateway.finish()
    assert (step.status, step.cost, step.usage) == (status, 0.0, None)
    assert len(server.requests) == 1


def test_a_model_that_no_map_knows_stays(models: Models, gate: Gates) -> None:
    server = models()
    gateway = gate(server.url, router="minimal")
    gateway.ask(PATHS["chat"], body("chat", "stranger"))
    (step,) = gateway.finish()
    assert server.requests[0].model == step.answered == "stranger"
    assert (step.tier, step.cost, step.reason) == (None, None, "no tier map knows stranger")


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b'{"model": 7}', b'{"model": "a\xff"}', b"[" * 99_999]
)
def test_malformed_requests_go_on_as_they_are(raw: bytes, gate: Gates) -> None:
    with Upstream(lambda h, _: send(h, 400, b"the provider's words")) as upstream:
        gateway = gate(upstream.url, router="minimal")
        got = gateway.ask(PATHS["messages"], raw)
    assert (got.status, got.body) == (400, b"the provider's words")
    assert upstream.seen[0][3] == raw


def test_a_request_that_is_too_large_is_refused_in_the_dialects_words(gate: Gates) -> None:
    with Upstream(lambda h, _: send(h, 200, b"{}")) as upstream:
        gateway = gate(upstream.url, body=1)
        got = gateway.ask(PATHS["messages"], b'{"x": "' + b"y" * (1 << 20) + b'"}')
        assert gateway.ask(PATHS["chat"], b'{"x": "' + b"y" * (1 << 19) + b'"}').status == 200
    assert got.status == 413
    assert got.json()["type"] == "error"
    assert got.json()["error"]["type"] == "request_too_large"
    assert len(upstream.seen) == 1


@pytest.mark.parametrize("where", ["/", "/x", "/wrong-token/mock/v1/models", "//mock/v1/models"])
def test_without_the_token_nothing_is_passed(where: str, gate: Gates) -> None:
    with Upstream(lambda h, _: send(h, 200, b"{}")) as upstream:
        gateway = gate(upstream.url)
        with contextlib.closing(gateway.connect()) as connection:
            connection.request("GET", where)
            got = read(connection.getresponse())
        assert gateway.ask("/v1/models", upstream="nobody").status == 404
    assert got.status == 403
    assert "acr gateway" in got.json()["error"]["message"]
    assert upstream.seen == []


def test_a_provider_that_cannot_be_reached_is_a_502(gate: Gates) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        gateway = gate(f"http://127.0.0.1:{unused.getsockname()[1]}")
        got = gateway.ask(PATHS["responses"], body("responses"))
    assert got.status == 502
    assert "cannot reach http://127.0.0.1" in got.json()["error"]["message"]
    (step,) = gateway.finish()
    assert (step.status, step.cost) == (502, 0.0)


def test_a_silent_provider_is_a_504(models: Models, gate: Gates) -> None:
    gateway = gate(models(steps=(Step(message="late", delay=600),)).url, silence=0.2)
    got = gateway.ask(PATHS["messages"], body("messages"))
    assert got.status == 504
    assert "was silent for 0.2 s" in got.json()["error"]["message"]


@DIALECTS
def test_half_a_stream_is_half_a_stream_and_of_unknown_cost(
    dialect: str, models: Models, gate: Gates
) -> None:
    gateway = gate(models(steps=(Step(message="hi", breaks_after=2),)).url)
    got = gateway.ask(PATHS[dialect], body(dialect))
    assert (got.status, got.broken) == (200, True)
    assert got.body.count(b"data: ") == 2
    (step,) = gateway.finish()
    assert (step.status, step.cost) == (0, None)


def test_a_client_that_vanishes_ends_the_call_upstream(gate: Gates) -> None:
    ended: list[bool] = []

    def handle(handler: BaseHTTPRequestHandler, _: bytes) -> None:
        handler.send_response_only(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.wfile.write(b"data: {}\n\n")
        handler.connection.settimeout(30)
        ended.append(handler.connection.recv(1) == b"")

    with Upstream(handle) as upstream:
        gateway = gate(upstream.url)
        connection = gateway.connect()
        connection.request("POST", gateway.path(PATHS["messages"]), body("messages"))
        response = connection.getresponse()
        assert response.read1() == b"data: {}\n\n"
        response.close()
        connection.close()
        until(lambda: bool(ended))
        assert ended == [True]
        (step,) = gateway.finish()
    assert (step.status, step.cost) == (0, None)


def test_a_client_that_goes_after_the_last_event_has_had_the_whole_answer(gate: Gates) -> None:
    """Codex does not wait for the end of the stream."""
    used = {"input_tokens": 100, "output_tokens": 10}
    said = {"type": "response.completed", "response": {"model": "mock-big", "usage": used}}
    event, ended = f"data: {json.dumps(said)}\n\n".encode(), list[bool]()

    def handle(handler: BaseHTTPRequestHandler, _: bytes) -> None:
        handler.send_response_only(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.wfile.write(event)
        handler.connection.settimeout(30)
        ended.append(handler.connection.recv(1) == b"")

    with Upstream(handle) as upstream:
        gateway = gate(upstream.url)
        connection = gateway.connect()
        connection.request("POST", gateway.path(PATHS["responses"]), body("responses"))
        response = connection.getresponse()
        assert response.read1() == event
        response.close()
        connection.close()
        until(lambda: bool(ended))
        (step,) = gateway.finish()
    assert step.status == 200
    assert step.usage == Usage(input=100, output=10, requests=1)


def test_a_slow_reader_slows_the_provider(gate: Gates) -> None:
    written: list[int] = [0]

    def handle(handler: BaseHTTPRequestHandler, raw: bytes) -> None:
        handler.send_response_only(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.connection.settimeout(2)
        with contextlib.suppress(TimeoutError):
            for _ in range(400):
                handler.wfile.write(b"data: " + b"x" * 250_000 + b"\n\n")
                written[0] += 250_000
        written.append(-1)

    with Upstream(handle) as upstream:
        gateway = gate(upstream.url)
        connection = gateway.connect()
        connection.request("POST", gateway.path(PATHS["messages"]), body("messages"))
        response = connection.getresponse()
        until(lambda: written[-1] == -1)  # the provider could not go on
        assert written[0] < 50_000_000
        response.close()
        connection.close()


def test_the_budget_is_checked_before_each_call(models: Models, gate: Gates) -> None:
    server = models(steps=(Step(message="hi", usage=USAGE),))
    gateway = gate(server.url, budget=1.5 * COSTS["mock-big"])
    got = [gateway.ask(PATHS["messages"], body("messages")) for _ in range(4)]
    assert [a.status for a in got] == [200, 200, 402, 402]
    assert "budget" in got[2].json()["error"]["message"]
    assert len(server.requests) == 2


def test_conversations_are_counted_apart(models: Models, gate: Gates) -> None:
    server = models()
    gateway = gate(server.url, router="frontier,minimal")
    for thread in ("a", "a", "b", "b"):
        gateway.ask(PATHS["responses"], body("responses"), {"thread-id": thread})
    for said in ("one", "two"):
        messages = [{"role": "user", "content": said}]
        gateway.ask(PATHS["messages"], body("messages", messages=messages))
    models_asked = [r.model for r in server.requests]
    assert models_asked == [
        "mock-big",
        "mock-tiny",
        "mock-big",
        "mock-tiny",
        "mock-big",
        "mock-big",
    ]


def test_eight_agents_at_once_are_all_served_and_counted(models: Models, gate: Gates) -> None:
    server = models(steps=(Step(message="hi", usage=USAGE),))
    gateway = gate(server.url, router="frontier,minimal")

    def work(agent: int) -> list[int]:
        dialect = list(PATHS)[agent % 3]
        said = {"thread-id": str(agent), "x-claude-code-session-id": str(agent)}
        odd = body(dialect, prompt_cache_key=str(agent))
        return [gateway.ask(PATHS[dialect], odd, said).status for _ in range(10)]

    with ThreadPoolExecutor(8) as agents:
        assert set(itertools.chain(*agents.map(work, range(8)))) == {200}
    steps = gateway.finish()
    assert [s.n for s in steps] == list(range(1, 81))
    assert Counter(s.answered for s in steps) == {"mock-big": 40, "mock-tiny": 40}
    assert len({s.session for s in steps}) == 8
    expected = 40 * (COSTS["mock-big"] + COSTS["mock-tiny"])
    assert sum(s.cost or 0.0 for s in steps) == pytest.approx(expected)
