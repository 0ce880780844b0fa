"""The OpenAI back end against a loopback server: what is sent, what is read, what a server that refuses teaches."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from harness.errors import CallsStoppedError, ConfigError, ModelError
from harness.llm import BACKENDS, CallSettings, Decoding, ModelSettings, Request, build_backend
from harness.llm.server.address import public_address
from harness.llm.server.backend import OpenAIBackend
from harness.prompting import Message, Prompt

KEY = "sk-planted-0123456789abcdef"
SETTINGS = CallSettings()


def at(url: str | None, **more: Any) -> OpenAIBackend:
    return OpenAIBackend(ModelSettings("openai", "m", base_url=url, **more), SETTINGS)


def said(backend: OpenAIBackend, *requests: Request) -> list[Any]:
    """Returns responses by number, and checks that they were kept."""
    kept: dict[int, Any] = {}
    assert dict(backend.answer(iter(requests), kept.__setitem__)) == kept
    return [kept[number] for number in sorted(kept)]


def test_it_comes_through_the_registry() -> None:
    assert isinstance(build_backend(ModelSettings("openai", "m"), SETTINGS), OpenAIBackend)
    assert BACKENDS.row("openai").origin == "erc-harness"


@pytest.mark.parametrize(
    ("url", "public", "address"),
    [
        (None, "api.openai.com", "https://api.openai.com/v1"),
        ("https://API.openai.com:443/v1/", "api.openai.com", "https://api.openai.com/v1"),
        ("https://openrouter.ai/api/v1", "openrouter.ai/api", "https://openrouter.ai/api/v1"),
        ("http://llm.example.org:8443/v1", "llm.example.org:8443", "http://llm.example.org:8443/v1"),
        ("http://localhost:8000/v1", "local", "http://localhost:8000/v1"),
        ("http://127.0.0.1:11434/v1", "local", "http://127.0.0.1:11434/v1"),
        ("http://10.1.2.3:8000/v1", "local", "http://10.1.2.3:8000/v1"),
        ("http://[::1]:8000/v1", "local", "http://[::1]:8000/v1"),
        ("http://gpu-node:9999/other", "local", "http://gpu-node:9999/other"),
    ],
)
def test_identity_tells_servers_apart_and_says_what_may_be_published(
    url: str | None, public: str, address: str
) -> None:
    assert at(url).identity() == {"backend": "openai", "model": "m", "server": public, "address": address}
    assert public_address(url) == public


@pytest.mark.parametrize(
    "url",
    [
        "http://me:pw-secret@h/v1",
        "http://h/v1?api-key=pw-secret",
        "http://pw-secret@h/v1",
        "h:8000",
        "ftp://h/v1",
        "http://h:port/v1",
    ],
)
def test_an_address_that_is_more_or_less_than_one_is_refused(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        at(url)
    assert "pw-secret" not in str(caught.value)


def test_what_the_server_decides_is_refused_here() -> None:
    with pytest.raises(ConfigError, match="adapter='x'"):
        at(None, adapter="x")


def test_nothing_in_flight_is_refused() -> None:
    with pytest.raises(ConfigError, match="concurrency=0"):
        OpenAIBackend(ModelSettings("openai", "m"), CallSettings(concurrency=0))


def test_another_server_named_in_the_environment_is_not_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://proxy/v1")
    with pytest.raises(ConfigError, match="base_url"):
        at(None)


def test_without_a_key_nobody_is_called(monkeypatch: pytest.MonkeyPatch, ask: Callable[..., Request]) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ModelError, match="export OPENAI_API_KEY="):
        said(at(None), ask("a"))


def test_chat_and_plain_prompts_are_sent_as_rendered(
    loopback: Any, openai_backend: Any, ask: Callable[..., Request], wire: Any
) -> None:
    async def handler(call: Any) -> Any:
        return wire.say("joy" if "chat" in call.path else " joy")

    server = loopback(handler)
    backend = openai_backend(server)
    decoding = Decoding(max_new_tokens=7, temperature=0.5, seed=3)
    chat, plain = ask("Wörter\n«a»", decoding=decoding), ask("Wörter\n«a»", "plain", decoding=decoding)
    answers = said(backend, chat, plain)
    assert [a.text for a in answers] == ["joy", " joy"]
    sent = {call.path: call.body for call in server.calls}
    common = {"model": "m", "max_tokens": 7, "temperature": 0.5, "seed": 3}
    assert sent["/v1/chat/completions"] == common | {
        "messages": json.loads(backend.render(chat.prompt)), "logprobs": True, "top_logprobs": 20
    }  # fmt: skip
    assert sent["/v1/completions"] == common | {"prompt": backend.render(plain.prompt), "logprobs": 20}
    assert backend.render(plain.prompt) == "You label.\n\nWörter\n«a»"
    for answer in answers:
        assert (answer.finish, answer.n_prompt_tokens, answer.n_completion_tokens) == ("stop", 11, 3)
        assert answer.n_cached_tokens is None
        assert answer.n_attempts == 1
        assert 0 < answer.seconds < 5


def test_what_a_server_tells_is_read_and_what_it_does_not_tell_is_none(
    loopback: Any, openai_backend: Any, ask: Callable[..., Request], wire: Any
) -> None:
    top = [{"token": "joy", "logprob": -0.5}, {"token": "�", "logprob": -2.0}, {"token": "�", "logprob": -3.0}]
    replies = {
        "cached": wire.say(usage={"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 4}}),
        "bare": wire.say(usage=None),
        "long": wire.say("jo", finish="length"),
        "filter": wire.say("", finish="content_filter"),
        "refusal": wire.say(None, message={"refusal": "I cannot"}),
        "chances": wire.say("joy", choice={"logprobs": {"content": [{"token": "joy", "top_logprobs": top}]}}),
        "thinking": wire.say(None, finish="length"),
    }

    async def handler(call: Any) -> Any:
        return replies[call.prompt]

    answers = dict(zip(replies, said(openai_backend(loopback(handler)), *map(ask, replies)), strict=True))
    cached, bare = answers["cached"], answers["bare"]
    assert (cached.n_prompt_tokens, cached.n_completion_tokens, cached.n_cached_tokens) == (9, None, 4)
    assert (bare.n_prompt_tokens, bare.n_completion_tokens, bare.n_cached_tokens) == (None, None, None)
    assert (answers["long"].finish, answers["long"].text) == ("length", "jo")
    assert answers["filter"].finish == "filter"
    assert (answers["refusal"].finish, answers["refusal"].error) == ("filter", "I cannot")
    assert answers["chances"].first_token_logprobs == {"joy": -0.5, "�": -2.0}
    assert cached.first_token_logprobs is None
    assert (answers["thinking"].finish, answers["thinking"].text) == ("length", "")


def test_first_tokens_of_a_plain_answer(
    loopback: Any, openai_backend: Any, ask: Callable[..., Request], wire: Any
) -> None:
    async def handler(call: Any) -> Any:
        return wire.say(" joy", choice={"logprobs": {"top_logprobs": [{" joy": -0.1, " sad": -3.0}, {"\n": 0.0}]}})

    [answer] = said(openai_backend(loopback(handler)), ask("a", "plain"))
    assert answer.first_token_logprobs == {" joy": -0.1, " sad": -3.0}


REFUSALS = {
    "max_tokens": "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens'",
    "logprobs": "You are not allowed to request logprobs from this model.",
    "seed": "Unrecognized request argument supplied: seed",
}
"""Worded as OpenAI's servers word them."""


