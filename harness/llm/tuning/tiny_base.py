"""A base model made on the spot: a tiny Llama that has read nothing but the questions of a training split, unanswered.

It stands in for a real base where there is no GPU and no weights: everything about it is small, its scores too. It
depends on the corpus alone, so that all that is tuned over it has the same base.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from transformers import AutoModelForCausalLM, AutoTokenizer

from harness.data import Split
from harness.features.loading import load_quietly
from harness.llm.local.choice_tree import Candidates, header_of
from harness.llm.local.tiny import LlamaShape, build_tiny_llama
from harness.llm.tables.recipes import Recipe
from harness.llm.tuning.memory import Memory
from harness.llm.tuning.processes import is_first, wait_for_all
from harness.llm.tuning.trainer import TrainingState
from harness.llm.tuning.tune import Task, Tuning, fine_tune
from harness.prompting import Window, load_template, name_labels
from harness.prompting.instructions import build_instructions

SHAPE = LlamaShape(n_layers=2, width=128, n_heads=4, n_tokens=2000)

TEMPLATE = "dialogue-llm/v1"
WINDOW = Window(1, speakers="none")

N_TOKENS_READ = 900_000
"""Read in all, those that questions share aside: about a minute on one core."""

MOST_EPOCHS = 30
"""Of a corpus that is read again and again."""

SEED = 0
"""Of weights and order: like any base, it is the same for every seed of what is trained over it."""

READING = Recipe(
    source="this project: tried on the dev splits of the sample and of MELD",
    rank=1,
    alpha=1,
    dropout=0.0,
    targets="all-linear",
    batch_size=64,
    epochs=1,
    learning_rate=2e-3,
    schedule="cosine",
    final_learning_rate=0.1,
    warmup_steps=20,
    adam_betas=(0.9, 0.999),
    weight_decay=0.1,
    max_grad_norm=1.0,
    max_tokens=SHAPE.n_positions,
    loss="all",
    select_by="dev-weighted-f1",
    n_held_out=0,
    evaluate_every="epoch",
    patience=0,
    precision="fp32",
    quantization="none",
)
"""How it reads. Of LoRA and of dev there is nothing: all weights learn, and the last ones stay. The number of epochs is
that of `N_TOKENS_READ`."""


def tiny_depends_on(splits: Sequence[Split]) -> dict[str, Any]:
    """Returns all that the tiny base of some training splits depends on, as JSON values."""
    return {
        "shape": asdict(SHAPE),
        "reading": READING.model_dump(mode="json"),
        "read": [N_TOKENS_READ, MOST_EPOCHS, SEED],
        "template": load_template(TEMPLATE).sha256,
        "window": asdict(WINDOW),
        "train": [split.fingerprint for split in splits],
    }


def make_tiny_base(
    splits: Sequence[Split],
    folder: Path,
    tell: Callable[[TrainingState], None],
    save: Callable[[Any, Any], None],
) -> Tuning:
    """Trains a tiny Llama to go on with questions, and hands model and tokenizer to `save`.

    Args:
        splits: training splits; their texts are read, and no label of an utterance.
        folder: for what is made on the way.
        tell: told how it goes.
        save: called in the first process only.
    """
    start = folder / "random"
    questions = [question for split in splits for question in write_questions(split)]
    if is_first():
        build_tiny_llama(start, questions, SEED, SHAPE)
    wait_for_all()

    def load(kind: Any) -> Any:
        with load_quietly("the tiny base"):
            return kind.from_pretrained(start)

    tokenizer = load(AutoTokenizer)
    items = as_texts(tokenizer(questions).input_ids)
    n_tokens = sum(len(one.continuations[0]) for one in items)
    epochs = min(MOST_EPOCHS, max(1, round(N_TOKENS_READ / n_tokens)))
    recipe = READING.model_copy(update={"epochs": epochs})
    task = Task(
        lambda: load(AutoModelForCausalLM), "cpu", items, None, recipe, "full", folder / "reading", SEED, n_threads=1
    )
    return fine_tune(task, tell, lambda model, gathered: save(model, tokenizer), Memory(1024, False))


def write_questions(split: Split) -> list[str]:
    """Returns the question about every labelled utterance, without its answer."""
    template, names = load_template(TEMPLATE), name_labels(split.label_set, "natural")
    return [one.prompt(template, "plain").text for one in build_instructions(split, names, WINDOW)]


def as_texts(texts: Sequence[Sequence[int]]) -> list[Candidates]:
    """Returns texts as examples that learn all tokens but those with which every text begins."""
    whole = [Candidates(tuple(tokens), ()) for tokens in texts]
    n_shared = len(header_of(whole))
    return [Candidates(one.context[:n_shared], (one.context[n_shared:],)) for one in whole]
