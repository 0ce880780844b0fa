"""CoG-BART: BART whose encoder tells emotions, while its decoder learns to go on with the dialogue.

    H_t = encoder(speaker : words of u_t)                   m_t = max over the tokens of H_t
    h_t = transformer layer over m_1 .. m_8, 8 heads        f_t = GELU(W_1 h_t + b_1), 400        y_t = W_2 f_t + b_2
    L = (1 - a - b) CE(y) + a SupCon(f, second dropout view of f; T) + b CE(decoder(H_t), words of u_t+1)

over chunks of eight consecutive utterances of a dialogue.

Source: Li, Yan & Qiu 2022, "Contrast and Generation Make BART a Good Dialogue Emotion Recognizer";
whatissimondoing/CoG-BART. Knowingly different: the batch is the first axis, so that the eight utterances see each
other and no other chunk; chunks keep to one dialogue and its order; states are those of the encoder, where the public
code reads the decoder's; the head has an output for each label, not 50; the contrast is between the 400-wide states,
and its second view has gradients; padding is no word to generate, nor is anything after the last utterance of a
dialogue; gradients are cut to norm 1; the epoch is chosen on dev.

The defaults are the published settings for MELD; those for other corpora are in `PUBLISHED`, to be given with -P. The
authors recommend a seed for each corpus, because results depend on it: run five or more instead.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from baselines.transformers.encoders import MINILM
from baselines.transformers.fine_tuned import FineTunedTransformer
from baselines.transformers.passage import Passage
from harness.errors import ConfigError
from harness.features.tuned import spoken_text
from harness.predictors import PredictorCard, register_predictor
from harness.predictors.checks import check_positive
from harness.schema import DialogueView

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

N_CHUNK = 8
"""Utterances that see each other."""

PUBLISHED: Mapping[str, Mapping[str, float]] = MappingProxyType({
    "meld": {"epochs": 4, "learning_rate": 2e-5, "warmup": 0.6, "alpha": 0.5},
    "emorynlp": {"epochs": 12, "learning_rate": 1e-5, "warmup": 0.6, "alpha": 0.2},
    "iemocap": {"epochs": 25, "learning_rate": 2e-5, "warmup": 0.4, "alpha": 0.4},
    "dailydialog": {"epochs": 4, "learning_rate": 2e-5, "warmup": 0.3, "alpha": 0.1},
})  # fmt: skip
"""What the authors set differently for each corpus, by parameter. Source: scripts of whatissimondoing/CoG-BART."""


@dataclass(frozen=True)
class Chunk(Passage):
    """Consecutive utterances of a dialogue, a sequence each."""

    start: int = 0
    """Position, in the view, of the first one."""
    following: tuple[tuple[int, ...], ...] = ()
    """Ids of the tokens of the utterance after each; () after the last one of the dialogue."""


@register_predictor(
    "cog-bart",
    card=PredictorCard(
        family="transformer",
        context="full",
        trained_on=("train",),
        source="Li et al. 2022; whatissimondoing/CoG-BART",
        summary="BART under emotion labels, a contrast between them, and generation of the next utterance.",
    ),
)
@dataclass(eq=False)
class CogBart(FineTunedTransformer):
    """An encoder-decoder that is fine-tuned on chunks of a dialogue."""

    encoder: str = "facebook/bart-large"
    """What is fine-tuned: a name at the hub, or a folder, with encoder and decoder."""
    epochs: int = 4
    batch_size: int = 2
    """Chunks."""
    learning_rate: float | None = 2e-5
    warmup: float = 0.6
    dropout: float = 0.3
    """In the layer over utterances, and before the labels."""
    n_tokens: int = 128
    """Of an utterance, special ones included."""
    alpha: float = 0.5
    """Weight of the contrast, a."""
    beta: float = 0.1
    """Weight of the generation, b."""
    temperature: float = 5.0
    """Of the contrast, T."""

    code_modules: ClassVar[tuple[str, ...]] = (
        *FineTunedTransformer.code_modules,
        *(f"baselines.transformers.{name}" for name in ("cog_bart_network", "utterance_layer", "language_models")),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(temperature=self.temperature)
        if not (self.alpha >= 0 and self.beta >= 0 and self.alpha + self.beta < 1):
            raise ConfigError(
                f"alpha {self.alpha!r}, beta {self.beta!r}: expected 0 or more of each, and a sum below 1"
            )
        if self.encoder == MINILM:
            raise ConfigError("encoder 'minilm' has no decoder; give BART or another encoder-decoder: -P encoder=...")

    def read(self, view: DialogueView, tokenizer: Any) -> Iterator[Passage]:
        """Yields the chunks of a view that hold a target."""
        texts = [spoken_text(u) for u in view.utterances]
        spoken = [tuple(ids) for ids in tokenizer(texts, truncation=True, max_length=self.n_tokens).input_ids]
        following = (*spoken[1:], ())
        for start in range(0, len(spoken), N_CHUNK):
            end = start + N_CHUNK
            answers = tuple(i for i in view.target_positions if start <= i < end)
            if answers:
                yield Chunk(tuple(spoken[start:end]), answers, start=start, following=following[start:end])

    def build(self, encoder: Any, tokenizer: Any, n_labels: int) -> "nn.Module":
        """Returns the network around an encoder-decoder."""
        from baselines.transformers.cog_bart_network import CogBartNetwork

        return CogBartNetwork(encoder, n_labels, self.dropout)

    def loss(self, network: "nn.Module", batch: "Sequence[Passage]", weights: "Tensor | None") -> "Tensor":
        """Returns (1 - a - b) of the cross-entropy, a of the contrast, b of the generation."""
        import torch
        from torch.nn.functional import cross_entropy

        from baselines.transformers.cog_bart_network import contrast_labels

        model: Any = network
        words = model.encode(batch)
        first, second = model.features(words, batch), model.features(words, batch)
        gold = torch.tensor([label for chunk in batch for label in chunk.labels], device=first.device)
        told = (1 - self.alpha - self.beta) * cross_entropy(model.head(first), gold, weight=weights)
        contrast = self.alpha * contrast_labels(first, second, gold, self.temperature)
        loss: Tensor = told + contrast + self.beta * model.generation_loss(words, batch)
        return loss

    def make_optimizer(self, network: "nn.Module", n_updates: int) -> "torch.optim.Optimizer":
        """Returns AdamW with the published epsilon."""
        optimizer = super().make_optimizer(network, n_updates)
        for group in optimizer.param_groups:
            group["eps"] = 1e-6
        return optimizer

    def load_base(self) -> tuple[Any, Any]:
        """Returns (tokenizer, encoder-decoder) as published, on the CPU in float32; raises as the base does."""
        from baselines.transformers.language_models import load_language_model

        return load_language_model(self.locate_base(), "Seq2SeqLM", self._session.calls.download)
