"""What stands beside the training loop: it tells how it goes, ends it in time, and lets no broken update be made."""

from __future__ import annotations

import math
import resource
import time
from collections.abc import Callable
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from harness.errors import ModelError
from harness.llm.tuning.trainer import RowTrainer, TrainingState


class Watch(TrainerCallback):
    """Tells how training goes, and stops it before an update whose loss or gradients are not finite.

    Args:
        tell: told after every logging step and look at dev, in the first process only.
    """

    def __init__(self, tell: Callable[[TrainingState], None]) -> None:
        self._tell = tell
        self.trainer: RowTrainer | None = None
        self._loss: float | None = None
        self._score: float | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any
    ) -> None:
        """Begins to measure."""
        self._begin, self._begin_step = time.perf_counter(), state.global_step
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any
    ) -> None:
        """Looks at losses and gradients of an update before it is made.

        In half precision gradients may overflow: the scaler leaves such an update out, and goes on.
        """
        assert self.trainer is not None
        total = self.trainer.accelerator.reduce(torch.stack(self.trainer.losses).sum()).item()  # all stop, or none
        self.trainer.losses.clear()
        what = "" if math.isfinite(total) else f"loss is {total}"
        if not what and self.trainer.accelerator.scaler is None:
            norms = [p.grad.norm() for p in self.trainer.get_trained() if p.grad is not None]
            what = "" if torch.stack(norms).isfinite().all() else "gradient is not finite"
        if what:
            raise ModelError(
                f"the {what} at update {state.global_step + 1}: training stops before it; "
                f"{_kept(state, args)}; give a recipe of your own with a lower learning_rate, or "
                'precision = "bf16": -P recipe=FILE.toml'
            )

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: Any = None, **more: Any
    ) -> None:
        """Takes what is logged, and tells."""
        assert self.trainer is not None
        self._loss = (logs or {}).get("loss", self._loss)
        self._score = (logs or {}).get("eval_score", self._score)
        seconds = time.perf_counter() - self._begin
        done = state.global_step - self._begin_step
        left = (state.max_steps - state.global_step) * seconds / done if done else None
        speed = self.trainer.n_tokens * args.world_size / seconds if done else None
        if state.is_world_process_zero:
            self._tell(
                TrainingState(
                    state.global_step, state.max_steps, float(state.epoch or 0.0), self._loss, self._score, speed,
                    peak_memory(), left,
                )
            )  # fmt: skip


class Patience(TrainerCallback):
    """Ends training after some looks at dev without a better score, counted in the log, which interruptions outlive."""

    def __init__(self, n_looks: int) -> None:
        self._n_looks = n_looks

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any
    ) -> None:
        """Ends a training that had come to its end before it was interrupted."""
        self._count(state, control)

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any) -> None:
        """Counts."""
        self._count(state, control)

    def _count(self, state: TrainerState, control: TrainerControl) -> None:
        scores = [row["eval_score"] for row in state.log_history if "eval_score" in row]
        if scores and len(scores) - 1 - scores.index(max(scores)) >= self._n_looks:
            control.should_training_stop = True


def _kept(state: TrainerState, args: TrainingArguments) -> str:
    """Returns what there is to go on with."""
    best = state.best_model_checkpoint
    if best is None:
        return "nothing was worth keeping yet"
    return f"the best checkpoint so far is kept, for LoRA as -P adapter={best}; delete {args.output_dir} to begin anew"


def peak_memory() -> int:
    """Returns the highest memory so far in bytes: of the GPU if there is one, else of this process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
