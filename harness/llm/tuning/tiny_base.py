"""A base model made on the spot: a tiny Llama that has read nothing but a training split, without its labels.

It stands in for a real base where there is no GPU and no weights: everything about it is small, its scores too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from transformers import AutoModelForCausalLM, AutoTokenizer

from harness.data import Split
from harness.features.loading import load_quietly
from harness.llm.local.choice_tree import Candidates
from harness.llm.local.tiny import LlamaShape, build_tiny_llama
from harness.llm.tables.recipes import Recipe
from harness.llm.tuning.memory import Memory
from harness.llm.tuning.processes import is_first, wait_for_all
from harness.llm.tuning.quiet import quietly
from harness.llm.tuning.trainer import TrainingState
from harness.llm.tuning.tune import Task, Tuning, fine_tune

SHAPE = LlamaShape(n_layers=2, width=128, n_heads=4, n_tokens=2000)

SEED = 0
"""Of weights and order: like any base, it is the same for every seed of what is trained over it."""

PIECE_TOKENS = 128
"""Texts are cut into pieces of as many tokens."""

READING = Recipe(
    source="this project: the shortest reading after which LoRA learned on the dev split of MELD",
    rank=1,
    alpha=1,
    dropout=0.0,
    targets="all-linear",
    batch_size=32,
    epochs=4,
    learning_rate=2e-3,
    schedule="cosine",
    final_learning_rate=0.1,
    warmup_steps=20,
    adam_betas=(0.9, 0.999),
    weight_decay=0.1,
    max_grad_norm=1.0,
    max_tokens=PIECE_TOKENS,
    loss="all",
    select_by="dev-weighted-f1",
    n_held_out=0,
    evaluate_every="epoch",
    patience=0,
    precision="fp32",
    quantization="none",
)
"""How it reads; of LoRA and of dev there is nothing, since all weights learn, and the last ones are kept."""


def make_tiny_base(
    splits: Sequence[Split],
    prompts: Sequence[str],
    folder: Path,
    tell: Callable[[TrainingState], None],
    save: Callable[[Any, Any], None],
) -> Tuning:
    """Trains a tiny Llama to go on with dialogues, and hands model and tokenizer to `save`.

    Args:
        splits: training splits; their texts are read, and no label.
        prompts: some questions as they will be asked, without answers, so that the tokenizer knows their words.
        folder: for what is made on the way.
        tell: told how it goes.
        save: called in the first process only.
    """
    texts = [text for split in splits for text in dialogue_texts(split)]
    start = folder / "random"
    if is_first():
        with quietly():
            build_tiny_llama(start, [*texts, *prompts], SEED, SHAPE)
    wait_for_all()
    with load_quietly("the tiny base"):
        tokenizer = AutoTokenizer.from_pretrained(start)

    def load() -> Any:
        with load_quietly("the tiny base"):
            return AutoModelForCausalLM.from_pretrained(start)

    pieces = list(cut_texts(texts, tokenizer))
    task = Task(load, "cpu", pieces, None, READING, "full", folder / "reading", SEED, n_threads=1)
    return fine_tune(task, tell, lambda model: save(model, tokenizer), Memory(1024, False))


def dialogue_texts(split: Split) -> list[str]:
    """Returns one text a dialogue: a line for each utterance, its speaker in front."""
    return ["\n".join(f"{u.view().speaker}: {u.text}" for u in dialogue.utterances) for dialogue in split.dialogues]


def cut_texts(texts: Sequence[str], tokenizer: Any) -> Iterator[Candidates]:
    """Yields pieces of texts, each after the token that begins a text, the last of each with the one that ends it."""
    bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
    for text in texts:
        ids = [*tokenizer(text, add_special_tokens=False).input_ids, eos]
        for begin in range(0, len(ids), PIECE_TOKENS):
            yield Candidates((bos,), (tuple(ids[begin : begin + PIECE_TOKENS]),))
