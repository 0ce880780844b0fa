"""Named models: pinned, complete, with templates that exist; and a user's own beside them."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import ConfigError
from harness.llm.tables.models import find_model, list_models, named_models
from harness.prompting.templates import load_template


@pytest.fixture(autouse=True)
def no_table_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ERC_MODELS", raising=False)


def test_the_models_of_the_paper_are_there() -> None:
    bases = {name: find_model(name) for name in ("llama-7b", "alpaca-7b", "llama-2-7b")}
    assert all(model is not None and model.form == "plain" for model in bases.values())
    # The base of the released DialogueLLM scripts.
    assert bases["llama-2-7b"] is not None and bases["llama-2-7b"].hub_id == "meta-llama/Llama-2-7b-hf"
    assert find_model("no-such-model") is None


def test_every_name_is_one_checkpoint_with_templates_that_exist() -> None:
    models = named_models()
    assert len({(m.hub_id, m.revision) for m in models.values()}) == len(models)
    for model in models.values():
        assert model.seen and model.license and model.source.startswith("https://"), model.name
        assert set(model.templates) == {"zero-shot", "few-shot"}
        for template in model.templates.values():
            assert load_template(template).name == template


def count(
    vocabulary: int,
    width: int,
    layers: int,
    inner: int,
    queries: int,
    keys: int,
    *,
    norms: int,
    tied: bool = False,
    bias: bool = False,
) -> int:
    """Parameters of a decoder with gated feed-forward layers; `norms`: weights of the norms of one layer."""
    attention = width * (2 * queries + 2 * keys) + (queries + 2 * keys) * bias
    return layers * (attention + 3 * width * inner + norms) + vocabulary * width * (1 if tied else 2) + width


# Layer sizes as the config.json of each model states them.
SIZES = {
    "llama-7b": count(32000, 4096, 32, 11008, 4096, 4096, norms=2 * 4096),
    "alpaca-7b": count(32001, 4096, 32, 11008, 4096, 4096, norms=2 * 4096),  # a padding token was added
    "llama-2-7b": count(32000, 4096, 32, 11008, 4096, 4096, norms=2 * 4096),
    "llama-2-7b-chat": count(32000, 4096, 32, 11008, 4096, 4096, norms=2 * 4096),
    "llama-3.1-8b-instruct": count(128256, 4096, 32, 14336, 4096, 1024, norms=2 * 4096),
    "llama-3.2-3b-instruct": count(128256, 3072, 28, 8192, 3072, 1024, norms=2 * 3072, tied=True),
    "qwen2.5-0.5b-instruct": count(151936, 896, 24, 4864, 896, 128, norms=2 * 896, tied=True, bias=True),
    "qwen2.5-7b-instruct": count(152064, 3584, 28, 18944, 3584, 512, norms=2 * 3584, bias=True),
    "qwen3-4b-instruct": count(151936, 2560, 36, 9728, 4096, 1024, norms=2 * 2560 + 2 * 128, tied=True),
    "mistral-7b-instruct-v0.3": count(32768, 4096, 32, 14336, 4096, 1024, norms=2 * 4096),
    "gemma-2-9b-it": count(256000, 3584, 42, 14336, 4096, 2048, norms=4 * 3584, tied=True),
    "olmo-2-7b-instruct": count(100352, 4096, 32, 11008, 4096, 4096, norms=4 * 4096),
}


def test_numbers_of_parameters_follow_from_the_layers() -> None:
    assert {name: model.n_params for name, model in named_models().items()} == SIZES


def test_rows_for_a_list() -> None:
    rows = list_models()
    assert [row["name"] for row in rows] == list(named_models())
    assert rows[0]["hub_id"] == "huggyllama/llama-7b"


ENTRY = """
[models."{name}"]
hub_id = "lab/mine"
revision = "{revision}"
form = "chat"
license = "MIT"
"""


def test_a_user_may_add_and_replace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "models.toml"
    path.write_text(ENTRY.format(name="mine", revision="a" * 40) + ENTRY.format(name="llama-7b", revision="b" * 40))
    monkeypatch.setenv("ERC_MODELS", str(path))
    mine, replaced, other = (find_model(name) for name in ("mine", "llama-7b", "llama-2-7b"))
    assert mine is not None and (mine.name, mine.revision, mine.access) == ("mine", "a" * 40, "open")
    assert mine.templates == {"zero-shot": "zero-shot/v1", "few-shot": "few-shot/v1"}
    assert replaced is not None and replaced.hub_id == "lab/mine"
    assert other is not None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (ENTRY.format(name="m", revision="main"), "key 'models.m.revision': .*, got 'main'"),
        (ENTRY.format(name="m", revision="a" * 40) + "gated = true\n", "key 'models.m.gated'"),
        (ENTRY.format(name="m", revision="a" * 40).replace("chat", "talk"), "key 'models.m.form'.*got 'talk'"),
        ("models = 3\n", "key 'models'"),
    ],
)
def test_a_bad_table_is_named_with_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    path = tmp_path / "models.toml"
    path.write_text(text)
    monkeypatch.setenv("ERC_MODELS", str(path))
    with pytest.raises(ConfigError, match=rf"models\.toml, {said}"):
        find_model("m")
    monkeypatch.setenv("ERC_MODELS", str(tmp_path / "none.toml"))
    with pytest.raises(ConfigError, match=r"ERC_MODELS '.*none.toml': cannot be read"):
        find_model("m")
