"""DialogueRNN: a global state of the dialogue, a state for each party, and a state of the emotion.

    g_t = GRU_g([u_t ; q_s], g_{t-1})              s speaks u_t, and q_s is the state s has
    c_t = sum_{k<t} softmax_k((W u_t) . g_k) g_k   0 at the beginning
    q_s' = GRU_p([u_t ; c_t], q_s)                 and q_l' = GRU_l([u_t ; q_s'], q_l) of each listener l
    e_t = GRU_e(q_s', e_{t-1})
    y_t = softmax(W2 ReLU(W1 e'_t + b1) + b2)

in both directions with weights of their own, up to e_t; e'_t is the attention of e_t, of both, over the whole dialogue.
Without listeners the states of those who do not speak stay as they are.

Source: Majumder et al. 2019, "DialogueRNN: An Attentive RNN for Emotion Detection in Conversations", section 3; sizes
and settings as in the re-implementation of declare-lab/conv-emotion, preset for MELD. Its preset for IEMOCAP is `party`
500 and `emotion` 300. The parameter count in the table of DialogueLLM fits the active listener, which is therefore the
default here. Knowingly different from the code: attention does not see padding; states of the emotion are dropped out
where they leave their GRU, not within; any number of people may speak; features are standardised; the epoch is chosen
on dev, not on test; a lower learning rate, fewer epochs with early stopping, and a higher l2.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from baselines.neural.predictor import Dimensions, NeuralPredictor
from harness.predictors import PredictorCard, register_predictor
from harness.predictors.checks import check_fraction, check_positive

if TYPE_CHECKING:
    from torch import nn


@register_predictor(
    "dialogue-rnn",
    card=PredictorCard(
        family="recurrent",
        context="full",
        trained_on=("train",),
        source="Majumder et al. 2019; declare-lab/conv-emotion",
        summary="Recurrent states of the dialogue, of each party, and of the emotion, in both directions.",
    ),
)
@dataclass(eq=False)
class DialogueRnn(NeuralPredictor):
    """Keeps a state for everyone who takes part."""

    epochs: int = 16
    patience: int = 4
    learning_rate: float = 2e-4
    l2: float = 1e-4
    dropout: float = 0.25
    state_dropout: float = 0.1
    """Of global and party states as soon as they are computed: what is dropped is not remembered."""
    party: int = 150
    """Width of global and party states."""
    emotion: int = 100
    """Width of emotion states, per direction."""
    listener: bool = True
    """Whether those who do not speak change their state too."""

    code_modules: ClassVar[tuple[str, ...]] = (
        *NeuralPredictor.code_modules, "baselines.recurrent.party_cells", "baselines.recurrent.dialogue_rnn_network",
    )  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(party=self.party, emotion=self.emotion)
        check_fraction(state_dropout=self.state_dropout)

    def build(self, dimensions: Dimensions) -> "nn.Module":
        """Returns the network."""
        from baselines.recurrent.dialogue_rnn_network import DialogueRnnNetwork

        return DialogueRnnNetwork(
            dimensions.text, self.party, self.emotion, dimensions.n_labels,
            dropout=self.dropout, state_dropout=self.state_dropout, listener=self.listener,
        )  # fmt: skip
