"""What fine-tuning a 7B model costs on one GPU: ours against the released loop, without weights or a corpus.

The model has the shape of Llama-2-7B and random weights, made on the GPU; examples are random tokens as long as those
of MELD (`meld_lengths.json`). Neither changes what is computed. In the root of the repository type

    PYTHONPATH=. python tests/benchmarks/gpu_tuning.py

which begins nothing new after eight minutes, and writes tuning_gpu.json to $OUT, else to results/benchmarks. With
bitsandbytes the released loop has its base in 8 bits, and ours is measured with one in 4; without, neither is.

Model FLOPs are those that frozen weights ask for: 2 forward and 2 backward for each weight of a matrix and each token
computed, the head only where a logit is wanted. Attention, LoRA's matrices, dropout and whatever is computed twice
count as nothing, so that the utilisation errs on the low side.
"""

from __future__ import annotations

import datetime
import gc
import importlib.metadata
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from released_loop import train_released
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, LlamaConfig, LlamaForCausalLM

from harness.llm.local.choice_tree import Candidates
from harness.llm.tables.recipes import Recipe, load_recipe
from harness.llm.tuning.memory import Memory
from harness.llm.tuning.packing import packs
from harness.llm.tuning.quiet import quietly
from harness.llm.tuning.tune import Task, fine_tune
from harness.store import provenance

LENGTHS = Path(__file__).with_name("meld_lengths.json")

RESULTS = Path(__file__).resolve().parents[2] / "results" / "benchmarks"

COMMAND = "PYTHONPATH=. python tests/benchmarks/gpu_tuning.py"

LLAMA_7B = LlamaConfig(
    vocab_size=32000,
    hidden_size=4096,
    intermediate_size=11008,
    num_hidden_layers=32,
    num_attention_heads=32,
    num_key_value_heads=32,
    max_position_embeddings=4096,
)

PEAK_FLOPS = {"A100": 312e12, "H100": 989e12, "H200": 989e12}
"""Dense bf16 operations per second. Source: NVIDIA's data sheets of A100, H100 SXM and H200 SXM."""

SLOWER_CARDS = ("PCIE", "NVL")
"""Cards of the same chips whose peak is another."""

PAPER_HOURS = 5.0
"""Of a whole training on one A100 of 40 GB. Source: DialogueLLM, arXiv 2310.11374v4."""

NAME = "tuning_gpu"

RECIPES = ("ours", "paper-v4")

N_UPDATES = 12
"""Timed of each setting, after the first ones."""

N_WARM = 2
"""Updates before time is taken."""

PEAK_GIGABYTES, PEAK_GIGABYTES_4BIT = 40, 16
"""Of 1e9 bytes; memory stays below."""

UTILISATION = 0.45

TIMES_FASTER = 5.0

OPTIONS = [
    *((Memory(tokens, False), False) for tokens in (2048, 4096, 8192)),
    *((Memory(tokens, twice), True) for twice in (False, True) for tokens in (4096, 8192)),
    (Memory(2048, True), True),
]
"""Tried beside what is usual: rows, activations computed twice, and whether inputs are cast; see `measure_ours`."""


@dataclass(frozen=True)
class Bench:
    """What is measured, and where."""

    config: LlamaConfig
    device: str
    """'cuda' or 'cpu'."""
    scratch: Path
    n_updates: int = N_UPDATES
    seconds: float = 480.0
    """After which no further option is tried."""

    @property
    def dtype(self) -> torch.dtype:
        """Of weights that are not quantized."""
        return torch.bfloat16 if self.device == "cuda" else torch.float32


def draw_examples(n: int, config: LlamaConfig, seed: int = 0) -> list[Candidates]:
    """Returns examples as long as those of MELD: a header that all share, a part of its own, an answer."""
    lengths = read_lengths()
    rng = np.random.default_rng(seed)
    own = np.interp(rng.uniform(0, 100, n), np.arange(101), lengths["own_tokens_by_percentile"]).round().astype(int)
    sizes, counts = zip(*lengths["answer_tokens"].items(), strict=True)
    answers = rng.choice([int(size) for size in sizes], n, p=np.array(counts) / sum(counts))

    def draw(size: int) -> tuple[int, ...]:
        return tuple(rng.integers(3, config.vocab_size, size).tolist())

    header = draw(lengths["header_tokens"])
    return [Candidates((*header, *draw(a)), (draw(b),)) for a, b in zip(own, answers, strict=True)]


