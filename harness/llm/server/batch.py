"""The provider's batch service: requests as a file, answers hours later at a lower price.

A batch is known by what it asks: each line carries the hash of its body, and `batches.json` beside the response store
keeps which batch asks which lines. So a command that was killed and is repeated finds its batch, also where part of the
answers had been stored already. The intent is written before a batch is made, with a mark that is sent along: a command
that was killed between making one and knowing its id looks for it at the provider, and nothing is paid for twice.
"""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from harness.errors import CallsStoppedError
from harness.llm.backend import Keep
from harness.llm.cache.file import default_path
from harness.llm.calls import CallSettings
from harness.llm.request import Request, Response
from harness.llm.server.address import Server, known_secrets
from harness.llm.server.answers import read_answer
from harness.llm.server.calls import model_error
from harness.llm.server.dialect import Dialect
from harness.llm.server.faults import classify, classify_status
from harness.llm.server.ledger import Ledger
from harness.redaction import redact

if TYPE_CHECKING:
    from openai import OpenAI
    from openai.types import Batch

_MOST_LINES, _MOST_BYTES = 50_000, 200_000_000
"""Of one batch. Source: OpenAI, guide "Batch API", rate limits."""
_LONGEST_POLL = 60.0
"""Seconds between two looks at a batch at most."""
_MARK = "erc_harness"
"""Key of a batch's metadata under which the mark of its entry in the ledger is sent."""
_ENDED = {"completed", "failed", "expired", "cancelled"}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a batch: a body, and the requests it answers (equal requests are asked once)."""

    path: str
    body: dict[str, Any]
    items: list[tuple[int, Request]]

    def encode(self, key: str, root: str) -> bytes:
        """Returns the line as the file has it, its end included."""
        line = {"custom_id": key, "method": "POST", "url": root + self.path, "body": self.body}
        return json.dumps(line, ensure_ascii=False).encode() + b"\n"


def answer_by_batch(
    requests: Iterator[Request], keep: Keep, server: Server, dialect: Dialect, calls: CallSettings, first_poll: float
) -> Iterator[tuple[int, Response]]:
    """Yields (number, response) when batches end, as `Backend.answer`; takes all requests before the first answer.

    Lines that the server refuses for a field that it does not take are asked again without it, in another batch.

    Args:
        requests: what to ask.
        keep: as for `Backend.answer`.
        server: whom to ask.
        dialect: how.
        calls: for the number of retries, and the folder of the ledger.
        first_poll: seconds between the first two looks at a batch; the time grows by half each time.

    Raises:
        ModelError: wrong key, unknown model, or something asked for that this server cannot do.
        CallsStoppedError: a batch failed as a whole or expired; what it did answer has been yielded.
        StoreError: the ledger cannot be read or written.
    """
    ledger = Ledger((calls.cache or default_path()).parent / "batches.json")
    with server.client(calls.timeout_seconds, calls.max_retries) as client:
        waiting = list(enumerate(requests))
        while waiting:
            waiting = yield from _Round(client, server, dialect, ledger, keep, first_poll).answer(waiting)


@dataclass(slots=True)
class _Round:
    """All that waits, asked once."""

    client: OpenAI
    server: Server
    dialect: Dialect
    ledger: Ledger
    keep: Keep
    first_poll: float
    again: list[tuple[int, Request]] = field(default_factory=list)
    """What was refused in this form and waits for another round."""
    problem: str = ""
    """Why a line has no answer."""

    def answer(
        self, waiting: list[tuple[int, Request]]
    ) -> Generator[tuple[int, Response], None, list[tuple[int, Request]]]:
        """Yields what is answered, then returns what is to be asked again; raises as `answer_by_batch`."""
        lines: dict[str, Line] = {}
        for number, request in waiting:
            path, body = self.dialect.body(request)
            key = sha256(json.dumps([path, body], sort_keys=True).encode()).hexdigest()[:32]
            lines.setdefault(key, Line(path, body, [])).items.append((number, request))
        with self.ledger.sending():
            self._find_lost()
            known = {key for entry in self._entries().values() for key in entry["lines"]}
            self._send({key: line for key, line in lines.items() if key not in known})
            entries = self._entries()  # now: a command that asks the same may receive and forget them any time
        for name, entry in entries.items():
            if not lines.keys().isdisjoint(entry["lines"]):
                yield from self._receive(name, entry["id"], lines)
        if lines and not self.problem:
            self.problem = f"{len(lines)} requests are missing in what came back"
        if self.problem:
            raise CallsStoppedError(f"{self.server.place}: {self.problem}; repeat the command to ask what is left")
        return self.again

    def _entries(self) -> dict[str, Any]:
        """Returns what the ledger has of this server."""
        return {name: e for name, e in self.ledger.read().items() if e["server"] == self.server.address}

    def _find_lost(self) -> None:
        """Enters the id of batches that were perhaps made by a command that did not live to know; forgets the others.

        Without a sign of it in the provider's list there is no batch, and nothing is to be paid.
        """
        lost = {name: entry for name, entry in self._entries().items() if entry["id"] is None}
        if not lost:
            return
        with self._calling():
            for batch in self.client.batches.list(limit=100):
                mark = (batch.metadata or {}).get(_MARK)
                for name in [name for name, entry in lost.items() if entry["mark"] == mark]:
                    self.ledger.put(name, {**lost.pop(name), "id": batch.id})
                if not lost:
                    break
        for name in lost:
            self.ledger.remove(name)

    def _send(self, lines: Mapping[str, Line]) -> None:
        """Makes batches of lines, one path each and none too long, and enters them in the ledger."""
        root = "/v1"  # the service wants paths as its own server has them, whatever base_url is
        for path in sorted({line.path for line in lines.values()}):
            encoded = {key: line.encode(key, root) for key, line in lines.items() if line.path == path}
            for keys in _chunks(encoded):
                content = b"".join(encoded[key] for key in keys)
                name = sha256(content).hexdigest()
                entry: dict[str, Any] = {"id": None, "mark": uuid4().hex, "server": self.server.address, "lines": keys}
                endpoint: Any = root + path
                with self._calling():
                    file = self.client.files.create(file=("requests.jsonl", content), purpose="batch")
                    self.ledger.put(name, entry)
                    once = self.client.with_options(max_retries=0)  # a second attempt could make a second batch
                    batch = once.batches.create(
                        input_file_id=file.id,
                        endpoint=endpoint,
                        completion_window="24h",
                        metadata={_MARK: entry["mark"]},
                    )
                self.ledger.put(name, {**entry, "id": batch.id})

    def _receive(self, name: str, batch_id: str, lines: dict[str, Line]) -> Iterator[tuple[int, Response]]:
        """Waits for a batch, yields its answers, takes their lines out of `lines`, and forgets the batch."""
        batch = self._wait(name, batch_id)
        for file_id in (batch.output_file_id, batch.error_file_id):
            if file_id is not None:
                with self._calling():
                    content = self.client.files.content(file_id).content
                for raw in content.split(b"\n"):
                    told = json.loads(raw or b"{}")
                    line = lines.pop(told.get("custom_id"), None)
                    if line is not None:
                        yield from self._read(line, told)
        if batch.status != "completed":
            errors = [f"{error.code}: {error.message}" for error in (batch.errors and batch.errors.data) or []]
            self.problem = redact(f"batch {batch_id} {batch.status} {'; '.join(errors)}", known_secrets())
        self.ledger.remove(name)

    def _wait(self, name: str, batch_id: str) -> Batch:
        pause = self.first_poll
        while True:
            with self._calling(forget=name):
                batch = self.client.batches.retrieve(batch_id)
            if batch.status in _ENDED:
                return batch
            time.sleep(pause)
            pause = min(1.5 * pause, _LONGEST_POLL)

    def _read(self, line: Line, told: Mapping[str, Any]) -> Iterator[tuple[int, Response]]:
        """Yields the answer of a line to each of its requests, unless it is to be asked again."""
        request = line.items[0][1]
        outcome = told.get("response") or {}
        if outcome.get("status_code") == 200:
            try:
                response = read_answer(request, line.body, outcome["body"])
            except ValueError as error:
                self.problem = redact(f"an answer that cannot be read: {error}", known_secrets())
                return
            if not self.dialect.obeyed(request, line.body, response):
                self.again += line.items
                return
            response = replace(response, error=redact(response.error, known_secrets()))
        else:
            fault = classify_status(outcome.get("status_code") or 500, outcome.get("body") or told.get("error"))
            text = redact(fault.error, known_secrets())
            if self.dialect.learn(request, line.body, text):
                self.again += line.items
                return
            if fault.kind == "model":
                raise model_error(self.dialect.model, self.server.place, replace(fault, error=text))
            if fault.kind not in ("item", "filter"):
                self.problem = text
                return
            response = Response("filter" if fault.kind == "filter" else "error", error=text)
        for number, _ in line.items:
            self.keep(number, response)
            yield number, response

    @contextmanager
    def _calling(self, forget: str | None = None) -> Iterator[None]:
        """Turns errors of the client into ours; a batch that is not there any more is forgotten."""
        try:
            yield
        except Exception as error:  # what is no fault of a call goes on as it is
            if (fault := classify(error, known_secrets())) is None:
                raise
            if fault.status == 404 and forget is not None:
                self.ledger.remove(forget)
            elif fault.kind == "model" or fault.status == 404:
                raise model_error(self.dialect.model, self.server.place, fault) from None  # it may quote the key
            raise CallsStoppedError(
                f"{self.server.place}: {fault.error}; batches on their way go on, repeat the command to fetch them"
            ) from None


def _chunks(encoded: Mapping[str, bytes]) -> Iterator[list[str]]:
    """Yields keys in order, as many at once as one batch may have."""
    keys: list[str] = []
    n_bytes = 0
    for key, line in encoded.items():
        if keys and (len(keys) == _MOST_LINES or n_bytes + len(line) > _MOST_BYTES):
            yield keys
            keys, n_bytes = [], 0
        keys.append(key)
        n_bytes += len(line)
    if keys:
        yield keys
