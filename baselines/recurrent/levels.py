"""Two recurrent readings of a dialogue: all utterances in order, and the turns of each speaker by themselves.

    S = BiLSTM(u_1 .. u_N)                                          situation level
    P = BiLSTM(turns of one speaker), put where they were said      speaker level, one BiLSTM for all speakers

Source: DialogueCRN (Hu et al. 2021, section 3.2); SACL-LSTM (Hu et al. 2023, section 3.3). Knowingly different: both
directions begin at the true ends of a sequence, not in its padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from baselines.neural.batch import DialogueBatch
from baselines.neural.layers import SpeakerTurns, run_rnn

Level = Literal["situation", "speaker"]


class Levels(nn.Module):
    """The pair of bidirectional LSTMs.

    Args:
        width: of the text features.
        hidden: states per direction.
        n_layers: of each LSTM.
        dropout: between the layers.
        least_turns: turns below which a speaker has no speaker-level states: zeros stand there.
    """

    def __init__(self, width: int, hidden: int, n_layers: int, dropout: float, least_turns: int = 1) -> None:
        super().__init__()
        between = dropout if n_layers > 1 else 0.0
        self.situation = nn.LSTM(width, hidden, n_layers, batch_first=True, bidirectional=True, dropout=between)
        self.speaker = nn.LSTM(width, hidden, n_layers, batch_first=True, bidirectional=True, dropout=between)
        self.least_turns = least_turns

    def forward(self, batch: DialogueBatch, text: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the states of both levels, float32 (batch, n_utterances, 2 * hidden) each, 0 where padded.

        Args:
            batch: who speaks when.
            text: float32 (batch, n_utterances, width).
        """
        turns = SpeakerTurns.of(batch)
        own = run_rnn(self.speaker, turns.gather(text), turns.lengths)
        own = own * (turns.lengths >= self.least_turns).to(own)[:, None, None]
        return run_rnn(self.situation, text, batch.lengths), turns.scatter(own, text)

    def input_weights(self, levels: Sequence[Level]) -> list[nn.Parameter]:
        """Returns weights and biases from input to state of the last layer of some levels, both directions."""
        last = self.situation.num_layers - 1
        return [
            getattr(self.speaker if level == "speaker" else self.situation, f"{kind}_l{last}{direction}")
            for level in levels
            for kind in ("weight_ih", "bias_ih")
            for direction in ("", "_reverse")
        ]
