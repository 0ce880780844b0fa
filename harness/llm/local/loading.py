"""Loads a tokenizer and a causal language model of transformers as the settings say, or says in one line why not."""

from __future__ import annotations

import re
import warnings
from importlib.util import find_spec
from typing import Any

from harness.errors import ConfigError, MissingDependencyError, ModelError
from harness.features.loading import load_quietly
from harness.features.weights import Located, hub_access
from harness.llm.backend import ModelSettings

DEVICES = re.compile(r"auto|cpu|cuda(:\d+)?|balanced")

PRECISIONS = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32", "auto": "auto"}
"""Names of torch by ours."""


def check_settings(model: ModelSettings) -> None:
    """Looks at settings without importing what is heavy.

    Raises:
        ConfigError: a setting that a local model cannot take.
        MissingDependencyError: a package that the settings need is not installed.
    """
    for name, value in (("base_url", model.base_url), ("model_args", model.model_args)):
        if value:
            raise ConfigError(f"{name} {value!r}: the back end 'transformers' takes none; leave it out")
    if not DEVICES.fullmatch(model.device):
        raise ConfigError(f"device {model.device!r}: expected auto, cpu, cuda, cuda:N or balanced")
    if model.quantization != "none" and model.device == "cpu":
        raise ConfigError(f"quantization {model.quantization!r} needs a GPU; leave it out, or take -P device=auto")
    needed = {"torch": True, "transformers": True}
    needed |= {"peft": model.adapter is not None, "accelerate": model.device == "balanced"}
    for package, wanted in needed.items():
        if wanted and find_spec(package) is None:
            raise MissingDependencyError.of(package, "models", "the back end 'transformers'")
    if model.quantization != "none" and find_spec("bitsandbytes") is None:
        raise MissingDependencyError(
            f"quantization {model.quantization!r} needs the package 'bitsandbytes'; type: pip install bitsandbytes"
        )


def load_tokenizer(model: ModelSettings, base: Located, download: bool) -> Any:
    """Returns the tokenizer that came with the weights.

    Raises:
        ModelError: there is none, or it cannot be read.
    """
    from transformers import AutoTokenizer

    with load_quietly(f"tokenizer of {model.model!r}"), hub_access(download):
        return AutoTokenizer.from_pretrained(base.source, **_origin(model, base, download))


def load_model(model: ModelSettings, base: Located, adapter: Located | None, download: bool) -> Any:
    """Returns the model with its adapter, on its device, ready to answer.

    LoRA weights are added into weights that are not quantized, so that they cost no time.

    Raises:
        ModelError: it cannot be read, lacks weights, or does not fit the device.
        ConfigError: quantization without a GPU.
    """
    from transformers import AutoModelForCausalLM

    options: dict[str, Any] = {"dtype": PRECISIONS[model.dtype], **_origin(model, base, download)}
    device = _device_of(model)
    if model.device == "balanced":
        options["device_map"] = "balanced"
    elif model.quantization != "none":
        options["device_map"] = {"": device}
    if model.quantization != "none":
        options["quantization_config"] = _quantization(model)
    with load_quietly(f"weights of {model.model!r}"), hub_access(download):
        both: Any = AutoModelForCausalLM.from_pretrained(base.source, output_loading_info=True, **options)
    loaded, report = both
    if missing := sorted(report["missing_keys"]):
        raise ModelError(
            f"weights of {model.model!r} lack {len(missing)} tensors, such as {missing[0]!r}: the files are "
            "incomplete; get them anew"
        )
    if adapter is not None:
        loaded = _add_adapter(loaded, model, adapter, download)
    if "device_map" not in options:
        with load_quietly(f"weights of {model.model!r} on {device}"):
            loaded = loaded.to(device)
    return loaded.eval()


def _add_adapter(loaded: Any, model: ModelSettings, adapter: Located, download: bool) -> Any:
    from peft import PeftModel

    with (
        load_quietly(f"adapter {model.adapter!r}"),
        hub_access(download),  # peft has no setting for it
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers by an old name
        warnings.filterwarnings("error", message=".*missing adapter keys")  # half an adapter, or one for another base
        adapted: Any = PeftModel.from_pretrained(loaded, adapter.source, revision=adapter.commit)
        return adapted.merge_and_unload() if model.quantization == "none" else adapted


def _origin(model: ModelSettings, base: Located, download: bool) -> dict[str, Any]:
    options: dict[str, Any] = {"local_files_only": not download}
    if base.commit:
        options["revision"] = base.commit
    if model.trust_remote_code:
        options["trust_remote_code"] = True
    return options


def _device_of(model: ModelSettings) -> str:
    import torch

    best = "cuda" if torch.cuda.is_available() else "cpu"
    device = best if model.device in ("auto", "balanced") else model.device
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ModelError(f"device {model.device!r}: torch sees no CUDA device; type: -P device=cpu")
    if device == "cpu" and model.quantization != "none":
        raise ConfigError(f"quantization {model.quantization!r} needs a GPU, and torch sees none; leave it out")
    return device


def _quantization(model: ModelSettings) -> Any:
    import torch
    import transformers

    settings: Any = transformers.BitsAndBytesConfig

    if model.quantization == "8bit":
        return settings(load_in_8bit=True)
    compute = torch.bfloat16 if model.dtype == "auto" else getattr(torch, PRECISIONS[model.dtype])
    return settings(load_in_4bit=True, bnb_4bit_compute_dtype=compute)
