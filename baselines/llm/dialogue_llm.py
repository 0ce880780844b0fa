"""DialogueLLM: a language model fine-tuned on dialogues as instructions, then asked with the same instruction.

Input of an utterance: instruction, the utterances before it, the utterance, and a description of its video if there is
one; the model answers with the label. Only low-rank matrices beside the frozen weights are trained:

    h = W x + (alpha / r) B A x,    A: (r, width_in) drawn, B: (width_out, r) from zero,

for the layers that a recipe names; what is minimised is the negative log-likelihood of the answer's tokens given the
prompt, averaged over the answers' tokens of an update.

Source: Zhang et al. 2023, "DialogueLLM", arXiv 2310.11374v4, section 3, and its released code (Dreamyao516/DialogueLLM,
commit 9bde222); LoRA: Hu et al. 2022, section 4.1. The recipes say where both differ. Knowingly different: answers are
chosen by the likelihood of the labels, or written, never guessed; no prompt loses its answer to a length limit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from baselines.llm.adapters import check_adapter, summarise
from baselines.llm.exemplified import ExemplifiedPredictor
from baselines.llm.fine_tuning import TINY, FineTuning
from harness.data import Split, load_dataset
from harness.data.overlap import Overlap, drop_shared_dialogues, find_overlap
from harness.errors import ConfigError
from harness.llm import ModelSettings
from harness.llm.answer import Estimate
from harness.llm.request import guess_tokens
from harness.llm.tables.recipes import Recipe, load_recipe
from harness.predictors import PredictorCard, register_predictor
from harness.predictors.prompt_settings import check_spelling, find_known
from harness.predictors.session import Session
from harness.schema import DialogueView
from harness.store.trained import read_record

if TYPE_CHECKING:
    from harness.llm.tables.models import NamedModel


@register_predictor(
    "dialogue-llm",
    card=PredictorCard(
        family="llm",
        context="past",
        trained_on=("train",),
        source="arXiv 2310.11374v4; recipes paper-v4, released-code and ours",
        summary="A language model fine-tuned with LoRA on dialogues as instructions; -P base=... names it.",
    ),
)
@dataclass(eq=False)
class DialogueLLM(ExemplifiedPredictor):
    """Fine-tunes, then asks; one exemplar of each class is shown when asking, as in the headline row of the paper."""

    base: str = "llama-2-7b"
    """Model to tune: a folder, a named model, a name at the hub, or 'tiny': made on the spot from the training text."""
    recipe: str = "paper-v4"
    """How to tune: paper-v4, released-code, ours, tiny, or a .toml file of your own."""
    method: Literal["lora", "full", "none"] = "lora"
    """Train low-rank matrices, all weights, or nothing."""
    epochs: int | None = None
    """In the place of the recipe's."""
    rank: int | None = None
    """Of the LoRA matrices, in the place of the recipe's."""
    train_on: tuple[str, ...] = ()
    """Further datasets to learn from, by name."""
    decontaminate: bool = False
    """Whether training dialogues are left out that share an utterance with dev or test of a dataset learned from."""
    adapter: str | None = None
    """Weights that are trained already: a folder, or a name at the hub; nothing is trained then."""
    answers: Literal["generate", "choice"] = "choice"
    """Compare the likelihoods of the labels, or read a written answer."""
    normalisation: Literal["sum", "token-mean", "byte-mean", "pmi"] = "sum"
    """Of the likelihoods; a tuned model has learned whole labels, so nothing needs to make lengths alike."""
    template: str = "dialogue-llm/v1"
    """FAMILY/VERSION, or a .j2 file of your own."""
    form: Literal["auto", "chat", "plain"] = "plain"
    """Whether the model gets messages or one text."""
    window: int | None = 1
    """Utterances shown before the target; none: all."""
    speakers: Literal["names", "masked", "none"] = "none"
    """Names as they are, letters in their place, or nothing."""

    code_modules: ClassVar[tuple[str, ...]] = (
        *ExemplifiedPredictor.code_modules,
        "baselines.llm.adapters",
        "baselines.llm.fine_tuning",
        "baselines.llm.judging",
        "harness.prompting.instructions",
        "harness.llm.tuning.examples",
        "harness.llm.tuning.packing",
        "harness.llm.tuning.rows",
        "harness.llm.tuning.settings",
        "harness.llm.tuning.tiny_base",
        "harness.llm.tuning.trainer",
        "harness.llm.tuning.tune",
    )

    def __post_init__(self) -> None:
        if self.base != TINY:
            check_spelling(self.base)
        for name in ("epochs", "rank"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{name} {value!r}: expected a whole number from 1 up, or none for the recipe's")
        if self.adapter is not None and self.method != "lora":
            raise ConfigError(f"adapter {self.adapter!r} with method={self.method!r}: leave out method, or the adapter")
        if self.adapter is not None and self.base == TINY:
            raise ConfigError(
                f"adapter {self.adapter!r} with base={TINY!r}: give the folder of the base it was trained over, as "
                "its model card names it; it lies beside the adapter"
            )
        if self.window_tokens is not None:
            raise ConfigError(f"window_tokens {self.window_tokens!r}: a tuned model takes lines; use -P window=")
        self._recipe = self._changed_recipe()
        self._session = Session()
        self._found_base = None if self.base == TINY else self.base
        """What the back end loads; the tiny base has no place before it is made."""
        self._weights: str | None = None
        """Folder of what was trained, or name of an adapter at the hub."""
        self._record: Mapping[str, Any] | None = None
        self._overlap: Overlap | None = None
        super().__post_init__()

    # What the harness asks of every predictor

    def use(self, session: Session) -> None:
        """Takes where corpora lie and trained weights are kept, and how calls are made."""
        super().use(session)
        self._session = session

    def fit(self, train: Split, dev: Split) -> None:
        """Takes exemplars, then trains, unless weights are given, or a run before this one has trained the same.

        Raises:
            ConfigError: the adapter was made for another base or other labels, or the recipe does not fit the base.
            ModelError: the base cannot be loaded, memory lacks, or the loss is not finite.
            MissingDependencyError: a package of the extra 'models' is not installed.
        """
        splits = self._splits(train)
        self.take_exemplars(splits[0])
        if self.adapter is not None:
            names, download = self._names(train.label_set), self._session.calls.download
            self._record = check_adapter(self.adapter, self.model_settings, names, train.dataset, download)
            self._weights = self.adapter
        else:
            tuning = self._tuning(splits, dev)
            if self.method != "none":
                folder = tuning.weights().folder
                self._weights, self._record = str(folder), read_record(folder)
            if self.base == TINY:
                self._found_base = str(tuning.base_place().folder)
        for name in ("_backend", "client"):
            self.__dict__.pop(name, None)

    def facts(self) -> dict[str, Any]:
        """Returns what is known of base and training; before learning, what they are to be."""
        facts: dict[str, Any] = {"method": self.method, "recipe": self._recipe.model_dump(mode="json")}
        if self._is_ready:
            facts = super().facts() | facts
        if self._record is not None:
            facts["training"] = summarise(self._record)
        if self._overlap is not None:
            facts["overlap_with_test"] = {f"{c.min_words}+ words": round(c.share, 4) for c in self._overlap.counts}
        return facts

    def remark(self) -> str:
        """Returns where the weights are kept and what was learned of the test split word for word, besides the rest."""
        remarks = [super().remark()]
        if self._overlap is not None:
            shares = ", ".join(f"{c.share:.1%} of those of {c.min_words} words or more" for c in self._overlap.counts)
            remarks.append(f"test utterances that stand word for word in the training data: {shares}")
        if self._weights is not None and self.adapter is None:
            remarks.append(f"weights: {self._weights}")
        return "; ".join(remark for remark in remarks if remark)

    def kept(self) -> dict[str, Any]:
        """Returns the folder of the weights, and the score by which they were chosen."""
        if self._record is None:
            return {"chosen by": None, "score": None, "update": None, "weights": self._weights}
        tuning = self._record["tuning"]
        return {
            "chosen by": self._record["selected_by"],
            "score": round(tuning["best_score"], 4),
            "update": f"{tuning['best_step']} of {tuning['n_steps']}",
            "weights": self._weights,
        }

    @classmethod
    def can_shard(cls, params: Mapping[str, Any]) -> bool:
        """Returns whether nothing is trained: each process would train anew where weights are not shared."""
        return not _trains(params)

    @classmethod
    def refine_card(cls, card: PredictorCard, params: Mapping[str, Any]) -> PredictorCard:
        """Returns the card: what is not trained does not depend on the seed."""
        return super().refine_card(replace(card, deterministic=not _trains(params)), params)

    # The model that is asked

    @property
    def _is_ready(self) -> bool:
        """Whether there is a model to ask."""
        return self._weights is not None or (self.method == "none" and self._found_base is not None)

    @cached_property
    def known_model(self) -> "NamedModel | None":
        """The named model, if the base is one."""
        return None if self.base == TINY else find_known(self.base)

    @property
    def model_settings(self) -> ModelSettings:
        """What the back end needs to know: the base with the adapter, or the weights that were trained whole."""
        if self.method == "full" and self._weights is not None:
            return replace(self.local_settings(self._weights, None), model=self._weights, revision=None)
        return self.local_settings(self._found_base or self.base, self._weights)

    def count_tokens(self, rendered: str) -> int | None:
        """Returns the number of tokens of what the model reads; None while the tiny base is not made."""
        return None if self._found_base is None else super().count_tokens(rendered)

    def estimate(self, dialogues: Sequence[DialogueView]) -> Estimate:
        """Returns what answering some views would take; before training no answer can be there already."""
        if self._is_ready:
            return super().estimate(dialogues)
        prompts = [question.request.prompt.text for question in self.questions(dialogues)]
        return Estimate(len(prompts), 0, sum(map(guess_tokens, prompts)), 0, True, 0.0, 0.0)

    # Parts

    def _changed_recipe(self) -> Recipe:
        changed = {"epochs": self.epochs, "rank": self.rank}
        return load_recipe(self.recipe).model_copy(update={k: v for k, v in changed.items() if v is not None})

    def _tuning(self, splits: Sequence[Split], dev: Split) -> FineTuning:
        named = self.identify({"recipe": self.recipe, "video": self.video})
        return FineTuning(
            predictor="dialogue-llm",
            base=self.local_settings(self.base, None),
            recipe_name=named["recipe"],
            recipe=self._recipe,
            method=self.method,
            template=self._template,
            form=self._form,
            window=self.shown,
            splits=splits,
            dev=dev,
            names=lambda split: self._names(split.label_set),
            videos=lambda split: self._videos_of(split) if split.dataset == dev.dataset else {},
            video_name=named["video"] and f"{named['video']}{', masked' if self.mask_emotion_words else ''}",
            seed=self.seed,
            session=self._session,
        )

    def _videos_of(self, split: Split) -> Mapping[str, str]:
        return self._videos.of(self._names(split.label_set), split.name)

    def _splits(self, train: Split) -> list[Split]:
        """Returns the training splits to learn from, without what is shared with held-back splits if so asked.

        Of held-back splits the texts are looked at, to tell what is shared, and no label.
        """
        if not self.train_on and not self.decontaminate:
            return [train]
        names = [train.dataset, *self.train_on]
        if len(set(names)) < len(names):
            raise ConfigError(
                f"train_on {list(self.train_on)!r} with dataset {train.dataset!r}: a corpus would be learned twice; "
                "name each once, and leave out the dataset itself"
            )
        own = load_dataset(train.dataset, self._session.data_dir)
        if own.split("train").fingerprint != train.fingerprint:
            raise ConfigError(
                f"train_on and decontaminate look for {train.dataset!r} by its name, and find other data: put its "
                "folder into the data directory under that name"
            )
        others = [load_dataset(name, self._session.data_dir) for name in self.train_on]
        splits = [train, *(other.split("train") for other in others)]
        if self.decontaminate:
            kept_back = [split for data in (own, *others) for name, split in data.splits.items() if name != "train"]
            splits = [drop_shared_dialogues(split, kept_back) for split in splits]
        self._overlap = find_overlap([own.split("test")], splits)
        return splits


def _trains(params: Mapping[str, Any]) -> bool:
    return params["method"] != "none" and params["adapter"] is None
