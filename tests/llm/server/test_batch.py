"""The batch service against a loopback one that keeps files and batches as the provider does."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from harness.errors import CallsStoppedError, ModelError, StoreError
from harness.llm import Decoding, Request
from harness.llm.server import batch as module
from harness.llm.server.ledger import Ledger

Ask = Callable[..., Request]


class KilledError(BaseException):
    """As if the process had been killed."""


@dataclass
class FakeBatches:
    """A provider of batches. `outcome` turns a line's body into (status, body), or None where it was not reached."""

    outcome: Callable[[dict[str, Any]], tuple[int, dict[str, Any]] | None]
    n_looks: int = 2
    """Looks at a batch before it has ended."""
    ending: str = "completed"
    seconds: float = 0.0
    """To make a batch."""
    is_busy: bool = False
    n_refused: int = 0
    loses_answers: bool = False
    """Whether a batch is made and its maker never told."""
    files: dict[str, bytes] = field(default_factory=dict)
    batches: dict[str, dict[str, Any]] = field(default_factory=dict)
    looks: dict[str, int] = field(default_factory=dict)

    def app(self) -> web.Application:
        app = web.Application(client_max_size=2**26)
        app.router.add_post("/v1/files", self.upload)
        app.router.add_get("/v1/files/{id}/content", self.download)
        app.router.add_post("/v1/batches", self.create)
        app.router.add_get("/v1/batches", self.list_all)
        app.router.add_get("/v1/batches/{id}", self.look)
        return app

    async def upload(self, http: web.Request) -> web.Response:
        form = await http.post()
        assert form["purpose"] == "batch"
        name = f"file-{len(self.files)}"
        self.files[name] = form["file"].file.read()  # type: ignore[union-attr]
        return web.json_response({"id": name, "object": "file"})

    async def download(self, http: web.Request) -> web.Response:
        return web.Response(body=self.files[http.match_info["id"]])

    async def create(self, http: web.Request) -> web.Response:
        if self.is_busy:
            self.n_refused += 1
            return web.json_response({"error": {"message": "busy"}}, status=503)
        await asyncio.sleep(self.seconds)
        asked = await http.json()
        assert asked["completion_window"] == "24h"
        name = f"batch-{len(self.batches)}"
        self.batches[name] = {"id": name, "object": "batch", "status": "in_progress", **asked}
        self.looks[name] = 0
        if self.loses_answers:
            assert http.transport is not None
            http.transport.abort()
        return web.json_response(self.batches[name])

    async def list_all(self, http: web.Request) -> web.Response:
        """Newest first, two at once."""
        names = list(self.batches)[::-1]
        after = http.query.get("after")
        begin = names.index(after) + 1 if after else 0
        page = [self.batches[name] for name in names[begin : begin + 2]]
        return web.json_response({"object": "list", "data": page, "has_more": begin + 2 < len(names)})

    async def look(self, http: web.Request) -> web.Response:
        batch = self.batches.get(http.match_info["id"])
        if batch is None:
            return web.json_response({"error": {"message": "no such batch"}}, status=404)
        self.looks[batch["id"]] += 1
        if self.looks[batch["id"]] > self.n_looks:
            self.finish(batch)
        return web.json_response(batch)

    def finish(self, batch: dict[str, Any]) -> None:
        batch["status"] = self.ending
        if self.ending == "failed":
            batch["errors"] = {"data": [{"code": "token_limit_exceeded", "message": "too many tokens enqueued"}]}
            return
        lines: dict[str, list[bytes]] = {"output_file_id": [], "error_file_id": []}
        for raw in reversed(self.files[batch["input_file_id"]].splitlines()):  # in any order
            line = json.loads(raw)
            assert line["url"] == batch["endpoint"]
            result = self.outcome(line["body"])
            told: dict[str, Any] = {"id": "r", "custom_id": line["custom_id"], "response": None, "error": None}
            if result is None:
                told["error"] = {"code": "batch_expired", "message": "This request could not be executed in time."}
            else:
                told["response"] = {"status_code": result[0], "body": result[1]}
            kind = "output_file_id" if result and result[0] == 200 else "error_file_id"
            lines[kind].append(json.dumps(told, ensure_ascii=False).encode())
        for kind, found in lines.items():
            if found:
                batch[kind] = f"{batch['id']}-{kind}"
                self.files[batch[kind]] = b"\n".join(found) + b"\n"

    def asked(self, name: str) -> list[dict[str, Any]]:
        """Returns the bodies of a batch."""
        return [json.loads(raw)["body"] for raw in self.files[self.batches[name]["input_file_id"]].splitlines()]


def answered(body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    text = body["messages"][-1]["content"].upper() if "messages" in body else "PLAIN"
    choice = {"index": 0, "message": {"content": text}, "text": text, "finish_reason": "stop"}
    return 200, {"choices": [choice], "usage": {"prompt_tokens": 5, "completion_tokens": 1}}


def refused(message: str, status: int = 400, **error: Any) -> tuple[int, dict[str, Any]]:
    return status, {"error": {"message": message, **error}}


@pytest.fixture
def batching(open_app: Any, openai_backend: Any) -> Callable[[FakeBatches], Any]:
    return lambda service: openai_backend(open_app(service.app()), base_delay=0.001, batch_api=True)


def ledger(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "batches.json").read_text())


