"""Loading pretrained weights with transformers: one line for whatever goes wrong, and nothing on the terminal else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from harness.errors import MissingDependencyError, ModelError


@contextmanager
def load_quietly(what: str) -> Iterator[None]:
    """Turns whatever loading raises into a ModelError of one line, and keeps progress bars off the terminal."""
    import transformers

    logging: Any = transformers.utils.logging
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    except Exception as error:  # many libraries read these files, each with errors of its own; the cause is kept
        reason = " ".join(str(error).split())
        raise ModelError(f"{what} cannot be loaded: {type(error).__name__}: {reason}; give whole weights") from error
    finally:
        if shown:
            logging.enable_progress_bar()


def load_encoder(source: str, revision: str | None = None, download: bool = False) -> tuple[Any, Any]:
    """Returns (tokenizer, encoder) of a folder or of a name at the hub: on the CPU, in float32, ready to encode.

    Of a model with encoder and decoder it is the encoder.

    Raises:
        MissingDependencyError: transformers is not installed.
        ModelError: there is no encoder, it cannot be read, or its tokenizer cannot pad.
    """
    try:
        from transformers import AutoModel, AutoTokenizer
    except ImportError as error:
        raise MissingDependencyError.of("transformers", "models", "encoding texts") from error
    origin: dict[str, Any] = {"local_files_only": not download, **({"revision": revision} if revision else {})}
    with load_quietly(f"encoder {source!r}"):
        tokenizer = AutoTokenizer.from_pretrained(source, **origin)
        model: Any = AutoModel.from_pretrained(source, **origin)
    if tokenizer.pad_token_id is None:
        raise ModelError(
            f"encoder {source!r}: its tokenizer has no token for padding; expected an encoder such as BERT or RoBERTa"
        )
    if model.config.is_encoder_decoder:
        model = model.get_encoder()
    return tokenizer, model.float().eval()
