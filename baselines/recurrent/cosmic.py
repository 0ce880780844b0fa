"""COSMIC: what commonsense says of an utterance changes the states of those who speak and who listen.

    g_t = GRU_g([u_t ; q_s ; r_s], g_{t-1})        the dialogue; s speaks u_t
    c_t = sum_{k<t} softmax_k(w . g_k) g_k         0 at the beginning
    r_s' = GRU_r([u_t ; xReact_t ; c_t], r_s)      how the speaker looks from outside
    q_s' = GRU_q([xEffect_t ; c_t], q_s)           and from inside
    i_s' = GRU_i([xIntent_t ; q_s'], i_s)          the speaker's intent
    r_l' = GRU([u_t ; oReact_t ; r_s'], r_l)       q_l' = GRU([oEffect_t ; q_s'], q_l)       each listener l
    e_t = GRU_e([u_t ; q_s' ; r_s' ; i_s'], e_{t-1})
    y_t = softmax(W2 ReLU(W1 e'_t + b1) + b2)

in both directions with weights of their own, up to e_t; u_t is a linear map of the text features, and e'_t the
attention of e_t, of both, over the whole dialogue. Knowledge comes as features (`baselines.neural.relations`).
`cosmic-no-kb` is the same without the vectors of relations: a system of its own, whose scores are not COSMIC's.

Source: Ghosal et al. 2020, "COSMIC: COmmonSense knowledge for eMotion Identification in Conversations", section 3;
sizes and settings as in declare-lab/conv-emotion, preset for MELD with its context attention 'simple'. Text features
`...@mean` are its mode 2, `...@r1-r4` its mode 0. Knowingly different from the code: attention does not see padding;
states of intent and emotion are dropped out where they leave their GRU, not within; any number of people may speak;
features, knowledge too, are standardised, with neither normalisation layers nor residual links; batches of 32
dialogues, not of 8; the epoch is chosen on dev, out of fewer, with early stopping.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from baselines.neural.predictor import Dimensions, NeuralPredictor
from baselines.neural.relations import require_knowledge
from harness.predictors import PredictorCard, register_predictor
from harness.predictors.checks import check_fraction, check_positive

if TYPE_CHECKING:
    from torch import nn

WITHOUT_KNOWLEDGE = "cosmic-no-kb"


@register_predictor(
    WITHOUT_KNOWLEDGE,
    card=PredictorCard(
        family="recurrent",
        context="full",
        trained_on=("train",),
        source="Ghosal et al. 2020; declare-lab/conv-emotion",
        summary="A variant of COSMIC that reads no commonsense knowledge; not the published system.",
    ),
)
@dataclass(eq=False)
class CosmicNoKb(NeuralPredictor):
    """Has the states of COSMIC, and text only."""

    epochs: int = 20
    patience: int = 5
    learning_rate: float = 1e-4
    l2: float = 3e-5
    dropout: float = 0.5
    state_dropout: float = 0.3
    """Of the states of the dialogue, of parties and of intent."""
    utterance: int = 100
    """Width to which text features are brought."""
    party: int = 150
    """Width of the states of the dialogue, of parties and of intent."""
    emotion: int = 450
    """Width of emotion states, per direction."""
    hidden: int = 100
    """Width of the layer before the labels."""
    listener: bool = True
    """Whether those who do not speak change their states too."""
    attention: bool = True
    """Whether every emotion state attends to all others."""

    code_modules: ClassVar[tuple[str, ...]] = (
        *NeuralPredictor.code_modules,
        *(f"baselines.recurrent.{name}" for name in ("party_cells", "cosmic_network")),
        "baselines.neural.relations",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(utterance=self.utterance, party=self.party, emotion=self.emotion, hidden=self.hidden)
        check_fraction(state_dropout=self.state_dropout)

    def build(self, dimensions: Dimensions) -> "nn.Module":
        """Returns the network.

        Raises:
            DataError: knowledge is not nine vectors of one width.
        """
        from baselines.recurrent.cosmic_network import CosmicNetwork

        return CosmicNetwork(
            dimensions.text, dimensions.widths.get("knowledge", 0),
            self.utterance, self.party, self.emotion, self.hidden, dimensions.n_labels,
            dropout=self.dropout, state_dropout=self.state_dropout, listener=self.listener, attention=self.attention,
        )  # fmt: skip


@register_predictor(
    "cosmic",
    card=PredictorCard(
        family="recurrent",
        context="full",
        trained_on=("train",),
        source="Ghosal et al. 2020; declare-lab/conv-emotion",
        summary="Recurrent states that commonsense knowledge of each utterance changes, in both directions.",
    ),
)
@dataclass(eq=False)
class Cosmic(CosmicNoKb):
    """Reads knowledge of every utterance too, and refuses to do without."""

    knowledge: str | None = None
    """Features with nine commonsense vectors of each utterance, such as file:FILE."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_knowledge(self.knowledge, WITHOUT_KNOWLEDGE)
