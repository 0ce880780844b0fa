"""The training loop that ours is measured against: what DialogueLLM's released script does, from its description.

Plain Trainer of transformers with peft: micro-batches of 4, their gradients accumulated to a batch of 60; every example
whole, cut on the right at 256 tokens and padded on the left to the longest of its micro-batch, rounded up to a multiple
of 8; loss on prompt and answer alike. Settings are those of the recipe `released-code`.

Knowingly different: the first token of a text is no label. Left padding makes the script learn it, from a position that
is padding, in all examples but the longest of a micro-batch; it costs nothing, and no two ways of batching agree on it.
Looks at held-out records and checkpoints are left out here, as they are on our side.

Source: Dreamyao516/DialogueLLM, commit 9bde222: its training script, described; no code of it is used.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from torch.utils.data import Dataset
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from harness.llm.local.choice_tree import Candidates
from harness.llm.tables.recipes import Recipe
from harness.llm.tuning.quiet import quietly

MICRO_BATCH = 4
MULTIPLE = 8
"""What padded lengths are a multiple of."""

PAD = 0
IGNORED = -100
"""Label of what is not learned."""


class Texts(Dataset[list[int]]):
    """Whole examples, each cut at a number of tokens."""

    def __init__(self, examples: Sequence[Candidates], n_tokens: int) -> None:
        self._texts = [[*one.context, *one.continuations[0]] for one in examples]
        self._n_tokens = n_tokens
        self.n_cut = sum(len(text) > n_tokens for text in self._texts)

    def __len__(self) -> int:
        return len(self._texts)

    def __getitem__(self, index: int) -> list[int]:
        return self._texts[index][: self._n_tokens]


def pad_left(texts: Sequence[Sequence[int]]) -> dict[str, torch.Tensor]:
    """Returns input_ids, attention_mask and labels, int64 (n_texts, longest rounded up)."""
    width = -(-max(map(len, texts)) // MULTIPLE) * MULTIPLE
    ids = torch.full((len(texts), width), PAD)
    mask, labels = torch.zeros_like(ids), torch.full_like(ids, IGNORED)
    for row, text in enumerate(texts):
        begin = width - len(text)
        ids[row, begin:] = torch.tensor(text)
        mask[row, begin:] = 1
        labels[row, begin + 1 :] = ids[row, begin + 1 :]
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


@dataclass(frozen=True)
class Trained:
    """What came of it."""

    losses: list[float]
    """By update, nats per learned token."""
    times: list[float]
    """After each update, seconds on some clock."""
    seconds: float
    """Of the updates."""
    n_tokens: int
    """Computed, padding included."""
    n_cut: int
    """Examples that lost their end."""


class Clock(TrainerCallback):
    """Notes when updates were done; what is logged has been waited for."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_log(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        if len(self.times) < state.global_step:
            self.times.append(time.perf_counter())


class Counter:
    """Batches texts, and counts tokens."""

    def __init__(self) -> None:
        self.n_tokens = 0

    def __call__(self, texts: Sequence[Sequence[int]]) -> dict[str, torch.Tensor]:
        batch = pad_left(texts)
        self.n_tokens += batch["input_ids"].numel()
        return batch


def train_released(
    model: Any, examples: Sequence[Candidates], recipe: Recipe, folder: Path, seed: int, on_gpu: bool, warmup_steps: int
) -> Trained:
    """Trains one epoch, in the order of the examples.

    Args:
        model: the base, on its device.
        examples: as many as make whole batches.
        recipe: `released-code`, or a copy with another dropout.
        folder: for the trainer, which writes nothing.
        seed: of dropout.
        on_gpu: whether a GPU computes, in the precision of the recipe.
        warmup_steps: updates during which the learning rate rises.
    """
    config = LoraConfig(
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        lora_dropout=recipe.dropout,
        target_modules=list(recipe.targets),
        bias="none",
        task_type="CAUSAL_LM",
    )
    args = TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=MICRO_BATCH,
        gradient_accumulation_steps=recipe.batch_size // MICRO_BATCH,
        num_train_epochs=1,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type=recipe.schedule,
        warmup_steps=warmup_steps,
        optim="adamw_torch",
        fp16=on_gpu and recipe.precision == "fp16",
        use_cpu=not on_gpu,
        train_sampling_strategy="sequential",  # the script's is random: the caller has drawn the order
        save_strategy="no",
        logging_steps=1,
        disable_tqdm=True,
        report_to="none",
        remove_unused_columns=False,
        dataloader_pin_memory=on_gpu,
        seed=seed,
    )
    texts, clock, batches = Texts(examples, recipe.max_tokens), Clock(), Counter()
    with quietly():
        trainer = Trainer(get_peft_model(model, config), args, batches, texts, callbacks=[clock])
        trainer.remove_callback(PrinterCallback)
        done = trainer.train()
    losses = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    return Trained(losses, clock.times, round(done.metrics["train_runtime"], 1), batches.n_tokens, texts.n_cut)
