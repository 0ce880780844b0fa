"""The two contextual LSTMs: bc-lstm reads a dialogue in both directions, c-lstm from its beginning only.

    e_t = LSTM(u_1 .. u_N), 2 layers        h_t = ReLU(W1 e_t + b1)        y_t = softmax(W2 h_t + b2)

with dropout between the layers and on h_t; bc-lstm concatenates the states of both directions.

Source: Poria et al. 2017, "Context-Dependent Sentiment Analysis in User-Generated Videos", section 3.2; sizes and
settings as in the re-implementation of declare-lab/conv-emotion (bc-LSTM-pytorch). Knowingly different from it: the
backward direction begins at the true end of a dialogue, not in its padding; the epoch is chosen on dev, not on test;
a higher learning rate, l2 and dropout, chosen on MELD's dev split, with early stopping.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from baselines.neural.predictor import Dimensions, NeuralPredictor
from harness.predictors import PredictorCard, register_predictor
from harness.predictors.checks import check_positive

if TYPE_CHECKING:
    from torch import nn


@register_predictor(
    "bc-lstm",
    card=PredictorCard(
        family="recurrent",
        context="full",
        trained_on=("train",),
        source="Poria et al. 2017; declare-lab/conv-emotion",
        summary="A two-layer bidirectional LSTM over the utterances of a dialogue.",
    ),
)
@dataclass(eq=False)
class BcLstm(NeuralPredictor):
    """Reads the whole dialogue."""

    learning_rate: float = 3e-4
    l2: float = 1e-4
    dropout: float = 0.5
    hidden: int = 100
    """States per direction, and width of the layer before the labels."""
    layers: int = 2
    head: Literal["relu", "linear"] = "relu"
    """Whether a layer with ReLU stands before the labels. The parameter count in the table of DialogueLLM fits two
    layers of 100 with it, and one layer of 128 without."""

    code_modules: ClassVar[tuple[str, ...]] = (*NeuralPredictor.code_modules, "baselines.recurrent.networks")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(hidden=self.hidden, layers=self.layers)

    def build(self, dimensions: Dimensions) -> "nn.Module":
        """Returns the network."""
        from baselines.recurrent.networks import ContextualLstm

        return ContextualLstm(
            dimensions.text, self.hidden, self.layers, dimensions.n_labels, self.dropout,
            bidirectional=not self.causal, relu=self.head == "relu",
        )  # fmt: skip


@register_predictor(
    "c-lstm",
    card=PredictorCard(
        family="recurrent",
        context="past",
        trained_on=("train",),
        source="Poria et al. 2017; declare-lab/conv-emotion",
        summary="A two-layer LSTM over the utterances of a dialogue so far.",
    ),
)
@dataclass(eq=False)
class CLstm(BcLstm):
    """Reads what was said before the utterance, and the utterance."""

    causal: ClassVar[bool] = True
