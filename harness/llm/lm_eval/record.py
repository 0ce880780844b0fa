"""Answers of a model of lm-eval at the moment it makes them, and how many tokens it generated: calls tell at the end.

Serves `harness.llm.lm_eval.session` only.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Made:
    """One answer of a model."""

    value: Any
    """A text, or (log-likelihood in nats, whether it is the greedy continuation)."""
    n_tokens: int | None = None
    """Tokens generated, the end token included; None: the model does not tell."""
    ended: bool = False
    """Whether an end token is known to have been generated."""


Hear = Callable[[str, Made], None]
"""Takes the key of a question and its answer."""


class Record:
    """Hears answers one by one: every model of lm-eval offers them to a cache hook, in the order of its batches."""

    def __init__(self, lm: Any, counts: bool) -> None:
        """Puts itself into a model.

        Args:
            lm: the model.
            counts: whether it generates by transformers in this process, so that tokens can be counted on the way.
        """
        self._hear: Hear | None = None
        self._counted: deque[tuple[int, bool]] = deque()
        lm.set_cache_hook(self)
        if counts:
            lm._model_generate = self._counting(lm._model_generate, _end_tokens(lm))

    def listen(self, hear: Hear | None) -> None:
        """Tells `hear` every answer from now on, forgetting what came before; None: nobody listens."""
        self._hear = hear
        self._counted.clear()

    def add_partial(self, kind: str, question: Sequence[Any], answer: Any) -> None:
        """Takes one answer; lm-eval calls this."""
        count = self._counted.popleft() if self._counted else (None, False)
        if self._hear is not None:
            self._hear(key_of(question), Made(answer, *count))

    def _counting(self, generate: Callable[..., Any], end_tokens: set[int]) -> Callable[..., Any]:
        """Returns a generation of batches that counts tokens on the way: the texts do not tell how many there were."""

        def counted(context: Any, **settings: Any) -> Any:
            rows = generate(context=context, **settings)
            for row in rows[:, context.shape[1] :].tolist():
                end = next((i for i, token in enumerate(row, 1) if token in end_tokens), None)
                self._counted.append((end or len(row), end is not None))
            return rows

        return counted


def key_of(question: Sequence[Any]) -> str:
    """Returns a question as text; questions hold dictionaries."""
    return json.dumps(question, sort_keys=True)


def _end_tokens(lm: Any) -> set[int]:
    told = lm.model.generation_config.eos_token_id
    return {lm.eot_token_id, *(told if isinstance(told, list) else [told])} - {None}
