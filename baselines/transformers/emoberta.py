"""EmoBERTa: one sequence holds the utterance and what was said around it, with the names of those who speak.

    <s> past </s></s> NAME: utterance </s></s> future </s>   ->   state of <s>   ->   label

Past and future are whole utterances, each with its speaker in capital letters, added one by one from the nearest on,
before and after in turn, as long as the sequence has at most `n_tokens`.

Source: Kim & Vossen 2021, "EmoBERTa: Speaker-Aware Emotion Recognition in Conversation with RoBERTa", section 2;
tae898/erc. Knowingly different: each utterance is turned into tokens by itself; with `context` both, the separators
stand there where a dialogue begins or ends, too; the learning rate is given, not searched; larger batches. An encoder
that knows no capital letters, such as minilm, reads the names as the words they are.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from baselines.transformers.fine_tuned import FineTunedTransformer
from baselines.transformers.passage import Passage
from harness.data.text import canonical_text
from harness.errors import ConfigError
from harness.predictors import PredictorCard, register_predictor
from harness.schema import DialogueView, UtteranceView
from harness.schema.dialogue import Context

if TYPE_CHECKING:
    from torch import nn

Around = Literal["none", "past", "future", "both"]

SEEN: Mapping[Around, Context] = {"none": "none", "past": "past", "future": "full", "both": "full"}
"""Context of the card by the setting."""


@register_predictor(
    "emoberta",
    card=PredictorCard(
        family="transformer",
        context="full",
        trained_on=("train",),
        source="Kim & Vossen 2021, arXiv 2108.12009; tae898/erc",
        summary="An encoder fine-tuned on the utterance amid past and future, with names; -P encoder=minilm is small.",
    ),
)
@dataclass(eq=False)
class EmoBerta(FineTunedTransformer):
    """Reads the dialogue around the utterance, word for word."""

    encoder: str = "roberta-large"
    """What is fine-tuned: minilm, a name at the hub, or a folder."""
    context: Around = "both"
    """What is read beside the utterance."""

    code_modules: ClassVar[tuple[str, ...]] = (*FineTunedTransformer.code_modules, "baselines.transformers.heads")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.context not in SEEN:
            raise ConfigError(f"context {self.context!r}: expected one of {', '.join(SEEN)}")
        if self.n_tokens < 8:
            raise ConfigError(f"n_tokens {self.n_tokens!r}: expected 8 or more, six of which are special ones")

    def read(self, view: DialogueView, tokenizer: Any) -> Iterator[Passage]:
        """Yields a passage of one sequence for each target."""
        first, separators, n_utterances = tokenizer.cls_token_id, [tokenizer.sep_token_id] * 2, len(view.utterances)
        past, future = self.context in ("past", "both"), self.context in ("future", "both")

        @cache
        def tokens(i: int) -> list[int]:
            text = named_text(view.utterances[i])
            ids: list[int] = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
            return ids

        for target in view.target_positions:
            room = self.n_tokens - 2 - 2 * (past + future)
            own = tokens(target)[:room]
            begin, end = span_around(
                target, n_utterances, lambda i: len(tokens(i)), room - len(own), past=past, future=future
            )
            before = [*(token for i in range(begin, target) for token in tokens(i)), *(separators if past else ())]
            after = [*(separators if future else ()), *(token for i in range(target + 1, end) for token in tokens(i))]
            yield Passage(((first, *before, *own, *after, separators[0]),), (target,))

    def build(self, encoder: Any, tokenizer: Any, n_labels: int) -> "nn.Module":
        """Returns the network."""
        from baselines.transformers.heads import FirstTokenClassifier

        return FirstTokenClassifier(encoder, tokenizer.pad_token_id, n_labels, self.dropout)

    @classmethod
    def refine_card(cls, card: PredictorCard, params: Mapping[str, Any]) -> PredictorCard:
        """Returns the card with the context that is read."""
        return replace(card, context=SEEN[params["context"]])


def named_text(utterance: UtteranceView) -> str:
    """Returns what is read of an utterance: names in capital letters, a colon, the words; a space in front.

    The space tells encoders such as RoBERTa's that a word begins.
    """
    return f" {canonical_text(utterance.speaker.upper())}: {canonical_text(utterance.text)}"


def span_around(
    target: int, n_utterances: int, n_tokens: Callable[[int], int], room: int, *, past: bool, future: bool
) -> tuple[int, int]:
    """Returns (begin, end) of the utterances around a target that fit, taken from before and after it in turn.

    A side ends at the first utterance that does not fit.

    Args:
        target: position of the target; it is always within.
        n_utterances: of the dialogue.
        n_tokens: of the utterance at a position.
        room: tokens that the others may have together.
        past: whether utterances before the target are taken.
        future: whether those after it are.
    """
    begin, end = target, target + 1
    sides = deque(side for side, wanted in (("before", past), ("after", future)) if wanted)
    while sides:
        side = sides.popleft()
        i = begin - 1 if side == "before" else end
        if 0 <= i < n_utterances and n_tokens(i) <= room:
            room -= n_tokens(i)
            begin, end = min(begin, i), max(end, i + 1)
            sides.append(side)
    return begin, end