def make_model(bench: Bench, quantization: str, dtype: torch.dtype) -> Any:
    """Returns a base with random weights, made on its device; quantized as the harness loads one."""
    with quietly(), torch.random.fork_rng():
        with torch.device(bench.device):
            model: Any = AutoModelForCausalLM.from_config(bench.config, dtype=dtype, attn_implementation="sdpa")
        if quantization == "none":
            return model.eval()
        if quantization == "8bit":
            how: dict[str, Any] = {"load_in_8bit": True}
        else:
            how = {"load_in_4bit": True, "bnb_4bit_compute_dtype": dtype}
        weights = model.state_dict()
        del model
        return LlamaForCausalLM.from_pretrained(
            None,
            config=bench.config,
            state_dict=weights,
            dtype=dtype,
            quantization_config=BitsAndBytesConfig(**how),
            device_map={"": bench.device},
        ).eval()


def flops_per_token(config: LlamaConfig) -> tuple[float, float]:
    """Returns the model FLOPs of training with frozen weights: of a token without its logit, and of a logit."""
    width, key_width = config.hidden_size, config.num_key_value_heads * config.hidden_size // config.num_attention_heads
    layer = 2 * width * width + 2 * width * key_width + 3 * width * config.intermediate_size
    return 4.0 * config.num_hidden_layers * layer, 4.0 * width * config.vocab_size


def peak_flops(device_name: str) -> float | None:
    """Returns the dense bf16 operations per second of a GPU; None where they are not known."""
    if any(card in device_name.upper() for card in SLOWER_CARDS):
        return None
    return next((peak for chip, peak in PEAK_FLOPS.items() if chip in device_name), None)


@dataclass(frozen=True)
class Speed:
    """How fast one training was."""

    examples_per_second: float
    tokens_per_example: float
    """Computed."""
    peak_gigabytes: float | None
    """Of 1e9 bytes; None without a GPU."""

    @property
    def epochs_per_hour(self) -> float:
        """Of MELD's training split."""
        return 3600 * self.examples_per_second / float(read_lengths()["n_examples"])

    def figures(self) -> dict[str, float | None]:
        """Returns what is kept."""
        peak = self.peak_gigabytes
        return {
            "examples_per_second": round(self.examples_per_second, 2),
            "tokens_computed_per_example": round(self.tokens_per_example, 1),
            "epochs_per_hour": round(self.epochs_per_hour, 3),
            "peak_gigabytes": None if peak is None else round(peak, 2),
        }


def measure_ours(
    bench: Bench, recipe: Recipe, quantization: str = "none", memory: Memory | None = None, casts: bool = True
) -> tuple[Speed, Memory]:
    """Trains for some updates with our loop; returns how fast, and what fitted into memory.

    Args:
        bench: what is measured, and where.
        recipe: how to train; one epoch of it.
        quantization: of the base.
        memory: what to begin with; None: what is usual.
        casts: whether the inputs of LoRA's matrices are cast to fp32 before autocast casts them back, as peft does.
    """
    examples = draw_examples(recipe.batch_size * (N_WARM + bench.n_updates), bench.config)
    times: dict[int, float] = {}

    def load() -> Any:
        times.clear()  # memory lacked: all begins anew
        return make_model(bench, quantization, bench.dtype)

    def try_packing(model: Any, items: Sequence[Candidates]) -> bool:
        found = packs(model, items)  # outside of autocast, where casts are needed
        for part in model.modules():
            if hasattr(part, "cast_input_dtype_enabled"):
                part.cast_input_dtype_enabled = casts
        return found

    once = recipe.model_copy(update={"epochs": 1})
    with tempfile.TemporaryDirectory() as folder, patch("harness.llm.tuning.tune.packs", try_packing):
        task = Task(load, bench.device, examples, None, once, "lora", Path(folder), 0)
        done = fine_tune(
            task, lambda state: times.setdefault(state.step, time.perf_counter()), lambda *model: None, memory
        )
    speed = Speed(
        recipe.batch_size * bench.n_updates / (times[done.n_steps] - times[N_WARM]),
        done.n_tokens / len(examples),
        done.peak_bytes / 1e9 if bench.device == "cuda" else None,
    )
    _tidy()
    return speed, done.memory