def test_a_field_that_is_refused_is_left_away_from_then_on(
    loopback: Any, openai_backend: Any, ask: Callable[..., Request], wire: Any
) -> None:
    async def handler(call: Any) -> Any:
        for name, message in REFUSALS.items():
            if name in call.body:
                return wire.fail(403 if name == "logprobs" else 400, message)
        return wire.say()

    server = loopback(handler)
    backend = openai_backend(server, concurrency=1)
    requests = [ask(f"p{i}", decoding=Decoding(seed=1, max_new_tokens=5)) for i in range(3)]
    answers = said(backend, *requests)
    assert [a.finish for a in answers] == ["stop"] * 3
    assert [a.n_attempts for a in answers] == [5, 1, 1]  # max_tokens, 20 and 5 first tokens, seed; then it is known
    assert server.calls[-1].body["max_completion_tokens"] == 5
    assert not {"max_tokens", "logprobs", "top_logprobs", "seed"} & server.calls[-1].body.keys()
    said(backend, ask("later"))
    assert server.counts["later"] == 1


def test_many_at_once_learn_the_same_lesson_once(
    loopback: Any, openai_backend: Any, ask: Callable[..., Request], wire: Any
) -> None:
    async def handler(call: Any) -> Any:
        if call.body.get("top_logprobs", 0) > 5:
            return wire.fail(400, "Requested sample logprobs of 20, which is greater than max allowed: 5")
        return wire.say()

    server = loopback(handler)
    answers = said(openai_backend(server, concurrency=16), *[ask(f"p{i}") for i in range(48)])
    assert {a.finish for a in answers} == {"stop"}
    assert {call.body.get("top_logprobs") for call in server.calls[-20:]} == {5}
    assert len(server.calls) <= 48 + 16


