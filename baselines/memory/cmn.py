"""CMN, the conversational memory network: an utterance reads a memory of its speaker and one of everybody else.

    q = tanh(W u_t + b)
    own_k, other_k = GRU over the last utterances of the speaker of u_t, and of the others, in `slots` aligned slots
    M_own = GRU(tanh(dropout(own))), M_other = GRU(tanh(dropout(other)))
    each hop: q = tanh(q + sum_k a_k M_own,k + sum_k b_k M_other,k), a = softmax_k(tanh(q . M_own,k)), b likewise
    y = softmax(W_o q + b_o)

Source: Hazarika et al. 2018, "Conversational Memory Network for Emotion Recognition in Dyadic Dialogue Videos",
section 4; declare-lab/conv-emotion (CMN). Knowingly different: dialogues may have more than two parties, and "other" is
then everyone but the speaker of the target; a state is kept over slots in which the party is silent, and those slots
are not read, where the public code runs its memory layers over them and lets them share in the softmax; dropout on own
and other is drawn once for all targets of a speaker whose history begins alike, not for each; gradients are cut to a
norm of 40 all together, not one by one; weights are drawn as usual in PyTorch. The public code averages the loss over
512 utterances, zero rows among them, and takes the epoch from test dialogues; here a batch is of dialogues and the
epoch is chosen on dev. Learning rate and l2 are the public ones; dropout is .5, where it drops .7, and training stops
early. These settings are not the outcome of a search.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from baselines.neural.predictor import Dimensions, NeuralPredictor
from harness.predictors import PredictorCard, register_predictor
from harness.predictors.checks import check_positive

if TYPE_CHECKING:
    from torch import nn


@register_predictor(
    "cmn",
    card=PredictorCard(
        family="memory",
        context="past",
        trained_on=("train",),
        source="Hazarika et al. 2018 (NAACL); declare-lab/conv-emotion",
        summary="An utterance reads a memory of its speaker and one of all others, in several hops.",
    ),
)
@dataclass(eq=False)
class Cmn(NeuralPredictor):
    """Reads text, and audio and visual features where they are given, one behind the other."""

    audio: str | None = None
    """Audio features: a name as in `erc-harness list encoders`."""
    visual: str | None = None
    """Visual features."""
    epochs: int = 30
    patience: int = 8
    learning_rate: float = 1e-3
    l2: float = 1e-4
    """In the public code .001 / 11: it means half the squares of 11 weight matrices, and takes .001 of that."""
    dropout: float = 0.5
    """Of the states of both histories, and of the weights by which memories are read."""
    hidden: int = 100
    hops: int = 3
    slots: int = 40
    """Utterances before the target, of all speakers together, that it may ask."""

    causal: ClassVar[bool] = True
    max_norm: ClassVar[float | None] = 40.0
    code_modules: ClassVar[tuple[str, ...]] = (
        *NeuralPredictor.code_modules,
        *(f"baselines.memory.{name}" for name in ("histories", "network", "cmn_network")),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(hidden=self.hidden, hops=self.hops, slots=self.slots)

    def build(self, dimensions: Dimensions) -> "nn.Module":
        """Returns the network."""
        from baselines.memory.cmn_network import CmnNetwork

        width = sum(dimensions.widths.values())
        return CmnNetwork(width, self.hidden, self.slots, self.hops, dimensions.n_labels, self.dropout)
