"""Predictors that prompt: from views to requests, from answers to predictions, and how runs of them are named.

The model is a stand-in that answers by rule, so that every answer is known; real models answer in tests/llm.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from harness.data import Split, load_dataset
from harness.errors import CallsStoppedError, ConfigError, UnknownNameError
from harness.evaluation.jobs import Settings, prepare
from harness.evaluation.runner import execute_run
from harness.llm import BACKENDS, CallSettings, Keep, ModelSettings, Request, Response, register_backend
from harness.predictors import PREDICTORS
from harness.predictors.build import build_predictor, resolve_params
from harness.predictors.check import check_predictor
from harness.predictors.prompted import PromptedPredictor
from harness.prompting import Form, Prompt
from harness.schema.run import Job, RunOutcome
from harness.store import StoredRun
from harness.store.run_store import read_manifest


class ByRule:
    """Says joy after 'lovely', anger after 'awful', else something else; the last line before the cue is the target."""

    repeats_prompt = False
    asked: ClassVar[list[Request]] = []
    stop_after: ClassVar[int | None] = None

    def __init__(self, model: ModelSettings, calls: CallSettings) -> None:
        self.model = model

    def identity(self) -> Mapping[str, object]:
        return {"backend": "by-rule", "model": self.model.model}

    def preferred_form(self) -> Form:
        return "chat"

    def render(self, prompt: Prompt) -> str:
        return "\n".join(f"[{m.role}] {m.content}" for m in prompt.messages) if prompt.form == "chat" else prompt.text

    def count_tokens(self, text: str) -> int | None:
        return len(text.split())

    def answer(self, requests: Iterator[Request], keep: Keep) -> Iterator[tuple[int, Response]]:
        for n, request in enumerate(requests):
            if self.stop_after is not None and len(self.asked) == self.stop_after:
                raise CallsStoppedError("nobody answers")
            self.asked.append(request)
            response = self._respond(request)
            keep(n, response)
            yield n, response

    def _respond(self, request: Request) -> Response:
        text = request.prompt.messages[-1].content.rsplit("Utterance", maxsplit=1)[-1]
        said = "joy" if "lovely" in text else "anger" if "awful" in text else "no idea, joy or anger"
        if request.mode == "choice":
            logprobs = tuple(-1.0 if choice == said else -9.0 for choice in request.choices)
            return Response("stop", choice_logprobs=logprobs, choice_tokens=(1,) * len(logprobs), n_prompt_tokens=5)
        return Response("stop", said, n_prompt_tokens=len(text.split()), n_completion_tokens=1, seconds=0.5)

    def close(self) -> None:
        pass


@pytest.fixture
def by_rule(predictors: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Registers the stand-in, and gives the test a response store of its own."""
    monkeypatch.setenv("ERC_CACHE_DIR", str(tmp_path / "cache"))
    before = dict(BACKENDS._rows)
    register_backend("by-rule")(ByRule)
    ByRule.asked.clear()
    ByRule.stop_after = None
    yield
    BACKENDS._rows.clear()
    BACKENDS._rows.update(before)


GIVEN: dict[str, Any] = {"model": "rule", "backend": "by-rule"}


def build(name: str = "zero-shot", seed: int = 0, **params: Any) -> PromptedPredictor:
    predictor = build_predictor(PREDICTORS.get(name), {**GIVEN, **params}, seed)
    assert isinstance(predictor, PromptedPredictor)
    return predictor


@pytest.fixture
def toy(toy_corpus: Path) -> Callable[[str], Split]:
    return load_dataset("toy", toy_corpus).split


@pytest.fixture
def run_it(toy_corpus: Path, tmp_path: Path, by_rule: None) -> Callable[..., RunOutcome]:
    def run(name: str = "zero-shot", seed: int = 0, calls: CallSettings | None = None, **params: Any) -> RunOutcome:
        settings = Settings(tmp_path / "results", toy_corpus, calls=calls or CallSettings())
        job = Job(name, {**GIVEN, **params}, "toy", "test", seed)
        return execute_run(prepare(job, settings), settings, lambda progress: None)

    return run


def sealed(outcome: RunOutcome) -> StoredRun:
    assert outcome.status in ("done", "skipped"), outcome.detail
    return StoredRun(Path(outcome.path), read_manifest(Path(outcome.path) / "manifest.json"))


def test_answers_become_predictions_with_statuses_never_guesses(run_it: Any, toy: Any) -> None:
    run = sealed(run_it())
    for utterance in toy("test").utterances():
        given = run.predictions()[utterance.id]
        label = "joy" if "lovely" in utterance.text else "anger" if "awful" in utterance.text else None
        assert (given.label, given.status) == (label, "ok" if label else "unparsed")
    assert run.manifest.coverage < 1