def test_all_answers_come_from_one_batch_and_it_is_forgotten(batching: Any, ask: Ask, tmp_path: Path) -> None:
    service = FakeBatches(answered)
    answers = dict(batching(service).checked(ask(f"a\u2028{i}") for i in range(5)))
    assert {n: a.text for n, a in answers.items()} == {n: f"A\u2028{n}" for n in range(5)}
    assert answers[0].n_prompt_tokens == 5
    assert len(service.batches) == 1
    assert service.batches["batch-0"]["endpoint"] == "/v1/chat/completions"
    assert ledger(tmp_path) == {}


def test_equal_requests_are_asked_once_and_forms_apart(batching: Any, ask: Ask) -> None:
    service = FakeBatches(answered)
    answers = dict(batching(service).checked(iter([ask("a"), ask("b", "plain"), ask("a")])))
    assert {n: a.text for n, a in answers.items()} == {0: "A", 1: "PLAIN", 2: "A"}
    assert [len(service.asked(name)) for name in service.batches] == [1, 1]


def test_a_repeated_command_finds_its_batch(batching: Any, ask: Ask, tmp_path: Path) -> None:
    service = FakeBatches(answered, n_looks=10**9)
    backend = batching(service)
    requests = [ask(f"p{i}") for i in range(4)]

    def kill(seconds: float) -> None:
        raise KilledError

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KilledError):
        patch.setattr(module.time, "sleep", kill)
        list(backend.checked(iter(requests)))
    assert [entry["id"] for entry in ledger(tmp_path).values()] == ["batch-0"]

    service.n_looks = 0
    answers = backend.checked(iter(requests))
    stored = [next(answers)[0] for _ in range(2)]
    answers.close()  # killed between two answers: the batch is still known
    left = [request for number, request in enumerate(requests) if number not in stored]
    assert sorted(a.text for _, a in backend.checked(iter(left))) == sorted(f"P{n}" for n in {0, 1, 2, 3} - set(stored))
    assert list(service.batches) == ["batch-0"]
    assert ledger(tmp_path) == {}


@pytest.mark.parametrize("how", ["killed", "answer lost"])
def test_a_batch_whose_maker_never_knew_it_is_found_and_not_paid_for_again(
    batching: Any, ask: Ask, tmp_path: Path, how: str
) -> None:
    service = FakeBatches(answered)
    backend = batching(service)
    put = Ledger.put

    def kill(self: Ledger, key: str, entry: dict[str, Any]) -> None:
        if entry["id"] is not None:
            raise KilledError
        put(self, key, entry)

    requests = [ask(f"p{i}") for i in range(4)]
    with pytest.MonkeyPatch.context() as patch, pytest.raises((KilledError, CallsStoppedError)):
        if how == "killed":
            patch.setattr(Ledger, "put", kill)
        service.loses_answers = how != "killed"
        list(backend.checked(iter(requests)))
    assert [entry["id"] for entry in ledger(tmp_path).values()] == [None]
    assert list(service.batches) == ["batch-0"]

    service.loses_answers = False
    for name in ("batch-a", "batch-b", "batch-c"):  # of somebody else, made later: the own is on the second page
        service.batches[name] = {"id": name, "object": "batch", "status": "completed", "metadata": {"mine": "x"}}
    assert sorted(a.text for _, a in backend.checked(iter(requests[1:]))) == ["P1", "P2", "P3"]
    assert list(service.batches) == ["batch-0", "batch-a", "batch-b", "batch-c"]
    assert ledger(tmp_path) == {}


def test_a_batch_that_was_only_intended_is_made_once(batching: Any, ask: Ask, tmp_path: Path) -> None:
    service = FakeBatches(answered, is_busy=True)
    backend = batching(service)
    with pytest.raises(CallsStoppedError, match="busy"):
        list(backend.checked(iter([ask("a")])))
    assert [entry["id"] for entry in ledger(tmp_path).values()] == [None]
    assert service.n_refused == 1  # the client does not repeat by itself what may have been done
    service.is_busy = False
    assert [a.text for _, a in backend.checked(iter([ask("a")]))] == ["A"]
    assert list(service.batches) == ["batch-0"]
    assert ledger(tmp_path) == {}


def test_only_what_is_new_is_asked(batching: Any, ask: Ask) -> None:
    service = FakeBatches(answered)
    backend = batching(service)
    answers = backend.checked(ask(f"p{i}") for i in range(3))
    next(answers)
    answers.close()
    assert len(dict(backend.checked(ask(f"p{i}") for i in range(5)))) == 5
    assert [len(service.asked(name)) for name in service.batches] == [3, 2]


