"""A tiny Llama is the same each time, and like any other for those who load it."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from harness.errors import ConfigError
from harness.features.weights import content_name
from harness.llm.local.tiny import build_tiny_llama, main

TEXTS = [f"Tom: I like it, number {i}." for i in range(50)]


def test_two_builds_give_identical_files(tmp_path: Path) -> None:
    folders = [tmp_path / side / "tiny" for side in "ab"]
    for folder in folders:
        build_tiny_llama(folder, TEXTS)
    files = [{file.name: file.read_bytes() for file in folder.iterdir()} for folder in folders]
    assert files[0] == files[1]
    build_tiny_llama(tmp_path / "c" / "tiny", TEXTS, seed=1)
    assert content_name(tmp_path / "c" / "tiny") != content_name(folders[0])


def test_nobody_elses_random_numbers_change(tmp_path: Path) -> None:
    import torch

    states = [(torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()) for _ in range(1)]  # noqa: NPY002
    build_tiny_llama(tmp_path, TEXTS)
    assert torch.equal(torch.get_rng_state(), states[0][0])
    assert random.getstate() == states[0][1]
    assert np.random.get_state()[1].tolist() == states[0][2]  # noqa: NPY002


def test_it_is_the_model_of_the_sample_corpus(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    main([str(tmp_path / "tiny")])
    assert capfd.readouterr() == ("", "")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "tiny")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "tiny")
    assert (model.config.num_hidden_layers, model.config.hidden_size, len(tokenizer)) == (2, 128, 1000)
    text = "Renée: Ça va? ☃"
    ids = tokenizer(text).input_ids
    assert ids[0] == tokenizer.bos_token_id and tokenizer.decode(ids[1:]) == text
    chat = tokenizer.apply_chat_template(
        [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
        tokenize=False,
        add_generation_prompt=True,
    )
    assert chat == "<s><|system|>\nBe brief.\n<|user|>\nHi\n<|assistant|>\n"


@pytest.mark.parametrize("arguments", [[], ["a", "b"]])
def test_the_command_takes_one_folder(arguments: list[str]) -> None:
    with pytest.raises(ConfigError, match="expected one folder"):
        main(arguments)
