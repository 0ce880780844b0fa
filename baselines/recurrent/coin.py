"""COIN, reconstructed: what each party said and heard change each other; training perturbs the inputs.

    u_t = tanh(W [text_t ; audio_t ; visual_t] + b)
    a_s' = GRU_said([u_t ; b_s], a_s)              what s, who speaks u_t, has said
    b_l' = GRU_heard([u_t ; a_l], b_l)             what each other party l has heard
    h_t = tanh(a_s' + b_s)
    h_t <- h_t + GRU_k(h_1 .. h_t), k = 1 .. layers
    z_t = sum_{j<=t} softmax_j(Wq h_t . Wk h_j / sqrt(d)) Wv h_j
    y_t = softmax(W2 ReLU(W1 [h_t ; z_t] + b1) + b2)

The loss is that of the features as they are, and `adversarial` times that of x + epsilon * g / |g|, where g is the
gradient of the former by the features x of one utterance of one kind.

Source: Zhang & Chai 2021, "COIN: Conversational Interactive Networks for Emotion Recognition in Conversation". There is
no public code, and the paper's details were not at hand: only the idea is theirs, that is two speaker GRUs whose states
interact within the history, stacked layers over the dialogue, self-attention before the labels, and adversarial
examples of the inputs of all modalities. Chosen here: how features are fused; that a party's two states are input to
each other; that they are added, as in ICON (Hazarika et al. 2018); what many parties hear; that nobody looks ahead;
links around the layers over the dialogue; one head of attention; the kind, length and weight of the perturbation
(Miyato et al. 2017); all sizes and settings. With text, audio and visual features of 100, 1582 and 342 numbers there
are 0.56 million weights; 0.6 are reported. Scores of this system say nothing of the published one.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from baselines.neural.predictor import Dimensions, NeuralPredictor
from harness.predictors import PredictorCard, register_predictor
from harness.predictors.checks import check_positive

if TYPE_CHECKING:
    from torch import Tensor, nn

    from baselines.neural.batch import DialogueBatch


@register_predictor(
    "coin",
    card=PredictorCard(
        family="recurrent",
        context="past",
        trained_on=("train",),
        source="Zhang & Chai 2021, reconstructed: no public code",
        summary="A reconstruction: states of what each party said and heard interact; training perturbs the inputs.",
    ),
)
@dataclass(eq=False)
class Coin(NeuralPredictor):
    """Reads text, and audio and visual features where they are given."""

    audio: str | None = None
    """Audio features."""
    visual: str | None = None
    """Visual features."""
    learning_rate: float = 5e-4
    l2: float = 1e-4
    dropout: float = 0.4
    patience: int = 10
    hidden: int = 100
    """Width of every layer."""
    layers: int = 2
    """Recurrent layers over the dialogue."""
    epsilon: float = 1.0
    """Length of the perturbation of one utterance, in standard deviations of a feature."""
    adversarial: float = 0.5
    """Weight of the loss on perturbed features."""

    causal: ClassVar[bool] = True
    code_modules: ClassVar[tuple[str, ...]] = (
        *NeuralPredictor.code_modules, "baselines.recurrent.party_cells", "baselines.recurrent.coin_network",
    )  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(hidden=self.hidden, layers=self.layers, epsilon=self.epsilon, adversarial=self.adversarial)

    def build(self, dimensions: Dimensions) -> "nn.Module":
        """Returns the network."""
        from baselines.recurrent.coin_network import CoinNetwork

        return CoinNetwork(dimensions.widths, self.hidden, self.layers, dimensions.n_labels, self.dropout)

    def backward(self, network: "nn.Module", batch: "DialogueBatch", weights: "Tensor | None") -> float:
        """Adds the gradients of the loss on the features, and on the perturbed ones; returns the sum of both losses."""
        from baselines.recurrent.coin_network import perturb, with_gradients

        batch = with_gradients(batch)
        clean = super().backward(network, batch, weights)
        perturbed = self.adversarial * self.loss(network, perturb(batch, self.epsilon), weights)
        perturbed.backward()  # type: ignore[no-untyped-call]
        return clean + float(perturbed.detach())
