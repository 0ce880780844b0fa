"""Rows against examples computed one by one, against a padded batch, and against transformers' own trainer."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model
from transformers import DataCollatorForSeq2Seq, Trainer, TrainerCallback, TrainingArguments

from harness.llm.local.choice_tree import Candidates
from harness.llm.tuning.examples import whole_texts
from harness.llm.tuning.memory import Memory
from harness.llm.tuning.rows import RowPlan, collate_row
from harness.llm.tuning.settings import trainer_settings
from harness.llm.tuning.trainer import RowTrainer
from harness.llm.tuning.tune import Task, fine_tune

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),  # peft asks transformers by an old name
]


@pytest.fixture(scope="module")
def adapted(base: Any) -> Any:
    """The base with LoRA matrices of which none is zero, so that none has a gradient of zero."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        config = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", init_lora_weights=False)
        return get_peft_model(copy.deepcopy(base), config)


class Gradients(TrainerCallback):
    """Keeps the gradients of the first update, and the losses of its rows."""

    def __init__(self) -> None:
        self.found: dict[str, torch.Tensor] = {}
        self.trainer: Any = None
        self.loss = 0.0

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        self.found = gradients(more["model"])
        self.loss = float(torch.stack(self.trainer.losses).sum())


def gradients(model: Any) -> dict[str, torch.Tensor]:
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def in_rows(model: Any, examples: Sequence[Candidates], recipe: Any, folder: Path, n_tokens: int) -> Gradients:
    """Returns loss and gradients of one update over all examples, as the trainer computes them."""
    args = trainer_settings(recipe, folder, 0, False, Memory(n_tokens, False), False)
    plan = RowPlan(examples, len(examples), n_tokens)
    args.gradient_accumulation_steps = plan.n_rows
    seen = Gradients()
    seen.trainer = RowTrainer(copy.deepcopy(model), args, plan, None, callbacks=[seen])
    seen.trainer.train()
    assert len(seen.trainer.losses) == plan.n_rows
    return seen


