"""A Llama of random weights that is built in a second: for tests, and for runs that need a model but not its sense.

Owns its shape, its tokenizer and its chat template. Knows no back end and no prompt.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from harness.data import load_dataset
from harness.errors import ConfigError, MissingDependencyError

if TYPE_CHECKING:
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

BOS, EOS, PAD = "<s>", "</s>", "<pad>"

ROLES = ("<|system|>", "<|user|>", "<|assistant|>")

CHAT_TEMPLATE = (
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>\n' + message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}{{ '\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
)


@dataclass(frozen=True, slots=True)
class LlamaShape:
    """Sizes of a Llama; the defaults are the tiny ones."""

    n_layers: int = 2
    width: int = 128
    n_heads: int = 4
    n_tokens: int = 1000
    """Of the vocabulary, at most; few texts make fewer."""
    n_rows: int | None = None
    """Of the embedding, at least as many as tokens; None: as many."""
    n_positions: int = 2048
    """Longest prompt with its answer, in tokens."""


def build_tiny_llama(folder: Path, texts: Iterable[str], seed: int = 0, shape: LlamaShape | None = None) -> None:
    """Writes a Llama with random weights and a tokenizer trained on texts; equal arguments give equal files.

    Args:
        folder: where `AutoModelForCausalLM.from_pretrained` will find it; made if absent.
        texts: what the byte-level BPE tokenizer learns its merges from.
        seed: of the weights.
        shape: its sizes; None: tiny.

    Raises:
        MissingDependencyError: transformers or torch is not installed.
    """
    shape = shape or LlamaShape()
    try:
        from harness.llm.tuning.quiet import quietly

        tokenizer = _train_tokenizer(texts, shape)
        model = _draw_model(_config_of(tokenizer, shape), seed)
    except ImportError as error:
        raise MissingDependencyError.of(error.name or "transformers", "models", "a tiny model") from error
    folder.mkdir(parents=True, exist_ok=True)
    with quietly():
        tokenizer.save_pretrained(folder)
        model.save_pretrained(folder)
    for name in ("config.json", "generation_config.json"):
        _forget_version(folder / name)


def _train_tokenizer(texts: Iterable[str], shape: LlamaShape) -> PreTrainedTokenizerFast:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=shape.n_tokens,
        special_tokens=[BOS, EOS, PAD, *ROLES],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    bos = (BOS, tokenizer.token_to_id(BOS))
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{BOS} $A", special_tokens=[bos])
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        model_max_length=shape.n_positions,
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
    )


def _config_of(tokenizer: PreTrainedTokenizerFast, shape: LlamaShape) -> LlamaConfig:
    from transformers import LlamaConfig

    return LlamaConfig(
        vocab_size=shape.n_rows or len(tokenizer),
        hidden_size=shape.width,
        intermediate_size=shape.width * 8 // 3 // 16 * 16,
        num_hidden_layers=shape.n_layers,
        num_attention_heads=shape.n_heads,
        num_key_value_heads=shape.n_heads,
        max_position_embeddings=shape.n_positions,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def _draw_model(config: LlamaConfig, seed: int) -> LlamaForCausalLM:
    """Returns the model with uniform weights of variance 1 / width, so that logits spread by about 1.

    Uniform numbers of numpy are the same on every processor; normal ones are not in the last digit. The model's own
    initialisation is overwritten, and runs under a forked generator so that nobody else's numbers change.
    """
    import torch
    from transformers import LlamaForCausalLM

    with torch.random.fork_rng(devices=[]):
        model = LlamaForCausalLM(config)
    rng = np.random.default_rng(seed)
    bound = np.float32((3 / config.hidden_size) ** 0.5)
    with torch.no_grad():
        for name, weight in sorted(model.named_parameters()):
            if weight.ndim == 2:
                drawn = rng.random(tuple(weight.shape), dtype=np.float32) * (2 * bound) - bound
                weight.copy_(torch.from_numpy(drawn))
            else:
                weight.fill_(0.0 if name.endswith("bias") else 1.0)
    return model


def _forget_version(path: Path) -> None:
    """Takes the library's version out of a file, which would make two equal models differ."""
    content = json.loads(path.read_text(encoding="utf-8"))
    content.pop("transformers_version", None)
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def sample_texts() -> list[str]:
    """Returns the training utterances of the bundled sample corpus, each with its speaker's name in front."""
    dialogues = load_dataset("sample").splits["train"].dialogues
    return [f"{one.view().speaker}: {one.text}" for dialogue in dialogues for one in dialogue.utterances]


def main(arguments: list[str]) -> None:
    """Builds the model of the sample corpus in the folder that is named.

    Raises:
        ConfigError: not exactly one folder.
    """
    if len(arguments) != 1:
        raise ConfigError(
            f"arguments {arguments!r}: expected one folder; type: python -m harness.llm.local.tiny FOLDER"
        )
    build_tiny_llama(Path(arguments[0]), sample_texts())


if __name__ == "__main__":
    main(sys.argv[1:])