def test_a_prompt_that_is_too_long_changes_nothing_for_the_others(
    loopback: Any, openai_backend: Any, ask: Callable[..., Request], wire: Any
) -> None:
    said_by_vllm = (
        "'max_tokens' or 'max_completion_tokens' is too large: 16. This model's maximum context length is 64 tokens "
        "and your request has 60 input tokens"
    )

    async def handler(call: Any) -> Any:
        return wire.fail(400, said_by_vllm) if call.prompt == "long" else wire.say()

    server = loopback(handler)
    long, short = said(openai_backend(server, concurrency=1), ask("long"), ask("short"))
    assert (long.finish, short.finish) == ("error", "stop")
    assert "maximum context length" in long.error
    assert server.counts["long"] == 1
    assert "max_tokens" in server.calls[-1].body


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_temperature_is_given_up_only_where_that_means_the_same(
    loopback: Any, openai_backend: Any, ask: Callable[..., Request], wire: Any, temperature: float
) -> None:
    async def handler(call: Any) -> Any:
        if "temperature" in call.body:
            return wire.fail(400, "Unsupported parameter: 'temperature' is not supported with this model.")
        return wire.say()

    backend, request = openai_backend(loopback(handler)), ask("a", decoding=Decoding(temperature=temperature))
    if temperature == 1.0:
        assert said(backend, request)[0].finish == "stop"
    else:
        with pytest.raises(ModelError, match="-P temperature=1"):
            said(backend, request)


def test_beams_are_refused_before_a_call(
    loopback: Any, openai_backend: Any, ask: Callable[..., Request], wire: Any
) -> None:
    async def handler(call: Any) -> Any:
        return wire.say()

    server = loopback(handler)
    with pytest.raises(ConfigError, match="n_beams=4"):
        said(openai_backend(server), ask("a", decoding=Decoding(n_beams=4)))
    assert not server.calls


CONSTRAINTS = ("response_format", "structured_outputs", "guided_choice")


@pytest.mark.parametrize("ignores", [False, True], ids=["refuses", "ignores"])
@pytest.mark.parametrize(("form", "known"), [("chat", 0), ("chat", 1), ("chat", 2), ("plain", 1), ("plain", 2)])
def test_a_constraint_is_said_in_the_way_that_the_server_follows(
    loopback: Any, openai_backend: Any, ask: Callable[..., Request], wire: Any, form: str, known: int, ignores: bool
) -> None:
    async def handler(call: Any) -> Any:
        [name] = [name for name in CONSTRAINTS if name in call.body]
        if name == CONSTRAINTS[known]:
            return wire.say('{"label": "joy"}' if known == 0 else "joy")
        return wire.say("Well, I think") if ignores else wire.fail(400, f"unknown field {name}")

    server = loopback(handler)
    answers = said(openai_backend(server, concurrency=4), *[ask(f"p{i}", form, constrained=True) for i in range(12)])
    assert {a.text for a in answers} == ({'{"label": "joy"}'} if known == 0 else {"joy"})
    assert server.counts["p11" if form == "chat" else "You label.\n\np11"] == 1
    sent = server.calls[-1].body[CONSTRAINTS[known]]
    labels = ["neutral", "joy"] if form == "chat" else [" neutral", " joy"]
    if known == 0:
        assert sent["json_schema"]["schema"]["properties"]["label"]["enum"] == labels
    else:
        assert (sent if known == 2 else sent["choice"]) == labels


def test_a_server_that_takes_no_constraint_is_told_from_one_that_keeps_it(
    loopback: Any, openai_backend: Any, ask: Callable[..., Request], wire: Any
) -> None:
    async def handler(call: Any) -> Any:
        return wire.say("Well, I think", finish=call.prompt)

    for finish in ("stop", "length"):
        with pytest.raises(ModelError, match="leave -P constrained=true away"):
            said(openai_backend(loopback(handler)), ask(finish, constrained=True))


