"""Whole trainings: which weights are kept, what reaches the optimizer, lack of memory, losses that are not finite."""

from __future__ import annotations

import inspect
import json
import math
import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from peft import PeftModel
from transformers import TrainingArguments

from harness.errors import ConfigError, ModelError
from harness.llm.local.choice_tree import Candidates
from harness.llm.local.scoring import ChoiceScorer
from harness.llm.tuning.memory import Memory
from harness.llm.tuning.settings import add_lora, trainer_settings
from harness.llm.tuning.trainer import DevSet, TrainingState
from harness.llm.tuning.tune import Task, Tuning, describe, fine_tune, last_checkpoint

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),  # peft asks transformers by an old name
]

Train = Callable[..., Tuning]


class Outcome:
    """What a training handed over, and what it was told on the way."""

    def __init__(self) -> None:
        self.models: list[Any] = []
        self.told: list[TrainingState] = []


@pytest.fixture
def outcome() -> Outcome:
    return Outcome()


@pytest.fixture
def train(load: Any, draw: Any, recipe: Any, tmp_path: Path, outcome: Outcome) -> Train:
    """Trains the base on 40 examples by a recipe of small numbers, with some settings changed."""

    def run(**changes: Any) -> Tuning:
        given: dict[str, Any] = {
            "load": load, "device": "cpu", "examples": draw(40), "dev": None, "method": "lora",
            "folder": tmp_path / "part", "seed": 0,
        }  # fmt: skip
        memory = changes.pop("memory", Memory(128, False))
        tell = changes.pop("tell", outcome.told.append)
        task = {key: changes.pop(key) for key in list(changes) if key in given}

        def save(model: Any, gathered: Any) -> None:
            assert gathered is None  # nothing is sharded here
            outcome.models.append(model)

        return fine_tune(Task(**given | task, recipe=recipe(**changes)), tell, save, memory)

    return run


class Script:
    """A dev set whose scores are written beforehand; it keeps what it was shown."""

    def __init__(self, items: Sequence[Candidates], scores: Sequence[float]) -> None:
        self.seen: list[Sequence[tuple[float, ...]]] = []
        self._scores = list(scores)
        self.dev = DevSet(items, self._judge, "score")

    def _judge(self, likelihoods: Sequence[tuple[float, ...]]) -> float:
        self.seen.append(likelihoods)
        return self._scores[len(self.seen) - 1]


def questions(draw: Any, n: int = 9) -> list[Candidates]:
    """Returns prompts with three choices each."""
    return [Candidates(one.context, ((3,), (4, 5), (4, 6, 7))) for one in draw(n, seed=9)]


def likelihoods(model: Any, items: Sequence[Candidates]) -> list[tuple[float, ...]]:
    """Returns the log-likelihoods of choices as they are asked for after training."""
    found: dict[int, Any] = {}
    for part in ChoiceScorer(model.eval(), 4).score(items):
        found |= part
    return [found[i] for i in range(len(items))]


def reload(model: Any, load: Any, folder: Path) -> Any:
    """Returns a model that was saved, and loaded into a base that knows nothing of it."""
    model.save_pretrained(folder)
    return PeftModel.from_pretrained(load(), folder)


def flat(rows: Sequence[Sequence[float]]) -> list[float]:
    return [number for row in rows for number in row]


def test_the_weights_that_are_best_on_dev_are_kept(
    train: Train, draw: Any, load: Any, tmp_path: Path, outcome: Outcome
) -> None:
    script = Script(questions(draw), [0.1, 0.5, 0.3])
    tuning = train(dev=script.dev, epochs=3, learning_rate=5e-2)
    assert (tuning.n_steps, tuning.best_step, tuning.best_score) == (15, 10, 0.5)
    again = likelihoods(reload(outcome.models[0], load, tmp_path / "saved"), script.dev.items)
    assert flat(again) == pytest.approx(flat(script.seen[1]), abs=1e-4)
    for other in (0, 2):
        assert flat(again) != pytest.approx(flat(script.seen[other]), abs=0.05)


