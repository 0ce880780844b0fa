"""Scoring the labels of real prompts with one model: our local back end against lm-eval's `hf`, in the same run.

The model is a Llama of 27 million random weights whose tokenizer is trained on the corpus. What counts beside the model
is how many passes lm-eval makes for a prompt, and that depends on the tokenizer: choices that differ in nothing but
their last token share a pass there. Where labels are words of several tokens (the bundled sample's tokenizer) it makes
seven; where some are single tokens (MELD's), four; with a letter for each label, one. All three are measured.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from harness.data import Dataset, load_dataset
from harness.llm import CallSettings, ModelSettings, Request, build_backend
from harness.llm.local.choice_tree import common_prefix
from harness.llm.local.tiny import LlamaShape, build_tiny_llama
from harness.prompting import Prompt
from harness.prompting.exemplars import ExemplarPlan
from harness.prompting.label_names import name_labels
from harness.prompting.selection import build_selector
from harness.prompting.templates import load_template
from harness.prompting.window import Window

pytestmark = [pytest.mark.bench, pytest.mark.filterwarnings("default")]

SHAPE = LlamaShape(n_layers=6, width=512, n_heads=8, n_tokens=8192)

N_PROMPTS = 128
"""Of consecutive utterances; ours scores them all."""

EVERY = 16
"""The peer scores every sixteenth of them; its time is multiplied by how many tokens all have for each of theirs."""

BATCH_SIZES = (1, 4, 8, 16)
"""Tried for the peer, which then gets the best."""

LETTERS = tuple("ABCDEFG")

TIMES_FASTER = {
    ("sample", "few-shot"): 10.0,
    ("sample", "zero-shot"): 10.0,
    ("meld", "few-shot"): 10.0,
    ("meld", "zero-shot"): 5.0,
    ("letters", "few-shot"): 4.0,
    ("letters", "zero-shot"): 1.5,
}
"""What must be reached. The last three are near what the tokens to compute allow."""


@dataclass(frozen=True)
class Setting:
    """A model and what it is asked."""

    folder: Path
    prompts: list[Prompt]
    choices: tuple[str, ...]


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Dataset], Path]:
    """Returns the folder of the model of a corpus, built once."""
    folders: dict[str, Path] = {}

    def run(dataset: Dataset) -> Path:
        if dataset.name not in folders:
            folder = tmp_path_factory.mktemp("models") / f"llama-{dataset.name}"
            texts = [f"{u.view().speaker}: {u.text}" for d in dataset.splits["train"].dialogues for u in d.utterances]
            build_tiny_llama(folder, texts, shape=replace(SHAPE, n_rows=SHAPE.n_tokens))
            folders[dataset.name] = folder
        return folders[dataset.name]

    return run


def ask(dataset: Dataset, shots: str) -> tuple[list[Prompt], tuple[str, ...]]:
    """Returns the prompts of the first test utterances, five past utterances each, and the names of the labels."""
    test, window, template = dataset.splits["test"], Window(5), load_template("zero-shot/v1")
    names = name_labels(test.label_set, "natural")
    plan = ExemplarPlan(n=1, per_class=True, n_history=2) if shots == "few-shot" else ExemplarPlan()
    selector = build_selector(dataset.splits["train"], names, window, plan)
    prompts = []
    for dialogue in test.dialogues:
        for view in dialogue.views("past", test.label_set):
            for position in view.target_positions:
                scene = window.frame(view, position)
                prompts.append(
                    template.render(
                        "plain",
                        labels=names.shown,
                        target=scene.target,
                        history=scene.history,
                        exemplars=selector.select(view, position),
                    )
                )
    return prompts[:N_PROMPTS], names.shown


class Ours:
    """The back end, loaded and warm."""

    def __init__(self, setting: Setting) -> None:
        self._backend = build_backend(ModelSettings("transformers", str(setting.folder), device="cpu"), CallSettings())
        self._requests = [Request(prompt, setting.choices, "choice") for prompt in setting.prompts]
        self.logprobs: list[tuple[float, ...]] = []
        self.n_prompt_tokens: list[int] = []
        self.choice_tokens: tuple[int, ...] = ()

    def run(self) -> None:
        responses = dict(self._backend.answer(iter(self._requests), {}.__setitem__))
        answers = [responses[i] for i in range(len(self._requests))]
        self.logprobs = [answer.choice_logprobs or () for answer in answers]
        self.n_prompt_tokens = [answer.n_prompt_tokens or 0 for answer in answers]
        self.choice_tokens = answers[0].choice_tokens or ()

    def n_header_tokens(self, prompts: Sequence[Prompt]) -> int:
        """Tokens of the text that all prompts begin with."""
        texts = [prompt.text for prompt in prompts]
        return self._backend.count_tokens(texts[0][: common_prefix(min(texts), max(texts))]) or 0


class Peer:
    """lm-eval's `hf` on the same weights, with the batch size that suits it best."""

    def __init__(self, setting: Setting) -> None:
        import torch
        from lm_eval.api.instance import Instance
        from lm_eval.models.huggingface import HFLM

        self._lm = HFLM(str(setting.folder), device="cpu", dtype=torch.float32, batch_size=1)
        self._n_choices = len(setting.choices)
        arguments = [(p.text, p.continuation(choice)) for p in setting.prompts[::EVERY] for choice in setting.choices]
        self._instances = [Instance("loglikelihood", {}, pair, i) for i, pair in enumerate(arguments)]
        self.logprobs: list[list[float]] = []
        few = self._instances[: 4 * self._n_choices]
        self.seconds_by_batch_size = {size: self._time(few, size) for size in BATCH_SIZES}
        self._best = min(BATCH_SIZES, key=self.seconds_by_batch_size.__getitem__)

    def _time(self, instances: Sequence[Any], batch_size: int) -> float:
        self._lm.batch_size_per_gpu = batch_size
        begin = time.perf_counter()
        self._lm.loglikelihood(instances, disable_tqdm=True)
        return time.perf_counter() - begin

    def run(self) -> None:
        self._lm.batch_size_per_gpu = self._best
        sums = [value for value, _ in self._lm.loglikelihood(self._instances, disable_tqdm=True)]
        self.logprobs = [sums[i : i + self._n_choices] for i in range(0, len(sums), self._n_choices)]

    @property
    def best(self) -> int:
        return self._best

    def n_parameters(self) -> int:
        return sum(weight.numel() for weight in self._lm.model.parameters())

    def passes(self, setting: Setting) -> float:
        """Mean number of different inputs a prompt: what is left after lm-eval has grouped one-token continuations."""
        inputs = 0
        for prompt in setting.prompts[::EVERY]:
            pairs = [self._lm._encode_pair(prompt.text, prompt.continuation(choice)) for choice in setting.choices]
            inputs += len({tuple(context + continuation[:-1]) for context, continuation in pairs})
        return inputs / len(setting.prompts[::EVERY])


