"""DialogueLLM as a predictor: what is trained once, what results say of it, and what it refuses."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sklearn.metrics import f1_score

import harness.llm.tuning.tune as tune
from harness.data import load_dataset
from harness.errors import HarnessError, ModelError
from harness.evaluation.jobs import Settings, prepare
from harness.evaluation.runner import execute_run
from harness.llm.calls import CallSettings
from harness.predictors import PREDICTORS
from harness.predictors.build import build_predictor, resolve_params
from harness.predictors.check import check_predictor
from harness.predictors.plugins import load_plugins
from harness.predictors.session import Session
from harness.schema.run import Job, RunOutcome

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),  # peft asks transformers by an old name
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # torch's own, while weights are loaded
]


class Home:
    """A user's folders: corpora, cache and results; counts what is trained."""

    def __init__(self, folder: Path, base: Path, recipe: Path) -> None:
        self.folder, self.base, self.recipe = folder, base, recipe
        self.data, self.cache, self.results = folder / "data", folder / "cache", folder / "results"
        self.n_trainings = 0

    def params(self, **params: Any) -> dict[str, Any]:
        """Returns parameters: the small base and the recipe of small numbers, unless others are given."""
        given = {"base": str(self.base), "recipe": str(self.recipe), **params}
        return {key: value for key, value in given.items() if value is not None}

    def run(self, dataset: str = "toy", split: str = "test", seed: int = 0, name: str = "dialogue-llm",
            **params: Any) -> RunOutcome:  # fmt: skip
        given = self.params(**params) if name == "dialogue-llm" else params
        settings = Settings(self.results, self.data, calls=CallSettings(cache=self.cache / "responses.sqlite"))
        return execute_run(prepare(Job(name, given, dataset, split, seed), settings), settings, lambda progress: None)

    def done(self, *args: Any, **options: Any) -> tuple[dict[str, Any], pd.DataFrame]:
        """Returns the manifest and the predictions of a run that must work."""
        outcome = self.run(*args, **options)
        assert outcome.status in ("done", "skipped"), outcome.detail
        folder = Path(outcome.path)
        return json.loads((folder / "manifest.json").read_text()), pd.read_parquet(folder / "predictions.parquet")

    def build(self, seed: int = 0, **params: Any) -> Any:
        """Returns a predictor that has learned nothing."""
        spec = PREDICTORS.get("dialogue-llm")
        predictor: Any = build_predictor(spec, resolve_params(spec, self.params(**params)), seed)
        predictor.use(Session(CallSettings(cache=self.cache / "responses.sqlite"), self.data))
        return predictor

    def fit(self, dataset: str = "toy", **params: Any) -> Any:
        """Returns a predictor that has learned."""
        predictor = self.build(**params)
        corpus = load_dataset(dataset, self.data)
        predictor.fit(corpus.split("train"), corpus.split("dev"))
        return predictor

    def weights(self, dataset: str = "toy", **params: Any) -> Path:
        """Returns the folder of trained weights."""
        return Path(self.fit(dataset, **params).kept()["weights"])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, small_llama: Path, write: Mapping[str, Any]) -> Iterator[Home]:
    folder = tmp_path_factory.mktemp("home")
    home = Home(folder, small_llama, write["recipe"](folder / "recipes" / "usual.toml", epochs=1, batch_size=16))
    write["corpus"](home.data / "toy")
    load_plugins()
    fine_tune = tune.fine_tune

    def counted(*args: Any, **options: Any) -> Any:
        home.n_trainings += 1
        return fine_tune(*args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ERC_CACHE_DIR", str(home.cache))
        patch.setattr(tune, "fine_tune", counted)
        yield home


@pytest.fixture(scope="module")
def write() -> dict[str, Any]:
    """Writers of recipes and toy corpora."""
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location("shared_conftest", Path(__file__).parents[2] / "conftest.py")
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return {"recipe": module.write_recipe, "corpus": module.write_toy_corpus}


def labels_and_scores(table: pd.DataFrame) -> list[Any]:
    """Returns what was predicted, in order, scores to 6 digits."""
    wanted = table[["utterance_id", "label", "status"]].to_numpy().tolist()
    return [[*row, [round(float(x), 6) for x in scores]] for row, scores in zip(wanted, table["scores"], strict=True)]


def test_a_run_says_what_was_trained_on_what(home: Home) -> None:
    manifest, table = home.done()
    corpus = load_dataset("toy", home.data)
    facts = manifest["predictor"]["facts"]
    training = facts["training"]
    assert set(table["status"]) == {"ok"}
    assert facts["recipe"]["rank"] == 4 and facts["recipe"]["batch_size"] == 16 and facts["method"] == "lora"
    assert training["base"]["model"].startswith("small-llama@") and training["base"]["revision"] is None
    assert training["recipe_name"].startswith("usual.toml@") and training["selected_by"] == "dev weighted F1"
    assert training["data"] == [
        {"dataset": "toy", "split": "train", "fingerprint": corpus.split("train").fingerprint,
         "n_examples": len(corpus.split("train").gold)}
    ]  # fmt: skip
    assert training["tuning"]["n_trainable"] == 2 * 4 * (32 + 32)  # A and B of two layers in the only block
    assert training["tuning"]["n_steps"] == 3 and len(training["tuning"]["dev"]) == 1
    assert facts["template"]["name"] == "dialogue-llm/v1" and len(facts["template"]["sha256"]) == 64
    assert facts["model"]["adapter"].startswith("dialogue-llm-toy-lora-seed0-")
    assert manifest["predictor"]["card"]["deterministic"] is False


def test_no_result_names_a_place_on_this_machine(home: Home) -> None:
    manifest, _ = home.done()
    weights = home.weights()
    texts = [json.dumps(manifest), *((weights / name).read_text() for name in
             ("README.md", "adapter_config.json", "training_results.json"))]  # fmt: skip
    for text in texts:
        for place in (home.folder, home.base.parent, Path.home(), Path.cwd()):
            assert str(place) not in text
    assert json.loads(texts[2])["base_model_name_or_path"].startswith("small-llama@")


def test_weights_are_kept_where_the_cache_is(home: Home) -> None:
    assert home.weights().parent == home.cache / "trained"
    assert not list(home.results.rglob("*.safetensors"))
    assert sorted(path.name for path in home.weights().iterdir()) == [
        "README.md", "adapter_config.json", "adapter_model.safetensors", "folder.seal.json", "training_results.json",
    ]  # fmt: skip


def test_runs_that_ask_otherwise_share_one_training(home: Home) -> None:
    home.weights()
    before = home.n_trainings, sorted((home.cache / "trained").iterdir())
    tables = [home.done(**asked)[1] for asked in (
        {}, {"shots": 0}, {"shots": 2, "per_class": False}, {"normalisation": "byte-mean"},
        {"answers": "generate", "max_new_tokens": 4},
    )]  # fmt: skip
    assert (home.n_trainings, sorted((home.cache / "trained").iterdir())) == before
    assert labels_and_scores(tables[0]) != labels_and_scores(tables[1])


def test_dev_is_judged_as_the_model_will_be_asked(home: Home) -> None:
    manifest, table = home.done(split="dev", shots=0)
    best = manifest["predictor"]["facts"]["training"]["tuning"]["best_score"]
    gold = [load_dataset("toy", home.data).split("dev").gold[u] for u in table["utterance_id"]]
    assert f1_score(gold, table["label"], average="weighted") == pytest.approx(best, abs=1e-12)


def test_given_weights_answer_as_in_the_run_that_trained_them(home: Home) -> None:
    _, trained = home.done()
    adapter = home.folder / "elsewhere" / "mine"
    shutil.copytree(home.weights(), adapter, dirs_exist_ok=True)
    n = home.n_trainings
    manifest, given = home.done(adapter=str(adapter), recipe=None)
    assert home.n_trainings == n
    assert labels_and_scores(given) == labels_and_scores(trained)
    assert manifest["predictor"]["card"]["deterministic"] is True
    assert manifest["predictor"]["params"]["adapter"].startswith("mine@")
    (adapter / "training_results.json").unlink()  # as beside other people's weights
    assert labels_and_scores(home.done(adapter=str(adapter), recipe=None, revision="x")[1]) == labels_and_scores(given)


def test_untrained_it_is_few_shot(home: Home) -> None:
    n = home.n_trainings
    manifest, untrained = home.done(method="none")
    asked = {"answers": "choice", "normalisation": "sum", "template": "dialogue-llm/v1", "form": "plain", "window": 1,
             "speakers": "none"}  # fmt: skip
    _, expected = home.done(name="few-shot", model=str(home.base), **asked)
    assert labels_and_scores(untrained) == labels_and_scores(expected)
    assert home.n_trainings == n
    assert manifest["predictor"]["card"]["deterministic"] is True and "training" not in manifest["predictor"]["facts"]
    assert labels_and_scores(home.done()[1]) != labels_and_scores(untrained)


def test_all_weights_can_be_trained(home: Home) -> None:
    manifest, table = home.done(method="full", epochs=1)
    weights = home.weights(method="full", epochs=1)
    tuning = manifest["predictor"]["facts"]["training"]["tuning"]
    assert tuning["n_trainable"] == tuning["n_parameters"]
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {path.name for path in weights.iterdir()}
    _, again = home.done(name="few-shot", model=str(weights), answers="choice", normalisation="sum", window=1,
                         template="dialogue-llm/v1", form="plain", speakers="none")  # fmt: skip
    assert labels_and_scores(again) == labels_and_scores(table)


def test_alone_or_in_company_it_predicts_the_same(home: Home, tmp_path: Path) -> None:
    predictor = home.fit()
    test = load_dataset("toy", home.data).split("test")
    views = [view for dialogue in test.dialogues[:5] for view in dialogue.views("past", test.label_set)]
    predictor.use(Session(CallSettings(cache=tmp_path / "one.sqlite"), home.data))
    together = list(predictor.predict_batch(views))
    predictor.use(Session(CallSettings(cache=tmp_path / "other.sqlite"), home.data))
    alone = [next(iter(predictor.predict_batch([view]))) for view in reversed(views)][::-1]
    for some, others in zip(together, alone, strict=True):
        for one, other in zip(some, others, strict=True):
            assert one.label == other.label and one.scores == pytest.approx(other.scores, abs=1e-4)


def test_the_name_of_a_training_holds_all_it_depends_on(home: Home, write: Mapping[str, Any]) -> None:
    corpus = load_dataset("toy", home.data)
    other = home.base.with_name("other")
    if not other.exists():
        shutil.copytree(home.base, other)

    def name(**params: Any) -> str:
        tuning = home.build(**params)._tuning([corpus.split("train")], corpus.split("dev"))
        return str(tuning._place().folder.name)

    own = write["recipe"](home.folder / "recipes" / "slower.toml", epochs=1, batch_size=16, learning_rate=1e-3)
    changed = [
        {"epochs": 2}, {"rank": 2}, {"seed": 1}, {"window": 2}, {"speakers": "names"}, {"form": "chat"},
        {"label_names": "canonical", "template": "zero-shot/v1"}, {"template": "zero-shot/v2"}, {"method": "full"},
        {"recipe": str(own)}, {"base": str(other)}, {"base": "tiny"}, {"base": "tiny", "window": 2},
        {"label_names": {"neutral": "calm", "joy": "joy", "anger": "anger"}},
    ]  # fmt: skip
    names = {name(), *(name(**one) for one in changed)}
    assert len(names) == 1 + len(changed)
    same = [{"shots": 3}, {"selection": "random"}, {"normalisation": "pmi"}, {"answers": "generate"}, {"epochs": 1},
            {"recipe": str(shutil.copy(home.recipe, home.folder / "copied.toml"))}]  # fmt: skip
    assert {name(**one) for one in same} == {name()}


def test_a_base_made_on_the_spot_depends_on_its_corpus_alone(home: Home, write: dict[str, Any], tmp_path: Path) -> None:
    corpus = load_dataset("toy", home.data)

    def name(**params: Any) -> str:
        tuning = home.build(base="tiny", **params)._tuning([corpus.split("train")], corpus.split("dev"))
        return str(tuning._tiny_place().folder.name)

    same = [{"seed": 1}, {"epochs": 3}, {"method": "full"}, {"shots": 0}, {"window": 3}, {"template": "zero-shot/v1"}]
    assert {name(**params) for params in same} == {name()}
    write["corpus"](tmp_path / "other" / "toy", seed=1)
    other = load_dataset("toy", tmp_path / "other")
    tuning = home.build(base="tiny")._tuning([other.split("train")], other.split("dev"))
    assert tuning._tiny_place().folder.name != name()


def test_weights_over_the_base_made_on_the_spot_can_be_asked_again(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.llm.tuning import tiny_base

    monkeypatch.setattr(tiny_base, "MOST_EPOCHS", 1)
    predictor = home.fit(base="tiny")
    n = home.n_trainings
    adapter, base = predictor.kept()["weights"], predictor.model_settings.model
    again, table = home.done(adapter=adapter, base=base)
    first, other = home.done(base="tiny")
    assert home.n_trainings == n and labels_and_scores(table) == labels_and_scores(other)
    assert again["predictor"]["facts"]["training"] == first["predictor"]["facts"]["training"]


# What it refuses


def fault(home: Home, *args: Any, **params: Any) -> str:
    """Returns the message of a training that must be refused, a line."""
    n = home.n_trainings
    with pytest.raises(HarnessError) as caught:
        home.fit(*args, **params)
    assert home.n_trainings == n and "\n" not in str(caught.value)
    return str(caught.value)


def test_an_adapter_goes_with_its_base_only(home: Home, tmp_path: Path) -> None:
    adapter = str(home.weights())
    other = tmp_path / "other-llama"
    shutil.copytree(home.base, other)
    message = fault(home, adapter=adapter, base=str(other))
    assert "trained over 'small-llama@" in message and "the base is 'other-llama@" in message
    assert "give that base" in message


def test_an_adapter_goes_with_its_labels_only(home: Home) -> None:
    message = fault(home, "sample", adapter=str(home.weights()))
    assert "toy: neutral, joy, anger" in message and "'sample' asks for anger, disgust, fear" in message


@pytest.mark.parametrize("record", ["{}", '{"base": {"model": "x"}}', '{"train_loss": 0.1}', "[]"])
def test_a_record_of_somebody_elses_says_nothing(home: Home, tmp_path: Path, record: str) -> None:
    adapter = tmp_path / "theirs"
    shutil.copytree(home.weights(), adapter)
    (adapter / "training_results.json").write_text(record)
    assert "training" not in home.fit(adapter=str(adapter)).facts()


def test_a_folder_without_an_adapter_is_told(home: Home, tmp_path: Path) -> None:
    assert "no adapter_config.json" in fault(home, adapter=str(tmp_path))
    assert "no such folder" in fault(home, adapter=str(tmp_path / "nothing"))


def test_other_peoples_adapter_of_another_size_is_one_line(home: Home, tmp_path: Path) -> None:
    from harness.llm.local.tiny import LlamaShape, build_tiny_llama

    build_tiny_llama(tmp_path / "wider", ["some text"], shape=LlamaShape(1, 64, 2, 300))
    adapter = tmp_path / "theirs"
    shutil.copytree(home.weights(), adapter)
    (adapter / "training_results.json").unlink()
    outcome = home.run(adapter=str(adapter), base=str(tmp_path / "wider"))
    assert outcome.status == "failed" and "adapter" in outcome.detail and "cannot be loaded" in outcome.detail
    assert "\n" not in outcome.detail


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"epochs": 0}, "epochs 0"),
        ({"rank": 0}, "rank 0"),
        ({"method": "prefix"}, "'prefix'"),
        ({"adapter": "x", "method": "full"}, "leave out method"),
        ({"adapter": "x", "base": "tiny"}, "give the folder of the base it was trained over"),
        ({"recipe": "paper-v9"}, "paper-v9"),
        ({"recipe": "nowhere.toml"}, "nowhere.toml"),
        ({"base": "lama-2-7b"}, "llama-2-7b"),
        ({"video": "nowhere.jsonl"}, "nowhere.jsonl"),
        ({"answers": "choice", "temperature": 1.0}, "temperature"),
    ],
)
def test_bad_parameters_are_told_before_anything_is_loaded(home: Home, params: dict[str, Any], words: str) -> None:
    assert words in fault(home, **params)


