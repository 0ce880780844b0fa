"""Recipes: what the packaged ones say against their sources, and what a bad one says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.errors import ConfigError, HarnessError, UnknownNameError
from harness.llm.tables.recipes import Recipe, list_recipes, load_recipe


def test_the_paper_is_followed_to_the_letter() -> None:
    # arXiv 2310.11374v4, Table 2, and the 2.1 million trainable parameters of its text.
    paper = load_recipe("paper-v4")
    assert (paper.learning_rate, paper.batch_size, paper.epochs) == (3e-4, 128, 10)
    assert (paper.schedule, paper.final_learning_rate, paper.max_grad_norm) == ("cosine", 0.1, 1.0)
    assert (paper.adam_betas, paper.weight_decay) == ((0.9, 0.95), 0.1)
    assert (paper.rank, paper.alpha, paper.dropout, paper.targets) == (4, 16, 0.05, ("q_proj", "v_proj"))


def test_the_released_code_is_followed_to_the_letter() -> None:
    # Training script of Dreamyao516/DialogueLLM at commit 9bde222.
    code = load_recipe("released-code")
    assert (code.rank, code.alpha, code.dropout, code.targets) == (8, 64, 0.05, ("q_proj", "v_proj"))
    assert (code.batch_size, code.epochs, code.learning_rate, code.warmup_steps) == (60, 20, 3e-4, 100)
    assert (code.n_held_out, code.evaluate_every, code.select_by, code.loss) == (500, 20, "held-out-loss", "all")
    assert (code.precision, code.quantization, code.max_tokens) == ("fp16", "8bit", 256)


def test_every_recipe_chooses_on_dev_or_train_and_says_where_it_comes_from() -> None:
    assert {"paper-v4", "released-code", "ours"} <= set(list_recipes())
    for one in list_recipes().values():
        assert one.source and one.select_by in ("dev-weighted-f1", "held-out-loss")


def test_an_unknown_name_is_told_what_there_is() -> None:
    with pytest.raises(UnknownNameError, match=r"'paper-v5'.*paper-v4.*\.toml"):
        load_recipe("paper-v5")


def test_a_file_of_ones_own_is_read_whole(recipe_file: Callable[..., Path]) -> None:
    own = load_recipe(str(recipe_file(rank=3, targets="all-linear", evaluate_every=7)))
    assert (own.rank, own.targets, own.evaluate_every) == (3, "all-linear", 7)
    assert Recipe(**own.model_dump(mode="json")) == own  # what a manifest says of it makes it again


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rank": 0}, "'rank'"),
        ({"dropout": 1.0}, "'dropout'"),
        ({"learning_rate": -1.0}, "'learning_rate'"),
        ({"schedule": "constant"}, "'schedule'"),
        ({"loss": "prompt"}, "'loss'"),
        ({"select_by": "test-weighted-f1"}, "'select_by'"),
        ({"evaluate_every": 0}, "evaluate_every"),
        ({"warmup_ratio": 0.1}, "'warmup_ratio'"),
        ({"schedule": "linear", "final_learning_rate": 0.1}, 'final_learning_rate 0.1: 0 with schedule = "linear"'),
        ({"n_held_out": 10}, "n_held_out 10 with select_by = 'dev-weighted-f1'"),
        ({"select_by": "held-out-loss"}, "n_held_out 0 with select_by = 'held-out-loss'"),
    ],
)
def test_what_is_not_allowed_is_one_line_that_names_the_key(
    recipe_file: Callable[..., Path], changes: dict[str, object], words: str
) -> None:
    path = recipe_file(**changes)
    with pytest.raises(ConfigError) as caught:
        load_recipe(str(path))
    assert words in str(caught.value) and str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_key_that_is_left_out_is_named(recipe_file: Callable[..., Path]) -> None:
    path = recipe_file()
    path.write_text("".join(line for line in path.read_text().splitlines(True) if not line.startswith("patience")))
    with pytest.raises(ConfigError, match="key 'patience'"):
        load_recipe(str(path))


@pytest.mark.parametrize("content", [None, b"rank = ", b"\xff"])
def test_files_that_cannot_be_read_are_one_line(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "mine.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(HarnessError, match=r"mine\.toml") as caught:
        load_recipe(str(path))
    assert "\n" not in str(caught.value)
