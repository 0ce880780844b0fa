"""Local models against three oracles: a naive forward pass, lm-eval's `hf`, and transformers' own `generate`."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from harness.errors import ConfigError, MissingDependencyError, ModelError
from harness.llm import CallSettings, Decoding, ModelSettings, Request, Response, build_backend
from harness.llm.local.tiny import build_tiny_llama, sample_texts
from harness.prompting import Message, Prompt

pytestmark = [
    # torch and transformers warn about their own insides while loading and merging
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

WORDS = ("neutral", "joy", "sadness", "sad", "anger", "joyful")
"""Labels of several tokens, of which some begin alike and one begins another."""

LETTERS = ("A", "B", "C")
"""Labels of one token."""


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Any:
    """Models this small are slower on several threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny-llama"
    build_tiny_llama(folder, sample_texts())
    return folder


COMMON = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 512}
MAKERS: dict[str, Callable[[int], Any]] = {
    "qwen2": lambda n: transformers.Qwen2Config(
        vocab_size=n, intermediate_size=128, num_key_value_heads=2, **COMMON
    ),
    "mistral": lambda n: transformers.MistralConfig(
        vocab_size=n, intermediate_size=128, num_key_value_heads=2, sliding_window=40, **COMMON
    ),
    "gemma2": lambda n: transformers.Gemma2Config(
        vocab_size=n, intermediate_size=128, num_key_value_heads=2, head_dim=16, sliding_window=40, **COMMON
    ),
    "gpt-neox": lambda n: transformers.GPTNeoXConfig(vocab_size=n, intermediate_size=128, **COMMON),
    "gpt2": lambda n: transformers.GPT2Config(vocab_size=n, n_positions=512, n_embd=64, n_layer=2, n_head=4),
    "bloom": lambda n: transformers.BloomConfig(vocab_size=n, hidden_size=64, n_layer=2, n_head=4),
    "gpt-neo": lambda n: transformers.GPTNeoConfig(
        vocab_size=n, hidden_size=64, num_layers=2, num_heads=4, max_position_embeddings=512,
        attention_types=[[["global", "local"], 1]], window_size=24,
    ),
    "mamba": lambda n: transformers.MambaConfig(vocab_size=n, hidden_size=64, num_hidden_layers=2),
}  # fmt: skip