def test_a_last_checkpoint_that_has_learned_by_heart_is_not_kept(
    train: Train, draw: Any, load: Any, tmp_path: Path, outcome: Outcome
) -> None:
    held_out = draw(60, seed=3)  # of the same header, with answers that nothing tells: to learn by heart is to lose
    items = [Candidates(held_out[0].context[:12] + one.context[12:], one.continuations) for one in held_out]
    dev = DevSet(items, lambda scores: sum(flat(scores)) / len(flat(scores)), "minus the loss")
    tuning = train(dev=dev, epochs=10, learning_rate=5e-2, rank=16, targets="all-linear", weight_decay=0.0)
    looks = [row["eval_score"] for row in tuning.history if "eval_score" in row]
    assert len(looks) == 10 and looks[-1] < max(looks) - 0.1
    assert tuning.best_score == max(looks) and tuning.best_step == 5 * (1 + looks.index(max(looks)))
    again = likelihoods(reload(outcome.models[0], load, tmp_path / "saved"), items)
    assert dev.judge(again) == pytest.approx(max(looks), abs=1e-4)


def test_training_ends_early_when_dev_no_longer_improves(train: Train, draw: Any) -> None:
    script = Script(questions(draw), [0.5, 0.4, 0.45, 0.6])
    tuning = train(dev=script.dev, epochs=4, patience=2)
    assert len(script.seen) == 3 and (tuning.n_steps, tuning.best_step) == (15, 5)


def test_dev_is_looked_at_after_some_updates(train: Train, draw: Any) -> None:
    script = Script(questions(draw), [0.1] * 9)
    tuning = train(dev=script.dev, epochs=2, evaluate_every=3)
    assert [row["step"] for row in tuning.history if "eval_score" in row][:3] == [3, 6, 9]
    assert tuning.best_step == 3  # the first of equals


def log_of(folder: Path) -> list[dict[str, Any]]:
    """Returns what the trainer logged, as its last checkpoint has it."""
    (last,) = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name[11:]))[-1:]
    found: list[dict[str, Any]] = json.loads((last / "trainer_state.json").read_text())["log_history"]
    return found


def test_the_rates_follow_their_formulas(train: Train, draw: Any, tmp_path: Path) -> None:
    dev = Script(questions(draw), [0.1] * 20).dev
    n = 20
    train(dev=dev, epochs=4, folder=tmp_path / "cosine", learning_rate=1e-3)
    rates = [row["learning_rate"] for row in log_of(tmp_path / "cosine") if "learning_rate" in row]
    cosine = [1e-3 * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * k / n))) for k in range(n)]
    assert rates == pytest.approx(cosine, rel=1e-6)
    dev = Script(questions(draw), [0.1] * 20).dev
    train(dev=dev, epochs=4, folder=tmp_path / "linear", schedule="linear", final_learning_rate=0.0, warmup_steps=100,
          learning_rate=1e-3)  # fmt: skip
    rates = [row["learning_rate"] for row in log_of(tmp_path / "linear") if "learning_rate" in row]
    linear = [1e-3 * (k / 2 if k < 2 else (n - k) / (n - 2)) for k in range(n)]  # a tenth of all warms up at most
    assert rates == pytest.approx(linear, rel=1e-6)


def test_the_settings_of_adamw_reach_the_optimizer(train: Train, draw: Any, tmp_path: Path) -> None:
    dev = Script(questions(draw), [0.1] * 9).dev
    train(dev=dev, epochs=1, adam_betas=(0.8, 0.95), weight_decay=0.2, learning_rate=3e-3)
    kept = torch.load(tmp_path / "part" / "checkpoint-5" / "optimizer.pt")
    (decayed,) = (group for group in kept["param_groups"] if group["params"])
    assert (decayed["betas"], decayed["weight_decay"], decayed["initial_lr"]) == ((0.8, 0.95), 0.2, 3e-3)
    assert decayed["amsgrad"] is False and decayed["decoupled_weight_decay"] is True
    assert len(decayed["params"]) == 2 * 2 * 2  # A and B of two layers in two blocks
    assert max(float(row["grad_norm"]) for row in log_of(tmp_path / "part") if "grad_norm" in row) > 0


def test_a_shorter_limit_of_gradients_changes_what_is_learned(train: Train) -> None:
    # Adam divides by the length of gradients, so cutting them shows only where they are cut differently.
    losses = [[row["loss"] for row in train(max_grad_norm=limit).history] for limit in (1e9, 1e9, 0.05)]
    assert losses[0] == losses[1] and losses[0] != losses[2]


