"""What a model of lm-eval reads: prompts as text or messages, and their tokens as lm-eval counts and cuts them.

Serves `harness.llm.lm_eval.backend` only. Asks no model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.errors import ModelError
from harness.features.weights import one_line
from harness.llm.lm_eval.loading import quiet
from harness.llm.local.tokens import fold_system
from harness.prompting import Form, Message


class LmEvalTexts:
    """Chat template and tokenizer of one loaded model."""

    def __init__(self, name: str, lm: Any) -> None:
        """Looks at a model.

        Args:
            name: of the model, for messages.
            lm: the model.

        Raises:
            ModelError: its tokenizer ends each text, also where a choice or an answer goes on.
        """
        self._name, self._lm = name, lm
        self._is_chat_server = any("Chat" in base.__name__ for base in type(lm).__mro__)
        self._refuse_closing()

    def apply_chat_template(self, messages: Sequence[Message]) -> Any:
        """Returns what the model reads for messages: a text, or for a chat server the messages as JSON.

        A template that leaves the system's text out gets it in front of the user's first text.

        Raises:
            ModelError: the model has no chat template, or one that leaves out more.
        """
        what = f"the chat template of lm-eval model {self._name!r}"
        try:
            with quiet():
                context = self._lm.apply_chat_template([{"role": m.role, "content": m.content} for m in messages])
        except (NotImplementedError, ValueError) as error:  # of models, and of tokenizers without a template
            raise ModelError(f"{what} cannot be used: {one_line(error)}; type: -P form=plain") from error
        if not isinstance(context, str):
            if self._is_chat_server:
                return context
            raise ModelError(f"{what} is not known, and its server takes no messages; type: -P form=plain")
        lost = [message for message in messages if message.content.strip() not in context]
        if not lost:
            return context
        if lost != [messages[0]] or lost[0].role != "system":
            raise ModelError(f"{what} drops {lost[0].content[:40]!r} of {lost[0].role}; type: -P form=plain")
        return self.apply_chat_template(fold_system(messages))

    @property
    def takes_messages(self) -> bool:
        """Whether a chat form can be asked for."""
        try:
            self.apply_chat_template([Message("user", "Hello")])
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

    def _refuse_closing(self) -> None:
        """lm-eval cuts a continuation off after as many tokens as its context has, an end token included."""
        if not self._has_tokenizer or getattr(self._lm, "backend", "causal") != "causal":
            return
        longer = self._lm.tok_encode("x y")
        if self._lm.tok_encode("x")[-1] == longer[-1] and longer[-1] in self._lm.tokenizer.all_special_ids:
            raise ModelError(
                f"the tokenizer of lm-eval model {self._name!r} ends each text with an end token, which lm-eval takes "
                "for a part of the prompt; use backend=transformers"
            )

    @property
    def _has_tokenizer(self) -> bool:
        return hasattr(self._lm, "_encode_pair") and self._lm.tokenizer is not None
