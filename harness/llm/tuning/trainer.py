"""The training loop: transformers' Trainer over rows, judged by the likeliest label or the loss.

Owns the loss of a row and the look at dev. Loads no model and knows no recipe; what is told, and when training is
stopped, is the business of `harness.llm.tuning.watching`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch
from accelerate.utils import gather_object
from torch.utils.data import SequentialSampler
from transformers import Trainer, TrainingArguments

from harness.llm.local.choice_tree import Candidates, pack_rows
from harness.llm.local.row_pass import Scores, accepts, add_up, log_likelihoods
from harness.llm.tuning.rows import LoadedRow, RowPlan, collate_row

Judge = Callable[[Sequence[tuple[float, ...]]], float]
"""From the log-likelihoods of every label, by question, to a score: the higher the better."""


@dataclass(frozen=True, slots=True)
class DevSet:
    """What checkpoints are judged by."""

    items: Sequence[Candidates]
    """Questions with all labels, or held-out examples with their answer."""
    judge: Judge
    metric: str
    """Name of the score, such as 'dev weighted F1' or 'minus the held-out loss'."""


@dataclass(frozen=True, slots=True)
class TrainingState:
    """How far training has come."""

    step: int
    n_steps: int
    epoch: float
    loss: float | None
    """Mean over the tokens learned since the last report, in nats."""
    score: float | None
    """The last look at dev."""
    tokens_per_second: float | None
    """Tokens computed, each once however many examples share it."""
    peak_bytes: int
    """Memory of the GPU, or of the process, at its highest."""
    seconds_left: float | None


class RowTrainer(Trainer):
    """Trains on the rows of a `RowPlan`, each a batch of its own, and judges by a `DevSet`.

    Source: the loss is the causal language model's, summed over the learned tokens of an update and divided by their
    number, as transformers' Trainer normalises accumulated batches.
    """

    loss_is_scaled_for_ga = True

    def __init__(self, model: Any, args: TrainingArguments, plan: RowPlan, dev: DevSet | None, **others: Any) -> None:
        dtype = next((p.dtype for p in model.parameters() if p.dtype.is_floating_point), torch.float32)
        if args.bf16 or args.fp16:
            dtype = torch.bfloat16 if args.bf16 else torch.float16
        questions: Any = dev.items if dev else None
        super().__init__(model, args, partial(collate_row, dtype=dtype), plan, questions, **others)
        self._dtype = dtype
        self._plan, self._dev = plan, dev
        self._selects = accepts(_unwrapped(model), "logits_to_keep")
        self.losses: list[torch.Tensor] = []
        """Of the rows of the update under way."""
        self.n_tokens = 0
        """Computed by this process since training began."""

    def _get_train_sampler(self, train_dataset: Any = None) -> SequentialSampler:
        return SequentialSampler(self._plan)  # the plan has its own order

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """Returns the summed loss of a row over the number of tokens that its update learns, in all processes."""
        loss: torch.Tensor = -self._row_likelihoods(model, inputs).sum() / inputs["n_learned"]
        self.losses.append(loss.detach())
        self.n_tokens += inputs["input_ids"].numel()
        # Gradients are averaged over processes, and each has some of the rows of an update.
        scaled: torch.Tensor = loss * self.args.world_size
        return scaled

    def _row_likelihoods(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        """Returns the log-likelihood of each learned token of a row, float32 (n_learned_here,)."""
        read = {name: inputs[name] for name in ("input_ids", "attention_mask", "position_ids") if name in inputs}
        keep = inputs["logits_to_keep"]
        if self._selects:
            logits = model(**read, use_cache=False, logits_to_keep=keep).logits[0]
        else:
            logits = model(**read, use_cache=False).logits[0, keep]
        return log_likelihoods(logits, inputs["which"], inputs["targets"])

    def get_trained(self) -> list[torch.nn.Parameter]:
        """Returns the parameters that learn."""
        return [p for p in cast("torch.nn.Module", self.model).parameters() if p.requires_grad]

    def evaluate(self, *ignored: Any, **also_ignored: Any) -> dict[str, float]:
        """Judges the model on dev; returns {"eval_score": ..., "epoch": ...}."""
        metrics: dict[str, float] = {}
        if self._dev is not None:
            metrics["eval_score"] = self._dev.judge(self._score(self._dev.items))
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    @torch.no_grad()
    def _score(self, items: Sequence[Candidates]) -> list[tuple[float, ...]]:
        """Returns the log-likelihoods of continuations, by question; processes share the rows."""
        model: Any = self._wrap_model(cast("torch.nn.Module", self.model), training=False)
        was_training = model.training
        model.eval()
        rows = pack_rows(items, 0, self._plan.n_tokens, len(items) if self._plan.n_tokens > 1 else 1)
        n_workers, own = self.args.world_size, self.args.process_index
        share = [rows[i % len(rows)] for i in range(own, -(-len(rows) // n_workers) * n_workers, n_workers)]
        found: Scores = {}
        for row in share:  # each process as many: sharded models compute together
            batch = self._prepare_inputs(collate_row([LoadedRow(row, 1)], self._dtype))
            with self.compute_loss_context_manager():
                values = self._row_likelihoods(model, batch)
            found |= add_up(row.owners, values.tolist())
        model.train(was_training)
        scores = dict(gather_object(list(found.items())))
        return [scores[number] for number in range(len(items))]


def _unwrapped(model: Any) -> Any:
    """Returns the causal language model inside an adapter of peft, or the model itself."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model