def measure_released(bench: Bench, quantization: str) -> Speed:
    """Trains for some updates with the released loop; without gradient checkpointing, which would slow it down."""
    recipe = load_recipe("released-code")
    examples = draw_examples(recipe.batch_size * (N_WARM + bench.n_updates), bench.config)
    dtype = torch.float16 if bench.device == "cuda" else torch.float32
    model = make_model(bench, quantization, dtype)
    if bench.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    done = train_released(model, examples, recipe, bench.scratch, 0, bench.device == "cuda", 1)
    speed = Speed(
        recipe.batch_size * bench.n_updates / (done.times[-1] - done.times[N_WARM - 1]),
        done.n_tokens / len(examples),
        torch.cuda.max_memory_allocated() / 1e9 if bench.device == "cuda" else None,
    )
    del model
    _tidy()
    return speed


def utilisation(speed: Speed, config: LlamaConfig, peak: float) -> float:
    """Returns which fraction of a peak the model FLOPs of a training on answers are."""
    return speed.examples_per_second * flops_per_example(speed, config) / peak


def flops_per_example(speed: Speed, config: LlamaConfig) -> float:
    """Returns the model FLOPs of an example whose answer is learned."""
    token, logit = flops_per_token(config)
    counts = read_lengths()["answer_tokens"]
    n_answer = sum(int(size) * n for size, n in counts.items()) / sum(counts.values())
    return speed.tokens_per_example * token + n_answer * logit


def on_one_a100(speed: Speed, config: LlamaConfig, share: float, epochs: int) -> dict[str, Any]:
    """Returns the hours of a recipe's epochs on one A100: the same FLOPs at the same share of its peak."""
    seconds = read_lengths()["n_examples"] * flops_per_example(speed, config) / (share * PEAK_FLOPS["A100"])
    return {
        "how": "model FLOPs of all epochs over the A100's 312e12 per second times the utilisation measured here; "
        "updates only, no look at dev",
        "epochs": epochs,
        "hours": round(epochs * seconds / 3600, 3),
        "hours_in_the_paper": PAPER_HOURS,
        "fits_40_gb": None if speed.peak_gigabytes is None else speed.peak_gigabytes < 40,
    }


def measure(bench: Bench, peak: float | None, tell: Callable[..., None] = print) -> dict[str, Any]:
    """Returns all figures; options that there is no time for are named.

    Args:
        bench: what is measured, and where.
        peak: dense bf16 operations per second of the device; None: unknown, and so is the utilisation.
        tell: told every figure at once, so that they are not lost with what may go wrong later.
    """
    begin = time.perf_counter()
    config, has_bitsandbytes = bench.config, find_spec("bitsandbytes") is not None

    def share(speed: Speed) -> float | None:
        return None if peak is None else round(utilisation(speed, config, peak), 4)

    released = measure_released(bench, "8bit" if has_bitsandbytes else "none")
    figures: dict[str, Any] = {
        "released": released.figures() | {"base": "8bit" if has_bitsandbytes else "fp16: bitsandbytes is absent"},
        "recipes": {},
        "options": [],
        "options_left_out": [],
    }
    tell("released", figures["released"])
    for name in RECIPES:
        recipe = load_recipe(name)
        speed, memory = measure_ours(bench, recipe)
        used = share(speed)
        figures["recipes"][name] = {
            **speed.figures(),
            **asdict(memory),
            "utilisation": used,
            "times_faster": round(speed.epochs_per_hour / released.epochs_per_hour, 2),
            "on_one_a100": None if used is None else on_one_a100(speed, config, used, recipe.epochs),
        }
        tell(name, figures["recipes"][name])
    figures["4bit"] = None
    if has_bitsandbytes:
        speed, memory = measure_ours(bench, load_recipe("ours"), "4bit")
        figures["4bit"] = {"recipe": "ours", **speed.figures(), **asdict(memory), "utilisation": share(speed)}
        tell("4 bit", figures["4bit"])
    for name in RECIPES:
        for asked, casts in OPTIONS:
            option = {"recipe": name, **asdict(asked), "casts": casts}
            if time.perf_counter() - begin > bench.seconds:
                figures["options_left_out"].append(option)
                continue
            speed, memory = measure_ours(bench, load_recipe(name), memory=asked, casts=casts)
            fitted = None if memory == asked else asdict(memory)
            figures["options"].append(
                {**option, "in_its_place": fitted, **speed.figures(), "utilisation": share(speed)}
            )
    return figures


