"""What systems share that show a language model solved examples: which ones, and when they are taken."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from harness.data import Split
from harness.predictors import PredictorCard
from harness.predictors.prompted import PromptedPredictor
from harness.prompting.exemplars import Exemplar, ExemplarPlan, Selection
from harness.schema import DialogueView


@dataclass(eq=False)
class ExemplifiedPredictor(PromptedPredictor):
    """A language model that is asked with exemplars, from the training split only, before the question."""

    shots: int = 1
    """Exemplars, of each class or in all."""
    per_class: bool = True
    """Whether `shots` counts exemplars of each class."""
    selection: Selection = "fixed"
    """The first of the split, drawn by seed, or nearest to the target by BM25 or embedding."""
    exemplar_ids: tuple[str, ...] = ()
    """Ids of training utterances to show, with selection=fixed."""
    exemplar_history: int = 0
    """Utterances shown before each exemplar."""
    encoder: str | None = None
    """Folder of the sentence encoder, with selection=embedding; none: MiniLM from its package."""

    code_modules: ClassVar[tuple[str, ...]] = (
        *PromptedPredictor.code_modules,
        "harness.prompting.selection",
        "harness.prompting.retrieval",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        n = len(self.exemplar_ids) or self.shots
        per_class = self.per_class and not self.exemplar_ids
        self._plan = ExemplarPlan(n, per_class, self.selection, self.exemplar_ids, self.exemplar_history)

    def take_exemplars(self, train: Split) -> None:
        """Takes the training split to choose exemplars from."""
        from harness.prompting.selection import build_selector

        encode = None
        if self.selection == "embedding":
            from harness.features.text import TextEncoder

            encode = TextEncoder(Path(self.encoder) if self.encoder else None).encode
        names = self._names(train.label_set)
        self._selector = build_selector(train, names, self.shown, self._plan, self.seed, encode)

    def choose_exemplars(self, targets: Sequence[tuple[DialogueView, int]]) -> Sequence[tuple[Exemplar, ...]]:
        """Returns what the plan says."""
        return self._selector.select_many(targets)

    @classmethod
    def can_shard(cls, params: Mapping[str, Any]) -> bool:
        """Returns True: what is taken from the training split is the same in every process."""
        return True

    @classmethod
    def refine_card(cls, card: PredictorCard, params: Mapping[str, Any]) -> PredictorCard:
        """Returns the card: drawn exemplars depend on the seed."""
        refined = super().refine_card(card, params)
        return replace(refined, deterministic=refined.deterministic and params["selection"] != "random")
