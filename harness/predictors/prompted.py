"""Language models as predictors: from a view to a request, from an answer to a prediction. Knows no particular model.

The fields of `PromptedPredictor` are the parameters of every predictor that prompts; a subclass may add some, and may
learn exemplars in `fit`.
"""
# Annotations stay objects here, not strings: subclasses in other modules inherit the constructor with them.

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple
from urllib.parse import urlsplit

from harness.data import Split
from harness.data.descriptions import read_descriptions
from harness.errors import ConfigError, UnknownNameError
from harness.llm import Backend, CallSettings, Decoding, ModelSettings, Request, build_backend
from harness.llm.backend import Dtype, Quantization
from harness.llm.choices import Normalisation, pick_choice, scores_from_first_token
from harness.llm.client import Answer, Client, Estimate
from harness.llm.model_files import content_name
from harness.llm.models import NamedModel, find_model
from harness.llm.parsing import read_answer
from harness.predictors.card import PredictorCard
from harness.predictors.predictor import Predictor
from harness.prompting import Form, Prompt
from harness.prompting.exemplars import Exemplar
from harness.prompting.label_names import LabelNames, Naming, name_labels
from harness.prompting.templates import Template, load_template
from harness.prompting.window import Speakers, Window
from harness.schema import DialogueView, Generation, LabelSet, Prediction

PATHS = ("model", "adapter", "template", "video", "encoder")
"""Parameters that may name a file or folder; runs are named by what it holds."""


GROUP = 256
"""Targets whose exemplars are looked for at once, so that their texts are encoded together."""


class Question(NamedTuple):
    """A request and what it is about."""

    utterance_id: str
    names: LabelNames
    exemplars: tuple[Exemplar, ...]
    request: Request


