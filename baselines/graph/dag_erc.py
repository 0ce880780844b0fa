"""DAG-ERC: a dialogue as a directed acyclic graph, read in order by every layer.

    H0_i = ReLU(W u_i)
    N(i) = the utterances before i, back to the omega-th one of the same speaker, that one included
    for each layer l and each i in order:
        alpha_ij = softmax_{j in N(i)}( w . [H(l-1)_i; H(l)_j] + b )
        M_i = sum_j alpha_ij W_same H(l)_j where i and j are of one speaker, W_other H(l)_j elsewhere;   M_1 = 0
        H(l)_i = GRU_C(input H(l-1)_i, memory M_i) + GRU_P(input M_i, memory H(l-1)_i)
    y_i = softmax( W_3 dropout( ReLU( W_2 ReLU( W_1 [H0_i; ..; HL_i; u_i] ) ) ) )

Nothing stands between the sum and the softmax of alpha, so that b and the part of H(l-1)_i do not change it.

Source: Shen et al. 2021, "Directed Acyclic Graph Network for Conversational Emotion Recognition", section 3; sizes and
layers as in shenwzh3/DAG-ERC for MELD. Knowingly different from it: weights that are never used do not exist; equally
good epochs are not told apart by test; a higher learning rate, more dropout, smaller batches and fewer epochs with
early stopping: 70 epochs at 1e-5 take too long.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from baselines.neural.predictor import Dimensions, NeuralPredictor
from harness.predictors import PredictorCard, register_predictor
from harness.predictors.checks import check_positive

if TYPE_CHECKING:
    import torch
    from torch import nn


@register_predictor(
    "dag-erc",
    card=PredictorCard(
        family="graph",
        context="past",
        trained_on=("train",),
        source="Shen et al. 2021; shenwzh3/DAG-ERC",
        summary="A graph network that passes through a dialogue in order, each utterance back to its speaker's last.",
    ),
)
@dataclass(eq=False)
class DagErc(NeuralPredictor):
    """Reads what was said before the utterance, and the utterance."""

    epochs: int = 15
    patience: int = 4
    batch_size: int = 16
    learning_rate: float = 2e-4
    l2: float = 0.01
    """Taken off a weight at each update as learning_rate * l2 * weight (AdamW)."""
    dropout: float = 0.3
    hidden: int = 300
    """Width of the states of every layer."""
    layers: int = 2
    omega: int = 1
    """How many turns of its own speaker an utterance looks back to."""

    causal: ClassVar[bool] = True
    max_norm: ClassVar[float | None] = 5.0
    code_modules: ClassVar[tuple[str, ...]] = (*NeuralPredictor.code_modules, "baselines.graph.dag_erc_network")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(hidden=self.hidden, layers=self.layers, omega=self.omega)

    def build(self, dimensions: Dimensions) -> "nn.Module":
        """Returns the network."""
        from baselines.graph.dag_erc_network import DagErcNetwork

        return DagErcNetwork(
            dimensions.text, self.hidden, self.layers, dimensions.n_labels, self.dropout, self.omega
        )  # fmt: skip

    def make_optimizer(self, network: "nn.Module") -> "torch.optim.Optimizer":
        """Returns what makes the updates: AdamW."""
        import torch

        return torch.optim.AdamW(network.parameters(), lr=self.learning_rate, weight_decay=self.l2)
