"""Models of lm-eval made from their arguments: read, checked, named by content, loaded and kept quiet.

Serves `harness.llm.lm_eval.backend` and its session. Knows no request.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import Any

from harness.errors import ConfigError, ModelError, UnknownNameError
from harness.features.weights import content_name, find_commit, hub_access, one_line
from harness.llm.backend import ModelSettings
from harness.llm.calls import CallSettings
from harness.llm.server.address import public_address

PACE = {
    *("batch_size", "ca_cert_path", "device", "max_batch_size", "max_retries", "num_concurrent"),
    *("offload_folder", "timeout", "verify_certificate"),
}
"""Arguments that name a machine or set the pace: no part of what answers depend on."""

_SECRET = re.compile(
    r"(?i)(headers?|token|auth_token|access_token|hf_token|use_auth_token)="
    r"|\w*(api_?key|secret|password|credential|authori[sz]ation)\w*="
    r"|.*(bearer |api[-_]?key=|\bsk-[\w-]{16}|\bhf_\w{20}|://[^/\s]*@)"
)


def read_arguments(text: str) -> dict[str, Any]:
    """Returns the arguments of a model as lm-eval reads them.

    Raises:
        ConfigError: one of them is, or holds, a key.
    """
    from lm_eval.utils import simple_parse_args_string

    for part in text.split(","):
        if _SECRET.match(part.strip()):
            raise ConfigError(
                f"model_args: {part.partition('=')[0].strip()!r} looks like a key, and arguments are stored with "
                "results; set it in the environment, under the name that the model of lm-eval reads"
            )
    arguments: dict[str, Any] = simple_parse_args_string(text)
    return arguments


def public_arguments(text: str) -> str:
    """Returns arguments as results may hold them, sorted: folders by name and content, addresses without private ones.

    Raises:
        ConfigError: one of them names a folder that is not there, or an address is none.
    """
    parts = sorted(part.strip().partition("=") for part in text.split(",") if part.strip())
    return ",".join(
        f"{name}={public_address(value) if name == 'base_url' else _content_of(value)}"
        for name, _, value in parts
        if name not in PACE
    )


def is_local(name: str) -> bool:
    """Returns whether a model of lm-eval runs by transformers in this process."""
    return name.startswith("hf") or name == "huggingface"


def find_commits(arguments: Mapping[str, Any], download: bool) -> dict[str, str]:
    """Returns the commits of weights and adapter at the hub, by argument; those are left out that are not at hand.

    Args:
        arguments: of a model of transformers; lm-eval takes one revision for both.
        download: whether the hub may be asked for what is not in its cache.
    """
    commits, revision = {}, arguments.get("revision")
    for name, marker in (("pretrained", "config.json"), ("peft", "adapter_config.json")):
        if (value := arguments.get(name)) and not Path(str(value)).expanduser().exists():
            with suppress(ModelError):  # loading will tell
                commits[name] = find_commit(str(value), revision and str(revision), download, marker)
    return commits


def _content_of(value: str) -> str:
    path = Path(value).expanduser()
    if path.exists():
        return content_name(path)
    if path.is_absolute() or value.startswith("."):
        raise ConfigError(f"model_args: {value!r} does not exist; give a folder that does, or a name at the hub")
    return value


def refuse_settings(model: ModelSettings, calls: CallSettings) -> None:
    """Raises ConfigError for settings that lm-eval's models would not see."""
    plain = ModelSettings(model.backend, model.model, device=model.device, model_args=model.model_args)
    for name in ("revision", "adapter", "dtype", "quantization", "trust_remote_code", "base_url"):
        if (value := getattr(model, name)) != getattr(plain, name):
            raise ConfigError(
                f"{name}={value!r}: back end 'lm-eval' reads it from model_args; see lm-eval's model {model.model!r}"
            )
    for name in ("requests_per_minute", "tokens_per_minute", "batch_api"):
        if value := getattr(calls, name):
            raise ConfigError(f"{name}={value!r}: lm-eval keeps no such limit; use backend=openai")


def check_name(name: str) -> None:
    """Raises ConfigError for a model that lm-eval does not know; its table of names is quick to import."""
    import lm_eval.models  # noqa: F401  # fills the registry
    from lm_eval.api.registry import model_registry

    if name not in model_registry:
        unknown = UnknownNameError.of("lm-eval model", name, model_registry.keys())
        raise ConfigError(str(unknown))


def load_model(model: ModelSettings, arguments: Mapping[str, Any], calls: CallSettings) -> Any:
    """Returns a model of lm-eval, ready to be asked.

    Args:
        model: which model; its device counts for models of lm-eval that have one.
        arguments: of the model, as lm-eval reads them; they go before the settings of the session. `num_concurrent` is
            left to whoever asks.
        calls: the settings of the session.

    Raises:
        ModelError: the model cannot be made.
    """
    from lm_eval.api.registry import get_model

    try:
        with quiet(), hub_access(calls.download):
            build = get_model(model.model)
            own = {name: value for name, value in arguments.items() if name != "num_concurrent"}
            return build.create_from_arg_obj(_session_arguments(build, model, calls) | own)
    except (Exception, SystemExit) as error:  # whatever its library raises; the cause is told
        offline = "" if calls.download else "; weights of a hub need --download"
        raise ModelError(f"lm-eval model {model.model!r} cannot be made: {one_line(error)}{offline}") from error


def _session_arguments(build: type[Any], model: ModelSettings, calls: CallSettings) -> dict[str, Any]:
    bases = {base.__name__ for base in build.__mro__}
    if "TemplateAPI" in bases:  # a batch here is one call with several prompts, which not every server can answer
        return {
            "batch_size": 1,
            "max_retries": calls.max_retries + 1,  # lm-eval counts the first attempt too
            "timeout": max(1, round(calls.timeout_seconds)),
        }
    if "HFLM" in bases:
        return {"batch_size": calls.batch_size, "device": _device(model.device)}
    return {"batch_size": calls.batch_size}


def _device(name: str) -> str:
    """lm-eval asks for CUDA even where there is none."""
    if name != "auto":
        return name
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps lm-eval's log and progress bars off the terminal, and what it prints off stdout."""
    from tqdm import tqdm

    log, begin = logging.getLogger("lm_eval"), tqdm.__init__
    level = log.level

    def begin_hidden(bar: Any, *args: Any, **kwargs: Any) -> None:
        begin(bar, *args, **{**kwargs, "disable": True})

    log.setLevel(logging.CRITICAL + 1)
    tqdm.__init__ = begin_hidden  # some models have no switch for their bars
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        tqdm.__init__ = begin
        log.setLevel(level)
