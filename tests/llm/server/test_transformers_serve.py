"""A real client, a real server, a real (tiny) model: texts and likelihoods equal those of the model asked directly."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from harness.errors import ModelError
from harness.llm import CallSettings, Decoding, ModelSettings, Request
from harness.llm.local.tiny import build_tiny_llama, sample_texts
from harness.llm.server.backend import OpenAIBackend
from harness.prompting import Message, Prompt

N_TOKENS = 12

UTTERANCES = [f"A: Well, that is the way it goes, number {i}.\nB: Is it? Oh no!" for i in range(8)]


def ignore(number: int, response: object) -> None:
    """Keeps nothing."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    build_tiny_llama(folder, sample_texts())
    return folder


@pytest.fixture(scope="module")
def serving(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """Port and process of `transformers serve` with the tiny model; it is not up yet."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    hub = tmp_path_factory.mktemp("hub")
    with (hub / "log").open("w") as log:
        process = subprocess.Popen(
            [str(Path(sys.executable).with_name("transformers")), "serve", str(folder),
             "--device", "cpu", "--host", "127.0.0.1", "--port", str(port)],
            env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(hub), "OMP_NUM_THREADS": "1"},
            stdout=log, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
    yield port, process
    process.terminate()
    process.wait(20)


@pytest.fixture(scope="module")
def direct(folder: Path, serving: object) -> Any:
    """Tokenizer and model in this process, loaded while the server starts."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    return AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder).eval()


@pytest.fixture(scope="module")
def url(serving: tuple[int, subprocess.Popen[str]], direct: Any) -> str:
    """Address of the server, once it is up."""
    port, process = serving
    for _ in range(600):
        assert process.poll() is None, "transformers serve ended"
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1).close()
            break
        except OSError:
            time.sleep(0.1)
    return f"http://127.0.0.1:{port}/v1"


def requests(form: str, **more: Any) -> list[Request]:
    messages = [Message("system", "Say what the speaker feels.")]
    prompts = [Prompt((*messages, Message("user", text)), form) for text in UTTERANCES]  # type: ignore[arg-type]
    return [Request(prompt, ("neutral", "joy"), decoding=Decoding(N_TOKENS), **more) for prompt in prompts]


def generate(direct: Any, request: Request) -> tuple[int, list[int]]:
    """Returns the number of prompt tokens, and the likeliest next tokens."""
    tokenizer, model = direct
    if request.prompt.form == "chat":
        messages = [{"role": m.role, "content": m.content} for m in request.prompt.messages]
        inputs = tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
    else:
        inputs = tokenizer(request.prompt.text, return_tensors="pt")
    n = inputs["input_ids"].shape[1]
    return n, model.generate(**inputs, max_new_tokens=N_TOKENS, do_sample=False)[0, n:].tolist()


@pytest.mark.parametrize("form", ["chat", "plain"])
def test_texts_equal_those_of_the_model_itself(url: str, folder: Path, direct: Any, form: str) -> None:
    backend = OpenAIBackend(ModelSettings("openai", str(folder), base_url=url), CallSettings(concurrency=4))
    asked = requests(form)
    answers = dict(backend.answer(iter(asked), ignore))
    for number, request in enumerate(asked):
        answer = answers[number]
        n_prompt, tokens = generate(direct, request)
        assert answer.text == direct[0].decode(tokens, skip_special_tokens=True)
        assert (answer.n_prompt_tokens, answer.n_completion_tokens) == (n_prompt, len(tokens))
        assert answer.finish == ("length" if len(tokens) == N_TOKENS else "stop")
    assert len({answer.text for answer in answers.values()}) > 1


def test_what_the_server_ignores_is_noticed(url: str, folder: Path) -> None:
    """It warns of `response_format`, refuses other constraints, and does not echo."""
    backend = OpenAIBackend(ModelSettings("openai", str(folder), base_url=url), CallSettings())
    constrained = [Request(r.prompt, r.choices, decoding=Decoding(200), constrained=True) for r in requests("chat")]
    with pytest.raises(ModelError, match="leave -P constrained=true away"):
        list(backend.answer(iter(constrained), ignore))
    with pytest.raises(ModelError, match="-P answers=generate"):
        list(backend.answer(iter(requests("plain", mode="choice")), ignore))


def test_another_model_than_the_served_one_is_told(url: str) -> None:
    backend = OpenAIBackend(ModelSettings("openai", "other", base_url=url), CallSettings())
    [(_, answer)] = backend.answer(iter(requests("chat")[:1]), ignore)
    assert answer.finish == "error"
    assert "other" in answer.error


def score(direct: Any, context: str, ending: str) -> tuple[float, int]:
    """Returns log-likelihood and number of tokens of an ending, by one forward pass of the model itself."""
    import torch

    tokenizer, model = direct
    n_context = len(tokenizer(context)["input_ids"])
    ids = tokenizer(context + ending, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        chances = model(ids).logits[0].log_softmax(-1)
    picked = chances[range(n_context - 1, ids.shape[1] - 1), ids[0, n_context:]]
    return float(picked.sum()), len(picked)


def test_choice_likelihoods_equal_those_of_the_model_itself(
    direct: Any, open_app: Callable[[web.Application], str]
) -> None:
    import torch

    tokenizer, model = direct

    async def complete(http: web.Request) -> web.Response:
        """Echoes prompts as vLLM does: the start token is listed, and counted into the offsets."""
        body = await http.json()
        choices = []
        for index, prompt in enumerate(body["prompt"]):
            ids = tokenizer(prompt, return_tensors="pt")["input_ids"]
            with torch.no_grad():
                chances = model(ids).logits[0].log_softmax(-1)
            tokens = tokenizer.convert_ids_to_tokens(ids[0].tolist())
            texts = [tokens[0], *(tokenizer.convert_tokens_to_string([token]) for token in tokens[1:])]
            logprobs = {
                "tokens": texts,
                "text_offset": [sum(map(len, texts[:i])) for i in range(len(texts))],
                "token_logprobs": [None, *(float(chances[i, ids[0, i + 1]]) for i in range(len(texts) - 1))],
            }
            choices.append({"index": index, "text": prompt, "logprobs": logprobs, "finish_reason": "length"})
        return web.json_response({"choices": choices})

    app = web.Application()
    app.router.add_post("/v1/completions", complete)
    backend = OpenAIBackend(ModelSettings("openai", "tiny", base_url=open_app(app)), CallSettings())
    asked = requests("plain", mode="choice", with_premise=True)
    for number, answer in backend.answer(iter(asked), ignore):
        prompt, choices = asked[number].prompt, asked[number].choices
        expected = [score(direct, prompt.text, prompt.continuation(choice)) for choice in choices]
        assert answer.choice_logprobs == pytest.approx([s for s, _ in expected], abs=1e-4)
        assert answer.choice_tokens == tuple(n for _, n in expected)
        premise = prompt.premise
        expected = [score(direct, premise.text, premise.continuation(choice)) for choice in choices]
        assert answer.premise_logprobs == pytest.approx([s for s, _ in expected], abs=1e-4)
