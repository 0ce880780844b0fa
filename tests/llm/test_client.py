"""Answers in order: from the store, else from a back end; durable before they are seen, within limits, asked once."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from harness.errors import CallsStoppedError, ConfigError, ModelError, StoreError
from harness.llm import CallSettings, Decoding, Keep, Request, Response
from harness.llm.answer import Answer, Arrival, Estimate
from harness.llm.budget import Budget, Usage
from harness.llm.cache.store import ResponseCache
from harness.llm.client import Client
from harness.llm.tables.prices import Price
from harness.prompting import Form, Message, Prompt


def ask(text: str, **options: Any) -> Request:
    return Request(Prompt((Message("user", text),), "plain"), ("joy", "anger"), **options)


def ask_all(n: int, first: int = 0) -> list[Request]:
    return [ask(f"question {i}") for i in range(first, first + n)]


@dataclass
class Echo:
    """A back end in this process: answers each prompt with its own text, `width` requests at a time, in any order."""

    width: int = 4
    order: Callable[[int], Iterable[int]] = lambda n: reversed(range(n))
    reply: Callable[[Request], Response] = lambda r: Response(
        "stop", r.prompt.text, n_prompt_tokens=10, n_completion_tokens=5
    )
    model: str = "echo"
    n_tokens: int | None = None
    """What `count_tokens` says."""
    asked: list[str] = field(default_factory=list)
    repeats_prompt: bool = False
    n_closed: int = 0
    """Times that an answering generator ended, however it did."""

    def identity(self) -> Mapping[str, object]:
        return {"backend": "echo", "model": self.model}

    def render(self, prompt: Prompt) -> str:
        return f"<{prompt.text}>"

    def preferred_form(self) -> Form:
        return "plain"

    def count_tokens(self, text: str) -> int | None:
        return self.n_tokens

    def answer(self, requests: Iterator[Request], keep: Keep) -> Iterator[tuple[int, Response]]:
        self.live = self._answer(requests, keep)  # kept here, so that it ends only if it is closed
        return self.live

    def _answer(self, requests: Iterator[Request], keep: Keep) -> Iterator[tuple[int, Response]]:
        try:
            number = 0
            while batch := list(itertools.islice(requests, self.width)):
                self.asked += [request.prompt.text for request in batch]
                for i in self.order(len(batch)):
                    response = self.reply(batch[i])
                    keep(number + i, response)
                    yield number + i, response
                number += len(batch)
        finally:
            self.n_closed += 1

    def close(self) -> None:
        pass


@pytest.fixture
def cache(tmp_path: Path) -> ResponseCache:
    return ResponseCache(tmp_path / "responses.sqlite")


def texts(answers: Iterable[Answer]) -> list[str | None]:
    return [answer.response.text for answer in answers]


def test_answers_come_in_order_once_asked_and_then_from_the_store(cache: ResponseCache) -> None:
    echo = Echo()
    requests = ask_all(10)
    first = list(Client(echo, CallSettings(), cache).answer(iter(requests)))
    assert [a.request for a in first] == requests
    assert texts(first) == echo.asked == [f"question {i}" for i in range(10)]
    assert not any(a.cached for a in first)
    again = list(Client(echo, CallSettings(), cache).answer(reversed(requests)))  # the place in a run is not in the key
    assert [(a.key, a.response) for a in again] == [(a.key, a.response) for a in reversed(first)]
    assert all(a.cached and a.usd is None for a in again)  # no price is known, then or now
    assert len(echo.asked) == 10


def test_an_answer_tells_what_was_rendered(cache: ResponseCache) -> None:
    import hashlib

    client = Client(Echo(), CallSettings(), cache)
    (answer,) = client.answer([ask("?")])
    assert answer.rendered_sha256 == hashlib.sha256(b"<?>").hexdigest()
    key, fields = client.name(ask("?"))
    assert (answer.key, fields["prompt"]) == (key, "<?>")


def test_equal_requests_are_asked_once(cache: ResponseCache) -> None:
    echo = Echo()
    client = Client(echo, CallSettings(), cache)
    requests = (ask("ab"[i % 2]) for i in range(9))
    answers = list(client.answer(requests, n_together=4))  # some stand in one chunk and some in the next
    assert texts(answers) == list("ababababa")
    assert echo.asked == ["a", "b"]
    assert [a.cached for a in answers] == [False, False] + [True] * 7


def test_another_model_is_asked_again(cache: ResponseCache) -> None:
    a, b = Echo(model="a"), Echo(model="b", reply=lambda r: Response("stop", "of b"))
    assert texts(Client(a, CallSettings(), cache).answer([ask("?")])) == ["?"]
    assert texts(Client(b, CallSettings(), cache).answer([ask("?")])) == ["of b"]


def test_memory_holds_what_is_asked_together(cache: ResponseCache) -> None:
    taken = itertools.count()
    n_taken = 0

    def requests() -> Iterator[Request]:
        nonlocal n_taken
        for i in range(100):
            n_taken = next(taken) + 1
            yield ask(f"{i}")

    for i, _ in enumerate(Client(Echo(), CallSettings(), cache).answer(requests(), n_together=16)):
        assert n_taken <= (i // 16 + 1) * 16


def test_an_answer_is_stored_before_it_is_seen_and_seen_before_the_rest_is_asked(cache: ResponseCache) -> None:
    echo = Echo(width=4)
    for i, answer in enumerate(Client(echo, CallSettings(), cache).answer(ask_all(20))):
        other = ResponseCache(cache.path)
        assert other.get_many([answer.key]) == {answer.key: Arrival(answer.key, answer.response, answer.usd)}
        other.close()
        assert len(echo.asked) == (i // 4 + 1) * 4


def test_failed_calls_are_handed_on_and_asked_again_next_time(cache: ResponseCache) -> None:
    broken = Echo(reply=lambda r: Response("error", error="500"))
    (answer,) = Client(broken, CallSettings(), cache).answer([ask("?")])
    assert (answer.response.finish, answer.cached) == ("error", False)
    assert texts(Client(Echo(), CallSettings(), cache).answer([ask("?")])) == ["?"]


def test_many_first_calls_that_fail_alike_are_no_answers(cache: ResponseCache) -> None:
    broken = Echo(width=4, reply=lambda r: Response("error", error="no model called m"))
    taken: list[Answer] = []
    with pytest.raises(
        ModelError, match="first 16 calls of 'echo' all failed, 16 of them with: no model called m; nothing was"
    ):
        taken.extend(Client(broken, CallSettings(), cache).answer(ask_all(40)))
    assert not taken
    assert len(broken.asked) == 16


def test_failures_of_items_are_handed_on_once_one_succeeds_or_they_differ(cache: ResponseCache) -> None:
    def often(request: Request) -> Response:
        works = request.prompt.text == "question 15"
        return Response("stop", "joy") if works else Response("error", error="too long")

    finishes = [a.response.finish for a in Client(Echo(reply=often), CallSettings(), cache).answer(ask_all(40))]
    assert (len(finishes), finishes.count("stop")) == (40, 1)
    few = Echo(reply=lambda r: Response("error", error=r.prompt.text))
    assert len(list(Client(few, CallSettings(), cache).answer(ask_all(15, first=100)))) == 15


def test_failures_that_differ_by_numbers_only_are_alike(cache: ResponseCache) -> None:
    long = Echo(reply=lambda r: Response("error", error=f"{r.prompt.text.split()[1]} tokens: the model reads 64"))
    with pytest.raises(ModelError, match="first 16 calls"):
        list(Client(long, CallSettings(), cache).answer(ask_all(40)))
    assert len(long.asked) == 16


def test_many_failures_of_every_kind_and_no_success_are_no_answers(cache: ResponseCache) -> None:
    odd = Echo(reply=lambda r: Response("error", error="a" * int(r.prompt.text.split()[1])))
    with pytest.raises(ModelError, match="first 40 calls of 'echo' all failed, 1 of them with"):
        list(Client(odd, CallSettings(), cache).answer(ask_all(40)))


def test_when_the_back_end_fails_what_arrived_is_stored(cache: ResponseCache) -> None:
    def fail_at_5(request: Request) -> Response:
        if request.prompt.text == "question 5":
            raise ModelError("gone")
        return Response("stop", request.prompt.text)

    seen = []
    broken = Echo(width=4, reply=fail_at_5)  # answers 3 2 1 0, then 7 6 and fails
    with pytest.raises(ModelError, match="gone"):
        for answer in Client(broken, CallSettings(), cache).answer(ask_all(10)):
            seen.append(answer.response.text)
    assert seen == [f"question {i}" for i in range(4)]
    assert broken.n_closed == 1
    echo = Echo()
    assert len(list(Client(echo, CallSettings(), cache).answer(ask_all(10)))) == 10
    assert echo.asked == ["question 4", "question 5", "question 8", "question 9"]


def test_nobody_is_asked_where_the_answer_could_not_be_stored(tmp_path: Path) -> None:
    echo = Echo()
    with pytest.raises(StoreError, match="cannot use response store"):
        next(Client(echo, CallSettings(), ResponseCache(tmp_path)).answer([ask("?")]))
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot use response store"):
        next(Client(echo, CallSettings(), ResponseCache(tmp_path / "file" / "responses.sqlite")).answer([ask("?")]))
    assert echo.asked == []


@pytest.mark.parametrize("how", ["closed", "interrupted"])
def test_stopping_early_ends_the_calls(cache: ResponseCache, how: str) -> None:
    echo = Echo(width=4)
    answers = Client(echo, CallSettings(), cache).answer(ask_all(10))
    next(answers)
    assert echo.n_closed == 0
    if how == "closed":
        answers.close()
    else:
        with pytest.raises(KeyboardInterrupt):
            answers.throw(KeyboardInterrupt)
    assert echo.n_closed == 1
    assert cache.stats().n_entries == 4


def test_back_ends_that_break_their_promise_are_told(cache: ResponseCache) -> None:
    for order, said in ((lambda n: [0, 0], "unasked or twice"), (lambda n: [0], "left 2 requests without an answer")):
        with pytest.raises(ModelError, match=said):
            list(Client(Echo(width=3, order=order), CallSettings(), cache).answer(ask_all(3, first=len(said) * 10)))


class Listed(Echo):
    """Its answers are no generator."""

    def answer(self, requests: Iterator[Request], keep: Keep) -> Iterator[tuple[int, Response]]:
        responses = [Response("stop", request.prompt.text) for request in requests]
        for number, response in enumerate(responses):
            keep(number, response)
        return iter(enumerate(responses))


def test_answers_may_be_any_iterator(cache: ResponseCache) -> None:
    answers = Client(Listed(), CallSettings(), cache).answer(ask_all(3))
    with closing(answers):
        assert next(answers).response.text == "question 0"


# Limits


PRICE = Price(input=1.0, output=10.0)  # an Echo answer costs 10 * 1e-6 + 5 * 10e-6 = 6e-5 US dollars


def test_tokens_stay_within_the_limit_and_more_asks_only_the_rest(cache: ResponseCache) -> None:
    echo = Echo(n_tokens=10)  # an answer may use 10 + 16 tokens and uses 10 + 5
    budget = Budget(max_tokens_total=100)
    seen = []
    with pytest.raises(
        CallsStoppedError, match=r"stopped at the limit: 75 of 100 tokens \(--max-tokens-total\) used, .* larger limit"
    ):
        for answer in Client(echo, CallSettings(budget=budget), cache).answer(ask_all(20)):
            seen.append(answer.response.text)
            assert budget.used.n_tokens <= 100
    # 75 are used by 5 answers, and a sixth could use 26: although in flight were never more than 3 at once
    assert seen == echo.asked == [f"question {i}" for i in range(5)]
    rest = list(Client(echo, CallSettings(budget=Budget(max_tokens_total=10_000)), cache).answer(ask_all(20)))
    assert [a.cached for a in rest] == [True] * 5 + [False] * 15
    assert len(echo.asked) == 20


def test_dollars_stay_within_the_limit(cache: ResponseCache) -> None:
    echo = Echo(n_tokens=10)
    budget = Budget(max_cost=60e-5)  # ten answers would use it up, but each may cost 10e-6 + 16 * 10e-6 = 17e-5
    client = Client(echo, CallSettings(budget=budget), cache, PRICE)
    answers = []
    with pytest.raises(CallsStoppedError, match=r"0.00048 of 0.0006 US dollars \(--max-cost\) used"):
        list(client.answer(ask_all(20)))
    with pytest.raises(CallsStoppedError):
        for answer in client.answer(ask_all(20)):  # stored answers cost nothing, and come before the stop
            answers.append(answer)
    assert [a.usd for a in answers] == [pytest.approx(60e-6)] * 8  # what they have cost, then
    assert all(a.cached for a in answers)
    assert budget.used == Usage(8 * 15, pytest.approx(48e-5))
    assert cache.stats().models[0].usd == pytest.approx(48e-5)


def test_answers_that_do_not_tell_their_tokens_count_as_much_as_they_may(cache: ResponseCache) -> None:
    silent = Echo(n_tokens=10, reply=lambda r: Response("stop", "joy"))
    budget = Budget(max_tokens_total=100)
    with pytest.raises(CallsStoppedError):
        list(Client(silent, CallSettings(budget=budget), cache, PRICE).answer(ask_all(20)))
    assert len(silent.asked) == 100 // 26
    assert cache.stats().models[0].n_usd_unknown == 3


def test_likelihoods_of_choices_cost_their_prompt(cache: ResponseCache) -> None:
    echo = Echo(reply=lambda r: Response("stop", choice_logprobs=(-1.0, -2.0), n_prompt_tokens=30))
    (answer,) = Client(echo, CallSettings(), cache, PRICE).answer([ask("?", mode="choice")])
    assert answer.usd == pytest.approx(30e-6)


def test_failed_calls_cost_nothing_and_calls_given_up_count_in_full(cache: ResponseCache) -> None:
    budget = Budget(max_tokens_total=1000)
    failing = Echo(n_tokens=10, reply=lambda r: Response("error", error="500"))
    list(Client(failing, CallSettings(budget=budget), cache).answer(ask_all(5)))
    assert budget.used.n_tokens == 0
    answers = Client(Echo(width=4, n_tokens=10), CallSettings(budget=budget), cache).answer(ask_all(10))
    next(answers)
    answers.close()
    assert budget.used.n_tokens == 4 * 15
    answers = Client(Echo(4, range, n_tokens=10), CallSettings(budget=budget), cache).answer(ask_all(4, first=50))
    next(answers)  # three more were asked and may be charged for
    answers.close()
    assert budget.used.n_tokens == 4 * 15 + 15 + 3 * 26


def test_one_limit_for_all_clients_of_a_session(cache: ResponseCache) -> None:
    calls = CallSettings(budget=Budget(max_tokens_total=100))
    list(Client(Echo(n_tokens=10), calls, cache).answer(ask_all(4)))
    with pytest.raises(CallsStoppedError, match="90 of 100 tokens|75 of 100 tokens"):
        list(Client(Echo(n_tokens=10), calls, cache).answer(ask_all(4, first=4)))
    list(Client(Echo(n_tokens=10), CallSettings(), cache).answer(ask_all(4, first=20)))  # another session


def test_a_limit_in_dollars_needs_a_price(cache: ResponseCache, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError,
        match="--max-cost 1.0: no price is known for model 'echo'; give --prices FILE or use --max-tokens-total",
    ):
        Client(Echo(), CallSettings(budget=Budget(max_cost=1.0)), cache)
    prices = tmp_path / "prices.toml"
    prices.write_text("[models.echo]\ninput = 1.0\noutput = 10.0\n")
    (answer,) = Client(Echo(), CallSettings(budget=Budget(max_cost=1.0), prices=prices), cache).answer([ask("?")])
    assert answer.usd == pytest.approx(6e-5)


# Estimates


def test_an_estimate_counts_what_is_not_stored_and_calls_nobody(cache: ResponseCache) -> None:
    echo = Echo(n_tokens=100)
    client = Client(echo, CallSettings(), cache, PRICE)
    list(client.answer(ask_all(3)))
    requests = [*ask_all(5), ask("question 4"), ask("x", decoding=Decoding(max_new_tokens=50))]
    estimate = client.estimate(iter(requests))
    assert (estimate.n_requests, estimate.n_cached) == (7, 4)  # three stored, one said twice
    assert (estimate.n_prompt_tokens, estimate.n_completion_tokens_max) == (300, 16 + 16 + 50)
    assert not estimate.approximate
    assert estimate.usd_low == pytest.approx((300 + 3 * 10) / 1e6)
    assert estimate.usd_high == pytest.approx((300 + 82 * 10) / 1e6)
    assert len(echo.asked) == 3


def test_an_estimate_without_price_or_tokenizer_says_so(tmp_path: Path) -> None:
    path = tmp_path / "none" / "responses.sqlite"
    estimate = Client(Echo(), CallSettings(cache=path)).estimate([ask("ab" * 10), ask("喜" * 10)])
    assert (estimate.usd_low, estimate.usd_high) == (None, None)
    assert estimate.approximate
    assert estimate.n_prompt_tokens == 6 + 8  # 22 and 32 bytes, brackets included, by 4
    assert not path.parent.exists()


def test_an_estimate_counts_premises(cache: ResponseCache) -> None:
    request = ask("question", mode="choice", with_premise=True)
    estimate = Client(Echo(n_tokens=7), CallSettings(), cache).estimate([request])
    assert (estimate.n_prompt_tokens, estimate.n_completion_tokens_max) == (14, 1)


# Answers that come faster than they are taken


def test_what_has_arrived_is_stored_though_nobody_takes_it(cache: ResponseCache) -> None:
    class Ahead(Echo):
        """Keeps everything before it yields anything, as a server's answers do when the taker is slow."""

        def answer(self, requests: Iterator[Request], keep: Keep) -> Iterator[tuple[int, Response]]:
            responses = [(i, self.reply(request)) for i, request in enumerate(requests)]
            for number, response in responses:
                keep(number, response)
            yield from responses

    answers = Client(Ahead(), CallSettings(), cache).answer(ask_all(10))
    next(answers)
    answers.close()
    assert cache.stats().n_entries == 10


def test_a_store_that_fails_while_answers_come_is_told_and_ends_the_calls(
    cache: ResponseCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StoreError("cannot use response store: disk full")

    monkeypatch.setattr(cache, "put", full)
    echo = Echo(width=2)
    with pytest.raises(StoreError, match="disk full"):
        list(Client(echo, CallSettings(), cache).answer(ask_all(10)))
    assert len(echo.asked) == 2


def test_likelihoods_that_take_a_prompt_each_are_reserved_so(cache: ResponseCache) -> None:
    def estimate(repeats: bool) -> Estimate:
        echo = Echo(n_tokens=100, repeats_prompt=repeats)
        return Client(echo, CallSettings(), cache).estimate([ask("?", mode="choice", with_premise=True)])

    assert estimate(False).n_prompt_tokens == 200  # prompt and premise, read once each
    assert estimate(True).n_prompt_tokens == 2 * (2 * 100 + 1 + 2)  # with 'joy' and 'anger', a guess of 1 and 2 tokens