def test_frozen_weights_stay_to_the_bit_and_low_rank_ones_move(train: Train, base: Any, outcome: Outcome) -> None:
    tuning = train(dropout=0.1)
    after = dict(outcome.models[0].get_base_model().named_parameters())
    for name, weight in base.named_parameters():
        stem, _, kind = name.rpartition(".")
        now = after.get(f"{stem}.base_layer.{kind}", after.get(name))
        assert now is not None and torch.equal(now, weight)
    low_rank = {name: p for name, p in after.items() if "lora_" in name}
    assert len(low_rank) == 8 and all(p.requires_grad and p.any() for p in low_rank.values())
    assert tuning.n_trainable == sum(p.numel() for p in low_rank.values()) == 8 * 4 * 32
    assert tuning.n_parameters == tuning.n_trainable + sum(p.numel() for p in base.parameters())


def test_all_weights_learn_where_the_method_says_so(train: Train, base: Any, outcome: Outcome) -> None:
    tuning = train(method="full", learning_rate=1e-3)
    assert tuning.n_trainable == tuning.n_parameters == sum(p.numel() for p in base.parameters())
    after = dict(outcome.models[0].named_parameters())
    assert all(not torch.equal(after[name], weight) for name, weight in base.named_parameters())


@pytest.mark.parametrize(
    ("rank", "targets", "expected"),
    [
        (8, ("q_proj", "v_proj"), 4_194_304),  # 32 layers, 2 matrices of 4,096 by 4,096, r (4,096 + 4,096) each
        (4, ("q_proj", "v_proj"), 2_097_152),
        (16, ("q_proj", "k_proj", "v_proj"), 12_582_912),
    ],
)
def test_as_many_weights_are_trained_of_7b_as_papers_say(
    recipe: Any, rank: int, targets: tuple[str, ...], expected: int
) -> None:
    config = transformers.LlamaConfig(  # Llama 2 7B, Touvron et al. 2023
        hidden_size=4096, intermediate_size=11008, num_hidden_layers=32, num_attention_heads=32, vocab_size=32000
    )
    with torch.device("meta"):
        model = add_lora(transformers.LlamaForCausalLM(config), recipe(rank=rank, targets=targets), Memory(1, False))
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == expected
    assert sum(p.numel() for p in model.parameters()) - expected == 6_738_415_616


def gpt2() -> Any:
    return transformers.GPT2LMHeadModel(
        transformers.GPT2Config(vocab_size=60, n_embd=32, n_layer=1, n_head=2, n_positions=256, bos_token_id=0,
                                eos_token_id=1)
    )  # fmt: skip


def test_layers_that_a_base_does_not_have_are_told(train: Train) -> None:
    with pytest.raises(ConfigError, match=r"no such layers but .*c_attn.*targets = \"all-linear\"") as caught:
        train(load=gpt2)
    assert "\n" not in str(caught.value) and "q_proj" in str(caught.value)


def test_a_base_of_other_layers_learns_in_all_linear_ones(train: Train, outcome: Outcome) -> None:
    tuning = train(load=gpt2, targets="all-linear")
    assert tuning.history[-1]["loss"] < tuning.history[0]["loss"]
    trained = {name.split(".lora_")[0].rpartition(".")[2] for name, p in outcome.models[0].named_parameters()
               if p.requires_grad}  # fmt: skip
    assert trained == {"c_attn", "c_proj", "c_fc"}


# Lack of memory


def narrow(load: Any, room: Callable[[bool], int], begin: int = 0) -> Callable[[], Any]:
    """Returns a loader of bases on a device with room for some tokens, more where activations are computed twice."""

    def load_narrow() -> Any:
        model = load()
        forward, count = model.forward, iter(range(10**9))

        def small(*, input_ids: Any, **inputs: Any) -> Any:
            if next(count) >= begin and input_ids.numel() > room(model.is_activation_checkpointing):
                raise torch.OutOfMemoryError("CUDA out of memory")
            return forward(input_ids=input_ids, **inputs)

        small.__signature__ = inspect.signature(forward)  # type: ignore[attr-defined]
        model.forward = small
        return model

    return load_narrow


def many(draw: Any) -> list[Candidates]:
    return list(draw(64))