@dataclass(eq=False)
class PromptedPredictor(Predictor):
    """A language model that is asked about each utterance with a prompt.

    Raises:
        ConfigError: settings that contradict each other, or no model.
    """

    model: str = ""
    """Folder of weights, a named model, a name at the hub or at the server."""
    backend: str = "transformers"
    """transformers, openai or lm-eval."""
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
    """JSONL file with descriptions of the video, by utterance id."""
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
    adapter: str | None = None
    """Folder or hub name of LoRA weights."""
    dtype: Dtype = "auto"
    """Precision of the weights; auto: that of the checkpoint."""
    quantization: Quantization = "none"
    """Loading in 8 or 4 bits."""
    device: str = "auto"
    """auto, cpu, cuda:0, balanced."""
    trust_remote_code: bool = False
    """Whether code that comes with the weights may run."""
    base_url: str | None = None
    """Address of a server that speaks the OpenAI protocol."""
    model_args: str = ""
    """Arguments of a model of lm-eval."""
    seed: int = 0

    family: ClassVar[str] = "zero-shot"
    """Family of templates to take by default."""
    code_modules: ClassVar[tuple[str, ...]] = (
        "harness.llm.parsing",
        "harness.llm.choices",
        "harness.prompting.prompt",
        "harness.prompting.label_names",
        "harness.prompting.templates",
        "harness.prompting.window",
        "harness.prompting.exemplars",
    )

    def __post_init__(self) -> None:
        if not self.model:
            raise ConfigError("no model given; add -P model=FOLDER, or -P model=NAME (see: erc-harness list models)")
        if self.window is not None and self.window < 0:
            raise ConfigError(f"window {self.window!r}: expected a number of utterances from 0 up, or none")
        if self.max_new_tokens < 1 or self.n_beams < 1 or self.temperature < 0:
            raise ConfigError(
                f"max_new_tokens {self.max_new_tokens!r}, n_beams {self.n_beams!r}, temperature {self.temperature!r}: "
                "expected at least 1, 1 and 0"
            )
        if self.answers == "choice" and (self.temperature or self.n_beams > 1 or self.constrained):
            raise ConfigError("answers=choice writes nothing: leave out temperature, n_beams and constrained")
        self._calls = CallSettings()
        self._named: dict[LabelSet, LabelNames] = {}
        self._backend  # noqa: B018  settings that the back end cannot take are told now

    # What the harness asks of every predictor

    def use(self, calls: CallSettings) -> None:
        """Takes the settings of this session's calls."""
        self.__dict__.pop("_backend", None)
        self.__dict__.pop("client", None)
        self._calls = calls

    def predict_batch(self, dialogues: Sequence[DialogueView]) -> Iterator[list[Prediction]]:
        """Yields the predictions of each view as soon as its answers are there."""
        asked: deque[Question] = deque()

        def requests() -> Iterator[Request]:
            for question in self.questions(dialogues):
                asked.append(question)
                yield question.request

        with closing(self.client.answer(requests())) as answers:
            for view in dialogues:
                yield [self._read(next(answers), asked.popleft()) for _ in view.target_positions]

    def facts(self) -> dict[str, Any]:
        """Returns the model as it was found, the template, and the form."""
        template = self._template
        return {
            "model": dict(self._backend.identity()),
            "template": {"name": template.name, "sha256": template.sha256},
            "form": self._form,
            "answers": self._reading,
        }

    @classmethod
    def identify(cls, params: Mapping[str, Any]) -> dict[str, Any]:
        """Returns parameters with what paths hold in their place, and servers by their public name."""
        named = dict(params)
        for key in PATHS:
            value = named.get(key)
            if isinstance(value, str) and Path(value).exists() and find_model(value) is None:
                named[key] = content_name(Path(value))
        if isinstance(named.get("base_url"), str):
            named["base_url"] = _public_address(named["base_url"])
        return named

    @classmethod
    def refine_card(cls, card: PredictorCard, params: Mapping[str, Any]) -> PredictorCard:
        """Returns the card: what the window shows, and whether anything is drawn."""
        silent = params["window"] == 0 and params["window_tokens"] is None
        drawn = params["temperature"] > 0 or params["backend"] != "transformers"  # servers promise nothing
        return replace(
            card,
            context="none" if silent else params["context"],
            modalities=("text", "visual") if params["video"] else ("text",),
            deterministic=card.deterministic and not drawn,
        )

    # What commands ask of predictors that prompt

    def questions(self, dialogues: Sequence[DialogueView]) -> Iterator[Question]:
        """Yields the question about every target, in order."""
        targets = ((view, position) for view in dialogues for position in view.target_positions)
        while group := list(islice(targets, GROUP)):
            for target, exemplars in zip(group, self.choose_exemplars(group), strict=True):
                yield self._ask(*target, exemplars)

    def _ask(self, view: DialogueView, position: int, exemplars: tuple[Exemplar, ...]) -> Question:
        names = self._names(view.label_set)
        scene = self._window.frame(view, position, self._videos, self._count_tokens)
        prompt = self._template.render(
            self._form,
            labels=names.shown,
            history=scene.history,
            target=scene.target,
            future=scene.future,
            exemplars=exemplars,
        )
        return Question(view.utterances[position].id, names, exemplars, self._request(prompt, names))

    def choose_exemplars(self, targets: Sequence[tuple[DialogueView, int]]) -> Sequence[tuple[Exemplar, ...]]:
        """Returns the exemplars for each target, a view and a position in it. Default: none."""
        return [()] * len(targets)

    def find_question(self, split: Split, utterance_id: str) -> Question:
        """Returns the question about an utterance of a split.

        Raises:
            UnknownNameError: the split has no such annotated utterance.
        """
        for dialogue in split.dialogues:
            if any(u.id == utterance_id for u in dialogue.utterances):
                for view in dialogue.views(self.context, split.label_set):
                    for question in self.questions([view]):
                        if question.utterance_id == utterance_id:
                            return question
        raise UnknownNameError.of(
            "annotated utterance", utterance_id, list(split.gold)[:8], "the first ones are listed"
        )

    def find_request(self, split: Split, utterance_id: str) -> tuple[Request, str, Mapping[str, object]]:
        """Returns what is asked about an utterance: the request, what is sent, and what else the answer depends on.

        Raises:
            UnknownNameError: the split has no such annotated utterance.
        """
        request = self.find_question(split, utterance_id).request
        return request, self.render(request.prompt), self._backend.identity()

    def render(self, prompt: Prompt) -> str:
        """Returns exactly what the model reads."""
        return self._backend.render(prompt)

    def count_tokens(self, rendered: str) -> int | None:
        """Returns the number of tokens of what the model reads; None where no tokenizer is at hand."""
        return self._backend.count_tokens(rendered)

    def estimate(self, dialogues: Sequence[DialogueView]) -> Estimate:
        """Returns what answering some views would take, without calling anybody."""
        return self.client.estimate(question.request for question in self.questions(dialogues))

    @cached_property
    def client(self) -> Client:
        """The model behind its cache and limits."""
        return Client(self._backend, self._calls)

    # Parts

    @cached_property
    def _backend(self) -> Backend:
        return build_backend(self._model_settings, self._calls)

    @property
    def _model_settings(self) -> ModelSettings:
        known = self._known
        return ModelSettings(
            backend=self.backend,
            model=known.hub_id if known else self.model,
            revision=self.revision or (known.revision if known else None),
            adapter=self.adapter,
            dtype=self.dtype,
            quantization=self.quantization,
            device=self.device,
            trust_remote_code=self.trust_remote_code,
            base_url=self.base_url,
            model_args=self.model_args,
        )

    @cached_property
    def _known(self) -> NamedModel | None:
        """The named model, if the name is one."""
        return find_model(self.model) if self.backend == "transformers" else None

    @cached_property
    def _template(self) -> Template:
        if self.template != "auto":
            return load_template(self.template)
        return load_template(self._known.templates[self.family] if self._known else f"{self.family}/v1")

    @cached_property
    def _form(self) -> Form:
        if self.form != "auto":
            return self.form
        return self._known.form if self._known else self._backend.preferred_form()

    @property
    def _window(self) -> Window:
        return Window(self.window, self.window_tokens, self.context == "full", self.speakers)

    @cached_property
    def _videos(self) -> dict[str, str]:
        return read_descriptions(Path(self.video)) if self.video else {}

    @property
    def _reading(self) -> str:
        return f"choice:{self.normalisation}" if self.answers == "choice" else "generate"

    def _count_tokens(self, text: str) -> int:
        count = self.count_tokens(text)
        if count is None:
            raise ConfigError("window_tokens needs a model whose tokenizer is at hand; use -P window=5 in its place")
        return count

    def _names(self, label_set: LabelSet) -> LabelNames:
        if label_set not in self._named:
            self._named[label_set] = name_labels(label_set, self.label_names)
        return self._named[label_set]

    def _request(self, prompt: Prompt, names: LabelNames) -> Request:
        if self.answers == "choice":
            return Request(prompt, names.shown, "choice", with_premise=self.normalisation == "pmi")
        drawn = self.temperature > 0 or self.backend != "transformers"
        decoding = Decoding(self.max_new_tokens, self.temperature, self.n_beams, self.seed if drawn else None)
        return Request(prompt, names.shown, "generate", decoding, self.constrained)

    def _read(self, answer: Answer, question: Question) -> Prediction:
        """Returns the prediction that an answer means."""
        response, names = answer.response, question.names
        if self.answers == "choice":
            reading, scores = pick_choice(response, names, self.normalisation)
        else:
            reading = read_answer(response, names)
            scores = scores_from_first_token(response, names) if reading.label is not None else None
        generation = Generation(
            rule=reading.rule,
            response=answer.key,
            prompt=answer.rendered_sha256,
            exemplars=tuple(exemplar.utterance_id for exemplar in question.exemplars),
            n_prompt_tokens=response.n_prompt_tokens,
            n_completion_tokens=response.n_completion_tokens,
            seconds=response.seconds,
            usd=answer.usd,
            n_attempts=response.n_attempts,
            cached=answer.cached,
        )
        return Prediction(question.utterance_id, reading.label, scores, reading.status, generation)


def _public_address(base_url: str) -> str:
    """Returns host and path of a server; 'local' for this machine, whose port changes from day to day."""
    parts = urlsplit(base_url)
    host = parts.hostname or base_url
    return "local" if host in ("localhost", "127.0.0.1", "::1") else f"{host}{parts.path.rstrip('/')}"
