"""The back end of lm-eval: the numbers of a plain forward pass, one failure at a time, and nothing secret kept."""

from __future__ import annotations

import importlib.util
import json
import logging
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from harness.errors import CallsStoppedError, ConfigError, MissingDependencyError, ModelError
from harness.llm import Backend, CallSettings, Decoding, ModelSettings, Request, Response, build_backend
from harness.llm.lm_eval.loading import public_arguments
from harness.llm.local.tiny import build_tiny_llama, sample_texts
from harness.prompting import Form, Message, Prompt

CHOICES = ("neutral", "joy", "anger")
CALLS = CallSettings(max_retries=0, concurrency=1, batch_size=4)
PLAIN = Prompt((Message("system", "Name the emotion."), Message("user", "A: I won!\nEmotion:")), "plain")
CHAT = Prompt(PLAIN.messages, "chat")


def plain(text: str) -> Prompt:
    return Prompt((Message("user", text),), "plain")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ERC_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    build_tiny_llama(folder, sample_texts())
    return folder


@pytest.fixture(scope="module")
def tiny(folder: Path) -> Backend:
    return hf(folder)


@pytest.fixture(scope="module")
def reference(folder: Path) -> Any:
    """Tokenizer and model, loaded without lm-eval."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    return AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)


def hf(folder: Path) -> Backend:
    return build_backend(ModelSettings("lm-eval", "hf", model_args=f"pretrained={folder},dtype=float32"), CALLS)


def ask(backend: Backend, *requests: Request) -> list[Response]:
    kept: dict[int, Response] = {}
    found = dict(backend.answer(iter(requests), kept.__setitem__))
    assert found == kept and sorted(found) == list(range(len(requests)))
    return [found[i] for i in range(len(requests))]


def log_likelihood(reference: Any, context: list[int], continuation: list[int]) -> float:
    """Sum of the log-probabilities of the continuation, by one forward pass."""
    import torch

    _, model = reference
    with torch.no_grad():
        logits = model(torch.tensor([context + continuation])).logits[0]
    logprobs = logits.log_softmax(-1)
    return sum(float(logprobs[len(context) - 1 + i, token]) for i, token in enumerate(continuation))


@pytest.mark.parametrize("prompt", [PLAIN, CHAT], ids=["plain", "chat"])
def test_likelihoods_are_those_of_a_forward_pass(tiny: Backend, reference: Any, prompt: Prompt) -> None:
    tokenizer, _ = reference
    (response,) = ask(tiny, Request(prompt, CHOICES, "choice", with_premise=True))
    assert response.choice_logprobs is not None and response.premise_logprobs is not None
    for given, found in ((prompt, response.choice_logprobs), (prompt.premise, response.premise_logprobs)):
        text = tiny.render(given)
        special = prompt.form == "plain"  # a chat template writes the start token itself
        context = tokenizer(text.rstrip(), add_special_tokens=special)["input_ids"]
        space = text[len(text.rstrip()) :]
        for i, choice in enumerate(CHOICES):
            tokens = tokenizer(space + given.continuation(choice), add_special_tokens=False)["input_ids"]
            assert found[i] == pytest.approx(log_likelihood(reference, context, tokens), abs=1e-4)
            if given is prompt:
                assert response.choice_tokens is not None and response.choice_tokens[i] == len(tokens)
    assert response.n_prompt_tokens == len(tokenizer(tiny.render(prompt), add_special_tokens=special)["input_ids"])


@pytest.mark.parametrize("form", ["plain", "chat"])
def test_answers_are_those_of_the_other_back_end(tiny: Backend, folder: Path, form: Form) -> None:
    other = build_backend(ModelSettings("transformers", str(folder), dtype="fp32"), CALLS)
    prompts = [
        Prompt((PLAIN.messages[0], Message("user", f"A: {text}\nEmotion:")), form) for text in ("No!", "Oh, well.")
    ]
    assert [tiny.render(prompt) for prompt in prompts] == [other.render(prompt) for prompt in prompts]
    asked = [Request(prompt, CHOICES, "choice", with_premise=True) for prompt in prompts]
    for ours, theirs in zip(ask(tiny, *asked), ask(other, *asked), strict=True):
        assert ours.choice_logprobs == pytest.approx(theirs.choice_logprobs, abs=1e-4)
        assert ours.premise_logprobs == pytest.approx(theirs.premise_logprobs, abs=1e-4)
        assert ours.choice_tokens == theirs.choice_tokens
    asked = [Request(prompt, CHOICES, decoding=Decoding(6)) for prompt in prompts]
    for ours, theirs in zip(ask(tiny, *asked), ask(other, *asked), strict=True):
        assert (ours.text, ours.finish, ours.n_completion_tokens) == (
            theirs.text,
            theirs.finish,
            theirs.n_completion_tokens,
        )


def test_a_text_is_what_greedy_generation_writes(tiny: Backend, reference: Any) -> None:
    import torch

    tokenizer, model = reference
    prompts = [
        plain("A: I won!\nEmotion:"),
        plain("B: A much longer line that sits in the same batch.\nEmotion:"),
        CHAT,
    ]
    answers = ask(tiny, *(Request(prompt, CHOICES, decoding=Decoding(max_new_tokens=7)) for prompt in prompts))
    for prompt, answer in zip(prompts, answers, strict=True):
        tokens = tokenizer(tiny.render(prompt), add_special_tokens=prompt.form == "plain", return_tensors="pt")
        with torch.no_grad():
            written = model.generate(**tokens, max_new_tokens=7, do_sample=False)[0, tokens["input_ids"].shape[1] :]
        assert answer.text == tokenizer.decode(written, skip_special_tokens=True)
        assert (answer.finish, answer.n_completion_tokens) == ("length", 7)
        assert answer.n_prompt_tokens == tokens["input_ids"].shape[1]


def test_an_answer_that_ends_by_itself_is_not_cut_even_at_the_limit(
    tiny: Backend, folder: Path, tmp_path: Path
) -> None:
    """The end token is given the one direction that makes it sure as fourth token and keeps it even before."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    context = tokenizer(PLAIN.text, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        written = model.generate(context, max_new_tokens=3, do_sample=False)
        states = model.model(written).last_hidden_state[0, -4:]
        wanted = torch.tensor([0.0, 0.0, 0.0, 50.0])
        model.lm_head.weight[tokenizer.eos_token_id] = torch.linalg.pinv(states) @ wanted
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    ending = hf(tmp_path)
    longer, exact, shorter = ask(ending, *(Request(PLAIN, CHOICES, decoding=Decoding(n)) for n in (9, 4, 3)))
    assert (longer.finish, longer.n_completion_tokens) == ("stop", 4)
    assert (exact.finish, exact.n_completion_tokens, exact.text) == ("stop", 4, longer.text)
    assert (shorter.finish, shorter.n_completion_tokens, shorter.text) == ("length", 3, longer.text)