def read_lengths() -> dict[str, Any]:
    """Returns how many tokens MELD's prompts have."""
    lengths: dict[str, Any] = json.loads(LENGTHS.read_text(encoding="utf-8"))
    return lengths


def absent() -> dict[str, Any]:
    """Returns what stands in the place of figures that nobody has measured."""
    return {"benchmark": NAME, "status": "absent: no GPU was at hand", "command": COMMAND, "figures": None}


def document(figures: dict[str, Any], chip: str) -> dict[str, Any]:
    """Returns figures with what they were measured on, when, and what must be reached."""
    versions = provenance.versions()
    if find_spec("bitsandbytes") is not None:
        versions = {**versions, "bitsandbytes": importlib.metadata.version("bitsandbytes")}
    return {
        "benchmark": NAME,
        "status": "measured",
        "command": COMMAND,
        "chip": chip,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "figures": figures,
        "bounds": {
            "peak_gigabytes": PEAK_GIGABYTES,
            "4bit_peak_gigabytes": PEAK_GIGABYTES_4BIT,
            "utilisation": UTILISATION,
            "times_faster": TIMES_FASTER,
        },
        "versions": versions,
        "hardware": provenance.hardware(),
    }


def missed(figures: dict[str, Any]) -> list[str]:
    """Returns which bounds are not kept, in words; what could not be measured is missed too."""
    found = []
    for name, one in figures["recipes"].items():
        if one["peak_gigabytes"] is None or one["peak_gigabytes"] >= PEAK_GIGABYTES:
            found.append(f"{name}: {one['peak_gigabytes']} GB, not below {PEAK_GIGABYTES}")
        if one["utilisation"] is None or one["utilisation"] < UTILISATION:
            found.append(f"{name}: utilisation {one['utilisation']}, not {UTILISATION}")
        if one["times_faster"] < TIMES_FASTER:
            found.append(f"{name}: {one['times_faster']} times faster, not {TIMES_FASTER}")
    peak = (figures["4bit"] or {}).get("peak_gigabytes")
    if peak is None or peak >= PEAK_GIGABYTES_4BIT:
        found.append(f"4 bit: {peak} GB, not below {PEAK_GIGABYTES_4BIT}")
    return found


def _tidy() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def main() -> None:
    """Measures on the GPU of this machine, writes the figures, and prints them with what was missed."""
    if not torch.cuda.is_available():
        sys.exit("torch sees no CUDA device; nothing is measured")
    chip = torch.cuda.get_device_name()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Bench(LLAMA_7B, "cuda", Path(folder)), peak_flops(chip))
    text = json.dumps(document(figures, chip), indent=1) + "\n"
    folder_of_results = Path(os.environ.get("OUT") or RESULTS)
    (folder_of_results / f"{NAME}.json").write_text(text, encoding="utf-8")
    print(text, *missed(figures), sep="\n")


if __name__ == "__main__":
    main()
