"""GraphCFC: modalities complement each other, pair by pair, in graphs of the utterances of a dialogue.

    text Linear(BiLSTM_2(Linear(u))), audio and visual tanh(Linear(u)); to each an embedding of the speaker is added
    private p^m = LN(FFN_m(x^m)) for every modality m, shared s = Linear([LN(FFN(x^m)) for all m])
    a graph joins two views: utterances of one view at most `window` apart, by the relation of their speakers, and the
    two views of an utterance; layers x = LN(x + GATv2(x)), x = LN(x + FFN(x)); then Linear([view 1; view 2])
    audio with visual, the outcome with text, the outcome with what is shared; y = softmax(Linear(outcome))
    loss = sum_k L_k / (2 s_k^2) + log(1 + s_k^2) over the heads of y, of every p^m, and of s, with learned scales s_k

With one modality, text, there is nothing to complement: p^text runs through one stack of layers over one view, and the
heads are those of y and p^text. That is what the public code does with one modality; the card of a run names what it
reads. With two, the second is paired with the first, and the outcome with what is shared.

Source: Li et al. 2023, "GraphCFC: A Directed Graph Based Cross-Modal Feature Complementation Approach for Multimodal
Conversational Emotion Recognition"; lijfrank-open/GraphCFC; weights of the losses in the form of Liebel & Koerner
2018. Knowingly different: layers of a stack have weights of their own (the public code appends one layer five times);
the scales of the losses are trained (the public code makes new ones for every batch); the edge from an utterance to
itself has the relation of its speaker, not a mean of others; speakers are numbered by first appearance in the dialogue,
and those beyond the number known from training share the last one; the epoch is chosen on dev; no class weights by
default. Width 100 and two layers, not 200 and five, a higher learning rate, dropout and weight decay: set for the time
of a training, with -P hidden=200 -P layers=5 -P learning_rate=1e-5 -P l2=1e-5 -P dropout=0.1 -P batch_size=8
-P epochs=100 -P patience=0 for the published ones.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from baselines.neural.predictor import Dimensions, NeuralPredictor
from harness.predictors import PredictorCard, register_predictor
from harness.predictors.checks import check_positive

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from baselines.neural.batch import DialogueBatch


@register_predictor(
    "graph-cfc",
    card=PredictorCard(
        family="multimodal",
        context="full",
        trained_on=("train",),
        source="Li et al. 2023 (IEEE TMM); lijfrank-open/GraphCFC",
        summary="Graph attention over utterances, with modalities that complement each other in pairs.",
    ),
)
@dataclass(eq=False)
class GraphCfc(NeuralPredictor):
    """Reads text, and audio and visual features where they are given."""

    audio: str | None = None
    """Audio features: a name as in `erc-harness list encoders`."""
    visual: str | None = None
    """Visual features."""
    epochs: int = 15
    patience: int = 8
    batch_size: int = 16
    learning_rate: float = 3e-4
    l2: float = 1e-2
    """Weight decay of AdamW."""
    dropout: float = 0.4
    hidden: int = 100
    layers: int = 2
    """Of every stack."""
    heads: int = 4
    window: int = 18
    """Utterances before and after the target that the graph joins to it."""

    code_modules: ClassVar[tuple[str, ...]] = (
        *NeuralPredictor.code_modules,
        "baselines.multimodal.graph_cfc_network",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(hidden=self.hidden, layers=self.layers, heads=self.heads, window=self.window)

    def build(self, dimensions: Dimensions) -> "nn.Module":
        """Returns the network."""
        from baselines.multimodal.graph_cfc_network import GraphCfcNetwork

        return GraphCfcNetwork(
            dimensions.widths, self.hidden, self.layers, self.heads, self.window, dimensions.n_labels,
            dimensions.n_speakers, self.dropout,
        )  # fmt: skip

    def loss(self, network: "nn.Module", batch: "DialogueBatch", weights: "Tensor | None") -> "Tensor":
        """Returns the losses of all heads, cross-entropy each, by their learned scales."""
        import torch
        from torch.nn.functional import cross_entropy

        from baselines.multimodal.graph_cfc_network import GraphCfcNetwork

        assert isinstance(network, GraphCfcNetwork)
        known = batch.labels >= 0
        losses = [cross_entropy(own[known], batch.labels[known], weight=weights) for own in network.answer(batch)]
        return network.weigh(torch.stack(losses))

    def make_optimizer(self, network: "nn.Module") -> "torch.optim.Optimizer":
        """Returns AdamW."""
        import torch

        return torch.optim.AdamW(network.parameters(), lr=self.learning_rate, weight_decay=self.l2)
