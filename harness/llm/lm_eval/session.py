"""Calls into a model of lm-eval: questions put to it quietly, of which each fails alone.

Serves `harness.llm.lm_eval.backend` only. Knows no choice and no response.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from harness.errors import CallsStoppedError, HarnessError, ModelError
from harness.llm.lm_eval.loading import quiet
from harness.llm.weights import one_line
from harness.prompting import Form

Kind = Literal["loglikelihood", "generate_until"]
"""Names of lm-eval's own methods."""

PATIENCE = 8
"""Questions in a row that may fail alone before nobody is asked any more."""

_REFUSED = (401, 403, 404)
"""HTTP statuses that every further call would meet: wrong key, no right, no such model."""

_UNREACHABLE = {"ConnectionError", "ClientConnectionError"}
"""Classes of requests, aiohttp and the standard library for a server that cannot be reached."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What came back for one question."""

    value: Any
    """A text, or (log-likelihood in nats, whether it is the greedy continuation)."""
    seconds: float
    """Duration of the call divided by the number of its answers."""
    n_tokens: int | None = None
    """Tokens generated, the end token included; None: the model does not tell."""
    ended: bool = False
    """Whether an end token is known to have been generated."""


@dataclass(frozen=True, slots=True)
class Failed:
    """Why there is no answer, in one line."""

    cause: str


