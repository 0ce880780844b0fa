"""One request, called until it is answered or given up: attempts, backoff, what the dialect learns. Runs in a loop."""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from harness.errors import CallsStoppedError, ModelError
from harness.llm.calls import CallSettings
from harness.llm.request import IMAGE_TOKENS, Finish, Request, Response, guess_tokens
from harness.llm.server.address import OPENAI_HOST, key_name
from harness.llm.server.answers import read_answer
from harness.llm.server.dialect import Dialect
from harness.llm.server.faults import Fault, classify
from harness.llm.server.pace import Pace
from harness.redaction import redact

if TYPE_CHECKING:
    from openai import AsyncOpenAI

_N_IN_A_ROW = 8
"""Requests given up with no answer between, after which nobody is taken to answer any more."""

_LONGEST_BACKOFF = 60.0
"""Seconds between two attempts at most."""
_LONGEST_WAIT = 300.0
"""Seconds that a server may ask to wait; for longer the command ends and says so."""

_MAY_REFUSE_FIELDS = {400, 403, 404, 422, 500, 501}
"""HTTP statuses with which servers refuse a field of the body."""

_NO_IMAGES = re.compile(r"(?i)image|multi-?modal|\bvision|mmproj|content type|content part|valid string")
"""In the refusal of a question with images by a server that has answered none yet: it means them all.

Source: error texts of OpenAI, vLLM, SGLang, llama.cpp and Ollama for models that read only text; a server that knows no
parts of a message wants a string.
"""


@dataclass(frozen=True, slots=True)
class Item:
    """A request on its way."""

    number: int
    request: Request
    n_attempts: int = 0
    """Calls made for it so far."""
    is_last_round: bool = False
    """Whether it fails for good when it is given up."""
    response: Response | None = None
    """Its answer; None while there is none."""
    fault: Fault | None = None
    """Why the last call failed, where it was given up."""


