"""Language models as predictors: from a view to a question, from an answer to a prediction. Knows no model by name."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from harness.data import Split
from harness.data.emotion_words import WordCounts
from harness.errors import ConfigError, MissingDependencyError, UnknownNameError
from harness.llm import Backend, CallSettings, Request, build_backend
from harness.llm.answer import Answer, Estimate
from harness.llm.reading.choices import pick_choice, scores_from_first_token
from harness.llm.reading.parsing import read_answer
from harness.predictors.card import PredictorCard
from harness.predictors.predictor import Predictor
from harness.predictors.prompt_settings import ModelChoice, PromptSettings, draws, identify, takes_of
from harness.predictors.session import Session
from harness.predictors.videos import Videos
from harness.prompting import Form, Prompt
from harness.prompting.exemplars import Exemplar
from harness.prompting.label_names import LabelNames, name_labels
from harness.prompting.templates import Template, load_template
from harness.schema import DialogueView, Generation, LabelSet, Prediction

if TYPE_CHECKING:
    from harness.llm.client import Client

PRIVATE = ("address",)
"""Parts of a model's identity that are no result: where a server stood."""

GROUP = 1024
"""Targets whose exemplars are looked for at once, so that their texts are encoded together."""


class Question(NamedTuple):
    """A request and what it is about."""

    utterance_id: str
    names: LabelNames
    exemplars: tuple[Exemplar, ...]
    request: Request


class PromptedPredictor(PromptSettings, Predictor):
    """A language model that is asked about each utterance with a prompt; its parameters are `PromptSettings`.

    A subclass says which model it is (`model_settings`), and may show exemplars by `choose_exemplars`, which it takes
    from the training split in `take_exemplars`.
    """

    family: ClassVar[str] = "zero-shot"
    """Family of templates to take by default."""
    code_modules: ClassVar[tuple[str, ...]] = (
        "harness.data.descriptions",
        "harness.data.emotion_words",
        "harness.predictors.videos",
        "harness.llm.reading.parsing",
        "harness.llm.reading.mentions",
        "harness.llm.reading.choices",
        "harness.prompting.prompt",
        "harness.prompting.label_names",
        "harness.prompting.templates",
        "harness.prompting.window",
        "harness.prompting.exemplars",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self._calls = CallSettings()
        self._named: dict[LabelSet, LabelNames] = {}
        self._videos = Videos(self.video, self.mask_emotion_words)
        self._errors: Counter[str] = Counter()
        with suppress(MissingDependencyError):  # who only looks at stored runs needs no model; told at the first call
            self._backend  # noqa: B018  settings that the back end cannot take are told now

    # What the harness asks of every predictor

    def use(self, session: Session) -> None:
        """Takes the settings of this session's calls; a model that is loaded stays if only the store is another."""
        calls = session.calls
        if replace(self._calls, cache=calls.cache) != calls:
            self.__dict__.pop("_backend", None)
        self.__dict__.pop("client", None)
        self._calls = calls
        if session.label_set is not None:
            self._names(session.label_set)

    def expect(self, split: str, utterance_ids: Mapping[str, Collection[str]]) -> None:
        """Takes the split whose videos prompts show; raises as `Videos.expect`."""
        self._videos.expect(split, utterance_ids)

    def remark(self) -> str:
        """Returns how many calls failed, and why most of them did: said, not stored, for it may quote a prompt.

        And how many descriptions of the video may give the answer away.
        """
        remarks = []
        if self._errors:
            (often, n_often), n = self._errors.most_common(1)[0], self._errors.total()
            remarks.append(f"{n} call{'s' if n > 1 else ''} failed, {n_often} with: {often}; add --rerun to ask again")
        if self._leaks is not None and self._leaks.n_with_any:
            remarks.append(
                f"{self._leaks.share:.1%} of the video descriptions contain an emotion word; "
                "-P mask_emotion_words=true hides them"
            )
        return "; ".join(remarks)

    def close(self) -> None:
        """Lets go of the model and of the store."""
        if "client" in self.__dict__:
            self.client.close()

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
        facts: dict[str, Any] = {
            "model": {key: value for key, value in self._backend.identity().items() if key not in PRIVATE},
            "template": {"name": template.name, "sha256": template.sha256},
            "form": self._form,
            "answers": self.reading,
        }
        if self._leaks is not None:
            facts["video"] = {
                "n_descriptions": self._leaks.n_texts,
                "share_with_emotion_words": round(self._leaks.share, 4),
                "described_by": list(self._videos.described_by),
            }
        return facts

    @classmethod
    def identify(cls, params: Mapping[str, Any]) -> dict[str, Any]:
        """Returns parameters with what paths hold in their place, and servers by their public name."""
        return identify(params)

    @classmethod
    def refine_card(cls, card: PredictorCard, params: Mapping[str, Any]) -> PredictorCard:
        """Returns the card: what the window shows, and whether anything is drawn."""
        silent = params["window"] == 0 and params["window_tokens"] is None
        return replace(
            card,
            context="none" if silent else params["context"],
            modalities=("text", "visual") if params["video"] else ("text",),
            deterministic=card.deterministic and not draws(params),
            takes=takes_of(params),
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
        scene = self.shown.frame(view, position, self._videos.of(names), self._count_tokens)
        prompt = self._template.render(
            self._form,
            labels=names.shown,
            history=scene.history,
            target=scene.target,
            future=scene.future,
            exemplars=exemplars,
        )
        return Question(view.utterances[position].id, names, exemplars, self.make_request(prompt, names))

    def take_exemplars(self, train: Split) -> None:
        """Takes from the training split what prompts will show; `fit` does so first. Default: nothing."""

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
        from harness.llm.client import Client

        return Client(self._backend, self._calls)

    # Parts

    @cached_property
    def _backend(self) -> Backend:
        return build_backend(self.model_settings, self._calls)

    @cached_property
    def _template(self) -> Template:
        template = load_template(self.template_for(self.family))
        if "target" not in template.shows:
            raise ConfigError(f"template {template.name!r} never uses 'target': every utterance would be asked alike")
        for part, is_wanted in {"future": self.context == "full", "video": self.video is not None}.items():
            if is_wanted and part not in template.shows:
                setting = "context=full" if part == "future" else "video"
                raise ConfigError(f"template {template.name!r} has no place for {part!r}: leave out {setting}")
        return template

    @cached_property
    def _form(self) -> Form:
        if self.form != "auto":
            return self.form
        return self.known_model.form if self.known_model else self._backend.preferred_form()

    @property
    def _leaks(self) -> WordCounts | None:
        """Emotion words in the descriptions that prompts show; None without any, or before the labels are known."""
        names = next(iter(self._named.values()), None)
        return None if names is None else self._videos.count_leaks(names)

    def _count_tokens(self, text: str) -> int:
        count, start = self.count_tokens(text), self.count_tokens("")  # each text alone would have its own start token
        if count is None or start is None:
            raise ConfigError("window_tokens needs a model whose tokenizer is at hand; use -P window=5 in its place")
        return count - start

    def _names(self, label_set: LabelSet) -> LabelNames:
        if label_set not in self._named:
            self._named[label_set] = name_labels(label_set, self.label_names)
        return self._named[label_set]

    def _read(self, answer: Answer, question: Question) -> Prediction:
        """Returns the prediction that an answer means."""
        response, names = answer.response, question.names
        if response.finish == "error":
            self._errors[response.error] += 1
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


class AskedPredictor(ModelChoice, PromptedPredictor):
    """A language model as it is, named by the parameters, that is asked about each utterance."""
