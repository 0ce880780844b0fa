"""CauAIN: looks for the causes of an emotion in what was said before, guided by commonsense knowledge.

    X = BiGRU(W u_1 .. W u_N)            Q = W_q X    K = W_k X    V = W_v X
    k_own = W A_s [xWant; xEffect; xReact]            k_other = W A_o [oWant; oEffect; oReact]
    s_ij = Q_i . (K_j + k_own_j) if i and j are by one speaker, else Q_i . (K_j + k_other_j)
    a = softmax over j <= i of s_ij / sqrt(hidden), dropout .1
    effect_i = sum_j a_ij (V_j + k_own_j or k_other_j)      cause_i = sum_j a_ij Q_j
    y = softmax(W_3 ReLU(W_2 ReLU(W_1 dropout([effect ; cause]))))

The text features of the paper are the mean of the last four layers: `encoder=...@mean`. Without knowledge k_own and
k_other are left out: that is `cauain-no-kb`, a system of its own.

Source: Zhao et al. 2022, "CauAIN: Causal Aware Interaction Network for Emotion Recognition in Conversations", section
3; sizes as in circle-hit/CauAIN. Knowingly different from it: the epoch is chosen on dev, not on test; dropout stands
before the last three layers, where the published code names one that it does not define; batches of 16 dialogues, not
of 8.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from baselines.neural.predictor import Dimensions, NeuralPredictor
from baselines.neural.relations import relation_width, require_knowledge
from harness.predictors import PredictorCard, register_predictor
from harness.predictors.checks import check_positive

if TYPE_CHECKING:
    from torch import nn


@register_predictor(
    "cauain-no-kb",
    card=PredictorCard(
        family="recurrent",
        context="full",
        trained_on=("train",),
        source="Zhao et al. 2022; circle-hit/CauAIN",
        summary="CauAIN without its commonsense knowledge: a BiGRU, and attention to what each party has said so far.",
    ),
)
@dataclass(eq=False)
class CauainNoKb(NeuralPredictor):
    """Reads the whole dialogue, and looks for causes in what was said so far."""

    patience: int = 4
    batch_size: int = 16
    learning_rate: float = 1e-4
    l2: float = 3e-4
    dropout: float = 0.4
    hidden: int = 300
    """States per direction of the BiGRU; attention is twice as wide."""

    code_modules: ClassVar[tuple[str, ...]] = (
        *NeuralPredictor.code_modules,
        "baselines.recurrent.cauain_network",
        "baselines.neural.relations",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(hidden=self.hidden)

    def build(self, dimensions: Dimensions) -> "nn.Module":
        """Returns the network; raises DataError if the knowledge is not nine vectors of one width."""
        from baselines.recurrent.cauain_network import CauainNetwork

        knowledge = dimensions.widths.get("knowledge")
        relation = None if knowledge is None else relation_width(knowledge)
        return CauainNetwork(dimensions.text, relation, self.hidden, dimensions.n_labels, self.dropout)


@register_predictor(
    "cauain",
    card=PredictorCard(
        family="recurrent",
        context="full",
        trained_on=("train",),
        source="Zhao et al. 2022; circle-hit/CauAIN",
        summary="A BiGRU, and attention to what each party has said so far, guided by commonsense knowledge.",
    ),
)
@dataclass(eq=False)
class Cauain(CauainNoKb):
    """Reads commonsense vectors of each utterance too; refuses to run without them."""

    knowledge: str | None = None
    """Features with nine vectors of each utterance, see `baselines.neural.relations`: file:FILE."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_knowledge(self.knowledge, "cauain-no-kb")