@dataclass(slots=True)
class Caller:
    """Calls one server, at the pace and in the dialect that all requests share."""

    client: AsyncOpenAI
    calls: CallSettings
    dialect: Dialect
    pace: Pace
    place: str
    """Host and port, for errors."""
    base_delay: float
    """Seconds; the longest backoff before the second attempt, doubled before each further one."""
    secrets: tuple[str, ...] = field(repr=False, default=())
    """Values that no error may quote."""
    answered: bool = False
    """Whether the server has answered anything."""
    _n_in_a_row: int = 0
    """Requests given up since the last answer."""
    _rng: random.Random = field(default_factory=random.Random)

    async def serve(self, item: Item) -> Item:
        """Returns the item with a response, or with the fault after which it was given up for now.

        The tokens of the response are those of the call that was answered: what a provider may charge for one that
        timed out, or was cut, is told to nobody. `n_attempts` counts them all.

        Raises:
            ModelError: no call can succeed.
            CallsStoppedError: no call can succeed for now, or nobody has answered several requests in a row.
            ConfigError: the request asks for what no server does.
        """
        n_failed = 0
        while True:
            item = replace(item, n_attempts=item.n_attempts + 1)
            answer = await self._attempt(item)
            if isinstance(answer, Response):
                self._n_in_a_row = 0
                return replace(item, response=answer)
            if answer is None:
                continue  # refused in this form; the next one differs
            if answer.kind in ("item", "filter"):
                finish: Finish = "filter" if answer.kind == "filter" else "error"
                self._n_in_a_row = 0
                return replace(item, response=Response(finish, error=answer.error, n_attempts=item.n_attempts))
            n_failed += 1
            if n_failed > self.calls.max_retries:
                return self._give_up(item, answer)
            await asyncio.sleep(self._backoff(n_failed))

    def _give_up(self, item: Item, fault: Fault) -> Item:
        if item.is_last_round:
            return replace(item, response=Response("error", error=fault.error, n_attempts=item.n_attempts))
        self._n_in_a_row += 1
        item = replace(item, fault=fault)
        if self._n_in_a_row == _N_IN_A_ROW:
            raise nobody_answers(self.place, item)
        return item

    async def _attempt(self, item: Item) -> Response | Fault | None:
        """Returns what one call gave; None where the request should be sent at once in another form."""
        request = item.request
        path, body = self.dialect.body(request)
        n_guessed = _guess_body(request, body) if self.calls.tokens_per_minute is not None else 0
        began = await self.pace.enter(n_guessed)
        begin = time.perf_counter()
        fault = None
        try:
            async with asyncio.timeout(self.calls.timeout_seconds):
                payload = await self.client.post(path, cast_to=object, body=body)
            seconds = time.perf_counter() - begin
            if isinstance(payload, str):  # a server that calls its JSON something else
                payload = json.loads(payload)
            response = read_answer(request, body, payload)
        except Exception as error:  # what is no fault of a call goes on as it is
            if (fault := classify(error, self.secrets)) is None:
                raise
        finally:
            self.pace.leave()
        if fault is not None:  # outside of the handler: an error raised there would carry the client's, and its text
            return self._weigh(request, body, fault, began)
        self.answered = True
        n_used = (response.n_prompt_tokens or 0) + (response.n_completion_tokens or 0)
        self.pace.succeeded(n_used - n_guessed if n_used else 0.0)
        if not self.dialect.obeyed(request, body, response):
            return None
        quoted = redact(response.error, self.secrets)
        return replace(response, error=quoted, seconds=seconds, n_attempts=item.n_attempts)

    def _weigh(self, request: Request, body: Mapping[str, Any], fault: Fault, began: float) -> Fault | None:
        """Returns the fault that a call ended with, None where another form may do; tells the pace.

        Raises:
            ModelError, CallsStoppedError: as `serve`.
        """
        if fault.status in _MAY_REFUSE_FIELDS and self.dialect.learn(request, body, fault.error):
            return None
        if fault.kind == "model" or (fault.status == 404 and not self.answered):
            raise model_error(self.dialect.model, self.place, fault)
        refused = fault.status in _MAY_REFUSE_FIELDS and _NO_IMAGES.search(fault.error)
        if request.prompt.n_images and refused and not self.answered:
            raise ModelError(
                f"{self.place} takes no such images for model {self.dialect.model!r}: {fault.error}; name a model that "
                "sees, or ask with fewer images"
            )
        if fault.kind == "stop":
            raise CallsStoppedError(f"{self.place} gives no more answers: {fault.error}; pay or wait, then repeat")
        if fault.kind == "overload":
            self.pace.overloaded(began)
        if fault.retry_after is not None:
            if fault.retry_after > _LONGEST_WAIT:
                raise CallsStoppedError(
                    f"{self.place} asks to wait {fault.retry_after:.0f} seconds: {fault.error}; repeat the command then"
                )
            self.pace.hold(fault.retry_after)
        return fault

    def _backoff(self, n_failed: int) -> float:
        """Returns seconds to wait after a failure: exponential, with full jitter.

        Source: Brooker 2015, "Exponential backoff and jitter", AWS Architecture Blog.
        """
        return self._rng.uniform(0.0, min(_LONGEST_BACKOFF, self.base_delay * 2.0 ** (n_failed - 1)))


def _guess_body(request: Request, body: Mapping[str, Any]) -> int:
    sent = body.get("prompt") or [message.content for message in request.prompt.messages]
    texts = [sent] if isinstance(sent, str) else sent
    return sum(map(guess_tokens, texts)) + IMAGE_TOKENS * request.prompt.n_images


def nobody_answers(place: str, item: Item) -> CallsStoppedError:
    """Returns the error of a server that does not answer, of which a given-up item tells."""
    said = item.fault.error if item.fault is not None else ""
    return CallsStoppedError(f"nobody answers at {place}: {said}, {item.n_attempts} times; repeat the command to go on")


def model_error(model: str, place: str, fault: Fault) -> ModelError:
    """Returns the error of a server that will answer no call, saying what to type."""
    if fault.status in (401, 403):
        key = key_name(is_openai=place == OPENAI_HOST)
        return ModelError(f"{place} refuses the key: {fault.error}; type: export {key}=...")
    return ModelError(
        f"{place} does not know model {model!r}: {fault.error}; check the name, and that base_url ends as the server "
        "says (mostly in /v1)"
    )
