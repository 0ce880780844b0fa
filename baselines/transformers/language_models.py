"""Pretrained models together with their heads for words, which `harness.features` leaves out. Needs transformers."""

from __future__ import annotations

from typing import Any, Literal

import transformers

from harness.features.loading import load_quietly
from harness.features.weights import Located, hub_access
from harness.llm.tuning.quiet import quietly

Kind = Literal["MaskedLM", "Seq2SeqLM"]
"""Whether hidden words are found, or a decoder writes; as the Auto classes of transformers call it."""


def load_language_model(where: Located, kind: Kind, download: bool) -> tuple[Any, Any]:
    """Returns (tokenizer, model) on the CPU in float32; a head that was not published is drawn from torch's generator.

    Args:
        where: its weights.
        kind: of the model.
        download: whether the hub may be asked for what is not in its cache.

    Raises:
        ModelError: it is of another kind, or cannot be read.
    """
    origin: dict[str, Any] = {"local_files_only": not download, **({"revision": where.commit} if where.commit else {})}
    with hub_access(download), quietly(), load_quietly(f"{where.name!r} as a model for {kind}"):
        tokenizer = transformers.AutoTokenizer.from_pretrained(where.source, **origin)
        model: Any = getattr(transformers, f"AutoModelFor{kind}").from_pretrained(where.source, **origin)
    return tokenizer, model.float()