def test_every_prediction_has_rule_addresses_and_usage(run_it: Any) -> None:
    run = sealed(run_it())
    generations = run.generations()
    assert list(generations) == list(run.predictions())
    for generation in generations.values():
        assert generation.rule
        assert (len(generation.prompt), len(generation.response)) == (64, 64)
        assert (generation.n_completion_tokens, generation.seconds) == (1, 0.5)
        assert generation.usd in (None, 0.0)  # no price is known: unknown, and nothing for what was stored before
    assert any(generation.usd is None for generation in generations.values())


def test_no_text_of_the_corpus_or_of_answers_is_stored_with_a_run(run_it: Any) -> None:
    for path in sealed(run_it()).path.iterdir():
        assert not any(word in path.read_bytes() for word in (b"That is", b"lovely", b"no idea"))


def test_choices_give_probabilities_under_canonical_labels(run_it: Any, toy: Any) -> None:
    run = sealed(
        run_it(answers="choice", normalisation="sum", label_names={"neutral": "calm", "joy": "joy", "anger": "anger"})
    )
    for utterance in toy("test").utterances():
        given = run.predictions()[utterance.id]
        if "lovely" in utterance.text:
            assert given.label == "joy"
            assert given.scores is not None and set(given.scores) == {"neutral", "joy", "anger"}
            assert given.scores["joy"] == pytest.approx(0.99933, abs=1e-4)  # 1 / (1 + 2 exp(-8))
    assert run.manifest.predictor.facts["answers"] == "choice:sum"


def test_a_stopped_run_goes_on_and_asks_nothing_twice(run_it: Any) -> None:
    ByRule.stop_after = 7
    assert run_it().status == "incomplete"
    ByRule.stop_after = None
    run = sealed(run_it())
    prompts = [request.prompt for request in ByRule.asked]
    assert len(prompts) == len(set(prompts)) <= len(run.predictions())


def test_the_same_run_elsewhere_is_answered_from_the_store(run_it: Any, tmp_path: Path) -> None:
    first = sealed(run_it())
    n_asked = len(ByRule.asked)
    (first.path / "manifest.json").unlink()
    again = sealed(run_it())
    assert len(ByRule.asked) == n_asked
    assert again.predictions().keys() == first.predictions().keys()
    assert all(generation.cached for generation in again.generations().values())


def test_another_model_or_another_limit_is_asked_anew(run_it: Any) -> None:
    run_it()
    n_asked = len(ByRule.asked)
    run_it(model="other")
    assert len(ByRule.asked) == 2 * n_asked
    run_it(max_new_tokens=3)
    assert len(ByRule.asked) == 3 * n_asked


def test_exemplars_come_from_train_and_their_ids_are_kept(run_it: Any, toy: Any) -> None:
    run = sealed(run_it("few-shot"))
    train = toy("train").gold
    shown = {generation.exemplars for generation in run.generations().values()}
    assert len(shown) == 1
    assert sorted(train[utterance_id] for utterance_id in shown.pop()) == ["anger", "joy", "neutral"]


@pytest.mark.parametrize(
    ("shots", "per_class", "n"), [(0, False, 0), (1, False, 1), (5, False, 5), (10, False, 10), (2, True, 6)]
)
@pytest.mark.parametrize("selection", ["fixed", "random", "bm25"])
def test_the_number_of_shots(shots: int, per_class: bool, n: int, selection: str, by_rule: None, toy: Any) -> None:
    predictor = build("few-shot", shots=shots, per_class=per_class, selection=selection)
    predictor.fit(toy("train"), toy("dev"))
    question = predictor.find_question(toy("test"), next(iter(toy("test").gold)))
    assert len(question.exemplars) == n
    assert len(question.request.prompt.messages) == 2 + 2 * n


def test_drawn_exemplars_follow_the_seed(by_rule: None, toy: Any) -> None:
    def drawn(seed: int) -> list[str]:
        predictor = build("few-shot", seed, selection="random")
        predictor.fit(toy("train"), toy("dev"))
        return [e.utterance_id for e in predictor.find_question(toy("test"), next(iter(toy("test").gold))).exemplars]

    assert drawn(1) == drawn(1)
    assert len({tuple(drawn(seed)) for seed in range(6)}) > 1


