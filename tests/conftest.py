"""Fixtures shared by all tests: real corpora, a toy corpus, video clips, a registry that forgets, a small model."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.features import ENCODERS, Encoder, register_encoder
from harness.predictors import PREDICTORS
from harness.predictors.plugins import load_plugins
from harness.schema import UtteranceView

EMOTIONS = ("neutral", "joy", "anger")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real corpora; the test is skipped where none is named."""
    folder = os.environ.get("ERC_DATA_DIR")
    if not folder:
        pytest.skip("real corpora are absent: set ERC_DATA_DIR to the folder that holds meld/ and emorynlp/")
    path = Path(folder).resolve()
    if not path.is_dir():
        pytest.fail(f"ERC_DATA_DIR={folder!r} is not a folder")
    return path


@pytest.fixture
def predictors() -> Iterator[None]:
    """Loads the built-in predictors, and forgets afterwards what the test registered."""
    load_plugins()
    for name in PREDICTORS:  # a module registers its class only while it is imported: that must come before the copy
        PREDICTORS.row(name)
    before = dict(PREDICTORS._rows)
    yield
    PREDICTORS._rows.clear()
    PREDICTORS._rows.update(before)


@pytest.fixture
def toy_corpus(tmp_path: Path) -> Path:
    """A folder `data/` that holds the jsonl corpus `toy`: 12 dialogues to learn from, 4 for dev, 14 for test."""
    folder = tmp_path / "data" / "toy"
    write_toy_corpus(folder)
    return folder.parent


@pytest.fixture(scope="session")
def write_toy() -> Callable[..., None]:
    """Writes the corpus `toy`, or one like it, to a folder."""
    return write_toy_corpus


def write_toy_corpus(folder: Path, name: str = "toy", seed: int = 0) -> None:
    """Writes a jsonl corpus whose words betray their label four times out of five."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    (folder / "card.toml").write_text(
        f'name = "{name}"\ntitle = "Toy"\nlanguage = "en"\nlicense = "CC0-1.0"\nsource = "a test"\n'
        f'labels = {json.dumps(EMOTIONS)}\nneutral = "neutral"\nredistributable = true\n'
    )
    words = {"neutral": "table", "joy": "lovely", "anger": "awful"}
    for split, n_dialogues in (("train", 12), ("dev", 4), ("test", 14)):
        lines = []
        for d in range(n_dialogues):
            utterances = []
            for u in range(int(rng.integers(2, 6))):
                label = EMOTIONS[rng.choice(3, p=[0.5, 0.3, 0.2])]
                word = words[label] if rng.random() < 0.8 else words[EMOTIONS[rng.integers(3)]]
                utterances.append(
                    {"speaker": "AB"[u % 2], "text": f"That is {word} number {d}-{u}.", "label": label if u else "joy"}
                )
            lines.append(json.dumps({"dialogue_id": f"{split}{d}", "utterances": utterances}))
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n")


def write_recipe(path: Path, **changes: object) -> Path:
    """Writes a recipe of small numbers to a TOML file, with some of them changed, and returns its path."""
    keys = {**RECIPE, **changes}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items()))  # JSON is TOML here
    return path


RECIPE = {
    "source": "a test",
    "rank": 4,
    "alpha": 8,
    "dropout": 0.0,
    "targets": ["q_proj", "v_proj"],
    "batch_size": 8,
    "epochs": 2,
    "learning_rate": 5e-3,
    "schedule": "cosine",
    "final_learning_rate": 0.1,
    "warmup_steps": 0,
    "adam_betas": [0.9, 0.95],
    "weight_decay": 0.1,
    "max_grad_norm": 1.0,
    "max_tokens": 256,
    "loss": "answer",
    "select_by": "dev-weighted-f1",
    "n_held_out": 0,
    "evaluate_every": "epoch",
    "patience": 0,
    "precision": "fp32",
    "quantization": "none",
}


@pytest.fixture
def recipe_file(tmp_path: Path) -> Callable[..., Path]:
    """Writes a recipe of small numbers, with some of them changed; equal ones are written to one file."""

    def write(**changes: object) -> Path:
        name = sha256(json.dumps(changes, sort_keys=True).encode()).hexdigest()[:8] if changes else "usual"
        return write_recipe(tmp_path / "recipes" / f"{name}.toml", **changes)

    return write


@pytest.fixture(scope="session")
def small_llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a Llama of one layer and width 32, whose tokenizer knows the words of DialogueLLM's template."""
    pytest.importorskip("transformers")
    from harness.llm.local.tiny import LlamaShape, build_tiny_llama, sample_texts
    from harness.prompting import load_template
    from harness.prompting.window import Line

    template = load_template("dialogue-llm/v1")
    shown = template.render("plain", labels=EMOTIONS, history=(), target=Line(None, "That is lovely.", None), future=())
    folder = tmp_path_factory.mktemp("models") / "small-llama"
    build_tiny_llama(folder, [*sample_texts(), *[shown.text] * 20], shape=LlamaShape(1, 32, 2, 700))
    return folder


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Models this small are slower on several threads."""
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def write_clip() -> Callable[..., None]:
    """Writes video clips of gray frames, the n-th one 15 n bright, so that a frame tells when it is shown."""
    av = pytest.importorskip("av", reason="PyAV is not installed: pip install 'erc-harness[video]'")

    def write(path: Path, n_frames: int = 16, size: tuple[int, int] = (64, 48)) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(path), "w") as file:
            stream = file.add_stream("mpeg4", rate=24)
            stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
            for n in range(n_frames):
                pixels = np.full((size[1], size[0], 3), 15 * n % 256, np.uint8)
                file.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            file.mux(stream.encode())

    return write


@pytest.fixture
def words_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Name of an encoder that needs no weights: 27 numbers for each word by its hash, added up. The cache is empty.

    Nine vectors of three numbers, to a system that asks for commonsense knowledge.
    """
    monkeypatch.setenv("ERC_CACHE_DIR", str(tmp_path / "cache"))
    for name in ENCODERS:  # a module registers its class only while it is imported: that must come before the copy
        ENCODERS.row(name)
    before = dict(ENCODERS._rows)

    @register_encoder("lab/words", kind="frozen", summary="Hashed words, for tests.")
    class Words(Encoder):
        def identity(self) -> dict[str, Any]:
            return {"encoder": "lab/words"}

        def encode(self, utterances: Sequence[UtteranceView], tell: Any = None) -> Any:
            return np.array([[sum(map(number, u.text.lower().split()), np.zeros(27))] for u in utterances], np.float32)

    def number(word: str) -> Any:
        return np.random.default_rng(int(sha256(word.encode()).hexdigest()[:8], 16)).normal(size=27)

    yield "lab/words"
    ENCODERS._rows.clear()
    ENCODERS._rows.update(before)


