"""Encoders as they were published: all-MiniLM-L6-v2, and any encoder of transformers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from harness.data.text import canonical_text
from harness.features.encoder import Encoder, Layers, Tell, register_encoder, tell_nobody
from harness.features.loading import load_encoder
from harness.features.text import TextEncoder
from harness.features.weights import Located, content_name, find_folder, hub_access, locate
from harness.schema import UtteranceView

N_LAYERS = 4
"""Layers that are kept, the last ones. Source: COSMIC (declare-lab/conv-emotion), whose features r1 to r4 they are."""

N_TOKENS = 128
"""Of an utterance, special ones included. The longest of MELD and EmoryNLP have about 100."""


@register_encoder("minilm", kind="frozen", summary="Unit vectors of all-MiniLM-L6-v2, which installs with pip.")
class MiniLM(Encoder):
    """Mean-pooled states of the last layer, of length 1, 384 wide; the text of the utterance alone."""

    def identity(self) -> dict[str, Any]:
        """Returns the hash of weights, tokenizer and pooling."""
        return {"encoder": "minilm", "content": self._encoder.fingerprint}

    def encode(self, utterances: Sequence[UtteranceView], tell: Tell = tell_nobody) -> Layers:
        """Returns float32 (n_utterances, 1, 384)."""
        texts = [canonical_text(u.text) for u in utterances]
        return self._encoder.encode_now(texts, tell)[:, None]

    @cached_property
    def _encoder(self) -> TextEncoder:
        return TextEncoder()


@register_encoder(
    "minilm-layers", kind="frozen", summary="Mean and largest states of every layer of all-MiniLM-L6-v2; take @mean."
)
class MiniLMLayers(Encoder):
    """Mean and maximum over the tokens in the six layers and the embeddings of all-MiniLM-L6-v2, 2 * 384 wide.

    The sentence vector of its last layer was trained to tell topics apart; the words that carry an emotion stand out
    more in the layers below it, and in maxima. Chosen on the dev split of MELD: there logistic regression reaches a
    weighted F1 of 0.55 from the mean of these layers, and 0.52 from the sentence vector.
    """

    def identity(self) -> dict[str, Any]:
        """Returns the hash of weights and tokenizer, and what is kept."""
        return {"encoder": "minilm", "content": self._encoder.fingerprint, "pool": "mean-max", "n_layers": 7}

    def encode(self, utterances: Sequence[UtteranceView], tell: Tell = tell_nobody) -> Layers:
        """Returns float32 (n_utterances, 7, 768), the embeddings last."""
        from harness.features.states import layer_states

        tokenizer, model = self._encoder.loaded
        texts = [canonical_text(u.text) for u in utterances]
        return layer_states(model, tokenizer, texts, "mean-max", 7, self._encoder.n_tokens, tell=tell)

    @cached_property
    def _encoder(self) -> TextEncoder:
        return TextEncoder()


@register_encoder(
    "hf", kind="frozen", argument="NAME_OR_FOLDER", summary="Mean-pooled states of the last four layers of an encoder."
)
class Pretrained(Encoder):
    """Any encoder of transformers, in a folder, or at the hub at the commit that its cache has.

    Not the first token but the mean over tokens, because the state of a first token says little before fine-tuning
    (Reimers & Gurevych 2019, table 6).
    """

    def identity(self) -> dict[str, Any]:
        """Returns name and content of the folder, or name and commit at the hub."""
        where = self._located
        return {
            "encoder": where.name, "revision": where.commit, "pool": "mean", "n_layers": N_LAYERS, "n_tokens": N_TOKENS
        }  # fmt: skip

    def encode(self, utterances: Sequence[UtteranceView], tell: Tell = tell_nobody) -> Layers:
        """Returns float32 (n_utterances, 4, width)."""
        from harness.features.states import layer_states

        tokenizer, model = self._loaded
        texts = [canonical_text(u.text) for u in utterances]
        return layer_states(model, tokenizer, texts, "mean", N_LAYERS, N_TOKENS, tell=tell)

    @classmethod
    def named(cls, argument: str) -> str:
        """Returns name and content of a folder; a name at the hub is its own."""
        folder = find_folder(argument)
        return argument if folder is None else content_name(folder)

    @cached_property
    def _located(self) -> Located:
        return locate(self.argument, download=self.download)

    def load(self) -> tuple[Any, Any]:
        """Returns (tokenizer, encoder) on the CPU; raises as `load_encoder`."""
        with hub_access(self.download):
            return load_encoder(self._located.source, self._located.commit, self.download)

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        return self.load()