@pytest.mark.parametrize(
    ("room", "expected"),
    [
        (lambda twice: 260, Memory(256, False)),
        (lambda twice: 900 if twice else 60, Memory(512, True)),
        (lambda twice: 260 if twice else 60, Memory(256, True)),
    ],
    ids=["half", "twice", "half and twice"],
)
def test_lack_of_memory_is_met_by_smaller_rows_then_by_computing_twice(
    train: Train, load: Any, draw: Any, room: Any, expected: Memory, tmp_path: Path
) -> None:
    options = {"examples": many(draw), "batch_size": 64, "epochs": 2, "memory": Memory(512, False)}
    usual = train(**options)
    assert usual.memory == Memory(512, False)
    tuning = train(**options, load=narrow(load, room), folder=tmp_path / "narrow")
    assert tuning.memory == expected
    losses = [[row["loss"] for row in one.history] for one in (usual, tuning)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)


def test_memory_may_lack_in_mid_training(train: Train, load: Any, draw: Any, tmp_path: Path) -> None:
    options = {"examples": many(draw), "batch_size": 64, "epochs": 4, "memory": Memory(512, False)}
    first, second = (Script(questions(draw, 4), [0.1, 0.2, 0.3, 0.4]) for _ in range(2))
    usual = train(**options, dev=first.dev)
    lacking = narrow(load, lambda twice: 260, begin=11)  # 5 to try rows out, then one a row, and 1 a look at dev
    tuning = train(**options, dev=second.dev, load=lacking, folder=tmp_path / "narrow")
    assert tuning.memory == Memory(256, False) and len(second.seen) == 4
    assert flat(second.seen[-1]) == pytest.approx(flat(first.seen[-1]), abs=1e-3)
    assert [row["step"] for row in tuning.history] == [row["step"] for row in usual.history]


def test_no_memory_whatever_is_tried_says_what_would_fit(train: Train, load: Any, draw: Any, outcome: Outcome) -> None:
    with pytest.raises(ModelError) as caught:
        train(examples=many(draw), load=narrow(load, lambda twice: 30), memory=Memory(512, False), method="full")
    message = str(caught.value)
    assert "\n" not in message and not outcome.models
    for words in ("out of memory", "method=lora", "quantization=4bit", "smaller -P base", "-P window="):
        assert words in message


def test_other_errors_are_not_taken_for_lack_of_memory(train: Train, load: Any) -> None:
    def broken() -> Any:
        model = load()
        signature = inspect.signature(model.forward)
        model.forward = lambda **inputs: torch.ones(2) @ torch.ones(3)
        model.forward.__dict__["__signature__"] = signature
        return model

    with pytest.raises(RuntimeError, match="inconsistent tensor size"):
        train(load=broken)


# Losses that are not finite


def test_a_loss_that_is_not_finite_stops_before_the_update_and_names_what_is_kept(
    train: Train, load: Any, draw: Any, tmp_path: Path, outcome: Outcome
) -> None:
    script = Script(questions(draw), [0.3] + [0.1] * 9)
    with pytest.raises(ModelError) as caught:  # the first update is made at a rate of 0, the second at an absurd one
        train(dev=script.dev, epochs=2, evaluate_every=1, schedule="linear", final_learning_rate=0.0, warmup_steps=2,
              learning_rate=1e30)  # fmt: skip
    message = str(caught.value)
    kept = tmp_path / "part" / "checkpoint-1"
    assert "\n" not in message and not outcome.models
    assert f"-P adapter={kept}" in message and "lower learning_rate" in message and "nan" in message
    adapted = PeftModel.from_pretrained(load(), kept)
    assert flat(likelihoods(adapted, script.dev.items)) == pytest.approx(flat(script.seen[0]), abs=1e-4)


def test_a_loss_that_is_not_finite_from_the_start_keeps_nothing(train: Train, load: Any, tmp_path: Path) -> None:
    def broken() -> Any:
        model = load()
        with torch.no_grad():
            model.lm_head.weight[5] = math.nan
        return model

    with pytest.raises(ModelError, match=r"at update 1: .*nothing was worth keeping"):
        train(load=broken)
    assert not list(tmp_path.rglob("*.safetensors"))


def test_a_gradient_that_is_not_finite_stops_before_the_update(train: Train, load: Any, outcome: Outcome) -> None:
    def broken() -> Any:  # the loss is sound; only what flows back through the norm is not
        model = load()
        model.model.norm.register_full_backward_hook(lambda _, given, out: tuple(g * math.nan for g in given))
        return model

    with pytest.raises(ModelError, match="the gradient is not finite at update 1"):
        train(load=broken)
    assert not outcome.models


