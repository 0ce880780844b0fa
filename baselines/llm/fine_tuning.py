"""One fine-tuning of a base model on instructions, kept where every run that needs the same one finds it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from baselines.llm.judging import hold_out, judge_by_f1, judge_by_loss
from harness.data import Split
from harness.errors import ConfigError, MissingDependencyError
from harness.features.weights import Located, content_name, locate
from harness.llm import ModelSettings
from harness.llm.backend import Dtype, Quantization
from harness.llm.tables.recipes import Recipe
from harness.predictors.session import FitProgress, Session
from harness.prompting import Form, LabelNames, Template, Window
from harness.prompting.instructions import Instruction, build_instructions
from harness.store import provenance
from harness.store.trained import TrainedPlace, TrainedStore

if TYPE_CHECKING:
    from harness.llm.local.choice_tree import Candidates
    from harness.llm.local.tokens import PromptTokens
    from harness.llm.tuning.trainer import DevSet

METHOD = 1
"""How examples are made and weights trained; raise it when a change can change weights."""

TINY = "tiny"
"""The base that is made on the spot."""


@dataclass(frozen=True)
class FineTuning:
    """What a training depends on, and where its result goes."""

    predictor: str
    """Name, for the folder and the card."""
    base: ModelSettings
    """The base; its model may be 'tiny'."""
    recipe_name: str
    recipe: Recipe
    method: str
    """'lora' or 'full'."""
    template: Template
    form: Form
    window: Window
    splits: Sequence[Split]
    """Training splits; the first is that of the dataset itself."""
    dev: Split
    names: Callable[[Split], LabelNames]
    videos: Callable[[Split], Mapping[str, str]]
    """Descriptions by utterance id."""
    video_name: str | None
    """What the descriptions are called in results, and whether their emotion words are masked."""
    seed: int
    session: Session = field(repr=False)

    def weights(self) -> TrainedPlace:
        """Returns where the weights are, after training them if nobody has.

        Raises:
            MissingDependencyError: a package of the extra 'models' is not installed.
            ModelError: the base cannot be loaded, memory lacks, or the loss is not finite.
            ConfigError: the recipe does not fit the base.
        """
        self._check_packages()
        return self._ensure(self._place(), self._train)

    @property
    def is_tiny(self) -> bool:
        """Whether the base is made on the spot."""
        return self.base.model == TINY

    def base_place(self) -> TrainedPlace:
        """Returns where the tiny base is, after making it if nobody has; raises as `weights`."""
        self._check_packages()
        return self._ensure(self._tiny_place(), self._make_tiny)

    # Where things belong

    def _place(self) -> TrainedPlace:
        name = f"{self.predictor}-{self.dev.dataset.replace('/', '-')}-{self.method}-seed{self.seed}"
        return self._store.place(name, self._depends_on())

    def _tiny_place(self) -> TrainedPlace:
        from harness.llm.tuning.tiny_base import tiny_depends_on

        name = f"tiny-{self.dev.dataset.replace('/', '-')}"
        return self._store.place(name, {"method": METHOD, **tiny_depends_on(self.splits)})

    def _depends_on(self) -> dict[str, Any]:
        base: Any = self._tiny_place().folder.name if self.is_tiny else self._identity(self._located())
        return {
            "method": METHOD,
            "base": base,
            "precision": self._precision(),
            "trained": self.method,
            "recipe": self.recipe.model_dump(mode="json"),
            "template": self.template.sha256,
            "form": self.form,
            "window": asdict(self.window),
            "labels": [self.names(split).shown for split in self.splits],
            "train": [split.fingerprint for split in self.splits],
            "dev": self.dev.fingerprint,
            "video": self.video_name,
            "seed": self.seed,
        }

    @property
    def _store(self) -> TrainedStore:
        return TrainedStore.at(self.session.trained)

    def _located(self) -> Located:
        if self.is_tiny:
            folder = self.base_place().folder
            return Located(str(folder), None, content_name(folder))
        return locate(self.base.model, self.base.revision, download=self.session.calls.download)

    def _identity(self, base: Located) -> dict[str, str | None]:
        return {"model": base.name, "revision": base.commit}

    def _ensure(self, place: TrainedPlace, make: Callable[[TrainedPlace], None]) -> TrainedPlace:
        """Returns a place that is filled; of several processes the first claims it, and all make it."""
        from harness.llm.tuning.processes import is_first, n_processes, wait_for_all

        if n_processes() == 1 and place.is_whole:
            return place
        with place.claimed() if is_first() else nullcontext():
            wait_for_all()  # from here on nobody else can fill it, so that all of them see the same
            if not place.is_filled:
                make(place)
            wait_for_all()
        return place

    # What is done there

    def _make_tiny(self, place: TrainedPlace) -> None:
        from harness.llm.tuning.quiet import quietly
        from harness.llm.tuning.tiny_base import make_tiny_base

        def save(model: Any, tokenizer: Any) -> None:
            def write(folder: Path) -> None:
                with quietly():
                    model.save_pretrained(folder)
                tokenizer.save_pretrained(folder)

            place.fill(write, {"base": {"model": TINY}, "versions": provenance.versions()})

        make_tiny_base(self.splits, place.part, self._tell("reading"), save)

    def _train(self, place: TrainedPlace) -> None:
        from harness.llm.local.loading import check_settings, load_model, load_tokenizer
        from harness.llm.local.tokens import PromptTokens
        from harness.llm.tuning.examples import encode_examples
        from harness.llm.tuning.tune import Task, fine_tune

        base = self._located()
        settings = self._loading(base)
        check_settings(settings)
        download = self.session.calls.download
        tokens = PromptTokens(load_tokenizer(settings, base, download))
        instructions = [one for split in self.splits for one in self._instructions(split)]
        held_out, instructions = hold_out(instructions, self.recipe.n_held_out)
        examples = encode_examples(instructions, self.template, self.form, tokens, self.recipe.max_tokens)
        dev = self._dev_set(tokens, held_out)
        saved: list[tuple[Any, Any]] = []
        task = Task(
            load=lambda: load_model(settings, base, None, download),
            device=self._device,
            examples=self._learned(examples.items),
            dev=dev,
            recipe=self.recipe,
            method="lora" if self.method == "lora" else "full",
            folder=place.part,
            seed=self.seed,
            n_threads=1 if self.is_tiny else None,
        )
        tuning = fine_tune(task, self._tell(dev.metric), lambda *model: saved.append(model))
        record = {
            "predictor": self.predictor,
            "seed": self.seed,
            "base": self._identity(base),
            "method": self.method,
            "recipe_name": self.recipe_name,
            "recipe": self.recipe.model_dump(mode="json"),
            "selected_by": dev.metric,
            "template": {"name": self.template.name, "sha256": self.template.sha256},
            "labels": {split.dataset: list(self.names(split).shown) for split in self.splits},
            "data": [
                {"dataset": split.dataset, "split": split.name, "fingerprint": split.fingerprint,
                 "n_examples": len(split.gold)}
                for split in self.splits
            ],
            "examples": {"n_held_out": len(held_out), "n_trained": len(examples.items), "n_tokens": examples.n_tokens,
                         "n_shortened": examples.n_shortened, "n_lines_dropped": examples.n_lines_dropped,
                         "n_too_long": examples.n_too_long},
            "quantization": settings.quantization,
            "precision": settings.dtype,
            "tuning": asdict(tuning),
            "versions": provenance.versions(),
        }  # fmt: skip
        for model, gathered in saved:  # one in the first process, none in the others
            place.fill(partial(self._write, model, gathered, tokens.tokenizer, base, record), record)

    def _write(
        self, model: Any, gathered: Any, tokenizer: Any, base: Located, record: Mapping[str, Any], folder: Path
    ) -> None:
        from harness.llm.tuning.model_card import model_card
        from harness.llm.tuning.quiet import quietly

        if self.method == "lora":
            for config in model.peft_config.values():  # the path of this machine means nothing elsewhere
                config.base_model_name_or_path, config.revision = base.name, base.commit
        else:
            tokenizer.save_pretrained(folder)
        with quietly():
            options = {"save_embedding_layers": False} if self.method == "lora" else {}
            model.save_pretrained(folder, state_dict=gathered, **options)
        (folder / "README.md").write_text(model_card(record), encoding="utf-8")

    # Parts

    def _instructions(self, split: Split) -> list[Instruction]:
        return list(build_instructions(split, self.names(split), self.window, self.videos(split)))

    def _learned(self, items: Sequence[Candidates]) -> Sequence[Candidates]:
        from harness.llm.tuning.examples import whole_texts

        return whole_texts(items) if self.recipe.loss == "all" else items

    def _dev_set(self, tokens: PromptTokens, held_out: Sequence[Instruction]) -> DevSet:
        """Returns what checkpoints are judged by."""
        from harness.llm.tuning.examples import encode_examples, encode_questions

        if held_out:
            examples = encode_examples(held_out, self.template, self.form, tokens, self.recipe.max_tokens)
            return judge_by_loss(self._learned(examples.items))
        instructions = self._instructions(self.dev)
        questions = encode_questions(instructions, self.template, self.form, tokens)
        return judge_by_f1(questions, [one.label for one in instructions], self.dev.label_set)

    @property
    def _device(self) -> str:
        """Type of the device to train on.

        Raises:
            ConfigError: one GPU of several is named, which is the business of who starts the process.
        """
        import torch

        if self.base.device not in ("auto", "cpu", "cuda"):
            raise ConfigError(
                f"device {self.base.device!r}: training takes 'auto' or 'cpu'; choose a GPU by CUDA_VISIBLE_DEVICES, "
                "and several by: accelerate launch -m harness tune ..."
            )
        return "cuda" if self.base.device != "cpu" and torch.cuda.is_available() else "cpu"

    def _precision(self) -> tuple[Dtype, Quantization]:
        """Returns precision and quantization of the base: as the recipe says on a GPU with LoRA, fp32 elsewhere."""
        if self._device == "cpu" or self.method == "full":
            return "fp32", "none"
        asked = self.base.quantization
        return self.recipe.precision, asked if asked != "none" else self.recipe.quantization

    def _loading(self, base: Located) -> ModelSettings:
        """Returns how the base is loaded for training.

        Raises:
            ConfigError: as `_device`; or a quantized base in processes that hold a part of it each.
        """
        from harness.llm.tuning.processes import n_processes

        dtype, quantization = self._precision()
        sharded = os.environ.get("ACCELERATE_USE_FSDP", "").lower() == "true"
        if sharded and quantization != "none":
            raise ConfigError(f'FSDP with a base in {quantization}: give a recipe with quantization = "none"')
        own = f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if n_processes() > 1 else "cuda"
        device = own if self._device == "cuda" and not sharded else "cpu"
        return replace(self.base, model=base.source, dtype=dtype, quantization=quantization, device=device)

    def _tell(self, metric: str) -> Callable[[Any], None]:
        from harness.llm.tuning.tune import describe

        return lambda state: self.session.report(FitProgress(state.step, state.n_steps, describe(state, metric)))

    def _check_packages(self) -> None:
        try:
            import peft  # noqa: F401
            import torch  # noqa: F401
        except ImportError as error:
            raise MissingDependencyError.of(error.name or "torch", "models", "fine-tuning") from error