@pytest.mark.parametrize(
    ("params", "context", "deterministic"),
    [
        ({"backend": "transformers"}, "past", True),
        ({"backend": "transformers", "context": "full"}, "full", True),
        ({"backend": "transformers", "window": 0}, "none", True),
        ({"backend": "transformers", "temperature": 0.7}, "past", False),
        ({"backend": "openai"}, "past", False),
    ],
)
def test_the_card_says_what_the_parameters_let_through(
    params: dict[str, Any], context: str, deterministic: bool, predictors: None
) -> None:
    spec = PREDICTORS.get("zero-shot")
    card = spec.build.refine_card(spec.card, resolve_params(spec, {"model": "m", **params}))
    assert (card.context, card.deterministic) == (context, deterministic)


def test_runs_are_named_by_what_a_folder_holds(by_rule: None, tmp_path: Path) -> None:
    for parent in ("one", "two"):
        (tmp_path / parent / "tiny").mkdir(parents=True)
        (tmp_path / parent / "tiny" / "config.json").write_text("{}")
    names = [
        PromptedPredictor.identify({"model": str(tmp_path / parent / "tiny")})["model"] for parent in ("one", "two")
    ]
    assert names[0] == names[1]
    assert names[0].startswith("tiny@") and str(tmp_path) not in names[0]
    (tmp_path / "two" / "tiny" / "config.json").write_text('{"a": 1}')
    assert PromptedPredictor.identify({"model": str(tmp_path / "two" / "tiny")})["model"] != names[0]


def test_runs_name_servers_by_their_public_name(predictors: None) -> None:
    assert PromptedPredictor.identify({"base_url": "https://api.example.org/v1/"}) == {"base_url": "api.example.org"}


def test_private_servers_are_told_apart_and_not_named(predictors: None) -> None:
    addresses = ("http://127.0.0.1:8000/v1", "http://127.0.0.1:8001/v1", "http://gpu2:8000/v1", "http://10.0.0.5/v1")
    names = [PromptedPredictor.identify({"base_url": address})["base_url"] for address in addresses]
    assert len(set(names)) == 4
    assert all(re.fullmatch("local@[0-9a-f]{8}", name) for name in names)
    assert [PromptedPredictor.identify({"base_url": name})["base_url"] for name in names] == names


def test_few_failures_are_remarked_with_their_reason_and_not_stored(
    run_it: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = ByRule._respond

    def fail_sometimes(self: ByRule, request: Request) -> Response:
        return Response("error", error="HTTP 400: boo") if "number 1-" in request.prompt.text else answer(self, request)

    monkeypatch.setattr(ByRule, "_respond", fail_sometimes)
    outcome = run_it(window=0)
    n = sealed(outcome).manifest.statuses["failed"]
    assert n > 1
    assert outcome.detail == f"{n} calls failed, {n} with: HTTP 400: boo; add --rerun to ask again"
    assert b"boo" not in b"".join(path.read_bytes() for path in Path(outcome.path).iterdir())


def test_a_run_in_which_every_call_fails_is_not_sealed(run_it: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ByRule, "_respond", lambda self, request: Response("error", error="too long"))
    outcome = run_it()
    assert (outcome.status, "too long; nothing was kept" in outcome.detail) == ("failed", True)
    assert not (Path(outcome.path) / "manifest.json").exists()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"model": ""}, "-P model="),
        ({"window": -1}, "window -1"),
        ({"max_new_tokens": 0}, "max_new_tokens 0"),
        ({"answers": "choice", "temperature": 1.0}, "writes nothing"),
        ({"backend": "gguf"}, "unknown back end 'gguf'"),
        ({"label_names": {"joy": "joy"}}, "label_names"),
        ({"template": "zero-shot/v99"}, "zero-shot/v99"),
        ({"backend": "transformers", "model": "qwen2.5-7b-instuct"}, "did you mean 'qwen2.5-7b-instruct'"),
        ({"n_beams": 2, "temperature": 0.5}, "beams are not sampled"),
        ({"context": "full", "template": "dialogue-llm/v1"}, "has no place for 'future': leave out context=full"),
    ],
)
def test_settings_that_cannot_work_are_told_before_anybody_is_asked(
    params: dict[str, Any], message: str, by_rule: None, toy: Any
) -> None:
    with pytest.raises((ConfigError, UnknownNameError), match=message):
        build(**params).find_question(toy("test"), next(iter(toy("test").gold)))
    assert not ByRule.asked


def test_an_unknown_utterance_is_named(by_rule: None, toy: Any) -> None:
    with pytest.raises(UnknownNameError, match="'nobody'"):
        build().find_question(toy("test"), "nobody")


@pytest.mark.parametrize("name", ["zero-shot", "few-shot"])
@pytest.mark.parametrize("context", ["past", "full"])
def test_the_conformance_suite_is_passed(name: str, context: str, by_rule: None) -> None:
    results = check_predictor(PREDICTORS.get(name), {**GIVEN, "context": context})
    assert not [(r.name, r.detail) for r in results if not r.passed]


