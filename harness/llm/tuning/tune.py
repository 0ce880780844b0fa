"""Fine-tunes one model by a recipe, from its last checkpoint if there is one, and hands over the best weights.

Owns going on after an interruption, lack of memory, and random numbers. Knows no dataset.
"""

from __future__ import annotations

import gc
import json
import random
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from transformers import PrinterCallback

from harness.errors import ModelError
from harness.llm.local.choice_tree import Candidates
from harness.llm.local.scoring import is_out_of_memory
from harness.llm.tables.recipes import Recipe
from harness.llm.tuning.memory import Memory, advise, usual_memory
from harness.llm.tuning.packing import packs
from harness.llm.tuning.quiet import quietly
from harness.llm.tuning.rows import RowPlan
from harness.llm.tuning.settings import add_lora, trainer_settings
from harness.llm.tuning.trainer import DevSet, RowTrainer, TrainingState
from harness.llm.tuning.watching import Patience, Watch, peak_memory

Method = Literal["lora", "full"]
"""Low-rank matrices beside frozen weights, or all weights."""

Save = Callable[[Any, Mapping[str, torch.Tensor] | None], None]


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be trained, and how."""

    load: Callable[[], Any]
    """Loads the base."""
    device: str
    """Type of the device to train on: 'cpu' or 'cuda'."""
    examples: Sequence[Candidates]
    """What is learned; see `harness.llm.tuning.examples`."""
    dev: DevSet | None
    """What chooses the checkpoint; None: the last weights are kept, and no checkpoint before them."""
    recipe: Recipe
    method: Method
    folder: Path
    """For checkpoints; an interrupted training goes on from the last whole one."""
    seed: int
    """Of order, dropout and new weights."""
    n_threads: int | None = None
    """Of the CPU. One is fastest for tiny models, and gives the same digits whatever the number of cores; None: as many
    as torch takes."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """What came of a training."""

    n_steps: int
    """Updates made."""
    best_step: int
    """Update after which the weights that were kept stood."""
    best_score: float | None
    history: tuple[Mapping[str, float], ...]
    """What was logged: step, epoch, and loss (of an update, in nats per learned token) or eval_score."""
    n_trainable: int
    n_parameters: int
    n_tokens: int
    """Computed in this session, each once for all examples of a row that share it."""
    seconds: float
    """Of this session."""
    peak_bytes: int
    memory: Memory
    device: str
    """'cpu', or the name of the GPU."""
    n_processes: int
    """That trained together."""


def fine_tune(task: Task, tell: Callable[[TrainingState], None], save: Save, memory: Memory | None = None) -> Tuning:
    """Trains, and hands the model with the best weights to `save`, in the first process only.

    Args:
        task: what to do.
        tell: told how it goes.
        save: takes the model, and its weights where processes held parts of them and gathered them, else None.
        memory: what to begin with; None: what suits the device. Where it does not fit, less is tried.

    Raises:
        ConfigError: the base has none of the layers that the recipe names.
        ModelError: the loss is not finite, or memory lacks whatever is tried.
    """
    first: Memory | None = memory
    done: Tuning | None = None
    while True:
        with _own_randomness(task.seed), _threads(task.n_threads):
            model = _load(task)
            first = first or usual_memory(model, task.device)
            tried = memory or first
            try:
                done = _train(task, model, tell, save, tried)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                alone = not torch.distributed.is_initialized()  # else the others wait for this process
                memory = tried.smaller(first) if alone else None
                if memory is None:
                    raise ModelError(advise(task.recipe, task.method, tried)) from error
        del model
        gc.collect()  # the trainer holds itself, and the model, in cycles: whatever is loaded next needs their room
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if done is not None:
            return done


def _load(task: Task) -> Any:
    """Returns the base; raises ModelError that says what would fit where it does not."""
    try:
        return task.load()
    except (RuntimeError, MemoryError) as error:
        if is_out_of_memory(error.__cause__ or error):
            raise ModelError(advise(task.recipe, task.method, None)) from error
        raise


def _train(task: Task, model: Any, tell: Callable[[TrainingState], None], save: Save, memory: Memory) -> Tuning:
    recipe = task.recipe
    with quietly():
        model = add_lora(model, recipe, memory) if task.method == "lora" else model.float().requires_grad_(True)
    if not packs(model, task.examples):
        memory = replace(memory, row_tokens=1)
    args = trainer_settings(recipe, task.folder, task.seed, task.device == "cuda", memory, task.dev is not None)
    plan = RowPlan(task.examples, recipe.batch_size, memory.row_tokens, args.world_size, task.seed)
    args.gradient_accumulation_steps = plan.n_rows // args.world_size
    args.warmup_steps = min(recipe.warmup_steps, plan.n_updates * recipe.epochs // 10)
    watch = Watch(tell)
    callbacks = [watch, *([Patience(recipe.patience)] if recipe.patience and task.dev else [])]
    with quietly():
        trainer = RowTrainer(model, args, plan, task.dev, callbacks=callbacks)
        trainer.remove_callback(PrinterCallback)
        watch.trainer = trainer
        done = trainer.train(resume_from_checkpoint=last_checkpoint(task.folder))
    gathered = trainer.accelerator.get_state_dict(trainer.model) if trainer.is_fsdp_enabled else None  # by all of them
    state = trainer.state
    if state.is_world_process_zero:
        save(trainer.accelerator.unwrap_model(trainer.model), gathered)
    keys = ("step", "epoch", "loss", "eval_score")
    return Tuning(
        n_steps=state.global_step,
        best_step=state.best_global_step or state.global_step,
        best_score=state.best_metric,
        history=tuple(
            {key: row[key] for key in keys if key in row}
            for row in state.log_history
            if "loss" in row or "eval_score" in row
        ),
        n_trainable=sum(p.numel() for p in model.parameters() if p.requires_grad),
        n_parameters=sum(p.numel() for p in model.parameters()),
        n_tokens=trainer.n_tokens * args.world_size,
        seconds=round(done.metrics["train_runtime"], 1),
        peak_bytes=peak_memory(),
        memory=memory,
        device=torch.cuda.get_device_name() if task.device == "cuda" else "cpu",
        n_processes=args.world_size,
    )


def last_checkpoint(folder: Path) -> str | None:
    """Returns the last checkpoint that was written whole, and removes those that were not; None without one."""
    found = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]), reverse=True)
    for path in found:
        try:
            json.loads((path / "trainer_state.json").read_text(encoding="utf-8"))  # what the trainer writes last
        except (OSError, ValueError):
            shutil.rmtree(path, ignore_errors=True)
        else:
            return str(path)
    return None


def describe(state: TrainingState, metric: str) -> str:
    """Returns in a few words how training goes; `metric` is the name of the score on dev."""
    parts = [f"epoch {state.epoch:.1f}"]
    if state.loss is not None:
        parts.append(f"loss {state.loss:.3f}")
    if state.score is not None:
        parts.append(f"{metric} {state.score:.4f}")
    if state.tokens_per_second:
        parts.append(f"{state.tokens_per_second:,.0f} tokens/s")
    parts.append(f"{state.peak_bytes / 2**30:.1f} GiB")
    if state.seconds_left is not None:
        minutes, seconds = divmod(round(state.seconds_left), 60)
        parts.append(f"{minutes}:{seconds:02d} left")
    return ", ".join(parts)


@contextmanager
def _own_randomness(seed: int) -> Iterator[None]:
    """Seeds what libraries draw from, and leaves everybody else's numbers as they were."""
    before = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002


@contextmanager
def _threads(n: int | None) -> Iterator[None]:
    """Computes with a number of threads of the CPU."""
    before = torch.get_num_threads()
    torch.set_num_threads(n or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
