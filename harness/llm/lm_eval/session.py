"""Calls into a model of lm-eval: questions put to it quietly, of which each fails alone.

Serves `harness.llm.lm_eval.backend` only. Knows no choice and no response.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Any, Literal

from harness.errors import CallsStoppedError, HarnessError, ModelError
from harness.features.weights import one_line
from harness.llm.lm_eval.loading import quiet
from harness.llm.lm_eval.record import Made, Record, key_of
from harness.llm.lm_eval.texts import LmEvalTexts

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
    """Duration of the call up to this answer, divided by the number of answers so far."""
    n_tokens: int | None = None
    """Tokens generated, the end token included; None: the model does not tell."""
    ended: bool = False
    """Whether an end token is known to have been generated."""


@dataclass(frozen=True, slots=True)
class Failed:
    """Why there is no answer, in one line."""

    cause: str


Question = tuple[Any, Any]
"""(what the model reads, continuation), or (what the model reads, settings of the generation)."""

Arrive = Callable[[int, Answered | Failed], None]
"""Takes what came back for a question, by its number."""


class LmEvalSession:
    """One loaded model."""

    def __init__(self, name: str, lm: Any, n_threads: int) -> None:
        """Takes a model over.

        Args:
            name: of the model, for messages.
            lm: the model.
            n_threads: calls at once, of a model that asks a server.

        Raises:
            ModelError: as `LmEvalTexts`.
        """
        self.stopped: HarnessError | None = None
        """Why nobody is asked any more."""
        self._name, self._lm = name, lm
        bases = {base.__name__ for base in type(lm).__mro__}
        self.texts = LmEvalTexts(name, lm)
        """What it reads."""
        self.is_server = "TemplateAPI" in bases
        """Whether each question is a call to a server, which takes a seed of sampling too."""
        self._n_threads = n_threads if self.is_server else 0
        self.draws_here = "HFLM" in bases
        """Whether sampling uses the generator of torch in this process."""
        self._record = Record(lm, self.draws_here)
        self._n_failures = 0
        self._ever_answered = False

    def ask(self, kind: Kind, questions: Sequence[Question], arrive: Arrive, seed: int | None = None) -> None:
        """Asks questions; once there is a reason in `stopped`, the rest is not asked.

        Args:
            kind: the method of the model.
            questions: its arguments.
            arrive: gets what came back the moment it is there, from whatever thread, one at a time.
            seed: of what is drawn in this process; None: nothing is, or nobody cares.
        """
        with quiet():
            if self._n_threads:
                self._ask_each(kind, questions, arrive)
            else:
                self._ask_together(kind, questions, arrive, seed)

    def _ask_each(self, kind: Kind, questions: Sequence[Question], arrive: Arrive) -> None:
        """Asks a server one question a call: asking several at once, lm-eval gives up all of them when one fails."""
        lock = Lock()

        def ask(number: int) -> None:
            if self.stopped is not None:
                return
            result: Answered | Failed
            failure, start = None, time.perf_counter()
            try:
                (value,) = self._call(kind, [questions[number]])
                result = Answered(value, time.perf_counter() - start)
            except Exception as error:  # models raise whatever their libraries do; `_note` judges it
                result, failure = Failed(one_line(error)), error
            with lock:
                arrive(number, result)
                self._note(kind, failure is None, failure, failure is not None)

        with ThreadPoolExecutor(self._n_threads) as pool:
            deque(pool.map(ask, range(len(questions))), maxlen=0)

    def _ask_together(self, kind: Kind, questions: Sequence[Question], arrive: Arrive, seed: int | None) -> None:
        """Asks in one call. One that fails is repeated in halves, without the questions answered before it failed."""
        todo = [list(range(len(questions)))]
        while todo and self.stopped is None:
            batch = todo.pop()
            left, failure = self._ask_batch(kind, {i: questions[i] for i in batch}, arrive, seed)
            if failure is not None and len(left) == 1:
                arrive(left[0], Failed(one_line(failure)))
            elif left:
                todo += [left[len(left) // 2 :], left[: len(left) // 2]]
            self._note(kind, len(left) < len(batch), failure, len(left) == 1)

    def _ask_batch(
        self, kind: Kind, batch: Mapping[int, Question], arrive: Arrive, seed: int | None
    ) -> tuple[list[int], Exception | None]:
        """Returns which questions of one call were not answered, and why it failed."""
        left = dict.fromkeys(batch)
        alike: dict[str, list[int]] = {}
        for number, question in batch.items():
            alike.setdefault(key_of(question), []).append(number)
        start = time.perf_counter()

        def take(key: str, made: Made) -> None:
            for number in alike.pop(key, ()):
                del left[number]
                seconds = (time.perf_counter() - start) / (len(batch) - len(left))
                arrive(number, Answered(made.value, seconds, made.n_tokens, made.ended))

        self._record.listen(take)
        try:
            with _seeded(seed):
                values = self._call(kind, list(batch.values()))
            for question, value in zip(batch.values(), values, strict=True):
                take(key_of(question), Made(value))
        except Exception as error:  # as in `_ask_each`
            return list(left), error
        finally:
            self._record.listen(None)
        return [], None

    def _call(self, kind: Kind, questions: Sequence[Question]) -> list[Any]:
        from lm_eval.api.instance import Instance

        told: list[Any] = getattr(self._lm, kind)([Instance(kind, {}, one, i) for i, one in enumerate(questions)])
        return told

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