def test_parameters_can_be_given_as_words(by_rule: None) -> None:
    spec = PREDICTORS.get("zero-shot")
    given = {"window": "none", "label_names": json.dumps({"a": "b"}), "temperature": "0.5", "constrained": "true"}
    resolved = resolve_params(spec, {**GIVEN, **given})
    assert (resolved["window"], resolved["label_names"], resolved["constrained"]) == (None, {"a": "b"}, True)


def test_a_template_that_never_shows_its_target_is_refused(by_rule: None, toy: Any, tmp_path: Path) -> None:
    (tmp_path / "my.j2").write_text('{{ role("user") }}{{ labels }}')
    with pytest.raises(ConfigError, match="never uses 'target'"):
        build(template=str(tmp_path / "my.j2")).find_question(toy("test"), next(iter(toy("test").gold)))


# Names that mean something else elsewhere, or later


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Writes a user's table of models, in which `my` is at a commit."""

    def write(commit: str) -> None:
        path = tmp_path / "models.toml"
        path.write_text(
            f'[models.my]\nhub_id = "lab/my"\nrevision = "{commit}"\nform = "plain"\nlicense = "MIT"\naccess = "open"\n'
        )
        monkeypatch.setenv("ERC_MODELS", str(path))

    return write


def test_a_named_model_is_named_with_its_commit(table: Callable[[str], None], predictors: None) -> None:
    table("a" * 40)
    assert PromptedPredictor.identify({"model": "my"}) == {"model": "my@aaaaaaaa"}
    assert PromptedPredictor.identify({"model": "my@aaaaaaaa"}) == {"model": "my@aaaaaaaa"}
    table("b" * 40)
    assert PromptedPredictor.identify({"model": "my"}) == {"model": "my@bbbbbbbb"}
    with pytest.raises(ConfigError, match="model 'my@aaaaaaaa': 'my' is at commit 'bbbbbbbb' here"):
        PromptedPredictor.identify({"model": "my@aaaaaaaa"})


def test_a_model_in_the_models_folder_is_named_by_content(
    predictors: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "config.json").write_text("{}")
    monkeypatch.setenv("ERC_MODELS_DIR", str(tmp_path))
    named = PromptedPredictor.identify({"model": "tiny"})["model"]
    assert named == PromptedPredictor.identify({"model": str(tmp_path / "tiny")})["model"]
    assert PromptedPredictor.identify({"model": named})["model"] == named


def test_an_unfinished_run_is_begun_anew_if_its_model_is_another_by_now(
    run_it: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ByRule.stop_after = 7
    assert run_it().status == "incomplete"
    ByRule.stop_after = None
    monkeypatch.setattr(ByRule, "identity", lambda self: {"backend": "by-rule", "model": "another"})
    run = sealed(run_it())
    assert run.manifest.times["n_sessions"] == 1
    assert len(ByRule.asked) > len({g.response for g in run.generations().values()})


def test_where_a_server_stood_is_no_fact(run_it: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    identity = {"backend": "by-rule", "model": "rule", "address": "http://gpu2:9999/v1"}
    monkeypatch.setattr(ByRule, "identity", lambda self: identity)
    assert "gpu2" not in (sealed(run_it()).path / "manifest.json").read_text()


def test_likelihoods_draw_nothing_and_take_no_seeds(predictors: None) -> None:
    spec = PREDICTORS.get("zero-shot")
    params = resolve_params(spec, {"model": "m", "backend": "openai", "answers": "choice", "form": "plain"})
    assert spec.build.refine_card(spec.card, params).deterministic


def test_a_budget_of_tokens_counts_no_start_token_for_each_line(
    by_rule: None, toy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ByRule, "count_tokens", lambda self, text: 1 + len(text.split()))  # one begins every text
    target = next(u.id for d in toy("test").dialogues for u in d.utterances[3:])
    prompt = build(window_tokens=10, window="none", speakers="none").find_question(toy("test"), target).request.prompt
    assert prompt.text.count("That is") == 1 + 2  # lines of five words each


def test_the_order_of_views_is_checked_against_answers_made_anew(by_rule: None) -> None:
    """A model whose answers depend on their company breaks the rule, though a store would give equal ones."""

    class Counts(ByRule):
        def _respond(self, request: Request) -> Response:
            return Response("stop", ("joy", "anger", "neutral")[len(self.asked) % 3])

    BACKENDS._rows.pop("by-rule")
    register_backend("by-rule")(Counts)
    failed = {r.name for r in check_predictor(PREDICTORS.get("zero-shot"), GIVEN) if not r.passed}
    assert "order" in failed