def test_drawn_texts_depend_on_their_seed_alone(tiny: Backend) -> None:
    import torch

    drawn = [Request(PLAIN, CHOICES, decoding=Decoding(8, temperature=1.0, seed=seed)) for seed in (1, 2, 1)]
    before = torch.random.get_rng_state()
    first, second, third = ask(tiny, *drawn)
    assert first.text == third.text != second.text
    assert ask(tiny, drawn[1])[0].text == second.text
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_prompt_that_does_not_fit_fails_alone(tiny: Backend) -> None:
    long = plain("table " * 3000 + "\nEmotion:")
    requests = [Request(p, CHOICES, mode) for mode in ("choice", "generate") for p in (PLAIN, long)]
    answers = ask(tiny, *requests)
    assert [answer.finish for answer in answers] == ["stop", "error", "length", "error"]
    assert "the model reads 2048" in answers[1].error


def test_nothing_is_printed_and_no_state_is_left_changed(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from tqdm import tqdm

    before = tqdm.__init__, logging.getLogger("lm_eval").level
    ask(hf(folder), Request(PLAIN, CHOICES, "choice"), Request(CHAT, CHOICES))
    assert capfd.readouterr() == ("", "")
    assert before == (tqdm.__init__, logging.getLogger("lm_eval").level)


def test_a_chat_template_that_leaves_the_system_out_gets_its_text_with_the_first_question(
    folder: Path, tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    AutoModelForCausalLM.from_pretrained(folder).save_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(folder)

    def with_template(template: str | None) -> Backend:
        tokenizer.chat_template = template
        (tmp_path / "chat_template.jinja").unlink(missing_ok=True)
        tokenizer.save_pretrained(tmp_path)
        return hf(tmp_path)

    expected = "Name the emotion.\n\nA: I won!\nEmotion:"
    ignoring = "{% for m in messages if m.role != 'system' %}[{{ m.content }}]{% endfor %}"
    refusing = "{% if messages[0].role == 'system' %}{{ raise_exception('no') }}{% endif %}" + ignoring
    assert with_template(ignoring).render(CHAT) == f"[{expected}]"
    assert with_template(refusing).render(CHAT) == f"[{expected}]"
    with pytest.raises(ModelError, match=r"drops 'A: I won!.*; type: -P form=plain"):
        with_template("{{ messages[0].content }}").render(CHAT)
    none = with_template(None)
    assert none.preferred_form() == "plain"
    with pytest.raises(ModelError, match="cannot be used: .*chat_template.*; type: -P form=plain"):
        none.render(CHAT)


class Server:
    """An OpenAI-compatible server of texts that answers 'joy' and refuses what holds 'poison'."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.refuse: Callable[[str], int] = lambda text: 400 if "poison" in text else 200
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.bodies.append(body)
                status = outer.refuse(json.dumps(body))
                reply = {"choices": [{"index": 0, "text": " joy", "message": {"content": "joy"}}]}
                if isinstance(body.get("prompt"), list):  # tokens to be scored, and one more that is written
                    n_tokens = len(body["prompt"][0]) + 1
                    logprobs = {"token_logprobs": [-1.0] * n_tokens, "top_logprobs": [{"a": -1.0}] * n_tokens}
                    reply["choices"][0]["logprobs"] = logprobs
                content = json.dumps(reply if status == 200 else {"error": "no"}).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *args: object) -> None:
                pass

        self._httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._httpd.server_port}/v1/completions"
        threading.Thread(target=self._httpd.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self) -> None:
        self._httpd.shutdown()
        self._httpd.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def served(server: Server, model: str = "local-completions", **calls: Any) -> Backend:
    tokenizer = ",tokenizer_backend=none" if model == "local-completions" else ""
    settings = ModelSettings("lm-eval", model, model_args=f"model=m,base_url={server.url}{tokenizer}")
    return build_backend(settings, CallSettings(max_retries=0, concurrency=calls.get("concurrency", 1)))


@pytest.fixture
def fragile() -> Iterator[list[list[str]]]:
    """A model of lm-eval in this process that breaks over some texts in the middle of a batch; yields its calls."""
    from lm_eval.api.model import LM
    from lm_eval.api.registry import model_registry

    calls: list[list[str]] = []

    class Fragile(LM):
        def __init__(self, **kwargs: object) -> None:
            super().__init__()

        def generate_until(self, requests: list[Any]) -> list[str]:
            calls.append([])
            for request in requests:
                calls[-1].append(request.args[0])
                if "poison" in request.args[0]:
                    raise RuntimeError("out of memory")
                self.cache_hook.add_partial("generate_until", request.args, "joy")
            return ["joy"] * len(requests)

        loglikelihood = loglikelihood_rolling = generate_until

    model_registry.register("test-fragile", target=Fragile)
    yield calls
    model_registry._objs.pop("test-fragile")


def test_a_batch_that_breaks_is_halved_without_what_was_answered(fragile: list[list[str]]) -> None:
    backend = build_backend(ModelSettings("lm-eval", "test-fragile"), CALLS)
    texts = [f"{'poison' if i in (3, 11) else 'fine'} {i}" for i in range(16)]
    answers = ask(backend, *(Request(plain(text), CHOICES) for text in texts))
    assert [i for i, answer in enumerate(answers) if answer.finish == "error"] == [3, 11]
    assert answers[3].error == "RuntimeError: out of memory"
    asked = [text for call in fragile for text in call if "fine" in text]
    assert sorted(asked) == sorted(text for text in texts if "fine" in text)
    with pytest.raises(CallsStoppedError, match="failed 8 times in a row"):
        ask(backend, *(Request(plain(f"poison {i}"), CHOICES) for i in range(40)))


@pytest.mark.parametrize("concurrency", [1, 4])
def test_one_poisoned_request_of_twenty_fails_alone_and_no_other_is_paid_for_twice(
    server: Server, concurrency: int
) -> None:
    texts = [f"{'poison' if i == 13 else 'fine'} {i}" for i in range(20)]
    answers = ask(served(server, concurrency=concurrency), *(Request(plain(text), CHOICES) for text in texts))
    assert [i for i, answer in enumerate(answers) if answer.finish == "error"] == [13]
    assert "400" in answers[13].error
    assert {answer.text for i, answer in enumerate(answers) if i != 13} == {" joy"}
    asked = [body["prompt"] for body in server.bodies if "fine" in body["prompt"]]
    assert len(asked) == len(set(asked)) == 19


def test_a_chat_server_gets_messages_and_a_seed(server: Server) -> None:
    backend = served(server, "local-chat-completions")
    (answer,) = ask(backend, Request(CHAT, CHOICES, decoding=Decoding(5, seed=7)))
    assert (answer.text, answer.finish, answer.n_prompt_tokens) == ("joy", "stop", None)
    (body,) = server.bodies
    assert body["messages"] == [{"role": m.role, "content": m.content} for m in CHAT.messages]
    assert (body["seed"], body["max_tokens"], body["temperature"]) == (7, 5, 0.0)
    assert json.loads(backend.render(CHAT)) == body["messages"]
    assert backend.preferred_form() == "chat"


def test_what_a_server_cannot_do_is_told_with_what_to_type(server: Server) -> None:
    with pytest.raises(ModelError, match=r"gives no log-likelihoods; type: -P answers=generate"):
        ask(served(server, "local-chat-completions"), Request(CHAT, CHOICES, "choice"))
    with pytest.raises(ModelError, match="takes messages only; type: -P form=chat"):
        ask(served(server, "local-chat-completions"), Request(PLAIN, CHOICES))
    with pytest.raises(ModelError, match="takes no messages; type: -P form=plain"):
        ask(served(server), Request(CHAT, CHOICES))
    assert not server.bodies


def test_a_wrong_key_stops_at_once(server: Server) -> None:
    server.refuse = lambda text: 401
    with pytest.raises(ModelError, match="was refused: .*401"):
        ask(served(server), *(Request(plain(str(i)), CHOICES) for i in range(20)))
    assert len(server.bodies) <= 2  # one may be under way


def test_a_server_that_is_gone_stops_at_once(server: Server) -> None:
    backend = served(server)
    ask(backend, Request(PLAIN, CHOICES))
    server.close()
    with pytest.raises(CallsStoppedError, match="cannot be reached"):
        ask(backend, Request(PLAIN, CHOICES))


def test_where_everything_fails_the_cause_is_raised_before_all_were_asked(server: Server) -> None:
    server.refuse = lambda text: 500
    requests = [Request(plain(f"{i:03}"), CHOICES) for i in range(64)]
    with pytest.raises(ModelError, match="failed 8 times in a row; the last time: .*500"):
        ask(served(server), *requests)
    assert len({body["prompt"] for body in server.bodies}) <= 16


def test_answers_before_a_stop_are_yielded(server: Server) -> None:
    server.refuse = lambda text: 200 if "first" in text else 500
    arrived: dict[int, Response] = {}
    requests = [Request(plain(text), CHOICES) for text in ["first and the longest of all", *map(str, range(20))]]
    with pytest.raises(CallsStoppedError, match="8 times in a row"):
        for number, response in served(server).answer(iter(requests), {}.__setitem__):
            arrived[number] = response
    assert arrived.pop(0).text == " joy"
    assert {answer.finish for answer in arrived.values()} == {"error"}
    assert 8 <= len(arrived) <= 9


def test_requests_are_taken_in_groups(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.llm.lm_eval.backend.GROUP", 2)
    taken = 0

    def requests() -> Iterator[Request]:
        nonlocal taken
        for i in range(6):
            taken += 1
            yield Request(plain(f"{i}"), CHOICES)

    answers = served(server).answer(requests(), {}.__setitem__)
    next(answers)
    assert taken == 2
    assert len(list(answers)) == 5


@pytest.mark.parametrize(
    "argument",
    ["api_key=x", "header={'Authorization': 'Bearer x'}", "auth_token=x", "token=x", "base_url=http://u:p@host/v1",
     "base_url=http://h/v1?api_key=x", "my_secret=x", "model=sk-abcdefghijklmnopqrst"],
)  # fmt: skip
def test_keys_are_refused_and_not_repeated(argument: str) -> None:
    with pytest.raises(ConfigError, match="set it in the environment") as error:
        build_backend(ModelSettings("lm-eval", "local-completions", model_args=f"model=m,{argument}"), CALLS)
    assert argument.partition("=")[2] not in str(error.value).removeprefix("model_args: 'token'")


def test_arguments_that_only_look_like_keys_pass() -> None:
    text = "tokenizer=a,max_gen_toks=3,add_bos_token=True,prefix_token_id=1,think_end_token=</think>"
    assert build_backend(ModelSettings("lm-eval", "hf", model_args=text), CALLS).identity()["model_args"] == ",".join(
        sorted(text.split(","))
    )


def test_settings_that_the_model_would_not_see_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"dtype='bf16'.*model_args"):
        build_backend(ModelSettings("lm-eval", "hf", dtype="bf16"), CALLS)
    with pytest.raises(ConfigError, match=r"requests_per_minute=3.*backend=openai"):
        build_backend(ModelSettings("lm-eval", "hf"), CallSettings(requests_per_minute=3))
    with pytest.raises(ConfigError, match="n_beams=2"):
        ask(
            build_backend(ModelSettings("lm-eval", "dummy"), CALLS),
            Request(PLAIN, CHOICES, decoding=Decoding(n_beams=2)),
        )


def test_an_unknown_model_is_told_with_its_neighbours() -> None:
    with pytest.raises(ConfigError, match="unknown lm-eval model 'local-completion'; did you mean 'local-completions'"):
        build_backend(ModelSettings("lm-eval", "local-completion"), CALLS)


def test_a_model_of_the_hub_is_not_fetched_unasked() -> None:
    backend = build_backend(ModelSettings("lm-eval", "hf", model_args="pretrained=nobody/nothing"), CALLS)
    with pytest.raises(ModelError, match=r"model 'hf' cannot be made: .*--download"):
        ask(backend, Request(PLAIN, CHOICES))


def test_identity_names_content_and_no_place(folder: Path, tmp_path: Path) -> None:
    import shutil

    import lm_eval

    copy = tmp_path / "elsewhere" / folder.name
    shutil.copytree(folder, copy)
    here, there = hf(folder).identity(), hf(copy).identity()
    assert here == there
    assert (here["backend"], here["model"], here["lm_eval"]) == ("lm-eval", "hf", lm_eval.__version__)
    assert str(here["model_args"]).startswith("dtype=float32,pretrained=tiny@")
    (copy / "config.json").write_text((copy / "config.json").read_text() + " ")
    assert hf(copy).identity() != here
    assert public_arguments("b=1,batch_size=8,a=2,trust_remote_code=True") == "a=2,b=1,trust_remote_code=True"
    with pytest.raises(ConfigError, match="does not exist"):
        public_arguments("pretrained=/no/such/folder")


def test_what_answers_depend_on_is_part_of_the_identity(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))

    def commits(**arguments: str) -> object:
        text = ",".join(f"{name}={value}" for name, value in arguments.items())
        return build_backend(ModelSettings("lm-eval", "hf", model_args=text), CALLS).identity()["commits"]

    assert commits(pretrained="org/name") == {}
    for name, marker, commit in (("name", "config.json", "a" * 40), ("lora", "adapter_config.json", "b" * 40)):
        snapshot = tmp_path / f"models--org--{name}" / "snapshots" / commit
        snapshot.mkdir(parents=True)
        (snapshot / marker).write_text("{}")
        (snapshot.parents[1] / "refs").mkdir()
        (snapshot.parents[1] / "refs" / "main").write_text(commit)
    assert commits(pretrained="org/name", peft="org/lora") == {"pretrained": "a" * 40, "peft": "b" * 40}
    assert commits(pretrained="org/name", revision="other") == {}
    remote = served(server).identity()
    assert remote["address"] == server.url and "torch" not in remote  # which server answers does not change with torch
    assert remote["method"] == build_backend(ModelSettings("lm-eval", "hf"), CALLS).identity()["method"]


@pytest.mark.parametrize(
    ("address", "public"),
    [("http://localhost:8000/v1/completions", "local"), ("http://10.0.0.7/v1/completions", "local"),
     ("https://llm.example.org/v1/completions", "llm.example.org/v1/completions")],
)  # fmt: skip
def test_arguments_name_public_servers_and_no_private_ones(address: str, public: str) -> None:
    assert public_arguments(f"model=m,base_url={address}") == f"base_url={public},model=m"


def test_a_tokenizer_that_ends_texts_is_refused(folder: Path, tmp_path: Path) -> None:
    import shutil

    from tokenizers.processors import TemplateProcessing
    from transformers import AutoTokenizer

    shutil.copytree(folder, tmp_path / "closing")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    tokenizer.save_pretrained(tmp_path / "closing")
    with pytest.raises(ModelError, match="ends each text with an end token.*; use backend=transformers"):
        ask(hf(tmp_path / "closing"), Request(PLAIN, CHOICES, "choice"))


def test_an_answer_is_kept_when_it_is_made(server: Server, fragile: list[list[str]]) -> None:
    kept: dict[int, Response] = {}
    seen: list[int] = []
    server.refuse = lambda text: seen.append(len(kept)) or 200  # type: ignore[func-returns-value]
    requests = [Request(plain(f"fine {i}"), CHOICES) for i in range(5)]
    next(served(server).answer(iter(requests), kept.__setitem__))
    assert seen == [0, 1, 2, 3, 4]
    made: list[int] = []
    here = build_backend(ModelSettings("lm-eval", "test-fragile"), CALLS)
    assert len(list(here.answer(iter(requests), lambda *answer: made.append(len(fragile[-1]))))) == 5
    assert made == [1, 2, 3, 4, 5]


def test_prompts_of_choices_are_counted_as_often_as_they_are_sent(server: Server, folder: Path) -> None:
    arguments = f"model=m,base_url={server.url},tokenizer={folder},tokenizer_backend=huggingface"
    backend = build_backend(ModelSettings("lm-eval", "local-completions", model_args=arguments), CALLS)
    prompts = [plain("A: I won!\nEmotion:"), plain("B: Oh, well.\nEmotion:")]
    answers = ask(backend, *(Request(prompt, CHOICES, "choice", with_premise=True) for prompt in prompts))
    sent = [len(tokens) for body in server.bodies for tokens in body["prompt"]]
    assert len(sent) == 3 * len(CHOICES)  # both share a premise
    assert sum(answer.n_prompt_tokens or 0 for answer in answers) == sum(sent)
    assert answers[0].choice_logprobs == pytest.approx([-float(n) for n in answers[0].choice_tokens or ()])


def test_lm_eval_is_asked_for_by_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "lm_eval" else find(name, *rest)
    )
    with pytest.raises(MissingDependencyError, match=r"pip install 'erc-harness\[lm-eval\]'"):
        build_backend(ModelSettings("lm-eval", "hf"), CALLS)
