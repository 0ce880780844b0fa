"""DialogueCRN: perceives a dialogue at two levels, then reasons over each by asking it again and again.

    S, P    situation and speaker level, see `baselines.recurrent.levels`
    for each level, its states the bank M, and for each utterance i:
        q* = W M_i + b                                        the same W for both levels
        repeat: q, state = LSTM(q*, state)    a = softmax_j(q . M_j)    r = sum_j a_j M_j    q* = [q ; r]
    z = [q*_speaker ; q*_situation]    y = softmax(W_o dropout(ReLU(z)) + b_o)

With no step, q* = W M_i + b. The loss is focal: -(1 - p)^gamma log p, with p as a constant in the factor.

Source: Hu et al. 2021, "DialogueCRN: Contextual Reasoning Networks for Emotion Recognition in Conversations", sections
3.2 and 3.3; steps and gamma as in the script of zerohd4869/DialogueCRN for RoBERTa features of MELD. Its other presets:
IEMOCAP `layers=2 situation_steps=3 speaker_steps=0 focus=0`; with GloVe features and `hidden=100`, MELD
`situation_steps=2 speaker_steps=0`, IEMOCAP `layers=2 situation_steps=3 speaker_steps=4 focus=0`. Knowingly different
from it: no LSTM runs through padding, and no weight of the softmax falls on it; the epoch is chosen on dev by weighted
F1; more dropout in the place of l2, and a higher learning rate with early stopping.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from baselines.neural.predictor import Dimensions, NeuralPredictor
from harness.predictors import PredictorCard, register_predictor
from harness.predictors.checks import check_not_negative, check_positive

if TYPE_CHECKING:
    from torch import Tensor, nn

    from baselines.neural.batch import DialogueBatch


@register_predictor(
    "dialogue-crn",
    card=PredictorCard(
        family="recurrent",
        context="full",
        trained_on=("train",),
        source="Hu et al. 2021; zerohd4869/DialogueCRN",
        summary="BiLSTMs over the dialogue and over each speaker's turns, read several times by an asking LSTM.",
    ),
)
@dataclass(eq=False)
class DialogueCrn(NeuralPredictor):
    """Reads the whole dialogue."""

    patience: int = 8
    learning_rate: float = 5e-4
    dropout: float = 0.5
    hidden: int = 128
    """States per direction of each BiLSTM."""
    layers: int = 1
    """Of each BiLSTM."""
    situation_steps: int = 0
    """Readings of the situation level."""
    speaker_steps: int = 1
    """Readings of the speaker level."""
    focus: float = 1.0
    """Gamma of the focal loss; 0: cross-entropy."""

    code_modules: ClassVar[tuple[str, ...]] = (
        *NeuralPredictor.code_modules,
        *(f"baselines.recurrent.{name}" for name in ("dialogue_crn_network", "levels", "objectives")),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(hidden=self.hidden, layers=self.layers)
        check_not_negative(
            situation_steps=self.situation_steps, speaker_steps=self.speaker_steps, focus=self.focus
        )  # fmt: skip

    def build(self, dimensions: Dimensions) -> "nn.Module":
        """Returns the network."""
        from baselines.recurrent.dialogue_crn_network import DialogueCrnNetwork

        return DialogueCrnNetwork(
            dimensions.text, self.hidden, self.layers, self.situation_steps, self.speaker_steps, dimensions.n_labels,
            self.dropout,
        )  # fmt: skip

    def loss(self, network: "nn.Module", batch: "DialogueBatch", weights: "Tensor | None") -> "Tensor":
        """Returns the focal loss, averaged over labelled utterances by their weights."""
        from baselines.recurrent.objectives import focal_loss

        known = batch.labels >= 0
        return focal_loss(network(batch)[known], batch.labels[known], self.focus, weights)