@pytest.fixture
def random_dialogues() -> Callable[..., list[Any]]:
    """Returns a function that draws dialogues as numbers: of one utterance, with nine speakers, of 40 utterances."""

    def draw(widths: Mapping[str, int], n_labels: int = 7, seed: int = 0) -> list[Any]:
        from baselines.neural.numbering import NumberedDialogue, number_speakers

        rng = np.random.default_rng(seed)
        shapes = [(1, 1), (2, 2), (5, 2), (9, 9), (12, 3), (40, 4), (3, 1)]
        return [
            NumberedDialogue(
                {stream: rng.normal(size=(n, width)).astype(np.float32) for stream, width in widths.items()},
                number_speakers([str(rng.integers(n_speakers)) for _ in range(n)]),
                rng.integers(-1, n_labels, n),
            )
            for n, n_speakers in shapes
        ]

    return draw


@pytest.fixture
def assert_batch_invariant(random_dialogues: Callable[..., list[Any]]) -> Callable[[Any, Mapping[str, int]], None]:
    """Returns a function that fails unless a network answers a dialogue alike in any company and with any padding."""

    def check(network: Any, widths: Mapping[str, int]) -> None:
        import torch

        from baselines.neural.batch import make_batch

        dialogues = random_dialogues(widths)

        def answers(chosen: Sequence[Any], extra: int = 0) -> list[Any]:
            with torch.inference_mode():
                logits = network.eval()(make_batch(chosen, extra=extra))
            return [own[: len(one)].numpy() for own, one in zip(logits, chosen, strict=True)]

        alone = [answers([one])[0] for one in dialogues]
        assert all(np.isfinite(own).all() for own in alone)
        order = np.random.default_rng(1).permutation(len(dialogues))
        permuted = dict(zip(order.tolist(), answers([dialogues[i] for i in order]), strict=True))
        for others in (answers(dialogues), [permuted[i] for i in range(len(dialogues))], answers(dialogues, extra=7)):
            for own, other in zip(alone, others, strict=True):
                np.testing.assert_allclose(other, own, atol=1e-5)

    return check


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Returns a function from a kind of architecture to a folder with a small one, its weights random.

    Kinds are roberta, bert, xlnet and bart; all have a width of 16, few layers of four heads, and a tokenizer that has
    learned from the bundled sample.
    """
    transformers = pytest.importorskip("transformers")
    from harness.llm.local.tiny import sample_texts

    sizes = {
        "roberta": {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 32},
        "bert": {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 32},
        "xlnet": {"d_model": 16, "n_layer": 2, "n_head": 4, "d_inner": 32},
        "bart": {
            "d_model": 16, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4,
            "decoder_attention_heads": 4, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32,
        },
    }  # fmt: skip
    classes = {"roberta": "Roberta", "bert": "Bert", "xlnet": "XLNet", "bart": "Bart"}
    places = {"roberta": 130, "bert": 128, "bart": 128}
    root = tmp_path_factory.mktemp("bases")

    def build(kind: str) -> Path:
        import torch

        folder = root / f"tiny-{kind}"
        if folder.is_dir():
            return folder
        tokenizer = _train_tokenizer(sample_texts())
        marks = {f"{mark}_token_id": getattr(tokenizer, f"{mark}_token_id") for mark in ("pad", "bos", "eos")}
        limit = {"max_position_embeddings": places[kind]} if kind in places else {}
        config = getattr(transformers, f"{classes[kind]}Config")(
            vocab_size=len(tokenizer), **sizes[kind], **marks, **limit
        )
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = getattr(transformers, f"{classes[kind]}Model")(config)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return folder

    return build


def _train_tokenizer(texts: Sequence[str]) -> Any:
    """Returns a byte-level BPE tokenizer of at most 128 tokens a text, with the marks that RoBERTa's has."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    marks = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=marks, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", cls_token="<s>", sep_token="</s>",
        pad_token="<pad>", unk_token="<unk>", mask_token="<mask>", model_max_length=128,
    )  # fmt: skip