def test_items_fail_alone(batching: Any, ask: Ask) -> None:
    def outcome(body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        prompt = body["messages"][-1]["content"]
        if prompt == "p1":
            return refused("too long, sk-secret-1234")
        return refused("no", code="content_filter") if prompt == "p2" else answered(body)

    answers = dict(batching(FakeBatches(outcome)).checked(ask(f"p{i}") for i in range(4)))
    assert [answers[i].finish for i in range(4)] == ["stop", "error", "filter", "stop"]
    assert answers[1].error == "HTTP 400: too long, [secret]"


def test_a_refused_field_is_left_away_in_a_second_batch(batching: Any, ask: Ask, tmp_path: Path) -> None:
    def outcome(body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if "max_tokens" in body:
            return refused("Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")
        return answered(body)

    service = FakeBatches(outcome)
    request = [ask(f"p{i}", decoding=Decoding(max_new_tokens=9)) for i in range(3)]
    assert {a.text for _, a in batching(service).checked(iter(request))} == {"P0", "P1", "P2"}
    assert [len(service.asked(name)) for name in service.batches] == [3, 3]
    assert service.asked("batch-1")[0]["max_completion_tokens"] == 9
    assert ledger(tmp_path) == {}


@pytest.mark.parametrize("late", ["expired", "server error"])
def test_what_was_not_reached_stops_the_command_after_the_rest(
    batching: Any, ask: Ask, tmp_path: Path, late: str
) -> None:
    def outcome(body: dict[str, Any]) -> tuple[int, dict[str, Any]] | None:
        if body["messages"][-1]["content"] != "p2":
            return answered(body)
        return None if late == "expired" else refused("busy", 503)

    service = FakeBatches(outcome, ending="expired" if late == "expired" else "completed")
    received = []
    with pytest.raises(CallsStoppedError, match="repeat the command to ask what is left"):
        for number, _ in batching(service).checked(ask(f"p{i}") for i in range(4)):
            received.append(number)
    assert sorted(received) == [0, 1, 3]
    assert ledger(tmp_path) == {}  # so that the repeated command asks it anew


def test_a_batch_that_is_refused_as_a_whole_says_why(batching: Any, ask: Ask, tmp_path: Path) -> None:
    with pytest.raises(CallsStoppedError, match="failed token_limit_exceeded: too many tokens enqueued"):
        list(batching(FakeBatches(answered, ending="failed")).checked(iter([ask("a")])))
    assert ledger(tmp_path) == {}


def test_a_batch_that_is_gone_is_forgotten(batching: Any, ask: Ask, tmp_path: Path) -> None:
    service = FakeBatches(answered)
    backend = batching(service)
    next(answers := backend.checked(iter([ask("a"), ask("b")])))
    answers.close()
    service.batches.clear()
    with pytest.raises(CallsStoppedError, match="no such batch"):
        list(backend.checked(iter([ask("a"), ask("b")])))
    assert len(list(backend.checked(iter([ask("a"), ask("b")])))) == 2


def test_an_unknown_model_is_told(batching: Any, ask: Ask) -> None:
    with pytest.raises(ModelError, match="does not know model 'm'"):
        list(batching(FakeBatches(lambda _: refused("nope", 404, code="model_not_found"))).checked(iter([ask("a")])))


def test_long_lists_make_several_batches(batching: Any, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_LINES", 2)
    service = FakeBatches(answered)
    assert len(dict(batching(service).checked(ask(f"p{i}") for i in range(5)))) == 5
    assert [len(service.asked(name)) for name in service.batches] == [2, 2, 1]
    monkeypatch.setattr(module, "_MOST_LINES", 100)
    monkeypatch.setattr(module, "_MOST_BYTES", 700)
    service = FakeBatches(answered)
    assert len(dict(batching(service).checked(ask(f"p{i}") for i in range(5)))) == 5
    sizes = [len(service.files[batch["input_file_id"]]) for batch in service.batches.values()]
    assert len(sizes) > 1
    assert max(sizes) <= 700


def test_a_corrupt_ledger_is_named(batching: Any, ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "batches.json").write_text("{")
    with pytest.raises(StoreError, match="batches.json"):
        list(batching(FakeBatches(answered)).checked(iter([ask("a")])))


def test_two_commands_at_once_make_one_batch(batching: Any, openai_backend: Any, ask: Ask, tmp_path: Path) -> None:
    service = FakeBatches(answered, n_looks=0, seconds=0.2)
    url = batching(service).model.base_url
    commands = [openai_backend(url, base_delay=0.001, batch_api=True) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(lambda b: dict(b.checked(iter([ask("a"), ask("b")]))), command) for command in commands]
        assert [sorted(a.text for a in each.result(30).values()) for each in asked] == [["A", "B"]] * 2
    assert list(service.batches) == ["batch-0"]
    assert ledger(tmp_path) == {}


def test_two_commands_at_once_lose_no_batch(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from harness.llm.server.ledger import Ledger\n"
        "for i in range(40): Ledger(Path(sys.argv[1])).put(f'{sys.argv[2]}{i}', {'id': i})"
    )
    path = tmp_path / "new" / "batches.json"
    running = [subprocess.Popen([sys.executable, "-c", code, str(path), name]) for name in "ab"]
    assert [process.wait(30) for process in running] == [0, 0]
    assert len(Ledger(path).read()) == 80
