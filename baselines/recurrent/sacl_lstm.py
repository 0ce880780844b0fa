"""SACL-LSTM: two-level BiLSTMs trained with labels as contrast, and against changes of their own weights.

    S, P    situation and speaker level, see `baselines.recurrent.levels`; P = 0 for a speaker with one turn
    z = [S ; P]    y = softmax(W dropout(ReLU(z)) + b)
    L(w) = focal loss of y + w * NT-Xent of log y, or of z, by labels

Each batch adds the gradients of two passes. The first is of L(contrast). For the second, weights and biases from input
to state of the last BiLSTM layer, g their gradients so far, become theta + epsilon g / |g|, tensor by tensor, and the
loss is L(contrast_attacked); then they are themselves again, and keep the gradient of the first pass only. Whether the
situation level is attacked, the speaker level, or both, is drawn for each batch.

Source: Hu et al. 2023, "Supervised Adversarial Contrastive Learning for Emotion Recognition in Conversations", section
3; weights of losses and attacks as in the script of zerohd4869/SACL for MELD. Its other presets: EmoryNLP `attack=0.5
attack_rate=0.1 situation_rate=0.9 contrast=0.05 contrast_attacked=0.1 class_weights=train`; IEMOCAP `layers=2 focus=0
situation_rate=0 contrast=0.05 contrast_attacked=0.5 contrast_on=states class_weights=train`. Knowingly different from
it: losses are means over the labelled utterances of a batch, not sums; no gradient is kept for the next batch; no LSTM
runs through padding; class weights come from train alone; the epoch is chosen on dev by weighted F1; more
dropout in the place of l2, and a higher learning rate with early stopping.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, cast

from baselines.neural.predictor import Dimensions, NeuralPredictor
from harness.errors import ConfigError
from harness.predictors import PredictorCard, register_predictor
from harness.predictors.checks import check_not_negative, check_positive

if TYPE_CHECKING:
    from torch import Tensor, nn

    from baselines.neural.batch import DialogueBatch
    from baselines.recurrent.levels import Level
    from baselines.recurrent.sacl_lstm_network import SaclLstmNetwork


@register_predictor(
    "sacl-lstm",
    card=PredictorCard(
        family="recurrent",
        context="full",
        trained_on=("train",),
        source="Hu et al. 2023; zerohd4869/SACL",
        summary="BiLSTMs over the dialogue and over each speaker's turns, trained with contrast and attacked weights.",
    ),
)
@dataclass(eq=False)
class SaclLstm(NeuralPredictor):
    """Reads the whole dialogue."""

    patience: int = 8
    learning_rate: float = 5e-4
    dropout: float = 0.5
    hidden: int = 128
    """States per direction of each BiLSTM."""
    layers: int = 1
    """Of each BiLSTM."""
    focus: float = 1.0
    """Gamma of the focal loss; 0: cross-entropy."""
    contrast: float = 0.1
    """Weight of NT-Xent in the first pass."""
    contrast_attacked: float = 0.05
    """Weight of NT-Xent in the second pass."""
    contrast_on: Literal["log-probabilities", "states"] = "log-probabilities"
    """What NT-Xent compares."""
    temperature: float = 0.1
    """Of NT-Xent."""
    attack: float = 5.0
    """Epsilon: Euclidean length of the change of each tensor."""
    attack_rate: float = 1.0
    """Share of the batches that have a second pass; 0: none."""
    situation_rate: float = 0.1
    """Share of the attacks that are on the situation level alone."""
    speaker_rate: float = 0.0
    """Share of the attacks that are on the speaker level alone; the rest are on both."""

    code_modules: ClassVar[tuple[str, ...]] = (
        *NeuralPredictor.code_modules,
        *(f"baselines.recurrent.{name}" for name in ("sacl_lstm_network", "levels", "objectives", "weight_attack")),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(hidden=self.hidden, layers=self.layers)
        if not self.temperature >= 1e-3:
            raise ConfigError(f"parameter 'temperature': got {self.temperature!r}, expected 0.001 or more")
        check_not_negative(
            focus=self.focus, contrast=self.contrast, contrast_attacked=self.contrast_attacked, attack=self.attack
        )
        rates = (self.attack_rate, self.situation_rate, self.speaker_rate)
        if not all(0 <= rate <= 1 for rate in (*rates, self.situation_rate + self.speaker_rate)):
            raise ConfigError(
                f"attack_rate, situation_rate, speaker_rate: got {rates}, expected shares from 0 to 1, the last two of "
                "them at most 1 together"
            )

    def build(self, dimensions: Dimensions) -> "nn.Module":
        """Returns the network."""
        from baselines.recurrent.sacl_lstm_network import SaclLstmNetwork

        return SaclLstmNetwork(dimensions.text, self.hidden, self.layers, dimensions.n_labels, self.dropout)

    def loss(self, network: "nn.Module", batch: "DialogueBatch", weights: "Tensor | None") -> "Tensor":
        """Returns the loss of the first pass."""
        return self._loss(network, batch, weights, self.contrast)

    def backward(self, network: "nn.Module", batch: "DialogueBatch", weights: "Tensor | None") -> float:
        """Adds the gradients of both passes, and returns the loss of the first."""
        import torch

        from baselines.recurrent.weight_attack import attacked

        loss = super().backward(network, batch, weights)
        if levels := self.attacked_levels(float(torch.rand(()))):
            targets = cast("SaclLstmNetwork", network).levels.input_weights(levels)
            with attacked(targets, self.attack):
                self._loss(network, batch, weights, self.contrast_attacked).backward()  # type: ignore[no-untyped-call]
        return loss

    def attacked_levels(self, drawn: float) -> "tuple[Level, ...]":
        """Returns which levels are attacked, by a number drawn from [0, 1)."""
        if drawn >= self.attack_rate:
            return ()
        if drawn < self.attack_rate * self.situation_rate:
            return ("situation",)
        if drawn < self.attack_rate * (self.situation_rate + self.speaker_rate):
            return ("speaker",)
        return ("situation", "speaker")

    def _loss(
        self, network: "nn.Module", batch: "DialogueBatch", weights: "Tensor | None", contrast: float
    ) -> "Tensor":
        from baselines.recurrent.objectives import contrast_loss, focal_loss

        known = batch.labels >= 0
        labels = batch.labels[known]
        own = cast("SaclLstmNetwork", network)
        states = own.states(batch)[known]
        logits = own.head(states)
        compared = states if self.contrast_on == "states" else logits.log_softmax(dim=-1)
        return focal_loss(logits, labels, self.focus, weights) + contrast * contrast_loss(
            compared, labels, self.temperature
        )
