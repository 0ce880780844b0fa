"""DialogXL: XLNet reads a dialogue utterance by utterance, with a memory and four kinds of heads.

    H_t = XLNet(<cls> words of u_t; memory)        y_t = softmax(MLP(state of <cls> in H_t))

The memory holds what every layer got at the last `memory` tokens of the utterances before; local heads see those of the
last `window` utterances in it, global heads all, self heads those of who speaks now, listener heads those of others.
Every head sees the utterance itself.

Source: Shen et al. 2021, "DialogXL: All-in-One XLNet for Multi-Party Conversation Emotion Recognition", section 4;
shenwzh3/DialogXL, whose settings by corpus are `preset`. Knowingly different: dialogues of similar length are read
together; the learning rate rises and falls linearly; people who speak together are a party of their own.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from baselines.neural.numbering import number_speakers
from baselines.transformers.fine_tuned import FineTunedTransformer
from baselines.transformers.passage import Passage
from harness.data.text import canonical_text
from harness.errors import ConfigError
from harness.predictors import PredictorCard, register_predictor
from harness.predictors.checks import check_positive
from harness.schema import DialogueView

if TYPE_CHECKING:
    from torch import nn

Corpus = Literal["iemocap", "meld", "emorynlp", "dailydialog"]

PRESETS: dict[Corpus, dict[str, Any]] = {
    "iemocap": {
        "heads": (2, 2, 4, 4), "window": 10, "memory": 900, "n_tokens": 200,
        "learning_rate": 1e-5, "batch_size": 8, "epochs": 50, "dropout": 0.0,
    },
    "meld": {
        "heads": (5, 5, 1, 1), "window": 5, "memory": 400, "n_tokens": 300,
        "learning_rate": 1e-6, "batch_size": 4, "epochs": 15, "dropout": 0.0,
    },
    "emorynlp": {
        "heads": (1, 2, 4, 5), "window": 5, "memory": 400, "n_tokens": 150,
        "learning_rate": 7e-6, "batch_size": 8, "epochs": 10, "dropout": 0.0,
    },
    "dailydialog": {
        "heads": (1, 2, 5, 4), "window": 10, "memory": 450, "n_tokens": 300,
        "learning_rate": 1e-6, "batch_size": 8, "epochs": 20, "dropout": 0.3,
    },
}  # fmt: skip
"""Settings by corpus. Source: shenwzh3/DialogXL."""


@register_predictor(
    "dialog-xl",
    card=PredictorCard(
        family="transformer",
        context="past",
        trained_on=("train",),
        source="Shen et al. 2021; shenwzh3/DialogXL",
        summary="XLNet, fine-tuned, with a memory of the dialogue and heads for window, past, speaker and others.",
    ),
)
@dataclass(eq=False)
class DialogXl(FineTunedTransformer):
    """Reads what was said before the utterance through a memory, and the utterance.

    Settings that are none are those of the preset.
    """

    encoder: str = "xlnet-base-cased"
    """An XLNet: a name at the hub, or a folder."""
    preset: Corpus = "meld"
    """Whose settings stand where none is given."""
    # From the constructor on, these have the types of the base.
    epochs: int | None = None  # type: ignore[assignment]
    batch_size: int | None = None  # type: ignore[assignment]
    """Dialogues."""
    dropout: float | None = None  # type: ignore[assignment]
    """After the first layer of the head."""
    n_tokens: int | None = None  # type: ignore[assignment]
    """Of an utterance, the first one included."""
    learning_rate: float | None = None
    """At its peak."""
    heads: tuple[int, int, int, int] | None = None
    """Local, global, self and listener heads."""
    window: int | None = None
    """Utterances that local heads see."""
    memory: int | None = None
    """Tokens."""
    hidden: int = 300
    """Width of the three layers before the labels."""

    causal: ClassVar[bool] = True
    code_modules: ClassVar[tuple[str, ...]] = (
        *FineTunedTransformer.code_modules,
        "baselines.transformers.dialog_xl_network",
    )

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise ConfigError(f"preset {self.preset!r}: expected one of {', '.join(PRESETS)}")
        for name, value in PRESETS[self.preset].items():
            if getattr(self, name) is None:
                setattr(self, name, value)
        super().__post_init__()
        assert self.heads is not None and self.window is not None and self.memory is not None
        check_positive(window=self.window, memory=self.memory, hidden=self.hidden)
        if len(self.heads) != 4 or min(self.heads) < 0:
            raise ConfigError(f"heads {list(self.heads)!r}: expected four numbers, 0 or more heads of each kind")

    def read(self, view: DialogueView, tokenizer: Any) -> Iterator[Passage]:
        """Yields the whole view, a sequence for each utterance."""
        assert self.n_tokens is not None
        texts = [canonical_text(u.text) for u in view.utterances]
        words = tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
        tokens = tuple((tokenizer.cls_token_id, *own[: self.n_tokens - 1]) for own in words)
        speakers = tuple(number_speakers([u.speaker for u in view.utterances]).tolist())
        yield Passage(tokens, tuple(range(len(tokens))), speakers)

    def build(self, encoder: Any, tokenizer: Any, n_labels: int) -> "nn.Module":
        """Returns the network around an XLNet.

        Raises:
            ConfigError: the encoder is another one, or has another number of heads.
        """
        from baselines.transformers.dialog_xl_network import DialogXlNetwork

        assert self.heads is not None and self.window is not None and self.memory is not None
        assert self.dropout is not None
        config = encoder.config
        if config.model_type != "xlnet":
            raise ConfigError(f"encoder {self.encoder!r} is {config.model_type!r}; expected an 'xlnet'")
        if config.n_head != sum(self.heads):
            raise ConfigError(f"heads {list(self.heads)!r}: expected {config.n_head} together, as encoder has")
        return DialogXlNetwork(
            encoder, tokenizer.pad_token_id, self.heads, self.window, self.memory, self.hidden, n_labels, self.dropout
        )
