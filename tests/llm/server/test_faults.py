"""Failing servers: every request is answered once, alone in its failure, and nobody is asked more than is borne."""

from __future__ import annotations

import asyncio
import random
import socket
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from harness.errors import CallsStoppedError, ModelError
from harness.llm import Request
from harness.llm.server.faults import classify, classify_status, read_retry_after

Ask = Callable[..., Request]

FAULTS = ("429", "500", "503", "408", "cut", "garbled", "no choices", "html", "no usage", "ok")


async def misbehave(kind: str, call: Any, wire: Any) -> Any:
    if kind in ("429", "500", "503", "408"):
        headers = {"Retry-After": "0.01"} if kind == "429" else None
        return wire.fail(int(kind), kind, headers)
    if kind == "timeout":
        await asyncio.sleep(3600.0)
    if kind == "cut":
        return await wire.cut(call)
    if kind == "garbled":
        return wire.garbled()
    if kind in ("no choices", "html"):
        from aiohttp import web

        reply = web.json_response({"error": {"code": 502}}) if kind == "no choices" else web.Response(text="<html>")
        reply.broken = True
        return reply
    return wire.say(call.prompt, **({"usage": None} if kind == "no usage" else {}))


@pytest.mark.parametrize("seed", [0, 1])
def test_a_faulty_server_loses_and_repeats_nothing(
    loopback: Any, openai_backend: Any, ask: Ask, wire: Any, seed: int
) -> None:
    n_requests, rng = 250, random.Random(seed)
    schedule = {f"p{i}": [rng.choice(FAULTS) for _ in range(rng.choice([0, 0, 1, 2, 3]))] for i in range(n_requests)}
    schedule["p3"] = schedule["p4"] = ["timeout", "500"]
    schedule["p17"] = ["bad"] * 99

    async def handler(call: Any) -> Any:
        await asyncio.sleep(rng.uniform(0, 0.004))
        faults = schedule[call.prompt]
        kind = faults[call.count - 1] if call.count <= len(faults) else "ok"
        if kind == "bad":
            return wire.fail(400, "this one is malformed")
        return await misbehave(kind, call, wire)

    server = loopback(handler)
    backend = openai_backend(server, concurrency=24, timeout_seconds=2.0)
    answers = list(backend.checked(ask(f"p{i}") for i in range(n_requests)))
    assert sorted(number for number, _ in answers) == list(range(n_requests))
    by_number = dict(answers)
    assert [n for n, a in by_number.items() if a.finish != "stop"] == [17]
    assert by_number[17].error == "HTTP 400: this one is malformed"
    assert server.counts["p17"] == 1
    for number, answer in by_number.items():
        if number != 17:
            assert answer.text == f"p{number}"
            assert server.successes[f"p{number}"] == 1
            assert answer.n_attempts == server.counts[f"p{number}"]
    assert server.n_most <= 24


@pytest.mark.parametrize("unit", ["retry-after", "retry-after-ms", "date"])
def test_a_pause_that_one_is_told_is_kept_by_all(
    loopback: Any, openai_backend: Any, ask: Ask, wire: Any, unit: str
) -> None:
    told: list[float] = []
    until: list[float] = []

    async def handler(call: Any) -> Any:
        number = int(call.prompt[1:])
        while number > 20 and not is_held():  # so that all that may be in flight are, when one of them is told
            await asyncio.sleep(0.001)
        if number != 20 or told:
            return wire.say()
        while server.n_now < 8:
            await asyncio.sleep(0.001)
        told.append(time.monotonic())
        if unit == "date":  # whole seconds only
            date = (datetime.now(UTC) + timedelta(seconds=1.5)).replace(microsecond=0)
            until.append(told[0] + date.timestamp() - time.time())
            return wire.fail(429, headers={"Retry-After": format_datetime(date, usegmt=True)})
        until.append(told[0] + 0.5)
        return wire.fail(429, headers={unit: "0.5" if unit == "retry-after" else "500"})

    def is_held() -> bool:
        """Whether the client has read the refusal."""
        return backend._pace._held_until > 0

    server = loopback(handler)
    backend = openai_backend(server, concurrency=8)
    answers = list(backend.checked(ask(f"p{i}") for i in range(60)))
    assert {a.finish for _, a in answers} == {"stop"}
    begun = [call.began for call in server.calls]
    assert sum(at <= told[0] for at in begun) == 28
    assert sum(at >= until[0] - 0.01 for at in begun) == 1 + 60 - 28  # the one that was told, and all others


