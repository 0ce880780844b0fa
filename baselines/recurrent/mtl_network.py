"""Network of MTL: private encoders of emotions and speakers, a shared one, and attention across the private ones."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from baselines.neural.batch import DialogueBatch
from baselines.neural.layers import masked_softmax, run_rnn


class MtlNetwork(nn.Module):
    """Answers which emotion an utterance has, and which ones have the same speaker; it is never told who speaks."""

    def __init__(self, width: int, hidden: int, n_labels: int, dropout: float) -> None:
        super().__init__()
        self.emotion, self.speaker, self.shared = (
            nn.GRU(width, hidden, batch_first=True, bidirectional=True) for _ in range(3)
        )
        self.ask_speaker = nn.Linear(2 * hidden, 2 * hidden, bias=False)
        self.ask_emotion = nn.Linear(2 * hidden, 2 * hidden, bias=False)
        self.emotion_head = nn.Linear(6 * hidden, n_labels)
        self.speaker_head = nn.Linear(6 * hidden, hidden)
        self.offset = nn.Parameter(torch.zeros(()))
        self.dropout = nn.Dropout(dropout)

    def forward(self, batch: DialogueBatch) -> Tensor:
        """Returns logits, float32 (batch, n_utterances, n_labels)."""
        return self.answer(batch)[0]

    def answer(self, batch: DialogueBatch) -> tuple[Tensor, Tensor]:
        """Returns logits of emotions, float32 (batch, n_utterances, n_labels), and of pairs having the same speaker.

        The latter are float32 (batch, n_utterances, n_utterances), symmetric.
        """
        utterances = self.dropout(batch.text)
        emotion, speaker, shared = (
            run_rnn(rnn, utterances, batch.lengths) for rnn in (self.emotion, self.speaker, self.shared)
        )
        of_speaker = _attend(self.ask_speaker(emotion), speaker, batch.mask)
        of_emotion = _attend(self.ask_emotion(speaker), emotion, batch.mask)
        logits = self.emotion_head(self.dropout(torch.cat([emotion, shared, of_speaker], dim=-1)))
        voice = torch.tanh(self.speaker_head(self.dropout(torch.cat([speaker, shared, of_emotion], dim=-1))))
        pairs = voice @ voice.transpose(1, 2) / voice.shape[-1] ** 0.5 + self.offset
        return logits, pairs


def _attend(queries: Tensor, states: Tensor, mask: Tensor) -> Tensor:
    """Returns what each utterance reads in the states of the others, float32 (batch, n_utterances, width)."""
    scores = queries @ states.transpose(1, 2) / states.shape[-1] ** 0.5
    return masked_softmax(scores, mask[:, None]) @ states