def test_a_base_that_is_not_here_is_told(home: Home) -> None:
    with pytest.raises(ModelError, match=r"llama-2-7b|Llama-2-7b"):
        home.fit(base="llama-2-7b")


def test_a_window_of_tokens_is_refused(home: Home) -> None:
    assert "window" in fault(home, window=None, window_tokens=50)


# Several corpora


@pytest.fixture(scope="module")
def several(home: Home, write: Mapping[str, Any]) -> Home:
    """Corpora `one` and `two` that share nothing within or between them, but two dialogues of train with a test."""
    for name, seed, word in (("one", 1, "thing"), ("two", 2, "piece")):
        folder = home.data / name
        write["corpus"](folder, name, seed)
        for split in ("train", "dev", "test"):
            path = folder / f"{split}.jsonl"
            path.write_text(path.read_text().replace("number", f"{word} of {split}"))
    test = [json.loads(line) for line in (home.data / "one" / "test.jsonl").read_text().splitlines()]
    for name, number in (("one", 0), ("two", 1)):
        path = home.data / name / "train.jsonl"
        lines = path.read_text().splitlines()
        leaked = json.loads(lines[3])
        leaked["utterances"][0]["text"] = test[number]["utterances"][1]["text"].upper()
        lines[3] = json.dumps(leaked)
        path.write_text("\n".join(lines) + "\n")
    return home


