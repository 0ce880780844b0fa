"""Our models inside lm-eval: a base model with LoRA weights, under the names and defaults of our own runs.

lm-eval 0.4.13 looks for outside models at no entry point: somebody has to register them before it looks a name up. So
there are two ways to measure, say, what a model has forgotten since it was fine-tuned:

    python -m harness.llm.lm_eval.our_models run --model erc-harness \\
        --model_args model=FOLDER,adapter=FOLDER,dtype=bf16 --tasks hellaswag

which is lm-eval's own command line with one model more, and, in Python, `register()` before `lm_eval.simple_evaluate`.
Arguments are the fields of `ModelSettings` that say which weights, in which form and where; `download=True`, without
which nothing is fetched from the hub; and `PASSED_ON`. Weights are loaded by the code of our own back end.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import Any, get_args

from harness.errors import ConfigError, HarnessError, MissingDependencyError
from harness.llm.backend import Dtype, ModelSettings, Quantization
from harness.llm.calls import CallSettings

NAME = "erc-harness"
"""What lm-eval knows the model by."""

PASSED_ON = {
    *("batch_size", "max_batch_size", "max_length", "truncation", "logits_cache", "softmax_dtype", "add_bos_token"),
    *("prefix_token_id", "think_end_token", "enable_thinking", "chat_template_args"),
}
"""Arguments of lm-eval's model `hf` that it heeds for weights which are loaded already; others it would not see."""


def register() -> None:
    """Makes lm-eval know our models as `NAME`; calling it again changes nothing.

    Raises:
        MissingDependencyError: lm-eval is not installed.
    """
    try:
        import lm_eval.models  # noqa: F401  # fills the registry, which it does only while that is empty
        from lm_eval.api.registry import model_registry
    except ImportError as error:
        raise MissingDependencyError.of("lm_eval", "lm-eval", f"lm-eval's model {NAME!r}") from error
    model_registry.register(NAME)(build_model_class())


@cache
def build_model_class() -> Any:
    """Returns the class that lm-eval makes models of; it cannot be defined without lm_eval and torch."""
    from lm_eval.models.huggingface import HFLM

    class ErcHarnessLM(HFLM):  # type: ignore[misc]
        """A causal language model with or without LoRA weights."""

        def __init__(
            self,
            model: str,
            adapter: str | None = None,
            revision: str | None = None,
            dtype: Dtype = "auto",
            quantization: Quantization = "none",
            device: str | None = None,
            trust_remote_code: bool = False,
            download: bool = False,
            **passed_on: Any,
        ) -> None:
            """Loads the weights.

            Args:
                model: folder of weights, or name at the hub.
                adapter: folder or hub name of LoRA weights.
                revision: commit of the model at the hub.
                dtype: precision; 'auto' is that of the checkpoint.
                quantization: loading in 8 or 4 bits.
                device: None for the best one there is.
                trust_remote_code: whether code that comes with the weights may run.
                download: whether weights may be fetched from the hub.
                passed_on: as in `PASSED_ON`.

            Raises:
                ConfigError: an argument that would not be heeded, or a value that is not allowed.
                ModelError: the weights are not there or cannot be read.
                MissingDependencyError: a package that the settings need is not installed.
            """
            from harness.features.weights import locate
            from harness.llm.local.backend import TransformersBackend
            from harness.llm.local.loading import load_model, load_tokenizer

            _check(dtype, quantization, passed_on)
            settings = ModelSettings(
                "transformers", str(model), revision, adapter, dtype, quantization, _device(device), trust_remote_code
            )
            self._identity = dict(TransformersBackend(settings, CallSettings(download=download)).identity())
            base = locate(str(model), revision, download=download)
            lora = None if adapter is None else locate(adapter, download=download, marker="adapter_config.json")
            super().__init__(
                pretrained=load_model(settings, base, lora, download),
                tokenizer=load_tokenizer(settings, base, download),
                revision=base.commit,
                **passed_on,
            )

        def get_model_info(self) -> dict[str, Any]:
            """Returns what lm-eval stores of a model, with what our runs store of it."""
            return {**super().get_model_info(), "erc_harness": self._identity}

    return ErcHarnessLM


def _check(dtype: str, quantization: str, passed_on: dict[str, Any]) -> None:
    for name, value, allowed in (
        ("dtype", dtype, get_args(Dtype)),
        ("quantization", quantization, get_args(Quantization)),
    ):
        if value not in allowed:
            raise ConfigError(f"model_args: {name}={value!r}; expected one of {', '.join(allowed)}")
    for name in sorted(passed_on.keys() - PASSED_ON):
        raise ConfigError(
            f"model_args: {name}={passed_on[name]!r} is no argument of {NAME!r}, which takes model, adapter, revision, "
            f"dtype, quantization, device, trust_remote_code, download, {', '.join(sorted(PASSED_ON))}"
        )


def _device(name: str | None) -> str:
    """lm-eval's command line says cuda:0 where nobody chose, and its own models then take what there is."""
    import torch

    return "auto" if name is None or (name == "cuda:0" and not torch.cuda.is_available()) else name


def main() -> None:
    """Runs lm-eval's command line with our models."""
    try:
        register()
        from lm_eval.__main__ import cli_evaluate

        cli_evaluate()
    except HarnessError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