def test_concurrency_falls_at_overload_and_comes_back(loopback: Any, openai_backend: Any, ask: Ask, wire: Any) -> None:
    able = 4

    async def handler(call: Any) -> Any:
        if call.prompt[0] == "p":
            if server.n_now > able:
                return wire.fail(503)
            await asyncio.sleep(0.004)
        while call.prompt[0] == "q" and backend._pace.window == 16 and server.n_most < 16:
            await asyncio.sleep(0.001)
        return wire.say()

    server = loopback(handler)
    backend = openai_backend(server, concurrency=16, timeout_seconds=20.0, max_retries=20)
    answers = list(backend.checked(ask(f"p{i}") for i in range(300)))
    assert {a.finish for _, a in answers} == {"stop"}
    n_refused = len(server.calls) - 300
    assert 0 < n_refused < 300  # without adapting, sixteen knock where four are served: 900 are refused
    assert backend._pace.window < 16
    server.n_most = 0
    list(backend.checked(ask(f"q{i}") for i in range(300)))
    assert server.n_most == 16


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        ({"status": 429, "message": "exceeded your quota", "code": "insufficient_quota"}, "exceeded your quota"),
        ({"status": 402, "message": "pay first"}, "pay first"),
        ({"status": 429, "headers": {"retry-after": "7200"}}, "asks to wait 7200 seconds"),
    ],
)
def test_where_waiting_is_in_vain_the_command_stops_at_once(
    loopback: Any, openai_backend: Any, ask: Ask, wire: Any, reply: dict[str, Any], message: str
) -> None:
    async def handler(call: Any) -> Any:
        if call.prompt == "p0":
            return wire.say()
        await asyncio.sleep(0.05)
        return wire.fail(**reply)

    server = loopback(handler)
    received = []
    with pytest.raises(CallsStoppedError, match=message):
        for pair in openai_backend(server, concurrency=2).checked(ask(f"p{i}") for i in range(50)):
            received.append(pair)
    assert [number for number, _ in received] == [0]
    assert len(server.calls) <= 4


def test_nobody_there(openai_backend: Any, ask: Ask) -> None:
    said = r"nobody answers at 127.0.0.1:9: connection refused, 3 times; repeat the command"
    with pytest.raises(CallsStoppedError, match=said):
        list(openai_backend("http://127.0.0.1:9/v1", max_retries=2).checked(iter([ask("a"), ask("b")])))


def test_one_that_takes_too_long(loopback: Any, openai_backend: Any, ask: Ask, wire: Any) -> None:
    async def handler(call: Any) -> Any:
        await asyncio.sleep(3600.0)

    with pytest.raises(CallsStoppedError, match=r": no answer in time, 1 times"):
        list(openai_backend(loopback(handler), timeout_seconds=0.2, max_retries=0).checked(iter([ask("a")])))


def test_a_host_that_nobody_knows() -> None:
    error = OSError("Cannot connect to host h:80")
    error.__cause__ = socket.gaierror(-2, "Name or service not known")
    fault = classify(error, ())
    assert fault is not None
    assert fault.error == "no connection: [Errno -2] Name or service not known"


def test_one_that_always_fails_gets_two_rounds_and_fails_alone(
    loopback: Any, openai_backend: Any, ask: Ask, wire: Any
) -> None:
    async def handler(call: Any) -> Any:
        return wire.fail(500, "broken") if call.prompt == "p5" else wire.say()

    server = loopback(handler)
    answers = dict(openai_backend(server, max_retries=2).checked(ask(f"p{i}") for i in range(30)))
    assert [n for n, a in answers.items() if a.finish == "error"] == [5]
    assert (answers[5].error, answers[5].n_attempts) == ("HTTP 500: broken", 6)
    assert server.counts["p5"] == 6
    assert len(answers) == 30


def test_one_that_was_set_aside_can_recover(loopback: Any, openai_backend: Any, ask: Ask, wire: Any) -> None:
    async def handler(call: Any) -> Any:
        return wire.fail(500) if call.prompt == "p5" and call.count <= 4 else wire.say()

    answers = dict(openai_backend(loopback(handler), max_retries=2).checked(ask(f"p{i}") for i in range(30)))
    assert (answers[5].finish, answers[5].n_attempts) == ("stop", 5)


def test_a_server_that_dies_stops_the_command_after_eight_in_vain(
    loopback: Any, openai_backend: Any, ask: Ask, wire: Any
) -> None:
    async def handler(call: Any) -> Any:
        return wire.say() if int(call.prompt[1:]) < 20 else wire.fail(500)

    server = loopback(handler)
    received = []
    with pytest.raises(CallsStoppedError, match="nobody answers"):
        for number, _ in openai_backend(server, concurrency=4, max_retries=1).checked(ask(f"p{i}") for i in range(999)):
            received.append(number)
    assert sorted(received) == list(range(20))
    assert len(server.counts) <= 20 + 8 + 2 * 4