def test_a_process_trains_on_one_gpu_of_several(tmp_path: Path, recipe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def see_two(settings: TrainingArguments) -> torch.device:
        settings._n_gpu = 2
        return torch.device("cpu")

    monkeypatch.setattr(TrainingArguments, "_setup_devices", property(see_two))
    assert trainer_settings(recipe(), tmp_path, 0, False, Memory(128, False), False).n_gpu == 1


# Going on


def copy_at(folder: Path, target: Path, step: int) -> Callable[[TrainingState], None]:
    """Returns a listener that copies the checkpoints as they are once some updates are made."""

    def listen(state: TrainingState) -> None:
        if state.step == step and not target.exists():
            shutil.copytree(folder, target)

    return listen


@pytest.mark.parametrize("evaluate_every", ["epoch", 3])
def test_an_interrupted_training_goes_on_to_the_same_weights(
    train: Train, draw: Any, tmp_path: Path, outcome: Outcome, evaluate_every: Any
) -> None:
    options = {"epochs": 3, "evaluate_every": evaluate_every, "dropout": 0.2}
    scores = [0.1, 0.4, 0.2, 0.3, 0.3]
    whole = Script(questions(draw), scores)
    usual = train(**options, dev=whole.dev, tell=copy_at(tmp_path / "part", tmp_path / "cut", 8))
    rest = Script(questions(draw), scores[1 if evaluate_every == "epoch" else 2 :])
    (half,) = (tmp_path / "cut" / "checkpoint-9",)
    half.mkdir()  # as a kill leaves it: weights, and no word on how far training has come
    (half / "adapter_model.safetensors").write_bytes(b"\0" * 100)
    again = train(**options, dev=rest.dev, folder=tmp_path / "cut")
    assert len(rest.seen) < len(whole.seen) and flat(rest.seen[-1]) == flat(whole.seen[-1])
    assert (again.best_step, again.best_score, again.n_steps) == (usual.best_step, usual.best_score, usual.n_steps)
    assert [row for row in again.history if "loss" in row] == [row for row in usual.history if "loss" in row]
    one, other = outcome.models
    for (name, p), (_, q) in zip(one.named_parameters(), other.named_parameters(), strict=True):
        assert torch.equal(p, q), name


def test_only_checkpoints_written_whole_count(tmp_path: Path) -> None:
    assert last_checkpoint(tmp_path) is None
    for number, state in ((9, "{}"), (10, None), (11, '{"global_st')):
        folder = tmp_path / f"checkpoint-{number}"
        folder.mkdir()
        (folder / "adapter_model.safetensors").write_bytes(b"weights")
        if state is not None:
            (folder / "trainer_state.json").write_text(state)
    assert last_checkpoint(tmp_path) == str(tmp_path / "checkpoint-9")
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-9"]


# What it leaves alone, and what it tells


def test_nobody_elses_random_numbers_change(train: Train) -> None:
    def states() -> list[Any]:
        return [random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()]  # type: ignore[index]  # noqa: NPY002

    before = states()
    train(epochs=1, dropout=0.1)
    assert states() == before


def test_the_seed_draws_new_matrices_and_order(train: Train, outcome: Outcome) -> None:
    losses = [[row["loss"] for row in train(seed=seed).history] for seed in (0, 0, 1)]
    assert losses[0] == losses[1] != losses[2]


def test_it_is_told_how_training_goes(train: Train, draw: Any, outcome: Outcome) -> None:
    train(dev=Script(questions(draw), [0.25, 0.5]).dev)
    assert [state.step for state in outcome.told] == [1, 2, 3, 4, 5, 5, 6, 7, 8, 9, 10, 10, 10]
    last = outcome.told[-1]
    assert (last.n_steps, last.epoch, last.score, last.seconds_left) == (10, 2.0, 0.5, 0.0)
    assert last.peak_bytes > 10_000_000 and last.tokens_per_second and last.tokens_per_second > 0
    text = describe(last, "dev weighted F1")
    assert text.startswith(f"epoch 2.0, loss {last.loss:.3f}, dev weighted F1 0.5000, ")
    assert text.endswith("GiB, 0:00 left") and "tokens/s" in text


def test_nothing_is_written_on_the_terminal(train: Train, draw: Any, capfd: pytest.CaptureFixture[str]) -> None:
    train(dev=Script(questions(draw), [0.25, 0.5]).dev)
    assert capfd.readouterr() == ("", "")