@pytest.mark.parametrize("shots", ["few-shot", "zero-shot"])
@pytest.mark.parametrize("words", ["sample", "meld", "letters"])
def test_choices_are_scored_many_times_faster(
    build: Callable[[Dataset], Path],
    alternate: Callable[..., dict[str, float]],
    record: Callable[..., None],
    request: pytest.FixtureRequest,
    words: str,
    shots: str,
) -> None:
    data_dir = request.getfixturevalue("data_dir") if words == "meld" else None
    dataset = load_dataset("meld" if words == "meld" else "sample", data_dir)
    prompts, shown = ask(dataset, shots)
    setting = Setting(build(dataset), prompts, LETTERS if words == "letters" else shown)
    ours, peer = Ours(setting), Peer(setting)
    n_rounds = 3 if shots == "few-shot" else 5  # short rounds are easier to disturb
    seconds = alternate({"ours": ours.run, "peer": peer.run}, n_rounds)
    factor = sum(ours.n_prompt_tokens) / sum(ours.n_prompt_tokens[::EVERY])
    peer_seconds = seconds["peer"] * factor
    pairs = list(zip(ours.logprobs[::EVERY], peer.logprobs, strict=True))
    difference = max(abs(a - b) for one, other in pairs for a, b in zip(one, other, strict=True))
    bound = TIMES_FASTER[words, shots]
    record(
        f"choice_scoring_{words}_{shots.replace('-', '_')}", seconds["ours"], 1 / bound,
        "lm_eval.models.huggingface.HFLM.loglikelihood", peer_seconds, ["transformers", "lm_eval"],
        times_faster=round(peer_seconds / seconds["ours"], 1),
        n_prompts=len(prompts), n_labels=len(setting.choices), n_parameters=peer.n_parameters(),
        tokens_per_prompt=round(sum(ours.n_prompt_tokens) / len(prompts), 1),
        header_tokens=ours.n_header_tokens(prompts),
        choice_tokens=list(ours.choice_tokens), peer_passes_per_prompt=round(peer.passes(setting), 2),
        peer_batch_size=peer.best, largest_difference_nats=float(f"{difference:.2g}"), n_compared=len(pairs),
        peer_ran={"n_prompts": len(peer.logprobs), "seconds": round(seconds["peer"], 3), "factor": round(factor, 2)},
    )  # fmt: skip
    assert [max(range(len(a)), key=a.__getitem__) for a, _ in pairs] == [
        max(range(len(b)), key=b.__getitem__) for _, b in pairs
    ]
    assert difference < 1e-4
    assert peer_seconds / seconds["ours"] >= bound
