"""RGAT, reconstructed: graph attention by speaker and order, with learned scores of the distance.

    h_i = ReLU(W u_i)
    r in {same speaker, other} x {past, future}                N_r(i): from i - past to i + future; i is in its past
    alpha_rij = softmax_{j in N_r(i)}( LeakyReLU( a_r . [W_r h_i; W_r h_j] ) + p_{r,j-i} )
    g_i = sum_r sum_{j in N_r(i)} alpha_rij W_r h_j, in each of several heads
    y_i = softmax( W_2 ReLU( W_1 [h_i; g_i] ) )

Source: Ishiwatari et al. 2020, "Relation-aware Graph Attention Networks with Relational Position Encodings for Emotion
Recognition in Conversations"; no code was published, and little but the equations is known. Knowingly different from
it: over the features of the chosen encoder, which is not trained along, where the paper tunes BERT with the graph.

What the equations leave open is chosen: a layer with ReLU before the graph, dropout after it and before both layers of
the head; width 300, 6 heads, one layer of attention; windows of 10; an utterance belongs to its own past; slope 0.2 of
LeakyReLU; scores of distances that begin at 0 and are shared by the heads; all settings of training.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from baselines.graph.settings import check_window
from baselines.neural.predictor import Dimensions, NeuralPredictor
from harness.errors import ConfigError
from harness.predictors import PredictorCard, register_predictor
from harness.predictors.checks import check_positive

if TYPE_CHECKING:
    from torch import nn


@register_predictor(
    "rgat",
    card=PredictorCard(
        family="graph",
        context="full",
        trained_on=("train",),
        source="Ishiwatari et al. 2020 (no code: reconstructed)",
        summary="Reconstructed from its equations: relational graph attention over features, with scores of distances.",
    ),
)
@dataclass(eq=False)
class Rgat(NeuralPredictor):
    """Reads the whole dialogue."""

    epochs: int = 20
    patience: int = 5
    batch_size: int = 16
    learning_rate: float = 3e-4
    dropout: float = 0.5
    hidden: int = 300
    """Width of all states; a multiple of the number of heads."""
    heads: int = 6
    past: int = 10
    """Utterances before an utterance that it has edges with."""
    future: int = 10
    """Utterances after it."""

    code_modules: ClassVar[tuple[str, ...]] = (
        *NeuralPredictor.code_modules, "baselines.graph.windows", "baselines.graph.rgat_network"
    )  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(hidden=self.hidden, heads=self.heads)
        check_window(self.past, self.future)
        if self.hidden % self.heads:
            raise ConfigError(f"hidden {self.hidden!r}: expected a multiple of heads, {self.heads!r}")

    def build(self, dimensions: Dimensions) -> "nn.Module":
        """Returns the network."""
        from baselines.graph.rgat_network import RgatNetwork

        return RgatNetwork(
            dimensions.text, self.hidden, self.heads, dimensions.n_labels, self.dropout, self.past, self.future
        )
