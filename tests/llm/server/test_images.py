"""Questions that show images: what is sent and stored, who refuses, and that questions of text are as they were."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from harness.errors import ConfigError, ModelError
from harness.llm import BACKENDS, CallSettings, ModelSettings, Request
from harness.llm.backend import BUILTIN
from harness.llm.budget import Budget
from harness.llm.cache.store import ResponseCache, request_key
from harness.llm.client import Client
from harness.llm.request import IMAGE_TOKENS
from harness.llm.server.backend import OpenAIBackend
from harness.prompting import Message, Prompt

JPEG = bytes.fromhex("ffd8ffe0") + b"one" * 4000
OTHER = bytes.fromhex("ffd8ffe0") + b"two" * 4000

Ask = Callable[..., Request]


def show(*images: bytes, text: str = "What is seen?", form: Any = "chat") -> Request:
    return Request(Prompt((Message("user", text, images),), form), ())


def test_images_are_sent_before_the_text_as_data_and_in_order(loopback: Any, openai_backend: Any, wire: Any) -> None:
    async def answer(call: Any) -> Any:
        return wire.say("A cup.")

    server = loopback(answer)
    ((_, response),) = openai_backend(server).checked(iter([show(JPEG, OTHER)]))
    assert response.text == "A cup."
    (call,) = server.calls
    first, second, text = call.body["messages"][0]["content"]
    for part, image in ((first, JPEG), (second, OTHER)):
        assert part["type"] == "image_url"
        kind, encoded = part["image_url"]["url"].split(",")
        assert kind == "data:image/jpeg;base64"
        assert base64.b64decode(encoded, validate=True) == image
    assert text == {"type": "text", "text": "What is seen?"}
    assert "logprobs" not in call.body and "top_logprobs" not in call.body  # a description has no label to weigh


def test_a_question_of_text_is_sent_and_stored_as_ever(loopback: Any, openai_backend: Any, ask: Ask, wire: Any) -> None:
    async def answer(call: Any) -> Any:
        return wire.say("joy")

    server = loopback(answer)
    list(openai_backend(server).checked(iter([ask("Hm.")])))
    assert server.calls[0].body["messages"][1] == {"role": "user", "content": "Hm."}
    assert server.calls[0].body["top_logprobs"] == 20
    backend = OpenAIBackend(ModelSettings("openai", "m", base_url="http://llm.example.org/v1"), CallSettings())
    keys = {
        form: request_key(backend.identity(), request, backend.render(request.prompt))[0]
        for form in ("chat", "plain")
        for request in [ask("Héllo?", form=form)]
    }
    # Printed by the code as it was before prompts could show images.
    assert keys == {
        "chat": "0599ae8c0d6ebb375a4d6706815e0e8c5f908fbdf089dbeeda388c8fb418c7b0",
        "plain": "468ebc4528963a0e7748f4e5ceb4a55f0562e468a4007eb3f6f66b3faa5f045a",
    }


def test_the_key_and_the_store_hold_a_hash_for_each_image(
    tmp_path: Path, openai_backend: Any, loopback: Any, wire: Any
) -> None:
    async def answer(call: Any) -> Any:
        return wire.say(f"answer {call.count}")

    server = loopback(answer)
    cache = ResponseCache(tmp_path / "own.sqlite")
    client = Client(openai_backend(server), CallSettings(), cache)
    asked = [show(JPEG), show(OTHER), show(JPEG, OTHER), show(OTHER, JPEG), show(JPEG, text="And now?"), show(JPEG)]
    answers = list(client.answer(asked))
    assert len({a.key for a in answers}) == 5 == len(server.calls)
    assert answers[5].cached
    rendered = json.loads(openai_backend(server).render(asked[0].prompt))
    assert rendered[0]["content"][0]["image_url"] == {"url": f"sha256:{sha256(JPEG).hexdigest()}"}
    assert b"b25lb25l" not in b"".join(p.read_bytes() for p in tmp_path.glob("own.sqlite*"))  # "oneone" in base64


def test_images_count_against_limits(openai_backend: Any, loopback: Any, wire: Any) -> None:
    async def answer(call: Any) -> Any:
        return wire.say("A cup.")

    budget = Budget(max_tokens_total=3 * IMAGE_TOKENS)
    backend = openai_backend(loopback(answer), budget=budget)
    client = Client(backend, replace(CallSettings(), budget=budget, cache=backend.calls.cache))
    assert client.estimate([show(JPEG, OTHER)]).n_prompt_tokens > 2 * IMAGE_TOKENS
    assert client.estimate([show(JPEG, OTHER)]).approximate
    with pytest.raises(Exception, match="stopped at the limit"):
        list(client.answer([show(JPEG, OTHER, JPEG)]))
    assert len(list(client.answer([show(JPEG, OTHER)]))) == 1


REFUSALS = [
    (400, "Invalid content type. image_url is only supported by certain models."),
    (400, "/models/x is not a multimodal model"),
    (400, "At most 1 image(s) may be provided in one prompt."),
    (500, "image input is not supported - hint: if this is unexpected, you may need to provide the mmproj"),
    (422, "[{'type': 'string_type', 'loc': ('body', 'messages'), 'msg': 'Input should be a valid string'}]"),
]


@pytest.mark.parametrize(("status", "text"), REFUSALS)
def test_a_model_that_does_not_see_stops_the_command_in_one_line(
    loopback: Any, openai_backend: Any, wire: Any, status: int, text: str
) -> None:
    async def refuse(call: Any) -> Any:
        return wire.fail(status, text)

    server = loopback(refuse)
    with pytest.raises(ModelError) as caught:
        list(openai_backend(server, concurrency=1).checked(show(JPEG, text=f"{i}?") for i in range(30)))
    said = str(caught.value)
    assert f"takes no such images for model 'm': HTTP {status}: " in said
    assert said.endswith("; name a model that sees, or ask with fewer images")
    assert "\n" not in said
    assert sum(server.counts.values()) == 1


def test_one_bad_image_after_good_ones_fails_alone(loopback: Any, openai_backend: Any, wire: Any) -> None:
    async def refuse_one(call: Any) -> Any:
        return wire.fail(400, "Invalid image data.") if "5?" in call.prompt else wire.say("A cup.")

    backend = openai_backend(loopback(refuse_one), concurrency=1)
    answers = dict(backend.checked(show(JPEG, text=f"{i}?") for i in range(8)))
    assert [answers[i].finish for i in range(8)] == ["stop"] * 5 + ["error"] + ["stop"] * 2


def test_a_refusal_of_a_text_is_no_refusal_of_images(loopback: Any, openai_backend: Any, ask: Ask, wire: Any) -> None:
    async def refuse(call: Any) -> Any:
        return wire.fail(400, "This text reads like an image prompt.")

    ((_, response),) = openai_backend(loopback(refuse)).checked(iter([ask("Hm.")]))
    assert response.finish == "error"


def test_back_ends_of_text_refuse_images(tmp_path: Path) -> None:
    class OfALab:
        """Written before there were images: it does not say that it takes none."""

        repeats_prompt = False

        def identity(self) -> dict[str, str]:
            return {"backend": "lab/own", "model": "m"}

    client = Client(OfALab(), CallSettings(cache=tmp_path / "responses.sqlite"))  # type: ignore[arg-type]
    with pytest.raises(ConfigError) as caught:
        next(client.answer([show(JPEG)]))
    assert str(caught.value) == (
        "back end 'lab/own', form 'chat': takes no images; ask a server that speaks the OpenAI protocol, "
        "with messages: backend=openai, form=chat"
    )
    takes = {name: getattr(BACKENDS.get(name), "takes_images", None) for name in BUILTIN}
    assert takes == {"transformers": False, "openai": True, "lm-eval": False}


def test_a_plain_text_shows_no_image(openai_backend: Any) -> None:
    backend = openai_backend("http://127.0.0.1:9/v1")
    with pytest.raises(ConfigError, match="back end 'openai', form 'plain': takes no images; .* form=chat"):
        next(Client(backend, backend.calls).answer([show(JPEG, form="plain")]))


def test_messages_hide_their_images_when_they_are_printed() -> None:
    assert "oneone" not in repr(show(JPEG))
    assert show(JPEG, OTHER).prompt.n_images == 2
    assert show(JPEG).prompt.text == "What is seen?"
