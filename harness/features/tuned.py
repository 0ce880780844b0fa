"""Encoders that first learn from single training utterances: the pipeline called F3.

The states that contextual systems read are then those of a supervised model of the utterance alone: no label of the
test split is used, but a system on such features is trained in two stages, and says so.

Source: COSMIC (Ghosal et al. 2020, section 3.1; declare-lab/conv-emotion), which tunes RoBERTa-large so. Knowingly
different: the speaker's name stands before the utterance; few epochs; chosen by weighted F1 on dev, not by accuracy;
AdamW with torch's betas and weight decay .01, not .9, .98 and .1; gradients are cut at norm 1; batches are of similar
length; characters beyond ASCII stay; one recipe for all corpora.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data import Split
from harness.data.damage import is_whole, keep_whole, seal_folder
from harness.data.text import canonical_text
from harness.data.writing import disk, locked
from harness.errors import DataError
from harness.features.encoder import Encoder, Layers, Tell, register_encoder, tell_nobody
from harness.features.loading import load_encoder
from harness.features.pretrained import N_LAYERS, N_TOKENS, Pretrained
from harness.features.text import TextEncoder, minilm_folder
from harness.schema import Utterance, UtteranceView

RECORD, HEAD = "learned.json", "head.safetensors"
"""What came of a training, and the linear layer that told the labels; in the folder of its weights."""


@dataclass(frozen=True, slots=True)
class TuningRecipe:
    """How an encoder learns: AdamW, linear warm-up and decay, cross-entropy on the state of the first token."""

    epochs: int
    learning_rate: float
    batch_size: int = 32
    """Utterances."""
    warmup: float = 0.06
    """Share of the updates in which the learning rate rises from 0."""
    weight_decay: float = 0.01
    dropout: float = 0.1
    """Before the linear layer that tells the labels; no feature depends on that layer."""
    max_norm: float = 1.0
    """Of the gradient."""
    n_tokens: int = N_TOKENS
    batches: str = "by length"
    """How they are drawn: see `grouping.draw_batches`."""


SMALL = TuningRecipe(epochs=3, learning_rate=8e-5)
"""For MiniLM: some twelve minutes of one core for MELD or EmoryNLP."""

LARGE = TuningRecipe(epochs=5, learning_rate=1e-5)
"""For encoders of BERT's size and above; peak learning rate as COSMIC's on MELD and EmoryNLP."""


def spoken_text(utterance: Utterance | UtteranceView) -> str:
    """Returns what the encoder reads: the names of the speakers, a colon, the words."""
    return canonical_text(f"{' & '.join(utterance.speakers)}: {utterance.text}")


class Tuned(Encoder):
    """An encoder and its training; a kind of it says where the weights come from.

    Rows are states of the first token in the last four layers, float32 (n_utterances, 4, width), dropout off.
    """

    learns = True
    recipe: TuningRecipe
    _folder: Path | None = None
    """Of the weights, once they have learned."""

    def identity(self) -> dict[str, Any]:
        """Returns the encoder that is tuned, and the recipe."""
        return {**self._base(), "pool": "first", "n_layers": N_LAYERS, "recipe": asdict(self.recipe)}

    def learn(self, train: Split, dev: Split, folder: Path, tell: Tell = tell_nobody) -> Mapping[str, Any]:
        """Learns, or takes up what a run before this one has learned; returns epoch and weighted F1 on dev.

        Raises:
            ModelError, MissingDependencyError: the encoder cannot be loaded.
            StoreError: the folder cannot be written.
        """
        self._folder = folder / "weights"
        if not is_whole(self._folder):
            with locked(folder / "learning.lock", wait=True):
                if not keep_whole(self._folder):
                    self._learn(train, dev, self._folder, tell)
        with disk(self._folder):
            learned: dict[str, Any] = json.loads((self._folder / RECORD).read_text(encoding="utf-8"))
        return learned

    def encode(self, utterances: Sequence[UtteranceView], tell: Tell = tell_nobody) -> Layers:
        """Returns float32 (n_utterances, 4, width)."""
        from harness.features.states import layer_states

        tokenizer, model = self._loaded
        texts = [spoken_text(u) for u in utterances]
        return layer_states(model, tokenizer, texts, "first", N_LAYERS, self.recipe.n_tokens, tell=tell)

    def head(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Returns weights (n_labels, width) and biases (n_labels,) that make logits of r1, in the order of the labels.

        Raises:
            DataError: nothing was learned yet.
        """
        from safetensors.numpy import load_file

        head = load_file(self._learned_folder / HEAD)
        return head["weight"], head["bias"]

    def _learn(self, train: Split, dev: Split, folder: Path, tell: Tell) -> None:
        from safetensors.torch import save_file

        from harness.features.tuning import tune

        tokenizer, model = self._load_base()
        texts, labels = zip(*((spoken_text(u), u.label) for u in train.utterances() if u.label), strict=True)
        dev_texts, dev_labels = zip(*((spoken_text(u), u.label) for u in dev.utterances() if u.label), strict=True)
        order = train.label_set
        learned, head = tune(
            model, tokenizer, (texts, [order.index(label) for label in labels]),
            (dev_texts, [order.index(label) for label in dev_labels]), len(order), self.recipe, self.seed, tell,
        )  # fmt: skip
        part = folder.with_name(f"{folder.name}.part")
        with disk(part):
            shutil.rmtree(part, ignore_errors=True)
            model.save_pretrained(part)
            tokenizer.save_pretrained(part)
            save_file(head, part / HEAD)
            (part / RECORD).write_text(json.dumps(learned) + "\n", encoding="utf-8")
            seal_folder(part)
            shutil.rmtree(folder, ignore_errors=True)
            part.rename(folder)

    def _base(self) -> dict[str, Any]:
        raise NotImplementedError

    def _load_base(self) -> tuple[Any, Any]:
        raise NotImplementedError

    @property
    def _learned_folder(self) -> Path:
        if self._folder is None:
            raise DataError("this encoder has learned nothing yet; give it the training split first")
        return self._folder

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        return load_encoder(str(self._learned_folder))


@register_encoder(
    "minilm-tuned", kind="tuned", summary="all-MiniLM-L6-v2 fine-tuned on single training utterances; r1 to r4."
)
class TunedMiniLM(Tuned):
    """MiniLM, six layers of width 384, tuned in minutes on two cores."""

    recipe = SMALL

    def _base(self) -> dict[str, Any]:
        return {"encoder": "minilm", "content": TextEncoder().fingerprint}

    def _load_base(self) -> tuple[Any, Any]:
        return load_encoder(str(minilm_folder()))


@register_encoder(
    "hf-tuned", kind="tuned", argument="NAME_OR_FOLDER",
    summary="An encoder of transformers fine-tuned on single training utterances; r1 to r4.",
)  # fmt: skip
class TunedPretrained(Tuned):
    """Any encoder of transformers, tuned; with RoBERTa-large it comes nearest to the features that papers call F3."""

    recipe = LARGE

    @classmethod
    def named(cls, argument: str) -> str:
        """Returns name and content of a folder; a name at the hub is its own."""
        return Pretrained.named(argument)

    def _base(self) -> dict[str, Any]:
        return {key: value for key, value in self._frozen.identity().items() if key in ("encoder", "revision")}

    def _load_base(self) -> tuple[Any, Any]:
        return self._frozen.load()

    @cached_property
    def _frozen(self) -> Pretrained:
        return Pretrained(self.argument, download=self.download)
