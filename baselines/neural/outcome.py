"""What trained systems tell: predictions from logits, and how a training went. Importing it loads no torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import MissingDependencyError, StoreError
from harness.schema import DialogueView, Prediction

if TYPE_CHECKING:
    from torch import nn

    from baselines.neural.checkpoints import Progress


def make_predictions(view: DialogueView, logits: NDArray[np.float32], labels: Sequence[str]) -> list[Prediction]:
    """Returns the likeliest label of every target of a view, with probabilities.

    Args:
        view: what was asked.
        logits: float32 (n_targets, n_labels).
        labels: their names.
    """
    from scipy.special import softmax

    scores = softmax(logits.astype(np.float64), axis=1)
    return [
        Prediction(target.id, labels[int(own.argmax())], dict(zip(labels, own.tolist(), strict=True)))
        for target, own in zip(view.targets, scores, strict=True)
    ]


def describe_epoch(progress: Progress) -> str:
    """Returns loss and score on dev of the last epoch, and the best score, in a few words."""
    best = max(progress.scores)
    return f"loss {progress.losses[-1]:.3f}, dev F1 {progress.scores[-1]:.4f}, best {best:.4f}"


def summarise_training(network: nn.Module, progress: Progress, device: str) -> dict[str, Any]:
    """Returns what a manifest says of a training; the score is a fraction."""
    return {
        "n_parameters": sum(p.numel() for p in network.parameters()),
        "best_epoch": progress.best_epoch,
        "n_epochs": progress.epoch,
        "dev_weighted_f1": round(max(progress.scores), 6),
        "device": device,
    }


def pick_device() -> str:
    """Returns where networks live: "cuda" if there is such a device, else "cpu"."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def check_packages(*packages: str) -> None:
    """Raises MissingDependencyError if a package that networks need is not installed."""
    for package in packages:
        if find_spec(package) is None:
            raise MissingDependencyError.of(package, "models", "a neural system")


@contextmanager
def reading_weights(folder: Path) -> Iterator[None]:
    """Raises StoreError, with what to do, where what `save` wrote cannot be read or is of another system."""
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, ValueError, TypeError, KeyError, RuntimeError, SafetensorError) as error:
        raise StoreError(f"{folder}: no weights of this system ({error}); delete the folder and repeat") from error