def test_an_answer_that_was_cut_may_still_have_kept_the_constraint(
    loopback: Any, openai_backend: Any, ask: Callable[..., Request], wire: Any
) -> None:
    async def handler(call: Any) -> Any:
        return wire.say('{"lab', finish="length")

    [answer] = said(openai_backend(loopback(handler)), ask("a", constrained=True))
    assert (answer.finish, answer.text, answer.n_attempts) == ("length", '{"lab', 1)


@pytest.mark.parametrize(
    ("content", "finish", "text"),
    [
        ([{"type": "text", "text": "jo"}, {"type": "image_url"}, {"type": "text", "text": "y"}], "stop", "joy"),
        ([], "stop", ""),
        (None, "stop", ""),
        ({"text": "joy"}, "error", None),
        ([{"type": "text", "text": 7}], "error", None),
    ],
)
def test_content_in_parts_is_joined_and_anything_else_is_no_answer(
    loopback: Any, openai_backend: Any, ask: Callable[..., Request], wire: Any, content: object, finish: str, text: Any
) -> None:
    async def handler(call: Any) -> Any:
        return wire.say("neutral") if call.prompt == "other" else wire.say(content)

    answer, _ = said(openai_backend(loopback(handler), max_retries=1), ask("a"), ask("other"))
    assert (answer.finish, answer.text) == (finish, text)


def test_an_unknown_model_and_a_wrong_key_say_what_to_type(
    loopback: Any, openai_backend: Any, ask: Callable[..., Request], wire: Any
) -> None:
    async def handler(call: Any) -> Any:
        return wire.fail(404, "The model `m` does not exist") if call.prompt == "model" else wire.fail(401, "bad key")

    backend = openai_backend(loopback(handler))
    with pytest.raises(ModelError, match="does not know model 'm'"):
        said(backend, ask("model"))
    with pytest.raises(ModelError, match="type: export ERC_API_KEY"):
        said(backend, ask("key"))


