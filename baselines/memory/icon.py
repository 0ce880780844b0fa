"""ICON, the interactive conversational memory network: what was said by both sides becomes one memory.

    q, own_k, other_k as in CMN (`baselines.memory.cmn`);  g = tanh(dropout(own) + dropout(other))
    hop 1: M = GRU_global(g); later hops: M = GRU_memory(M);  q = tanh(q + sum_k a_k M_k), a = softmax_k(tanh(q . M_k))
    y = softmax(W_o q + b_o)

Source: Hazarika et al. 2018, "ICON: Interactive Conversational Memory Network for Multimodal Emotion Detection",
section 4; declare-lab/conv-emotion (ICON). Knowingly different: the published system is dyadic; here "own" is the
history of the speaker of the target, and "other" that of everyone else. The rest as in CMN: no layer runs over the
empty slots that precede a dialogue, dropout is shared by targets, gradients are cut all together, a batch is of
dialogues, and the epoch is chosen on dev. Settings as in CMN.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from baselines.memory.cmn import Cmn
from baselines.neural.predictor import Dimensions, NeuralPredictor
from harness.predictors import PredictorCard, register_predictor

if TYPE_CHECKING:
    from torch import nn


@register_predictor(
    "icon",
    card=PredictorCard(
        family="memory",
        context="past",
        trained_on=("train",),
        source="Hazarika et al. 2018 (EMNLP); declare-lab/conv-emotion",
        summary="An utterance reads one memory of what its speaker and all others said, in several hops.",
    ),
)
@dataclass(eq=False)
class Icon(Cmn):
    """Reads text, and audio and visual features where they are given, one behind the other."""

    code_modules: ClassVar[tuple[str, ...]] = (
        *NeuralPredictor.code_modules,
        *(f"baselines.memory.{name}" for name in ("cmn", "histories", "network", "icon_network")),
    )

    def build(self, dimensions: Dimensions) -> "nn.Module":
        """Returns the network."""
        from baselines.memory.icon_network import IconNetwork

        width = sum(dimensions.widths.values())
        return IconNetwork(width, self.hidden, self.slots, self.hops, dimensions.n_labels, self.dropout)
