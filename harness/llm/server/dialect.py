"""Bodies of requests, and what a server turned out not to take. Sends nothing.

The protocol has many dialects. Each body starts with what the most servers take; a refusal that names a field changes
that field for all later bodies, so a server is asked once. Only fields that leave the answer as it is are given up:
where the meaning would change, there is an error that says what to type.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from harness.errors import ConfigError, ModelError
from harness.llm.request import Request, Response
from harness.llm.server.answers import NO_SCORES
from harness.prompting import Message, Prompt

CHAT, PLAIN = "/chat/completions", "/completions"

_REFUSAL = re.compile(
    r"unsupported|not support|unrecogni[sz]ed|unexpected|unknown|not permitted|not allowed|only the default"
)
"""Words of servers that do not take a field at all; without them a named field has a bad value for this item."""

_N_TOP = (20, 5, 0)
"""Likeliest first tokens asked for, in falling order. Source: OpenAI, API reference: at most 20 for chat, 5 for plain;
vLLM: at most its `--max-logprobs`, 20 unless told otherwise."""


def data_url(image: bytes) -> str:
    """Returns a JPEG file as an address that holds it."""
    return f"data:image/jpeg;base64,{b64encode(image).decode()}"


def hash_url(image: bytes) -> str:
    """Returns what stands for an image where the prompt is hashed or stored."""
    return f"sha256:{sha256(image).hexdigest()}"


def chat_messages(prompt: Prompt, url: Callable[[bytes], str] = data_url) -> list[dict[str, Any]]:
    """Returns the messages of a prompt as the protocol has them; one with images in parts.

    Args:
        prompt: what is asked.
        url: how an image is written.
    """
    return [{"role": message.role, "content": _content(message, url)} for message in prompt.messages]


def _content(message: Message, url: Callable[[bytes], str]) -> str | list[dict[str, Any]]:
    if not message.images:
        return message.content
    parts: list[dict[str, Any]] = [{"type": "image_url", "image_url": {"url": url(image)}} for image in message.images]
    return [*parts, {"type": "text", "text": message.content}]


def label_schema(choices: Sequence[str]) -> dict[str, Any]:
    """Returns a `response_format` that admits {"label": one of the choices} only."""
    label = {"type": "string", "enum": list(choices)}
    schema = {"type": "object", "properties": {"label": label}, "required": ["label"], "additionalProperties": False}
    return {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": schema}}


Constraint = Callable[[list[str]], dict[str, Any]]

_JSON: Constraint = lambda choices: {"response_format": label_schema(choices)}  # noqa: E731
_STRUCTURED: Constraint = lambda choices: {"structured_outputs": {"choice": choices}}  # noqa: E731
_GUIDED: Constraint = lambda choices: {"guided_choice": choices}  # noqa: E731

_CONSTRAINTS: dict[str, tuple[Constraint, ...]] = {CHAT: (_JSON, _STRUCTURED, _GUIDED), PLAIN: (_STRUCTURED, _GUIDED)}
"""Ways to say that only a choice may be written: the protocol's; vLLM's, of version 0.11 and before."""


@dataclass(slots=True)
class Dialect:
    """What is sent to one server; narrows with each refusal, never widens."""

    model: str
    """Name at the server."""
    _limit_name: str = "max_tokens"
    """Of chat bodies; reasoning models at OpenAI take only "max_completion_tokens"."""
    _n_tops_refused: int = 0
    _takes_seed: bool = True
    _takes_temperature: bool = True
    _constraints_refused: int = 0
    _constraint_works: bool = False
    _n_echo_written: int = 0
    """Tokens to write behind an echo: 0, or 1 where a server insists."""

    def body(self, request: Request) -> tuple[str, dict[str, Any]]:
        """Returns path and body of a request. `n` is left to its default, 1, because some servers refuse its name.

        Raises:
            ConfigError: beam search, which no such server does.
            ModelError: the server cannot do what the request asks.
        """
        if request.mode == "choice":
            return PLAIN, self._scoring_body(request)
        decoding = request.decoding
        if decoding.n_beams != 1:
            raise ConfigError(
                f"n_beams={decoding.n_beams!r} with a server: no server searches beams; type: -P n_beams=1"
            )
        body: dict[str, Any] = {"model": self.model}
        if request.prompt.form == "chat":
            path = CHAT
            body |= {"messages": chat_messages(request.prompt), self._limit_name: decoding.max_new_tokens}
        else:
            path = PLAIN
            body |= {"prompt": request.prompt.text, "max_tokens": decoding.max_new_tokens}
        if self._takes_temperature:
            body["temperature"] = decoding.temperature
        elif decoding.temperature != 1.0:
            raise self._no_temperature(decoding.temperature)
        if decoding.seed is not None and self._takes_seed:
            body["seed"] = decoding.seed
        n_top = _N_TOP[self._n_tops_refused]
        if n_top and request.choices:  # the first token of a free text says nothing
            body |= {"logprobs": True, "top_logprobs": n_top} if path == CHAT else {"logprobs": n_top}
        if request.constrained:
            body |= self._constraint(path, request)
        return path, body

    def _scoring_body(self, request: Request) -> dict[str, Any]:
        if request.prompt.form == "chat":
            raise ModelError(NO_SCORES)
        prompts = [request.prompt] + ([request.prompt.premise] if request.with_premise else [])
        texts = [prompt.text + prompt.continuation(choice) for prompt in prompts for choice in request.choices]
        written = self._n_echo_written
        return {
            "model": self.model,
            "prompt": texts,
            "echo": True,
            "max_tokens": written,
            "logprobs": 1,
            "temperature": 0,
        }

    def _constraint(self, path: str, request: Request) -> dict[str, Any]:
        ways = _CONSTRAINTS[path][self._constraints_refused :]
        if not ways:
            raise ModelError(
                f"the server of model {self.model!r} takes no constraint (response_format, structured_outputs, "
                "guided_choice); leave -P constrained=true away"
            )
        return ways[0]([request.prompt.continuation(choice) for choice in request.choices])

    def _no_temperature(self, temperature: float) -> ModelError:
        return ModelError(f"model {self.model!r} does not take temperature {temperature!r}; type: -P temperature=1")

    def learn(self, request: Request, sent: Mapping[str, Any], said: str) -> bool:
        """Returns whether a refused request should be sent again, in another form.

        Args:
            request: what was asked.
            sent: the refused body.
            said: the server's error text.

        Raises:
            ModelError: no form is left.
        """
        said = said.lower()
        if request.mode == "choice":
            return self._learn_scoring(sent, said)
        if sent == (now := self.body(request)[1]):
            self._give_up(sent, said)
            now = self.body(request)[1]
        return sent != now

    def _give_up(self, sent: Mapping[str, Any], said: str) -> None:
        """Changes the field that is named, most telling names first."""
        refused = _REFUSAL.search(said) is not None
        if any(name in said for name in ("response_format", "json_schema", "structured_output", "guided_choice")):
            self._constraints_refused += 1
        elif "logprobs" in sent and "logprobs" in said:
            self._n_tops_refused += 1
        elif refused and "max_tokens" in sent and "max_completion_tokens" in said:
            self._limit_name = "max_completion_tokens"
        elif refused and "temperature" in sent and "temperature" in said:
            self._takes_temperature = False
        elif refused and "seed" in sent and re.search(r"\bseed\b", said):
            self._takes_seed = False

    def _learn_scoring(self, sent: Mapping[str, Any], said: str) -> bool:
        if "max_tokens" in said and sent["max_tokens"] == 0:
            self._n_echo_written = 1
            return True
        if any(name in said for name in ("echo", "logprobs", "prompt must be")):
            raise ModelError(NO_SCORES)
        return False

    def obeyed(self, request: Request, sent: Mapping[str, Any], response: Response) -> bool:
        """Returns whether a constraint was kept; where the first answers do not, the next way to say it is tried.

        Servers ignore fields that they do not know, so that a constraint is believed only when it is seen to work.
        """
        if not request.constrained or response.finish == "filter":
            return True
        kept = _is_choice((response.text or "").strip(), request.choices, whole=response.finish == "stop")
        if sent != self.body(request)[1]:  # another way is in use by now
            return kept
        if not kept and not self._constraint_works:
            self._constraints_refused += 1
            return False
        self._constraint_works = True
        return True


def _is_choice(text: str, choices: Sequence[str], whole: bool) -> bool:
    """Returns whether a text is a choice, or JSON with one; of a text that was cut, whether it begins as one."""
    if not whole:
        return text.startswith("{") or any(choice.startswith(text) for choice in choices)
    try:
        return text in choices or json.loads(text)["label"] in choices
    except (ValueError, TypeError, KeyError):
        return False