def test_more_corpora_are_learned_and_the_overlap_is_told(several: Home) -> None:
    outcome = several.run("one", train_on=("two",))
    assert outcome.status == "done"
    manifest, _ = several.done("one", train_on=("two",))
    facts = manifest["predictor"]["facts"]
    corpora = [load_dataset(name, several.data) for name in ("one", "two")]
    assert [part["n_examples"] for part in facts["training"]["data"]] == [len(c.split("train").gold) for c in corpora]
    assert [part["dataset"] for part in facts["training"]["data"]] == ["one", "two"]
    n = sum(len(dialogue.utterances) for dialogue in corpora[0].split("test").dialogues)
    assert facts["overlap_with_test"] == {f"{words}+ words": round(2 / n, 4) for words in (1, 5, 8)}
    assert f"{2 / n:.1%} of those of 5 words or more" in outcome.detail


def test_dialogues_that_share_an_utterance_with_what_is_tested_can_be_left_out(several: Home) -> None:
    outcome = several.run("one", train_on=("two",), decontaminate=True)
    facts = json.loads((Path(outcome.path) / "manifest.json").read_text())["predictor"]["facts"]
    for part in facts["training"]["data"]:
        train = load_dataset(part["dataset"], several.data).split("train")
        leaked = train.dialogues[3]
        assert part["n_examples"] == len(train.gold) - len(leaked.labelled())
        assert part["fingerprint"] != train.fingerprint
    assert set(facts["overlap_with_test"].values()) == {0.0}
    alone = several.run("one", decontaminate=True)
    assert alone.status == "done" and alone.detail != outcome.detail


