"""What a training keeps after each epoch, in memory or in a folder: safetensors and JSON, nothing that executes.

epoch-012.safetensors     weights after epoch 12, of every epoch
state-012.safetensors     state of the optimizer after epoch 12, of the last epoch only
progress.seal.json        how far training has come, and checksums of the others; written when they are whole
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, load_model, save_file, save_model
from torch import Tensor, nn

from harness.data.damage import SEAL, read_seal, seal
from harness.errors import StoreError

WEIGHTS, STATE, PROGRESS = "epoch-{:03d}.safetensors", "state-{:03d}.safetensors", f"progress{SEAL}"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a training has come."""

    epoch: int = 0
    """Epochs made."""
    best_epoch: int = 0
    """Epoch with the highest score on dev, the first of equals; 0: none yet."""
    losses: tuple[float, ...] = ()
    """Mean training loss of each epoch."""
    scores: tuple[float, ...] = ()
    """Weighted F1 on dev after each epoch, a fraction."""
    seconds: float = 0.0
    """Of all epochs."""

    def after(self, epoch: int, loss: float, score: float, seconds: float) -> Progress:
        """Returns the progress after one more epoch."""
        best = epoch if not self.scores or score > max(self.scores) else self.best_epoch
        return replace(
            self, epoch=epoch, best_epoch=best, losses=(*self.losses, loss), scores=(*self.scores, score),
            seconds=self.seconds + seconds,
        )  # fmt: skip


class Checkpoints:
    """The weights of every epoch, and what a training goes on from. Weights that layers share are written once.

    Args:
        folder: where they are kept; None: only the best weights are, in memory.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._best: dict[str, Tensor] = {}
        self._sums: dict[str, str] = {}
        """SHA-256 by name of what is in the folder."""

    def keep(self, network: nn.Module, optimizer: torch.optim.Optimizer, progress: Progress) -> None:
        """Keeps what an epoch led to.

        Raises:
            StoreError: the folder cannot be written.
        """
        if self._folder is None:
            if progress.best_epoch == progress.epoch:
                self._best = {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with _whole(self._folder / WEIGHTS.format(progress.epoch)) as part:
                save_model(network, str(part))
            with _whole(self._folder / STATE.format(progress.epoch)) as part:
                save_file(_flatten(optimizer.state_dict()["state"]), part)
            old = self._folder / STATE.format(progress.epoch - 1)
            self._sums.pop(old.name, None)
            new = [self._folder / name.format(progress.epoch) for name in (WEIGHTS, STATE)]
            self._sums = seal(self._folder / PROGRESS, new, asdict(progress), self._sums)
            old.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(f"{self._folder}: {error.strerror or error}; free the disk and repeat") from error

    def restore(self, network: nn.Module, optimizer: torch.optim.Optimizer) -> Progress | None:
        """Puts network and optimizer where they were after the last epoch that was kept; None if there is none.

        Raises:
            StoreError: what is there cannot be read, or is of another network.
        """
        if self._folder is None or not (self._folder / PROGRESS).is_file():
            return None
        try:
            record, self._sums = read_seal(self._folder / PROGRESS)
            progress = Progress(**record | {key: tuple(record[key]) for key in ("losses", "scores")})
            state = load_file(self._folder / STATE.format(progress.epoch))
            self.restore_best(network, progress)  # tells now whether it can be read at the end
            load_model(network, self._folder / WEIGHTS.format(progress.epoch))
        except (OSError, ValueError, TypeError, KeyError, RuntimeError, SafetensorError) as error:
            raise StoreError(f"{self._folder}: no checkpoint of this training ({error}); delete it, repeat") from error
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": _unflatten(state), "param_groups": groups})
        return progress

    def restore_best(self, network: nn.Module, progress: Progress) -> None:
        """Gives a network the weights of the best epoch."""
        if self._folder is None:
            network.load_state_dict(self._best)
        else:
            load_model(network, self._folder / WEIGHTS.format(progress.best_epoch))

    def epochs(self, network: nn.Module) -> Iterator[int]:
        """Gives a network the weights of one epoch after the other; yields the number of each, from 1."""
        if self._folder is None:
            return
        paths = {int(path.stem.rpartition("-")[2]): path for path in self._folder.glob("epoch-*.safetensors")}
        for epoch in sorted(paths):
            load_model(network, paths[epoch])
            yield epoch


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """Gives a place to write a file, which then appears at once: a kill leaves the old one, or none."""
    part = path.with_name(f"{path.name}.part")
    yield part
    part.replace(path)


def _flatten(state: Mapping[int, Mapping[str, Any]]) -> dict[str, Tensor]:
    """Returns the state of an optimizer as tensors by 'number of the parameter/name'."""
    return {
        f"{number}/{name}": torch.as_tensor(value).detach().cpu().contiguous()
        for number, own in state.items()
        for name, value in own.items()
    }


def _unflatten(tensors: Mapping[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        number, _, name = key.partition("/")
        state.setdefault(int(number), {})[name] = value
    return state