def test_a_key_goes_to_its_own_server_and_nowhere_else(
    loopback: Any,
    openai_backend: Any,
    ask: Callable[..., Request],
    wire: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    own = "key-of-this-server-42"
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("ERC_API_KEY", own)

    async def handler(call: Any) -> Any:
        quoted = f"key provided: {own}, {KEY}, Authorization: {call.headers['Authorization']} sk-abc***wxyz"
        if call.prompt in ("item", "wrong"):
            return wire.fail(400 if call.prompt == "item" else 401, quoted)
        if call.prompt == "down":
            return wire.fail(500, quoted)
        return wire.say(None, message={"refusal": quoted}) if call.prompt == "refused" else wire.say()

    server = loopback(handler)
    backend = openai_backend(server, max_retries=1)
    texts = [repr(backend)]
    with caplog.at_level(logging.DEBUG):
        texts += map(repr, said(backend, ask("fine"), ask("item"), ask("down"), ask("refused")))
        for prompt in ("wrong", "down"):
            with pytest.raises((ModelError, CallsStoppedError)) as caught:
                said(backend, ask(prompt))
            texts += [str(caught.value), repr(caught.value.__cause__), repr(caught.value.__context__)]
    assert server.calls[0].headers["Authorization"] == f"Bearer {own}"
    texts += [caplog.text, "".join(capfd.readouterr()), json.dumps(dict(backend.identity()))]
    assert any("[secret]" in text for text in texts)
    for text in texts:
        assert own not in text
        assert KEY not in text
        assert "wxyz" not in text
    assert all(KEY not in str(call.headers) for call in server.calls)


def test_a_local_server_needs_no_key(
    loopback: Any, openai_backend: Any, ask: Callable[..., Request], wire: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ERC_API_KEY", raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)

    async def handler(call: Any) -> Any:
        return wire.say()

    server = loopback(handler)
    assert said(openai_backend(server), ask("a"))[0].finish == "stop"
    assert KEY not in server.calls[0].headers["Authorization"]


def n_threads() -> int:
    return sum(thread.name == "erc-calls" for thread in threading.enumerate())


def test_requests_are_taken_lazily_and_closing_ends_the_thread(
    loopback: Any, openai_backend: Any, ask: Callable[..., Request], wire: Any
) -> None:
    taken = 0

    def endless() -> Iterator[Request]:
        nonlocal taken
        while True:
            taken += 1
            yield ask(f"p{taken}")

    async def handler(call: Any) -> Any:
        return wire.say()

    server = loopback(handler)
    answers = openai_backend(server, concurrency=4).checked(endless())
    for n_received in range(1, 30):
        next(answers)
        time.sleep(0.002)  # a caller slower than the server
        assert taken <= n_received + 2 * 4
    assert n_threads() == 1
    answers.close()
    assert n_threads() == 0
    assert server.n_most <= 4


def test_an_interrupt_cancels_what_is_in_flight(
    loopback: Any, openai_backend: Any, ask: Callable[..., Request], wire: Any
) -> None:
    import asyncio

    async def handler(call: Any) -> Any:
        await asyncio.sleep(0.0 if call.prompt == "p0" else 30.0)
        return wire.say()

    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        for _ in openai_backend(loopback(handler), concurrency=4).checked(ask(f"p{i}") for i in range(9)):
            raise KeyboardInterrupt
    assert n_threads() == 0
    assert time.monotonic() - begin < 5


def test_an_error_of_the_requests_reaches_the_caller_after_what_was_asked(
    loopback: Any, openai_backend: Any, ask: Callable[..., Request], wire: Any
) -> None:
    def broken() -> Iterator[Request]:
        yield ask("a")
        yield ask("b")
        raise LookupError("no third")

    async def handler(call: Any) -> Any:
        return wire.say(call.prompt)

    received = []
    with pytest.raises(LookupError, match="no third"):
        for _, answer in openai_backend(loopback(handler)).checked(broken()):
            received.append(answer.text)
    assert sorted(received) == ["a", "b"]


def test_requests_are_taken_in_the_callers_thread(
    loopback: Any, openai_backend: Any, ask: Callable[..., Request], wire: Any
) -> None:
    threads = set()

    def requests() -> Iterator[Request]:
        for i in range(20):
            threads.add(threading.current_thread())
            yield ask(f"p{i}")

    async def handler(call: Any) -> Any:
        return wire.say()

    assert len(list(openai_backend(loopback(handler), concurrency=3).checked(requests()))) == 20
    assert threads == {threading.current_thread()}


def test_no_requests_call_nobody(openai_backend: Any) -> None:
    backend = openai_backend("http://127.0.0.1:9/v1")
    assert list(backend.checked(iter(()))) == []
    backend.close()


def test_the_premise_of_a_prompt_is_no_chat_matter(
    loopback: Any, openai_backend: Any, ask: Callable[..., Request], wire: Any
) -> None:
    async def handler(call: Any) -> Any:
        return wire.say()

    server = loopback(handler)
    with pytest.raises(ModelError, match="-P answers=generate"):
        said(openai_backend(server), ask("a", mode="choice"))
    assert not server.calls
    with pytest.raises(ModelError, match="-P answers=generate"):  # echo ignored, as some servers do
        said(openai_backend(server), ask("a", "plain", mode="choice"))


def echo(call: Any, first: str = "") -> dict[str, Any]:
    """Answers as vLLM does: characters are tokens here, character c scores -ord(c) / 100; the first has no score."""
    choices = []
    for index, prompt in enumerate(call.body["prompt"]):
        written = "!" * call.body["max_tokens"]
        tokens = [*([first] if first else []), *prompt, *written]
        offsets = [sum(map(len, tokens[:i])) for i in range(len(tokens))]
        scores = [None, *(-ord(token[0]) / 100 for token in tokens[1:])]
        logprobs = {"tokens": tokens, "token_logprobs": scores, "text_offset": offsets}
        choices.append({"index": index, "text": prompt + written, "logprobs": logprobs, "finish_reason": "length"})
    return {"choices": choices[::-1], "usage": {"prompt_tokens": 5}}


@pytest.mark.parametrize("first", ["", "<s>"], ids=["no start token", "start token"])
@pytest.mark.parametrize("least", [0, 1])
def test_choices_are_scored_from_the_echo(
    loopback: Any, openai_backend: Any, wire: Any, first: str, least: int
) -> None:
    from aiohttp import web

    async def handler(call: Any) -> Any:
        if call.body["max_tokens"] < least:
            return wire.fail(400, "max_tokens must be at least 1, got 0.")
        return web.json_response(echo(call, first))

    prompt = Prompt((Message("user", "Text: hä\nLabel:"),), "plain")
    request = Request(prompt, ("neutral", "joy"), mode="choice", with_premise=True)
    [answer] = said(openai_backend(loopback(handler)), request)
    expected = [-sum(map(ord, " neutral")) / 100, -sum(map(ord, " joy")) / 100]
    assert answer.choice_logprobs == pytest.approx(expected)
    assert answer.premise_logprobs == pytest.approx(expected)
    assert answer.choice_tokens == (8, 4)
    assert (answer.text, answer.n_attempts) == (None, 1 + least)