def test_json_by_another_name_is_read(loopback: Any, openai_backend: Any, ask: Ask, wire: Any) -> None:
    from aiohttp import web

    async def handler(call: Any) -> Any:
        return web.Response(body=wire.say("joy").body, content_type="text/plain")

    [(_, answer)] = openai_backend(loopback(handler)).checked(iter([ask("a")]))
    assert answer.text == "joy"


def test_a_prompt_that_a_filter_refuses(loopback: Any, openai_backend: Any, ask: Ask, wire: Any) -> None:
    replies = {
        "openai": wire.fail(400, "rejected", code="content_policy_violation"),
        "azure": wire.fail(400, "filtered", code="content_filter", innererror={"code": "ResponsibleAIPolicyViolation"}),
        "router": wire.fail(403, "requires moderation and your input was flagged"),
        "fine": wire.say(),
    }

    async def handler(call: Any) -> Any:
        return replies[call.prompt]

    answers = dict(openai_backend(loopback(handler)).checked(map(ask, replies)))
    assert [answers[i].finish for i in range(4)] == ["filter", "filter", "filter", "stop"]
    assert answers[0].error == "HTTP 400: rejected"


@pytest.mark.parametrize("status", [404, 413, 422])
def test_what_is_wrong_with_one_item_is_its_own(
    loopback: Any, openai_backend: Any, ask: Ask, wire: Any, status: int
) -> None:
    async def handler(call: Any) -> Any:
        return wire.fail(status, "not this") if call.prompt == "p3" else wire.say()

    server = loopback(handler)
    answers = dict(openai_backend(server, concurrency=1).checked(ask(f"p{i}") for i in range(6)))
    assert [n for n, a in answers.items() if a.finish == "error"] == [3]
    assert server.counts["p3"] == 1


def test_a_model_that_vanishes_stops_everything(loopback: Any, openai_backend: Any, ask: Ask, wire: Any) -> None:
    async def handler(call: Any) -> Any:
        return wire.say() if call.prompt == "p0" else wire.fail(404, "gone", code="model_not_found")

    with pytest.raises(ModelError, match="gone"):
        list(openai_backend(loopback(handler), concurrency=1).checked(ask(f"p{i}") for i in range(6)))


UNREADABLE = "an answer that cannot be read"


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "connection cut: "),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", "connection cut: "),
        (b"garbage\r\n\r\n", UNREADABLE),
        (b"HTTP/1.1 200 OK\r\nContent-Length: abc\r\n\r\n", UNREADABLE),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", ""),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello", ""),
        (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n\xff\xfe", UNREADABLE),
        (b"HTTP/1.1 302 Found\r\nLocation: ftp://x\r\nContent-Length: 0\r\n\r\n", ""),
    ],
)
def test_what_is_no_answer_at_all_is_tried_again(openai_backend: Any, ask: Ask, raw: bytes, said: str) -> None:
    n_accepted = 0

    def speak(server: socket.socket) -> None:
        nonlocal n_accepted
        while True:
            try:
                connection, _ = server.accept()
            except OSError:  # closed by the test
                return
            n_accepted += 1
            with connection:
                connection.recv(65536)
                connection.sendall(raw)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=speak, args=(server,), daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        with pytest.raises(CallsStoppedError, match=f"nobody answers at .*: {said}"):
            list(openai_backend(url, max_retries=1).checked(iter([ask("a")])))
        server.shutdown(socket.SHUT_RDWR)
    thread.join(10)
    assert n_accepted == 2


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (409, None, "transient"),
        (425, {"error": "too early"}, "transient"),
        (504, "<html>gateway</html>", "transient"),
        (529, {"error": {"type": "overloaded_error"}}, "overload"),
        (429, {"error": {"code": "rate_limit_exceeded"}}, "overload"),
        (400, {"message": "vLLM's older form", "code": 400}, "item"),
        (422, {"detail": [{"loc": ["body", "x"]}]}, "item"),
    ],
)
def test_statuses_in_the_bodies_of_several_servers(status: int, body: object, kind: str) -> None:
    assert classify_status(status, body).kind == kind


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "1.5", "retry-after-ms": "250"}, 0.25),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after-ms": "nan"}, None),
    ],
)
def test_retry_after_is_read(headers: dict[str, str], seconds: float | None) -> None:
    assert read_retry_after(headers) == seconds