def test_a_corpus_is_not_learned_twice(several: Home) -> None:
    for train_on in (("one",), ("two", "two")):
        assert "twice" in fault(several, "one", train_on=train_on)


def test_weights_for_several_corpora_serve_each(several: Home) -> None:
    adapter = several.weights("one", train_on=("two",))
    record = several.fit("two", adapter=str(adapter)).facts()["training"]
    assert [part["dataset"] for part in record["data"]] == ["one", "two"]


# The interface


def test_it_keeps_every_rule_of_predictors(home: Home, write: Mapping[str, Any], tmp_path: Path) -> None:
    recipe = write["recipe"](tmp_path / "short.toml", epochs=1, batch_size=128)
    results = check_predictor(PREDICTORS.get("dialogue-llm"), {"base": str(home.base), "recipe": str(recipe)})
    assert [(result.name, result.detail) for result in results if not result.passed] == []
    assert len(results) > 5


def test_the_card_depends_on_the_seed_only_where_something_is_drawn() -> None:
    load_plugins()
    spec = PREDICTORS.get("dialogue-llm")

    def deterministic(**params: Any) -> bool:
        return bool(spec.build.refine_card(spec.card, resolve_params(spec, params)).deterministic)

    assert not deterministic() and not deterministic(method="full")
    assert deterministic(method="none") and deterministic(adapter="org/weights")
    assert not deterministic(method="none", selection="random")
    assert not deterministic(adapter="x", answers="generate", temperature=1.0)
