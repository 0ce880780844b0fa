"""The page beside trained weights: a header that hubs read, and every number of the record."""

from __future__ import annotations

from typing import Any

import pytest

from harness.llm.tuning.model_card import model_card


@pytest.fixture
def record(recipe: Any) -> dict[str, Any]:
    return {
        "predictor": "dialogue-llm",
        "seed": 3,
        "base": {"model": "org/base-7b", "revision": "0123abcd"},
        "method": "lora",
        "recipe_name": "ours",
        "recipe": recipe(rank=16, max_tokens=777).model_dump(mode="json"),
        "selected_by": "dev weighted F1",
        "template": {"name": "dialogue-llm/v1", "sha256": "0" * 64},
        "labels": {"meld": ["neutral", "joy"], "other": ["calm", "joy"]},
        "data": [
            {"dataset": "meld", "split": "train", "fingerprint": "f" * 64, "n_examples": 9989},
            {"dataset": "other", "split": "train", "fingerprint": "e" * 64, "n_examples": 12},
        ],
        "examples": {"n_shortened": 1234, "n_lines_dropped": 5678, "n_too_long": 2},
        "tuning": {"best_step": 1100, "n_steps": 1250, "best_score": 0.65432, "n_trainable": 4194304,
                   "n_parameters": 6742609920, "seconds": 3600.2, "device": "some GPU", "peak_bytes": 3 * 2**30},
        "versions": {"torch": "2.13", "peft": "0.21"},
    }  # fmt: skip


def test_hubs_can_read_its_header(record: dict[str, Any]) -> None:
    yaml = pytest.importorskip("yaml")
    header = yaml.safe_load(model_card(record).split("---\n")[1])
    assert (header["base_model"], header["library_name"], header["pipeline_tag"]) == (
        "org/base-7b", "peft", "text-generation",
    )  # fmt: skip
    assert header["tags"] == ["emotion-recognition-in-conversations", "lora"]
    whole = yaml.safe_load(model_card({**record, "method": "full"}).split("---\n")[1])
    assert whole["library_name"] == "transformers" and "lora" not in whole["tags"]


def test_it_says_what_the_record_says(record: dict[str, Any]) -> None:
    page = model_card(record)
    for words in (
        "# dialogue-llm on meld, other, seed 3", "LoRA of rank 16 over `org/base-7b` at 0123abcd", "`ours`: a test",
        "update 1,100 of 1,250", "the best by dev weighted F1 (0.6543)", "4,194,304 of 6,742,609,920 parameters",
        "3,600 seconds on some GPU and 3.0 GiB", f"| meld | train | 9,989 | `{'f' * 16}` |",
        f"| other | train | 12 | `{'e' * 16}` |", "1,234 examples lost 5,678 lines", "fit 777\ntokens",
        "2 are longer", "meld: neutral, joy; other: calm, joy", "| targets | q_proj, v_proj |",
        "`dialogue-llm/v1`", "torch 2.13, peft 0.21",
    ):  # fmt: skip
        assert words in page, words


def test_without_a_look_at_dev_the_last_weights_are_kept(record: dict[str, Any]) -> None:
    record["tuning"]["best_score"] = None
    record["base"] = {"model": "small@12345678", "revision": None}
    page = model_card(record)
    assert "update 1,100 of 1,250: the last." in page and "over `small@12345678`, trained" in page
