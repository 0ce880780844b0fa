"""MTL, reconstructed: emotions are learned together with telling speakers apart.

    e, s, c = BiGRU_emotion(u), BiGRU_speaker(u), BiGRU_shared(u)                  private, private and shared states
    r_t = sum_k a_tk s_k, a_tk = softmax_k(W_s e_t . s_k / sqrt(2 d));  o_t = sum_k b_tk e_k, b_tk likewise with W_e s_t
    y_t = softmax(W_y [e_t; c_t; r_t] + b_y)
    v_t = tanh(W_v [s_t; c_t; o_t] + b_v);   P(t and k have the same speaker) = sigmoid(v_t . v_k / sqrt(d) + b)
    loss = cross-entropy of emotions + binary cross-entropy of pairs, averaged over the pairs of utterances of one
           dialogue, those of all dialogues of a batch together

Source: Li et al. 2020, "Multi-Task Learning with Auxiliary Speaker Identification for Conversational Emotion
Recognition" (arXiv 2003.01478). There is no public code. From the paper: a BiGRU over utterance vectors, a second
branch that learns who speaks, a shared encoder beside private ones, cross-attention between the branches, the sum of
both losses. Chosen here, because the paper's way is not known or cannot be had:

- Utterance vectors come from the encoder that the user names, and stay as they are; the paper's come from BERT.
- What is told of speakers is whether two utterances of a dialogue have the same one: names from training say nothing of
  people that only test dialogues have. No further corpus is read to learn that.
- The attention is scaled dot product over the whole dialogue, in both directions; states are put one behind the other.
- All sizes: one layer of `hidden` states per direction in every encoder, and dropout on inputs and before both heads.
- Learning rate, l2, dropout, batch size, and the number of epochs.
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
    "mtl",
    card=PredictorCard(
        family="recurrent",
        context="full",
        trained_on=("train",),
        source="Li et al. 2020 (arXiv 2003.01478); reconstructed, there is no public code",
        summary="Reconstructed: recurrent layers that learn emotions, and which utterances have the same speaker.",
    ),
)
@dataclass(eq=False)
class Mtl(NeuralPredictor):
    """Reads the whole dialogue; who speaks is told to it in training only."""

    epochs: int = 30
    patience: int = 8
    learning_rate: float = 3e-4
    l2: float = 1e-4
    dropout: float = 0.5
    hidden: int = 100
    """States per direction."""

    code_modules: ClassVar[tuple[str, ...]] = (*NeuralPredictor.code_modules, "baselines.recurrent.mtl_network")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(hidden=self.hidden)

    def build(self, dimensions: Dimensions) -> "nn.Module":
        """Returns the network."""
        from baselines.recurrent.mtl_network import MtlNetwork

        return MtlNetwork(dimensions.text, self.hidden, dimensions.n_labels, self.dropout)

    def loss(self, network: "nn.Module", batch: "DialogueBatch", weights: "Tensor | None") -> "Tensor":
        """Returns the sum of both losses; a batch without two utterances in one dialogue has the first only."""
        from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

        from baselines.recurrent.mtl_network import MtlNetwork

        assert isinstance(network, MtlNetwork)
        logits, pairs = network.answer(batch)
        known = batch.labels >= 0
        loss = cross_entropy(logits[known], batch.labels[known], weight=weights)
        counted = (batch.mask[:, :, None] & batch.mask[:, None]).tril(-1)
        same = batch.speakers[:, :, None] == batch.speakers[:, None]
        if counted.any():
            loss = loss + binary_cross_entropy_with_logits(pairs[counted], same[counted].float())
        return loss
