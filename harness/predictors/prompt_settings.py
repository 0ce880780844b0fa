"""The parameters of predictors that prompt: which model, which prompt, how the answer is read. Calls nobody."""
# Annotations stay objects here, not strings: subclasses in other modules inherit the constructor with them.

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from harness.errors import ConfigError
from harness.features.weights import content_name, find_folder
from harness.llm import Decoding, ModelSettings, Request
from harness.llm.backend import Dtype, Quantization
from harness.llm.reading.choices import Normalisation
from harness.llm.server.address import public_address
from harness.predictors.card import Resources
from harness.prompting import Prompt
from harness.prompting.label_names import LabelNames, Naming
from harness.prompting.window import Speakers, Window

if TYPE_CHECKING:
    from harness.llm.tables.models import NamedModel

PATHS = ("model", "base", "adapter", "template", "recipe", "video", "encoder")
"""Parameters that may name a file or folder; runs are named by what it holds."""

MADE_HERE = {"base": ("tiny",)}
"""Values that name no file, whatever the working folder holds."""

SUFFIXES = {"template": ".j2", "recipe": ".toml"}
"""How files end where another value is the name of what comes with the package."""

LOCAL = "transformers"
"""The back end that gives the same answer every time; servers promise nothing."""


@dataclass(eq=False)
class PromptSettings:
    """What a run with a language model depends on, beside data, seed and which model it is.

    Raises:
        ConfigError: settings that contradict each other.
    """

    answers: Literal["generate", "choice"] = "generate"
    """Read a written answer, or compare the likelihoods of the labels."""
    normalisation: Normalisation = "byte-mean"
    """Of the likelihoods, with answers=choice."""
    template: str = "auto"
    """FAMILY/VERSION, a .j2 file of your own, or the one that suits the model."""
    form: Literal["auto", "chat", "plain"] = "auto"
    """Whether the model gets messages or one text."""
    label_names: Naming | dict[str, str] = "natural"
    """How labels are written: as in the corpus, in natural words, or your own names."""
    window: int | None = 5
    """Utterances shown on each side of the target; none: all."""
    window_tokens: int | None = None
    """Tokens of context shown at most."""
    context: Literal["past", "full"] = "past"
    """Whether what comes later may be shown too."""
    speakers: Speakers = "names"
    """Names as they are, letters in their place, or nothing."""
    video: str | None = None
    """JSONL file with descriptions of the video, by split and utterance id."""
    mask_emotion_words: bool = False
    """Whether words in the descriptions that name an emotion are hidden, so that none gives an answer away."""
    max_new_tokens: int = 16
    """Length of a written answer."""
    temperature: float = 0.0
    """0: the likeliest token each time."""
    n_beams: int = 1
    """Beams of the search; 1: none."""
    constrained: bool = False
    """Whether the back end sees to it that only a label is written."""
    revision: str | None = None
    """Commit of the model at the hub."""
    dtype: Dtype = "auto"
    """Precision of the weights; auto: that of the checkpoint."""
    quantization: Quantization = "none"
    """Loading in 8 or 4 bits."""
    device: str = "auto"
    """auto, cpu, cuda:0, balanced."""
    trust_remote_code: bool = False
    """Whether code that comes with the weights may run."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.window is not None and self.window < 0:
            raise ConfigError(f"window {self.window!r}: expected a number of utterances from 0 up, or none")
        if self.mask_emotion_words and not self.video:
            raise ConfigError(
                "mask_emotion_words=True without descriptions to mask; add -P video=FILE, or leave it out"
            )
        if self.max_new_tokens < 1 or self.n_beams < 1 or self.temperature < 0:
            raise ConfigError(
                f"max_new_tokens {self.max_new_tokens!r}, n_beams {self.n_beams!r}, temperature {self.temperature!r}: "
                "expected at least 1, 1 and 0"
            )
        if self.n_beams > 1 and self.temperature > 0:
            raise ConfigError(f"n_beams {self.n_beams!r} with temperature {self.temperature!r}: beams are not sampled")
        if self.answers == "choice" and (self.temperature or self.n_beams > 1 or self.constrained):
            raise ConfigError("answers=choice writes nothing: leave out temperature, n_beams and constrained")

    @property
    def known_model(self) -> "NamedModel | None":
        """The named model, if it is one."""
        raise NotImplementedError

    @property
    def model_settings(self) -> ModelSettings:
        """What the back end needs to know of the model."""
        raise NotImplementedError

    def local_settings(self, model: str, adapter: str | None) -> ModelSettings:
        """Returns what the back end needs to know to load a model with LoRA weights from this machine."""
        known = self.known_model
        return ModelSettings(
            backend=LOCAL,
            model=known.hub_id if known else model,
            revision=self.revision or (known.revision if known else None),
            adapter=adapter,
            dtype=self.dtype,
            quantization=self.quantization,
            device=self.device,
            trust_remote_code=self.trust_remote_code,
        )

    @property
    def shown(self) -> Window:
        """The part of a dialogue that prompts show."""
        return Window(self.window, self.window_tokens, self.context == "full", self.speakers)

    @property
    def reading(self) -> str:
        """How answers are read, as signatures name it: 'generate', or 'choice:NORMALISATION'."""
        return f"choice:{self.normalisation}" if self.answers == "choice" else "generate"

    def template_for(self, family: str) -> str:
        """Returns the name of the template: the one given, or the one of a family that suits the model."""
        if self.template != "auto":
            return self.template
        return self.known_model.templates[family] if self.known_model else f"{family}/v1"

    def make_request(self, prompt: Prompt, names: LabelNames) -> Request:
        """Returns the request that asks with a prompt."""
        if self.answers == "choice":
            return Request(prompt, names.shown, "choice", with_premise=self.normalisation == "pmi")
        drawn = draws(
            {"temperature": self.temperature, "backend": self.model_settings.backend, "answers": self.answers}
        )
        decoding = Decoding(self.max_new_tokens, self.temperature, self.n_beams, self.seed if drawn else None)
        return Request(prompt, names.shown, "generate", decoding, self.constrained)


@dataclass(eq=False)
class ModelChoice(PromptSettings):
    """Settings that name any model, here or at a server.

    Raises:
        ConfigError: settings that contradict each other, or no model.
    """

    model: str = ""
    """Folder of weights, a named model, a name at the hub or at the server."""
    backend: str = "transformers"
    """transformers, openai or lm-eval."""
    adapter: str | None = None
    """Folder or hub name of LoRA weights."""
    base_url: str | None = None
    """Address of a server that speaks the OpenAI protocol."""
    model_args: str = ""
    """Arguments of a model of lm-eval."""

    def __post_init__(self) -> None:
        if not self.model:
            raise ConfigError("no model given; add -P model=FOLDER, or -P model=NAME (see: erc-harness list models)")
        if self.backend == LOCAL:
            check_spelling(self.model)
        super().__post_init__()

    @cached_property
    def known_model(self) -> "NamedModel | None":
        """The named model, if the name is one."""
        return find_known(self.model) if self.backend == LOCAL else None

    @property
    def model_settings(self) -> ModelSettings:
        """What the back end needs to know."""
        chosen = self.local_settings(self.model, self.adapter)
        return replace(chosen, backend=self.backend, base_url=self.base_url, model_args=self.model_args)


def draws(params: Mapping[str, Any]) -> bool:
    """Whether answers may differ from one time to the next: they are sampled, or written by somebody else's server.

    Likelihoods take no seed, so asking for them again would only repeat them.
    """
    is_local = params.get("backend", LOCAL) == LOCAL
    return bool(params["temperature"] > 0 or (not is_local and params["answers"] == "generate"))


def identify(params: Mapping[str, Any]) -> dict[str, Any]:
    """Returns parameters by what they mean: paths by what they hold, named models by their commit, servers by name."""
    named = dict(params)
    for key in PATHS:
        value = named.get(key)
        if isinstance(value, str) and value:
            named[key] = _name_of(key, value)
    if named.get("model_args"):
        from harness.llm.lm_eval.loading import public_arguments

        named["model_args"] = public_arguments(named["model_args"])
    if isinstance(url := named.get("base_url"), str) and "://" in url:
        named["base_url"] = _public_address(url)
    return named


def _name_of(key: str, value: str) -> str:
    """Returns a name that means the same on every machine and every day, as far as that can be known without asking."""
    known = find_known(value) if key in ("model", "base") else None
    if known is not None:
        return f"{known.name}@{known.revision[:8]}"
    if value in MADE_HERE.get(key, ()) or (key in SUFFIXES and not value.endswith(SUFFIXES[key])):
        return value
    folder = find_folder(value) if key in ("model", "base", "adapter") else None
    if folder is not None:
        return content_name(folder)
    return content_name(Path(value)) if Path(value).expanduser().exists() else value


def check_spelling(model: str) -> None:
    """Raises ConfigError for what looks like a named model, is none, and is no folder either."""
    from harness.llm.tables.models import named_models

    if "/" not in model and find_known(model) is None and find_folder(model) is None:
        close = get_close_matches(model, named_models(), n=3, cutoff=0.8)
        if close:
            raise ConfigError(f"model {model!r} is no folder; did you mean {' or '.join(map(repr, close))}?")


def find_known(name: str) -> "NamedModel | None":
    """Returns the named model behind NAME or NAME@COMMIT; None if there is none.

    Raises:
        ConfigError: the name means another commit by now.
    """
    from harness.llm.tables.models import find_model

    stem, _, commit = name.partition("@")
    known = find_model(stem)
    if known is not None and not known.revision.startswith(commit):
        raise ConfigError(f"model {name!r}: {stem!r} is at commit {known.revision[:8]!r} here; give -P revision=COMMIT")
    return known


def _public_address(base_url: str) -> str:
    """Returns the public name of a server; a private one is told from others by a hash of its address."""
    name = public_address(base_url)
    return f"{name}@{sha256(base_url.rstrip('/').encode()).hexdigest()[:8]}" if name == "local" else name


def takes_of(params: Mapping[str, Any]) -> Resources:
    """Returns what a run takes of a machine: with a named model on it a GPU, and memory for its weights in 16 bits.

    A server, and a model of unknown size, take a CPU.
    """
    from harness.llm.tables.models import named_models

    known = named_models().get(params.get("model") or params.get("base") or "")
    if known is None or known.n_params is None or params.get("backend", LOCAL) != LOCAL:
        return Resources()
    return Resources(gpus=0 if params["device"] == "cpu" else 1, memory=math.ceil(2 * known.n_params / 2**30))