class LmEvalSession:
    """One loaded model."""

    def __init__(self, name: str, lm: Any, n_threads: int) -> None:
        """Takes a model over.

        Args:
            name: of the model, for messages.
            lm: the model.
            n_threads: calls at once, of a model that asks a server.
        """
        self.stopped: HarnessError | None = None
        """Why nobody is asked any more."""
        self._name, self._lm = name, lm
        bases = {base.__name__ for base in type(lm).__mro__}
        self.takes_seed = "TemplateAPI" in bases
        """Whether a seed of sampling is one of the settings of a generation."""
        self._n_threads = n_threads if self.takes_seed else 0
        self.draws_here = "HFLM" in bases
        """Whether sampling uses the generator of torch in this process."""
        self._is_chat_server = any("Chat" in base for base in bases)
        self._record = _Record()
        self._n_failures = 0
        self._ever_answered = False
        lm.set_cache_hook(self._record)
        if self.draws_here:
            lm._model_generate = self._record.counting(lm._model_generate, _end_tokens(lm))

    def ask(
        self, kind: Kind, questions: Sequence[tuple[Any, Any]], seed: int | None = None
    ) -> list[Answered | Failed | None]:
        """Returns what came back, in order; None for what was not asked because of `stopped`.

        Args:
            kind: the method of the model.
            questions: its arguments: (context, continuation) or (context, settings of the generation).
            seed: of what is drawn in this process; None: nothing is, or nobody cares.
        """
        with quiet():
            return self._ask_each(kind, questions) if self._n_threads else self._ask_together(kind, questions, seed)

    def _ask_each(self, kind: Kind, questions: Sequence[tuple[Any, Any]]) -> list[Answered | Failed | None]:
        """Asks a server one question a call: asking several at once, lm-eval gives up all of them when one fails."""

        def call(question: tuple[Any, Any]) -> tuple[list[Answered | None], Exception | None]:
            return ([None], None) if self.stopped else self._call(kind, [question], None)

        results: list[Answered | Failed | None] = []
        with ThreadPoolExecutor(self._n_threads) as pool:
            for (answer,), error in pool.map(call, questions):
                results.append(answer if error is None else Failed(one_line(error)))
                self._note(kind, answer is not None, error, error is not None)
        return results

    def _ask_together(
        self, kind: Kind, questions: Sequence[tuple[Any, Any]], seed: int | None
    ) -> list[Answered | Failed | None]:
        """Asks in one call. One that fails is repeated in halves, without the questions answered before it failed."""
        results: list[Answered | Failed | None] = [None] * len(questions)
        todo = [list(range(len(questions)))]
        while todo and self.stopped is None:
            batch = todo.pop()
            answers, error = self._call(kind, [questions[i] for i in batch], seed)
            for i, answer in zip(batch, answers, strict=True):
                results[i] = answer
            rest = [i for i in batch if results[i] is None]
            if error is not None and len(rest) == 1:
                results[rest[0]] = Failed(one_line(error))
            elif rest:
                todo += [rest[len(rest) // 2 :], rest[: len(rest) // 2]]
            self._note(kind, len(rest) < len(batch), error, len(rest) == 1)
        return results

    def apply_chat_template(self, messages: list[dict[str, str]]) -> Any:
        """Returns what the model reads for messages: a text, or for a chat server the messages as JSON.

        A template that leaves the system's text out gets it in front of the user's first text.

        Raises:
            ModelError: the model has no chat template, or one that leaves out more.
        """
        what = f"the chat template of lm-eval model {self._name!r}"
        try:
            with quiet():
                context = self._lm.apply_chat_template(messages)
        except (NotImplementedError, ValueError) as error:  # of models, and of tokenizers without a template
            raise ModelError(f"{what} cannot be used: {one_line(error)}; type: -P form=plain") from error
        if not isinstance(context, str):
            if self._is_chat_server:
                return context
            raise ModelError(f"{what} is not known, and its server takes no messages; type: -P form=plain")
        lost = [message for message in messages if message["content"].strip() not in context]
        if not lost:
            return context
        system, first, *rest = messages
        if lost != [system] or system["role"] != "system":
            raise ModelError(f"{what} drops {lost[0]['content'][:40]!r} of {lost[0]['role']}; type: -P form=plain")
        return self.apply_chat_template([{**first, "content": f"{system['content']}\n\n{first['content']}"}, *rest])

    @property
    def takes_messages(self) -> bool:
        """Whether a chat form can be asked for."""
        try:
            self.apply_chat_template([{"role": "user", "content": "Hello"}])
        except ModelError:
            return False
        return True

    def check_form(self, form: Form) -> None:
        """Raises ModelError where a text without messages cannot be asked."""
        if form == "plain" and self._is_chat_server:
            raise ModelError(f"lm-eval model {self._name!r} takes messages only; type: -P form=chat")

    def count_tokens(self, text: Any) -> int | None:
        """Returns the number of tokens as the model counts them, None where it has no tokenizer."""
        tokens = self._lm.tok_encode(text) if self._has_tokenizer and isinstance(text, str) else None
        return len(tokens) if isinstance(tokens, list) and all(isinstance(token, int) for token in tokens) else None

    def split_tokens(self, context: Any, continuation: str) -> tuple[list[int], list[int]] | None:
        """Returns the tokens of a context and of its continuation as lm-eval scores them, None where nobody can tell.

        White space at the end of a context counts to the continuation.
        """
        if self.count_tokens(context) is None:
            return None
        first, second = self._lm._encode_pair(context, continuation)
        return first, second

    def too_long(self, n_prompt_tokens: int | None, n_more: int) -> str:
        """Returns why a prompt cannot be asked, empty where it can: lm-eval would cut its beginning unseen."""
        longest = getattr(self._lm, "max_length", None) if self._has_tokenizer else None
        if n_prompt_tokens is None or longest is None or n_prompt_tokens + n_more <= longest:
            return ""
        return f"prompt of {n_prompt_tokens} tokens and up to {n_more} more: the model reads {longest}"

    @property
    def _has_tokenizer(self) -> bool:
        return hasattr(self._lm, "_encode_pair") and self._lm.tokenizer is not None

    def _call(
        self, kind: Kind, questions: Sequence[tuple[Any, Any]], seed: int | None
    ) -> tuple[list[Answered | None], Exception | None]:
        """Returns the answers of one call, None where there is none, and why it failed."""
        from lm_eval.api.instance import Instance

        self._record.clear()
        values: dict[int, Any] = {}
        failure = None
        start = time.perf_counter()
        try:
            with _seeded(seed):
                instances = [Instance(kind, {}, question, i) for i, question in enumerate(questions)]
                told = getattr(self._lm, kind)(instances) if instances else []
                values = dict(zip(range(len(instances)), told, strict=True))
        except Exception as error:  # models raise whatever their libraries do; `ask` judges it
            failure = error
            kept = self._record.answers
            values = {i: kept[_key(question)] for i, question in enumerate(questions) if _key(question) in kept}
        seconds = (time.perf_counter() - start) / max(len(values), 1)
        ends = [self._record.ends.get(_key(question), (None, False)) for question in questions]
        return [Answered(values[i], seconds, *end) if i in values else None for i, end in enumerate(ends)], failure

    def _note(self, kind: Kind, answered: bool, error: Exception | None, alone: bool) -> None:
        """Takes note of how a call went, and stops where a failure tells that further ones are of no use."""
        if answered:
            self._ever_answered, self._n_failures = True, 0
        self._n_failures += alone
        if error is not None:
            self.stopped = self.stopped or self._reason_to_stop(kind, error)

    def _reason_to_stop(self, kind: Kind, error: Exception) -> HarnessError | None:
        """Returns what to raise for a failure that every further call would meet, None for any other."""
        what = f"lm-eval model {self._name!r}"
        if isinstance(error, NotImplementedError):
            missing, other = ("log-likelihoods", "generate") if kind == "loglikelihood" else ("texts", "choice")
            reason: HarnessError = ModelError(f"{what} gives no {missing}; type: -P answers={other}")
        elif _status(error) in _REFUSED:
            reason = ModelError(f"{what} was refused: {one_line(error)}; check the model's name and the key")
        elif _UNREACHABLE & {base.__name__ for base in type(error).__mro__}:
            reason = CallsStoppedError(f"{what} cannot be reached: {one_line(error)}; start its server and repeat")
        elif self._n_failures >= PATIENCE:
            told = f"{what} failed {self._n_failures} times in a row; the last time: {one_line(error)}"
            reason = CallsStoppedError(told) if self._ever_answered else ModelError(told)
        else:
            return None
        reason.__cause__ = error
        return reason


class _Record:
    """Keeps answers as a model makes them: every model of lm-eval offers them, one by one, to a cache hook."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.answers: dict[str, Any] = {}
        self.ends: dict[str, tuple[int, bool]] = {}
        """Number of generated tokens, and whether the last one is an end token."""
        self._counted: deque[tuple[int, bool]] = deque()

    def add_partial(self, kind: str, question: Sequence[Any], answer: Any) -> None:
        """Takes one answer; lm-eval calls this."""
        self.answers[_key(question)] = answer
        if self._counted:
            self.ends[_key(question)] = self._counted.popleft()

    def counting(self, generate: Callable[..., Any], end_tokens: set[int]) -> Callable[..., Any]:
        """Returns a generation of batches that counts tokens on the way: the texts do not tell how many there were."""

        def counted(context: Any, **settings: Any) -> Any:
            rows = generate(context=context, **settings)
            for row in rows[:, context.shape[1] :].tolist():
                end = next((i for i, token in enumerate(row, 1) if token in end_tokens), None)
                self._counted.append((end or len(row), end is not None))
            return rows

        return counted


def _end_tokens(lm: Any) -> set[int]:
    told = lm.model.generation_config.eos_token_id
    return {lm.eot_token_id, *(told if isinstance(told, list) else [told])} - {None}


@contextmanager
def _seeded(seed: int | None) -> Iterator[None]:
    """Draws from a generator of its own, so that nobody else's numbers change."""
    if seed is None:
        yield
        return
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def _status(error: Exception) -> int | None:
    """HTTP status of an exception of requests or aiohttp."""
    return getattr(getattr(error, "response", None), "status_code", None) or getattr(error, "status", None)


def _key(arguments: Sequence[Any]) -> str:
    return json.dumps(arguments, sort_keys=True)