def alike(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    """Returns the largest difference of two sets of gradients, relative to the largest number of each matrix."""
    assert one.keys() == other.keys()
    return max(float((one[name] - other[name]).abs().max() / other[name].abs().max()) for name in other)


@pytest.mark.parametrize("n_tokens", [1, 64, 512])
@pytest.mark.parametrize("loss", ["answer", "all"])
def test_an_update_in_rows_is_the_update_of_examples_one_by_one(
    adapted: Any, draw: Any, recipe: Any, plainly: Any, tmp_path: Path, loss: str, n_tokens: int
) -> None:
    examples = draw(21) if loss == "answer" else whole_texts(draw(21))
    model = copy.deepcopy(adapted)
    expected = plainly(model, examples)
    expected.backward()
    seen = in_rows(adapted, examples, recipe(max_grad_norm=1e9, epochs=1), tmp_path, n_tokens)
    assert seen.loss == pytest.approx(expected.item(), rel=1e-5)
    assert len(seen.found) == 2 * 7 * 2  # A and B of 7 linear layers in 2 blocks
    assert alike(seen.found, gradients(model)) < 1e-5


def padded(examples: Sequence[Candidates]) -> list[dict[str, list[int]]]:
    """Returns features as a collator of transformers takes them."""
    return [
        {
            "input_ids": [*one.context, *one.continuations[0]],
            "attention_mask": [1] * (len(one.context) + len(one.continuations[0])),
            "labels": [*[-100] * len(one.context), *one.continuations[0]],
        }
        for one in examples
    ]


@pytest.fixture(scope="module")
def collator(small_llama: Path) -> Callable[[Any], Any]:
    """Transformers' collator, which pads on the left; its pad token is 2 as in the base."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(small_llama, padding_side="left")
    assert tokenizer.pad_token_id == 2
    return DataCollatorForSeq2Seq(tokenizer)


@pytest.mark.filterwarnings("ignore:You're using a .*TokenizerFast")
def test_an_update_in_rows_is_the_update_of_a_padded_batch(
    adapted: Any, draw: Any, recipe: Any, collator: Any, tmp_path: Path
) -> None:
    examples = draw(13, seed=4)
    model = copy.deepcopy(adapted)
    loss = model(**collator(padded(examples))).loss
    loss.backward()
    seen = in_rows(adapted, examples, recipe(max_grad_norm=1e9, epochs=1), tmp_path, 64)
    assert seen.loss == pytest.approx(loss.item(), rel=1e-5)
    assert alike(seen.found, gradients(model)) < 1e-5


def test_ten_updates_are_those_of_transformers_trainer(
    load: Any, draw: Any, recipe: Any, collator: Any, tmp_path: Path
) -> None:
    examples, seed = draw(40), 3
    saved: list[Any] = []
    settings_ = recipe(batch_size=8, epochs=2, learning_rate=2e-2)
    task = Task(load, "cpu", examples, None, settings_, "lora", tmp_path / "ours", seed)
    ours = fine_tune(task, lambda state: None, lambda *model: saved.append(model[0]), Memory(128, False))
    plan = RowPlan(examples, 8, 128, seed=seed)
    order = []
    for epoch in range(2):
        plan.set_epoch(epoch)
        order += [int(i) for number in range(plan.n_updates) for i in plan.update(number)]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = get_peft_model(
            load(), LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
        )
        args = TrainingArguments(
            str(tmp_path / "theirs"), per_device_train_batch_size=8, num_train_epochs=1, learning_rate=2e-2,
            lr_scheduler_type="cosine_with_min_lr", lr_scheduler_kwargs={"min_lr_rate": 0.1}, weight_decay=0.1,
            adam_beta1=0.9, adam_beta2=0.95, max_grad_norm=1.0, use_cpu=True, logging_steps=1, report_to="none",
            save_strategy="no", disable_tqdm=True, train_sampling_strategy="sequential", seed=seed,
        )  # fmt: skip
        data: Any = [padded(examples)[i] for i in order]
        trainer = Trainer(model, args, collator, data)
        trainer.remove_callback(transformers.PrinterCallback)
        trainer.train()
    theirs = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    found = [row["loss"] for row in ours.history]
    assert len(theirs) == 10 and ours.n_steps == 10
    assert found == pytest.approx(theirs, rel=1e-4)
    assert theirs[-1] < 0.9 * theirs[0]  # weights have moved
    ended = {name: p for name, p in model.named_parameters() if p.requires_grad}
    for name, p in saved[0].named_parameters():
        if p.requires_grad:
            assert torch.allclose(p, ended[name], atol=1e-4), name


def candidates() -> st.SearchStrategy[list[Candidates]]:
    tokens = st.integers(0, 5)
    one = st.builds(
        lambda context, answer: Candidates(tuple(context), (tuple(answer),)),
        st.lists(tokens, min_size=1, max_size=12),
        st.lists(tokens, min_size=1, max_size=3),
    )
    return st.lists(one, min_size=1, max_size=30)


@settings(max_examples=60, deadline=None)
@given(candidates(), st.integers(1, 12), st.integers(1, 60), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_every_example_is_in_one_row_of_an_epoch(
    examples: list[Candidates], batch_size: int, n_tokens: int, n_workers: int, seed: int
) -> None:
    plan = RowPlan(examples, batch_size, n_tokens, n_workers, seed)
    assert plan.n_rows % n_workers == 0 and len(plan) == plan.n_updates * plan.n_rows
    orders = []
    for epoch in (0, 1):
        plan.set_epoch(epoch)
        rows = [plan[i] for i in range(len(plan))]
        members = [number for row in rows for number in row.row.members if number >= 0]
        assert sorted(members) == list(range(len(examples)))
        orders.append([plan.update(number).tolist() for number in range(plan.n_updates)])
        for number, update in enumerate(orders[-1]):
            assert len(update) <= batch_size and len(update) - len(orders[-1][-1]) in (0, 1)
            own = rows[number * plan.n_rows : (number + 1) * plan.n_rows]
            assert sorted(n for row in own for n in row.row.members if n >= 0) == sorted(update)
            n_learned = sum(len(examples[i].continuations[0]) for i in update)
            assert {row.n_learned for row in own} == {n_learned}
            assert sum(len(row.row.targets) for row in own) == n_learned
            if n_tokens == 1:
                assert all(len(row.row.members) == 1 for row in own)
    again = RowPlan(list(examples), batch_size, 1, 1, seed)  # neither rows nor workers have to do with the order
    for epoch in (1, 0):
        again.set_epoch(epoch)
        assert [again.update(number).tolist() for number in range(again.n_updates)] == orders[epoch]


def test_the_order_depends_on_seed_and_epoch(draw: Any) -> None:
    examples = draw(30)
    orders = set()
    for seed in (0, 1):
        plan = RowPlan(examples, 30, 64, seed=seed)
        for epoch in (0, 1):
            plan.set_epoch(epoch)
            orders.add(tuple(plan.update(0).tolist()))
    assert len(orders) == 4


def test_updates_are_of_like_size() -> None:
    examples = [Candidates((1, 2), ((3,),))] * 101
    plan = RowPlan(examples, 10, 64)
    assert {len(plan.update(number)) for number in range(plan.n_updates)} == {9, 10}


@pytest.mark.parametrize("n_tokens", [40, 100, 300])
def test_rows_of_an_update_are_of_like_length(draw: Any, n_tokens: int) -> None:
    examples = draw(64)
    plan = RowPlan(examples, 32, n_tokens)
    header = 12
    longest = max(len(one.context) + len(one.continuations[0]) - header for one in examples)
    for number in range(plan.n_updates):
        rows = [plan[number * plan.n_rows + place].row for place in range(plan.n_rows)]
        assert plan.n_rows > 1
        loads = [sum(len(examples[i].context) + len(examples[i].continuations[0]) - header for i in row.members)
                 for row in rows]  # fmt: skip
        assert max(loads) - min(loads) <= longest  # else the last example of the longest row belonged elsewhere
        assert np.mean([len(row.tokens) for row in rows]) <= 1.25 * n_tokens


def test_a_row_without_examples_learns_nothing(load: Any, draw: Any, recipe: Any, tmp_path: Path) -> None:
    plan = RowPlan(draw(3), 3, 4096, n_workers=4)
    empty = [plan[i] for i in range(4) if plan[i].row.members == [-1]]
    assert plan.n_rows == 4 and len(empty) == 1
    model = load()
    args = trainer_settings(recipe(), tmp_path, 0, False, Memory(4096, False), False)
    trainer = RowTrainer(model, args, plan, None)
    loss = trainer.compute_loss(model, collate_row(empty, torch.float32))
    loss.backward()
    assert loss.item() == 0.0
    assert all(p.grad is None or not p.grad.any() for p in model.parameters())


def test_a_row_that_does_not_branch_has_no_mask_of_its_own() -> None:
    plan = RowPlan([Candidates((5, 6, 7), ((8, 9),))], 1, 64)
    batch = collate_row([plan[0]], torch.float32)
    assert "attention_mask" not in batch
    assert batch["input_ids"].tolist() == [[5, 6, 7, 8]]  # the last token of an answer is not read
    assert batch["targets"].tolist() == [8, 9] and batch["logits_to_keep"].tolist() == [2, 3]
