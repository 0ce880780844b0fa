"""How a recipe becomes LoRA matrices of peft and settings of transformers' trainer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import TrainingArguments

from harness.errors import ConfigError
from harness.llm.tables.recipes import ALL_LINEAR, Recipe
from harness.llm.tuning.memory import Memory

REPEATED = {"use_reentrant": False}
"""How activations are computed twice; the other way needs inputs with gradients, which frozen embeddings lack."""


def add_lora(model: Any, recipe: Recipe, memory: Memory) -> Any:
    """Returns a base, frozen, with new LoRA matrices.

    Raises:
        ConfigError: the base has none of the layers that the recipe names.

    Source: Hu et al. 2022, "LoRA: Low-Rank Adaptation of Large Language Models"; over quantized weights Dettmers et al.
    2023, "QLoRA".
    """
    from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training

    if getattr(model, "is_quantized", False):
        model = prepare_model_for_kbit_training(  # type: ignore[no-untyped-call]
            model,
            use_gradient_checkpointing=memory.gradient_checkpointing,
            gradient_checkpointing_kwargs=REPEATED,
        )
    config = LoraConfig(
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        lora_dropout=recipe.dropout,
        target_modules=ALL_LINEAR if recipe.targets == ALL_LINEAR else list(recipe.targets),
        bias="none",
        task_type="CAUSAL_LM",
    )
    try:
        return get_peft_model(model, config)
    except ValueError as error:
        layers = sorted({name.rpartition(".")[2] for name, part in model.named_modules() if hasattr(part, "weight")})
        raise ConfigError(
            f"the recipe puts LoRA into {list(recipe.targets)!r}, and this base has no such layers but "
            f'{", ".join(layers)}; give a recipe with targets = "{ALL_LINEAR}": -P recipe=FILE.toml'
        ) from error


def trainer_settings(
    recipe: Recipe, folder: Path, seed: int, on_gpu: bool, memory: Memory, judged: bool
) -> TrainingArguments:
    """Returns the trainer's settings that a recipe means.

    Args:
        recipe: how to train.
        folder: for checkpoints.
        seed: of dropout.
        on_gpu: whether a GPU computes, in the precision of the recipe.
        memory: what fits.
        judged: whether there is something to choose the checkpoint by; without, none is written.

    Raises:
        ConfigError: the GPU does not compute in the precision of the recipe.
    """
    if on_gpu and recipe.precision == "bf16" and not torch.cuda.is_bf16_supported(including_emulation=False):
        raise ConfigError(
            'this GPU does not compute in bf16; give a recipe of your own with precision = "fp16": -P recipe=FILE.toml'
        )
    options: dict[str, Any] = {"eval_strategy": "no", "save_strategy": "no"}
    if judged:
        options = {"load_best_model_at_end": True, "metric_for_best_model": "eval_score", "greater_is_better": True,
                   "save_total_limit": 2}  # fmt: skip
        by_epoch = recipe.evaluate_every == "epoch"
        for what in ("eval", "save"):
            options[f"{what}_strategy"] = "epoch" if by_epoch else "steps"
            options |= {} if by_epoch else {f"{what}_steps": recipe.evaluate_every}
    if recipe.schedule == "cosine":
        options |= {"lr_scheduler_type": "cosine_with_min_lr",
                    "lr_scheduler_kwargs": {"min_lr_rate": recipe.final_learning_rate}}  # fmt: skip
    settings = TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=1,  # a row
        num_train_epochs=recipe.epochs,
        learning_rate=recipe.learning_rate,
        optim="adamw_torch",
        adam_beta1=recipe.adam_betas[0],
        adam_beta2=recipe.adam_betas[1],
        weight_decay=recipe.weight_decay,
        max_grad_norm=recipe.max_grad_norm,
        bf16=on_gpu and recipe.precision == "bf16",
        fp16=on_gpu and recipe.precision == "fp16",
        use_cpu=not on_gpu,
        activation_checkpointing=memory.gradient_checkpointing,
        activation_checkpointing_kwargs=REPEATED if memory.gradient_checkpointing else None,
        logging_steps=1,
        logging_nan_inf_filter=False,
        disable_tqdm=True,
        report_to="none",
        remove_unused_columns=False,
        dataloader_pin_memory=on_gpu,
        ddp_find_unused_parameters=False,
        seed=seed,
        **options,
    )
    settings._n_gpu = min(settings.n_gpu, 1)  # a process trains on one GPU; more of them have processes of their own
    return settings
