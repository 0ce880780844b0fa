"""The back end for models on this machine, by transformers: any causal language model, with or without LoRA weights.

Owns when things are loaded. How choices are scored and texts written is in `answers` and what it uses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib.metadata import version
from itertools import islice
from typing import TYPE_CHECKING

from harness.features.weights import Located, locate
from harness.llm.backend import Keep, ModelSettings, register_backend
from harness.llm.calls import CallSettings
from harness.llm.local.keeping import borrow
from harness.llm.local.loading import check_settings, load_model, load_tokenizer
from harness.llm.local.tokens import PromptTokens
from harness.llm.request import Request, Response
from harness.prompting import Form, Prompt

if TYPE_CHECKING:
    from harness.llm.local.answers import LocalAnswers

METHOD = 1
"""How choices are scored and texts written; raise it when a change can change an answer."""

N_TAKEN = 1024
"""Requests taken at a time: enough for prompts that begin alike to meet."""


@register_backend("transformers")
class TransformersBackend:
    """A causal language model on this machine.

    The tokenizer is loaded by the first `render`, the weights by the first answer. Answers do not depend on which
    requests come together, but for the rounding of floating-point sums. What is drawn depends on prompt and seed alone;
    no seed counts as 0.

    Raises:
        ConfigError: a setting that a local model cannot take.
        MissingDependencyError: torch, transformers, or a package that the settings need is not installed.
    """

    repeats_prompt = False
    takes_images = False

    def __init__(self, model: ModelSettings, calls: CallSettings) -> None:
        check_settings(model)
        self._settings, self._calls = model, calls

    def identity(self) -> Mapping[str, object]:
        """Returns the model, the form it is loaded in, our method, and libraries and device, which round differently.

        Raises:
            ModelError: the model is not on this machine.
        """
        return {
            "backend": "transformers",
            "model": self._base.name,
            "revision": self._base.commit,
            "adapter": _versioned(self._adapter),
            "dtype": self._settings.dtype,
            "quantization": self._settings.quantization,
            "trust_remote_code": self._settings.trust_remote_code,
            "chat_template": self._tokens.template_sha256,
            "device": self._settings.device,
            "method": METHOD,
            "transformers": version("transformers"),
            "torch": version("torch"),
        }

    def preferred_form(self) -> Form:
        """Returns "chat" if the model has a chat template, else "plain"."""
        return self._tokens.preferred_form

    def render(self, prompt: Prompt) -> str:
        """Returns what the model reads.

        Raises:
            ConfigError: chat form without a chat template, or messages that the template refuses.
            ModelError: the model is not on this machine.
        """
        return self._tokens.render(prompt)

    def count_tokens(self, text: str) -> int:
        """Returns the number of tokens of a rendered text, the model's first token included."""
        return len(self._tokens.encode([text])[0])

    def answer(self, requests: Iterator[Request], keep: Keep) -> Iterator[tuple[int, Response]]:
        """Yields (number of the request, response); a batch is kept whole before its first; see `Backend.answer`."""
        from harness.llm.local.answers import Question

        numbered = enumerate(requests)
        while taken := list(islice(numbered, N_TAKEN)):
            questions = [Question(number, request, self.render(request.prompt)) for number, request in taken]
            for mode, ask in (("choice", self._answers.score), ("generate", self._answers.write)):
                for batch in ask([question for question in questions if question.request.mode == mode]):
                    for number, response in batch:
                        keep(number, response)
                    yield from batch

    def close(self) -> None:
        """Lets go of tokenizer and weights; a worker may keep the weights for its next run."""
        for name in ("_tokens", "_answers"):
            self.__dict__.pop(name, None)

    # Parts, each made when it is first needed

    @cached_property
    def _base(self) -> Located:
        return locate(self._settings.model, self._settings.revision, download=self._calls.download)

    @cached_property
    def _adapter(self) -> Located | None:
        name, download = self._settings.adapter, self._calls.download
        return None if name is None else locate(name, download=download, marker="adapter_config.json")

    @cached_property
    def _tokens(self) -> PromptTokens:
        return PromptTokens(load_tokenizer(self._settings, self._base, self._calls.download))

    @cached_property
    def _answers(self) -> LocalAnswers:
        from harness.llm.local.answers import LocalAnswers

        origin = (self._settings, self._base, self._adapter)
        model = borrow(origin, lambda: load_model(*origin, self._calls.download))
        return LocalAnswers(model, self._tokens, self._calls.batch_size)


def _versioned(adapter: Located | None) -> str | None:
    """Returns the name of an adapter; its content is in the name of a folder, its commit is added at the hub."""
    if adapter is None or adapter.commit is None:
        return adapter.name if adapter else None
    return f"{adapter.name}@{adapter.commit}"
