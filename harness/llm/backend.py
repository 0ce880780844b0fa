"""What every back end can do, the registry of back ends, and the settings that name a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

from harness.llm.calls import CallSettings
from harness.llm.request import Request, Response
from harness.prompting import Form, Prompt
from harness.registry import Registry, origin_of

Dtype = Literal["auto", "bf16", "fp16", "fp32"]
Quantization = Literal["none", "8bit", "4bit"]


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """Which model, and in which form; these change answers."""

    backend: str
    """A name in `BACKENDS`."""
    model: str
    """Folder of weights, name at the hub, name at the server, or the name of an lm-eval model."""
    revision: str | None = None
    """Commit at the hub; None for a folder or a server."""
    adapter: str | None = None
    """Folder or hub name of LoRA weights."""
    dtype: Dtype = "auto"
    quantization: Quantization = "none"
    device: str = "auto"
    """'auto', 'cpu', 'cuda:0', or 'balanced' to spread layers over devices."""
    trust_remote_code: bool = False
    """Whether code that comes with the weights may run."""
    base_url: str | None = None
    """Address of an OpenAI-compatible server; None: the provider's own."""
    model_args: str = ""
    """Arguments of an lm-eval model, 'key=value,key=value'."""


Keep = Callable[[int, Response], None]
"""Puts the response to a request, by its number, where no kill can reach it; may be called from any thread."""


class Backend(Protocol):
    """A model that answers. Built without loading weights or calling anybody; that happens with the first use."""

    repeats_prompt: bool
    """Whether likelihoods of choices take one prompt for each choice, which is then read, and paid for, so often."""
    takes_images: bool
    """Whether messages may carry images; a back end that does not say takes none."""

    def identity(self) -> Mapping[str, object]:
        """Returns what the answers depend on beside the request, as JSON values: model, revision, adapter, dtype, ...

        Two back ends with equal identity give equal answers. No path of a machine is part of it; where a private server
        stands is, under "address", which goes into the response store only, never into results.
        """
        ...

    def preferred_form(self) -> Form:
        """Returns the form that suits the model: "chat" if it was trained on messages and has a template for them.

        A server is taken to be a chat service; a local model is asked for its chat template.
        """
        ...

    def render(self, prompt: Prompt) -> str:
        """Returns exactly what the model reads, its chat template applied; for a server, what is sent."""
        ...

    def count_tokens(self, text: str) -> int | None:
        """Returns the number of tokens of a rendered text, None where there is no tokenizer to ask."""
        ...

    def answer(self, requests: Iterator[Request], keep: Keep) -> Iterator[tuple[int, Response]]:
        """Yields (number of the request, response) as answers arrive, in any order; each request is answered once.

        Every response is given to `keep` the moment it is there, from whatever thread, and then yielded: whoever takes
        the answers may be slow, or stop.

        Requests are numbered from 0 in the order in which they are taken from the iterator, and are taken only when
        there is room for them. A request that fails for good yields a response with finish "error": it fails alone.

        Raises:
            ModelError: the model cannot be loaded, or every call would fail: wrong key, unknown model.
            CallsStoppedError: nobody answers any more; what was yielded stays valid.
        """
        ...

    def close(self) -> None:
        """Lets go of connections and memory."""
        ...


Build = Callable[[ModelSettings, CallSettings], Backend]

BACKENDS: Registry[Build] = Registry("back end")

BUILTIN = {
    "transformers": "harness.llm.local.backend:TransformersBackend",
    "openai": "harness.llm.server.backend:OpenAIBackend",
    "lm-eval": "harness.llm.lm_eval.backend:LmEvalBackend",
}
"""Back ends of this distribution, imported on first use."""

B = TypeVar("B", bound=Build)


def register_backend(name: str) -> Callable[[B], B]:
    """Returns a class decorator that registers a back end.

    Raises:
        ConfigError: the name is not allowed.
        DuplicateNameError: the name is taken.
    """

    def register(build: B) -> B:
        module, qualname = build.__module__, getattr(build, "__qualname__", name)
        BACKENDS.add(name, build, origin=origin_of(module), target=f"{module}:{qualname}")
        return build

    return register


def build_backend(model: ModelSettings, calls: CallSettings) -> Backend:
    """Returns the back end of a model, nothing loaded yet.

    Raises:
        UnknownNameError: no such back end.
        ConfigError: a setting that this back end cannot take.
        MissingDependencyError: its package is not installed.
    """
    return BACKENDS.get(model.backend)(model, calls)


for _name, _target in BUILTIN.items():
    BACKENDS.add_lazy(_name, _target, origin="erc-harness")
