"""DialogueGCN: who spoke to whom, before or after, as relations of a graph over the utterances near each other.

    e_1 .. e_N = BiLSTM(u_1 .. u_N), 2 layers                       N(i) = {i - past .. i + future} of the dialogue
    alpha_ij = softmax_{j in N(i)}( w_i . e_j )                     w_i: one vector for every position i
    r(i, j) = (speaker of i, speaker of j, whether i < j)           W_r = sum_b c_rb V_b, over 30 bases
    h_i = sum_{j in N(i)} alpha_ij W_r(i,j) e_j + W_0 e_i + b       g_i = W_1 sum_{j in N(i)} h_j + b_1 + W_2 h_i
    z_i = [e_i; g_i]                                                beta_ij = softmax_j( (W z_i + b) . z_j )
    y_i = softmax( W_4 dropout( ReLU( W_3 sum_j beta_ij z_j ) ) )

Speakers are numbered by first appearance in a dialogue, modulo M, the largest number of speakers of a training
dialogue: where there are more, speaker M shares the relations of speaker 0, and so on. Positions from the 110th on
share one vector w.

Source: Ghosal et al. 2019, "DialogueGCN", equations 1-7 and section 4; sizes as in declare-lab/conv-emotion
(DialogueGCN), whose edge weights look at the neighbour alone. Knowingly different from it: a node gathers over its own
window, as in the equations, where the code sends along the edges; no tanh before the softmax of beta, which keeps most
of the weight away from the utterance itself, and W begins as the identity; softmaxes cover a dialogue, not its padding;
no limit of 110 utterances; weights that are never used do not exist; the epoch is chosen on dev, not on test; a higher
learning rate, l2, smaller batches and fewer epochs with early stopping.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from baselines.graph.settings import check_window
from baselines.neural.predictor import Dimensions, NeuralPredictor
from harness.predictors import PredictorCard, register_predictor
from harness.predictors.checks import check_positive

if TYPE_CHECKING:
    from torch import nn


@register_predictor(
    "dialogue-gcn",
    card=PredictorCard(
        family="graph",
        context="full",
        trained_on=("train",),
        source="Ghosal et al. 2019; declare-lab/conv-emotion",
        summary="Relational graph convolutions over the ten utterances before and after, by speakers and order.",
    ),
)
@dataclass(eq=False)
class DialogueGcn(NeuralPredictor):
    """Reads the whole dialogue."""

    epochs: int = 20
    patience: int = 10
    batch_size: int = 16
    learning_rate: float = 1e-3
    l2: float = 1e-4
    dropout: float = 0.4
    hidden: int = 100
    """States per direction of the context encoder, and width of both convolutions."""
    bases: int = 30
    """Matrices that those of the relations are combined from."""
    past: int = 10
    """Utterances before an utterance that it has edges with."""
    future: int = 10
    """Utterances after it."""

    code_modules: ClassVar[tuple[str, ...]] = (
        *NeuralPredictor.code_modules, "baselines.graph.windows", "baselines.graph.dialogue_gcn_network"
    )  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(hidden=self.hidden, bases=self.bases)
        check_window(self.past, self.future)

    def build(self, dimensions: Dimensions) -> "nn.Module":
        """Returns the network."""
        from baselines.graph.dialogue_gcn_network import DialogueGcnNetwork

        return DialogueGcnNetwork(
            dimensions.text, self.hidden, self.bases, dimensions.n_speakers, dimensions.n_labels, self.dropout,
            self.past, self.future,
        )  # fmt: skip