@pytest.fixture(scope="module")
def build(llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Returns the folder of a model of some architecture with random weights and the tiny tokenizer."""
    folders = {"llama": llama}

    def run(name: str) -> Path:
        if name not in folders:
            tokenizer = transformers.AutoTokenizer.from_pretrained(llama)
            config = MAKERS[name](len(tokenizer))
            config.bos_token_id, config.eos_token_id, config.pad_token_id = 0, 1, 2
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                model = transformers.AutoModelForCausalLM.from_config(config)
                for weight in model.parameters():
                    if weight.ndim == 2:
                        torch.nn.init.normal_(weight, std=weight.shape[-1] ** -0.5)
            folders[name] = tmp_path_factory.mktemp("models") / name
            tokenizer.save_pretrained(folders[name])
            model.save_pretrained(folders[name])
        return folders[name]

    return run


def backend_of(folder: Path | str, **options: Any) -> Any:
    calls = CallSettings(batch_size=options.pop("batch_size", 32))
    return build_backend(ModelSettings("transformers", str(folder), **{"device": "cpu", **options}), calls)


def answers(backend: Any, requests: Sequence[Request]) -> list[Response]:
    kept: dict[int, Response] = {}
    found = dict(backend.answer(iter(requests), kept.__setitem__))
    assert found == kept
    return [found[i] for i in range(len(requests))]


def plain(*texts: str) -> list[Prompt]:
    return [Prompt((Message("user", text),), "plain") for text in texts]


LINES = (
    "Tom: Is the hot water off again?", "Maya: Really?", "Tom: ünïcode ☃ naïve", "Maya: I've told you three times!",
    "Tom: Sorry.", "Maya: Put every single pan we've got on, now!", "Tom: On it.", "Maya: You idiot. Thank you.",
)  # fmt: skip
HEAD = "Name the emotion of the last utterance.\n"

GROWING = plain(*(f"{HEAD}{chr(10).join(LINES[max(0, i - 3) : i + 1])}\nEmotion:" for i in range(len(LINES))))
NEWLINE = plain(*(f"{HEAD}{line}\n### Response:\n" for line in LINES[:3]))
ODD = plain(
    "Emotion:", "x", "two  spaces at the end  ", "a tab\t", "no line break at all:", "<s>begins itself\nEmotion:"
)
CHAT = [
    Prompt((Message("system", HEAD), Message("user", f"{line}\nEmotion:")), "chat") for line in LINES[:3]
]  # fmt: skip
PROMPTS = {"growing": GROWING, "newline": NEWLINE, "odd": ODD, "chat": CHAT, "mixed": [*GROWING, *CHAT, *ODD, *NEWLINE]}


def naive(folder: Path, backend: Any, prompt: Prompt, choice: str) -> tuple[float, int]:
    """Log-likelihood by one forward pass for one choice, encoded as lm-eval does it."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    text = backend.render(prompt)
    context = text.rstrip()
    special = not text.startswith("<s>")
    before = tokenizer(context, add_special_tokens=special).input_ids
    whole = tokenizer(text + prompt.continuation(choice), add_special_tokens=special).input_ids
    with torch.no_grad():
        logprobs = model(torch.tensor([whole])).logits[0].float().log_softmax(-1)
    asked = range(len(before), len(whole))
    return sum(float(logprobs[i - 1, whole[i]]) for i in asked), len(asked)


@pytest.mark.parametrize(
    "name", ["llama", "qwen2", "mistral", "gemma2", "gpt-neox", "gpt2", "bloom", "gpt-neo", "mamba"]
)
def test_choices_score_as_one_forward_pass_each(build: Callable[[str], Path], name: str) -> None:
    folder = build(name)
    backend = backend_of(folder)
    for prompts, choices in ((GROWING, WORDS), (CHAT[:1], LETTERS)):
        for prompt, answer in zip(
            prompts, answers(backend, [Request(p, choices, "choice") for p in prompts]), strict=True
        ):
            expected = [naive(folder, backend, prompt, choice) for choice in choices]
            assert answer.choice_logprobs == pytest.approx([value for value, _ in expected], abs=1e-4)
            assert answer.choice_tokens == tuple(n for _, n in expected)


@pytest.mark.parametrize("kind", PROMPTS)
@pytest.mark.parametrize("choices", [WORDS, LETTERS], ids=["words", "letters"])
def test_choices_score_as_in_lm_eval(llama: Path, kind: str, choices: tuple[str, ...]) -> None:
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    backend = backend_of(llama)
    prompts = PROMPTS[kind]
    peer = HFLM(str(llama), device="cpu", dtype="float32", batch_size=8)
    pairs = [(backend.render(p), p.continuation(choice)) for p in prompts for choice in choices]
    sums = peer.loglikelihood(
        [Instance("loglikelihood", {}, pair, i) for i, pair in enumerate(pairs)], disable_tqdm=True
    )
    ours = answers(backend, [Request(prompt, choices, "choice") for prompt in prompts])
    assert [value for answer in ours for value in answer.choice_logprobs or ()] == pytest.approx(
        [value for value, _ in sums], abs=2e-5
    )
    lengths = [len(peer._encode_pair(*pair)[1]) for pair in pairs]
    assert [n for answer in ours for n in answer.choice_tokens or ()] == lengths


def scores(backend: Any, prompts: Sequence[Prompt], choices: tuple[str, ...] = WORDS) -> list[float]:
    return [
        v for a in answers(backend, [Request(p, choices, "choice") for p in prompts]) for v in a.choice_logprobs or ()
    ]


def test_rows_and_the_plain_way_agree_and_company_does_not_matter(llama: Path) -> None:
    prompts = PROMPTS["mixed"]
    together = backend_of(llama)
    one = scores(together, prompts)
    assert together._answers._scorer.packs
    unpacked = backend_of(llama)
    unpacked._answers._scorer.packs = False
    assert one == pytest.approx(scores(unpacked, prompts), abs=2e-5)
    small = backend_of(llama, batch_size=2)
    assert one == pytest.approx([v for prompt in prompts for v in scores(small, [prompt])], abs=2e-5)


def test_a_model_that_ignores_the_mask_of_rows_is_asked_plainly(
    build: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.llm.local.scoring.tree_reach", lambda config: 1 << 62)  # as if no window were known
    folder = build("gpt-neo")
    backend = backend_of(folder)
    expected = [naive(folder, backend, prompt, choice)[0] for prompt in GROWING for choice in WORDS]
    assert scores(backend, GROWING) == pytest.approx(expected, abs=1e-4)


def test_a_batch_is_kept_whole_before_its_first_answer_is_given(llama: Path) -> None:
    for mode, n_first in (("choice", 4), ("generate", 4)):
        kept: dict[int, Response] = {}
        requests = [Request(prompt, WORDS, mode, Decoding(2)) for prompt in GROWING]  # type: ignore[arg-type]
        arrivals = backend_of(llama, batch_size=4).answer(iter(requests), kept.__setitem__)
        number, response = next(arrivals)
        assert kept[number] == response and len(kept) == n_first
        arrivals.close()


@pytest.fixture(scope="module")
def closing(llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with a tokenizer that ends each text with the end token."""
    from tokenizers.processors import TemplateProcessing

    folder = copy_of(llama, tmp_path_factory.mktemp("models") / "closing" / "tiny-llama")
    tokenizer = transformers.AutoTokenizer.from_pretrained(llama)
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    tokenizer.save_pretrained(folder)
    assert transformers.AutoTokenizer.from_pretrained(folder)("x").input_ids[-1] == 1
    return folder


@pytest.mark.parametrize("kind", ["growing", "newline", "odd"])
def test_a_tokenizer_that_ends_texts_ends_no_prompt(llama: Path, closing: Path, kind: str) -> None:
    backend = backend_of(closing)
    found = answers(backend, [Request(prompt, WORDS, "choice") for prompt in PROMPTS[kind]])
    for prompt, answer in zip(PROMPTS[kind], found, strict=True):
        expected = [naive(llama, backend, prompt, choice) for choice in WORDS]
        assert answer.choice_logprobs == pytest.approx([value for value, _ in expected], abs=1e-4)
        assert answer.choice_tokens == tuple(n for _, n in expected)
    for constrained in (False, True):
        requests = [Request(prompt, WORDS, constrained=constrained) for prompt in PROMPTS[kind]]
        texts = [(answer.text, answer.n_prompt_tokens) for answer in answers(backend, requests)]
        assert texts == [(answer.text, answer.n_prompt_tokens) for answer in answers(backend_of(llama), requests)]


def test_premises_are_scored_like_prompts(llama: Path) -> None:
    backend = backend_of(llama)
    found = answers(backend, [Request(prompt, WORDS, "choice", with_premise=True) for prompt in GROWING])
    (alone,) = answers(backend, [Request(GROWING[0].premise, WORDS, "choice")])
    for answer in found:
        assert answer.premise_logprobs == pytest.approx(alone.choice_logprobs, abs=2e-5)


def own_generate(folder: Path, text: str, **options: Any) -> str:
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    tokens = tokenizer(text, return_tensors="pt", add_special_tokens=not text.startswith("<s>"))
    output = model.generate(**tokens, do_sample=False, max_new_tokens=8, pad_token_id=2, **options)
    return str(tokenizer.decode(output[0, tokens.input_ids.shape[1] :], skip_special_tokens=True))


@pytest.mark.parametrize("n_beams", [1, 3])
def test_texts_are_those_of_transformers_in_any_company(llama: Path, n_beams: int) -> None:
    prompts = [*GROWING, *CHAT]
    requests = [Request(prompt, WORDS, decoding=Decoding(8, n_beams=n_beams)) for prompt in prompts]
    backend = backend_of(llama, batch_size=4)
    found = answers(backend, requests)
    assert [answer.text for answer in found] == [
        own_generate(llama, backend.render(prompt), num_beams=n_beams) for prompt in prompts
    ]
    assert [answer.n_prompt_tokens for answer in found] == [backend.count_tokens(backend.render(p)) for p in prompts]
    assert {answer.finish for answer in found} <= {"stop", "length"}
    for request, answer in zip(requests, found, strict=True):
        assert answers(backend, [request])[0].text == answer.text


def test_generation_settings_of_the_checkpoint_do_not_leak_in(llama: Path, tmp_path: Path) -> None:
    folder = copy_of(llama, tmp_path / "tiny-llama")
    before = answers(backend_of(llama), [Request(GROWING[0], WORDS)])[0]
    settings = {"do_sample": True, "temperature": 0.1, "top_k": 2, "repetition_penalty": 5.0, "eos_token_id": [1, 7]}
    (folder / "generation_config.json").write_text(json.dumps(settings))
    backend = backend_of(folder)
    assert answers(backend, [Request(GROWING[0], WORDS)])[0].text == before.text
    assert backend._answers._writer._end_tokens == [1, 7]  # but what ends a text does count


def test_an_end_token_stops(llama: Path, tmp_path: Path) -> None:
    first = answers(backend_of(llama), [Request(GROWING[0], WORDS)])[0]
    tokenizer = transformers.AutoTokenizer.from_pretrained(llama)
    third = tokenizer(first.text, add_special_tokens=False).input_ids[2]
    folder = copy_of(llama, tmp_path / "tiny-llama")
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [1, third]}))
    short = answers(backend_of(folder), [Request(GROWING[0], WORDS)])[0]
    assert first.finish == "length" and first.n_completion_tokens == 16
    assert short.finish == "stop" and (first.text or "").startswith(short.text or "x")
    assert (short.n_completion_tokens or 99) <= 2


def test_sampling_depends_on_prompt_and_seed_alone(llama: Path) -> None:
    def requests(seed: int) -> list[Request]:
        return [Request(prompt, WORDS, decoding=Decoding(8, temperature=1.0, seed=seed)) for prompt in GROWING]

    backend = backend_of(llama)
    state = torch.get_rng_state()
    together = [answer.text for answer in answers(backend, requests(0))]
    assert torch.equal(torch.get_rng_state(), state)
    assert [answers(backend, [request])[0].text for request in requests(0)] == together
    assert [answer.text for answer in answers(backend, requests(1))] != together


def test_sampling_follows_the_models_probabilities(llama: Path) -> None:
    """First tokens drawn with 2,000 seeds: their share has a standard error of at most 0.011."""
    backend = backend_of(llama, batch_size=512)
    (prompt,), n, temperature = plain("Tom: Hello.\nEmotion:"), 2000, 0.3
    drawn = answers(
        backend, [Request(prompt, WORDS, decoding=Decoding(1, temperature=temperature, seed=i)) for i in range(n)]
    )
    tokenizer = transformers.AutoTokenizer.from_pretrained(llama)
    model = transformers.AutoModelForCausalLM.from_pretrained(llama)
    with torch.no_grad():
        logits = model(**tokenizer(prompt.text, return_tensors="pt")).logits[0, -1]
    expected: Counter[str] = Counter()
    for token, probability in enumerate((logits / temperature).softmax(-1).tolist()):
        expected[tokenizer.decode([token], skip_special_tokens=True)] += probability  # parts of a character look alike
    for text, probability in expected.most_common(5):
        assert sum(answer.text == text for answer in drawn) / n == pytest.approx(probability, abs=0.045)


@pytest.mark.parametrize("n_beams", [1, 3])
@pytest.mark.parametrize("kind", ["growing", "chat", "newline"])
def test_constrained_texts_are_choices(llama: Path, kind: str, n_beams: int) -> None:
    free = Request(GROWING[0], WORDS, decoding=Decoding(n_beams=n_beams))
    requests = [Request(p, WORDS, decoding=Decoding(n_beams=n_beams), constrained=True) for p in PROMPTS[kind]]
    *found, unbound = answers(backend_of(llama), [*requests, free])
    assert {(answer.text or "").strip() for answer in found} <= set(WORDS)
    assert {answer.finish for answer in found} == {"stop"}
    assert (unbound.text or "").strip() not in WORDS


@pytest.mark.parametrize("n_beams", [1, 3])
def test_without_an_end_token_a_choice_ends_where_it_is_complete(llama: Path, tmp_path: Path, n_beams: int) -> None:
    folder = copy_of(llama, tmp_path / "tiny-llama")
    for name in ("generation_config.json", "config.json", "tokenizer_config.json"):
        content = json.loads((folder / name).read_text())
        content.pop("eos_token", None)
        content.pop("eos_token_id", None)
        (folder / name).write_text(json.dumps(content))
    choices = ("neutral", "joy", "sadness", "anger")
    requests = [Request(p, choices, decoding=Decoding(12, n_beams=n_beams), constrained=True) for p in GROWING]
    backend = backend_of(folder)
    *found, free = answers(backend, [*requests, replace(requests[0], constrained=False)])
    assert {(answer.text or "").strip() for answer in found} <= set(choices)
    for answer in found:
        assert answer.finish == "stop" and answer.n_completion_tokens == backend.count_tokens(answer.text or "") - 1
    assert free.finish == "length" and free.n_completion_tokens == 12


def test_what_is_too_long_fails_alone(llama: Path) -> None:
    long = plain("word " * 3000)[0]
    for request in (Request(long, WORDS, "choice"), Request(long, WORDS)):
        bad, good = answers(backend_of(llama), [request, replace(request, prompt=GROWING[0])])
        assert bad.finish == "error" and "prompt too long" in bad.error and "2048" in bad.error
        assert good.finish != "error"


def test_lack_of_memory_halves_the_batch_and_then_fails_alone(llama: Path) -> None:
    backend = backend_of(llama)
    expected_scores, expected = scores(backend, GROWING), answers(backend, [Request(p, WORDS) for p in GROWING])
    model = backend._answers._writer._model
    forward = model.forward

    def small(input_ids: Any, **inputs: Any) -> Any:
        """A device with room for so many tokens at once."""
        if input_ids.numel() > room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(input_ids=input_ids, **inputs)

    model.forward = small
    room = 150
    assert scores(backend, GROWING) == pytest.approx(expected_scores, abs=2e-5)
    again = answers(backend, [Request(p, WORDS) for p in GROWING])
    assert [answer.text for answer in again] == [answer.text for answer in expected]
    room = 3
    for mode in ("choice", "generate"):
        assert {a.error.split(",")[0] for a in answers(backend, [Request(p, WORDS, mode) for p in GROWING])} == {  # type: ignore[arg-type]
            "out of memory"
        }


def test_other_errors_are_not_taken_for_lack_of_memory(llama: Path) -> None:
    backend = backend_of(llama)
    backend._answers._writer._model.forward = lambda **inputs: torch.ones(2) @ torch.ones(3)
    with pytest.raises(RuntimeError, match="inconsistent tensor size"):
        scores(backend, GROWING)


@pytest.fixture(scope="module")
def adapter(llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    import peft

    model = transformers.AutoModelForCausalLM.from_pretrained(llama)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        config = peft.LoraConfig(
            r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False, task_type="CAUSAL_LM"
        )
        adapted = peft.get_peft_model(model, config)
    folder = tmp_path_factory.mktemp("adapters") / "lora"
    adapted.save_pretrained(folder)
    return folder


def test_an_adapter_changes_scores_as_peft_does(llama: Path, adapter: Path) -> None:
    from peft import PeftModel

    backend = backend_of(llama, adapter=str(adapter))
    model = PeftModel.from_pretrained(transformers.AutoModelForCausalLM.from_pretrained(llama), adapter).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(llama)
    prompt = GROWING[0]
    n_context = len(tokenizer(prompt.text).input_ids)
    expected = []
    for choice in WORDS:
        whole = tokenizer(prompt.text + prompt.continuation(choice), return_tensors="pt").input_ids
        with torch.no_grad():
            logprobs = model(whole).logits[0].log_softmax(-1)
        expected.append(sum(float(logprobs[i - 1, whole[0, i]]) for i in range(n_context, whole.shape[1])))
    assert scores(backend, [prompt]) == pytest.approx(expected, abs=1e-4)
    assert scores(backend_of(llama), [prompt]) != pytest.approx(expected, abs=0.05)
    assert str(backend.identity()["adapter"]).startswith("lora@")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A hub on this machine that has nothing; yields the paths that it is asked for."""
    asked: list[str] = []

    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            asked.append(self.path)
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_HEAD  # noqa: N815

        def log_message(self, *args: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
        monkeypatch.setattr(
            "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE",
            address + "/{repo_id}/resolve/{revision}/{filename}",
        )
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        yield asked
        server.shutdown()


def test_an_adapter_in_the_hubs_cache_is_loaded_without_asking_the_hub(
    llama: Path, adapter: Path, hub: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    snapshot = tmp_path / "hub" / "models--org--lora" / "snapshots" / commit
    copy_of(adapter, snapshot)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    backend = backend_of(llama, adapter="org/lora")
    assert scores(backend, GROWING[:1]) == scores(backend_of(llama, adapter=str(adapter)), GROWING[:1])
    assert backend.identity()["adapter"] == f"org/lora@{commit}"
    (snapshot / "adapter_model.safetensors").unlink()
    with pytest.raises(ModelError, match="adapter 'org/lora' cannot be loaded"):
        answers(backend_of(llama, adapter="org/lora"), [Request(GROWING[0], WORDS)])
    assert not hub


def test_lower_precision_loads_and_stays_near(llama: Path) -> None:
    full = scores(backend_of(llama), GROWING)
    backend = backend_of(llama, dtype="bf16")
    assert scores(backend, GROWING) == pytest.approx(full, abs=1.0)
    assert backend._answers._writer._model.dtype == torch.bfloat16


def test_identity_names_content_and_no_place(llama: Path, tmp_path: Path) -> None:
    backend = backend_of(llama)
    identity = dict(backend.identity())
    assert set(identity) == {
        "backend", "model", "revision", "adapter", "dtype", "quantization", "trust_remote_code", "chat_template",
        "device", "method", "transformers", "torch",
    }  # fmt: skip
    assert (identity["transformers"], identity["torch"]) == (transformers.__version__, torch.__version__)
    assert json.loads(json.dumps(identity)) == identity and "/" not in json.dumps(identity)
    copy = copy_of(llama, tmp_path / "elsewhere" / "tiny-llama")
    assert dict(backend_of(copy).identity()) == identity
    assert dict(backend_of(copy, device="auto").identity()) == {**identity, "device": "auto"}  # which rounds otherwise
    (copy / "chat_template.jinja").write_text("{{ messages[0].content }}")
    other = dict(backend_of(copy).identity())
    assert other["model"] != identity["model"] and other["chat_template"] != identity["chat_template"]


REFUSING = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
TURNS = "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}[{{ m.content }}]{% endif %}{% endfor %}"


@pytest.mark.parametrize("template", [REFUSING + TURNS, TURNS], ids=["refuses", "ignores"])
def test_a_system_text_that_the_template_does_not_take_goes_to_the_user(
    llama: Path, tmp_path: Path, template: str
) -> None:
    folder = copy_of(llama, tmp_path / "model")
    (folder / "chat_template.jinja").write_text(template)
    prompt = Prompt((Message("system", "Be brief."), Message("user", "Hi")), "chat")
    assert backend_of(folder).render(prompt) == "<s>[Be brief.\n\nHi]"


def test_the_first_token_comes_once(llama: Path) -> None:
    backend = backend_of(llama)
    for prompt in (CHAT[0], GROWING[0]):
        (tokens,) = backend._tokens.encode([backend.render(prompt)])
        assert tokens.count(0) == 1 and tokens[0] == 0


def test_no_chat_template_says_what_to_type(llama: Path, tmp_path: Path) -> None:
    folder = copy_of(llama, tmp_path / "model")
    (folder / "chat_template.jinja").unlink()
    backend = backend_of(folder)
    assert backend.preferred_form() == "plain" and backend_of(llama).preferred_form() == "chat"
    with pytest.raises(ConfigError, match="add -P form=plain"):
        backend.render(CHAT[0])


def test_files_that_cannot_be_read_are_one_line(llama: Path, tmp_path: Path) -> None:
    folder = copy_of(llama, tmp_path / "model")
    (folder / "model.safetensors").write_bytes(b"\0" * 100)
    with pytest.raises(ModelError, match="weights of .* cannot be loaded") as caught:
        answers(backend_of(folder), [Request(GROWING[0], WORDS)])
    assert "\n" not in str(caught.value)


def test_weights_that_lack_a_tensor_are_refused(llama: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = copy_of(llama, tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="lack 1 tensors"):
        answers(backend_of(folder), [Request(GROWING[0], WORDS)])


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"base_url": "http://x"}, ConfigError, "base_url"),
        ({"model_args": "a=1"}, ConfigError, "model_args"),
        ({"device": "gpu"}, ConfigError, "cuda:N"),
        ({"quantization": "4bit"}, ConfigError, "needs a GPU"),
    ],
)
def test_settings_it_cannot_take_are_told_before_anything_is_loaded(
    options: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        backend_of("nowhere", **options)


def test_quantization_names_the_package_it_needs() -> None:
    import importlib.util

    if importlib.util.find_spec("bitsandbytes"):
        pytest.skip("bitsandbytes is installed")
    with pytest.raises(MissingDependencyError, match="pip install bitsandbytes"):
        backend_of("nowhere", quantization="8bit", device="auto")


def test_a_device_that_is_not_there_is_told(llama: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    with pytest.raises(ModelError, match="torch sees no CUDA device"):
        answers(backend_of(llama, device="cuda:0"), [Request(GROWING[0], WORDS)])


def test_close_lets_go_and_a_later_answer_loads_again(llama: Path) -> None:
    backend = backend_of(llama)
    before = scores(backend, GROWING[:1])
    backend.close()
    assert "_answers" not in vars(backend)
    assert scores(backend, GROWING[:1]) == before


def copy_of(folder: Path, target: Path) -> Path:
    target.mkdir(parents=True)
    for file in folder.iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    return target
