"""`compare` as its user types it: options, what it prints, what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.cli.compare import advise
from harness.evaluation.comparison import Comparison

Cli = Callable[..., Any]

RESULTS = Path(__file__).parents[2] / "results"
MELD = ("--dataset", "meld", "--results-dir", RESULTS)


def test_options_reach_the_test(cli: Cli) -> None:
    pair = ("compare", "tfidf-svm", "tfidf-logreg", *MELD)
    default = cli(*pair, "--json").json
    assert (default["test"], default["alpha"], default["n_resamples"], default["seed"]) == ("sign-flip", 0.05, 10000, 0)
    changed = cli(*pair, "--test", "swap", "--alpha", 0.1, "--resamples", 999, "--seed", 7, "--json").json
    assert (changed["test"], changed["alpha"], changed["n_resamples"], changed["seed"]) == ("swap", 0.1, 999, 7)
    assert changed["high"] - changed["low"] < default["high"] - default["low"]
    assert changed["detectable"] < default["detectable"]
    assert (1000 * changed["p_value"]) % 1 == pytest.approx(0, abs=1e-9), "(1 + k) / (B + 1)"


def test_a_coarser_unit_has_fewer_clusters(cli: Cli) -> None:
    result = cli("compare", "tfidf-svm", "tfidf-logreg", *MELD, "--unit", "episode", "--json").json
    assert (result["unit"], result["n_dialogues"], result["n_clusters"]) == ("episode", 280, 143)
    assert result["effective_clusters"] < 143
    shown = cli("compare", "tfidf-svm", "tfidf-logreg", *MELD, "--unit", "episode").out
    assert "unit episode: 143 clusters (episode) of 280 dialogues" in shown


def test_units_without_counts_are_refused(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = cli("compare", "tfidf-svm", "tfidf-logreg", *MELD, "--unit", "utterance")
    assert refused.code == 2
    assert "counts by dialogue" in refused.err
    assert "dataset 'meld' is not in" in refused.err
    monkeypatch.delenv("ERC_DATA_DIR")
    assert "--data-dir DIR" in cli("compare", "tfidf-svm", "tfidf-logreg", *MELD, "--unit", "utterance").err
    unknown = cli("compare", "tfidf-svm", "tfidf-logreg", *MELD, "--unit", "season")
    assert unknown.code == 2
    assert "allowed on this split: dialogue, episode" in unknown.err


def test_the_bundled_corpus_gives_the_design_effect_and_the_utterance_as_unit(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ERC_DATA_DIR")
    pair = ("compare", "tfidf-svm", "majority", "--dataset", "sample", "--results-dir", RESULTS, "--test", "t")
    by_dialogue, by_utterance = cli(*pair, "--json").json, cli(*pair, "--unit", "utterance", "--json").json
    assert by_dialogue["design_effect"] == pytest.approx((by_dialogue["se"] / by_utterance["se"]) ** 2, rel=1e-9)
    assert (by_utterance["unit"], by_utterance["n_clusters"]) == ("utterance", by_utterance["n_utterances"])
    assert any("unit is the utterance: intervals are too short" in warning for warning in by_utterance["warnings"])
    shown = cli(*pair, "--unit", "utterance")
    assert "warning: unit is the utterance" in shown.err
    assert f"design effect of the difference {by_dialogue['design_effect']:.2f}" in shown.out


def test_what_does_not_matter_adds_a_description(cli: Cli) -> None:
    pair = ("compare", "tfidf-svm", "tfidf-logreg", *MELD)
    plain, asked = cli(*pair, "--json").json, cli(*pair, "--rope", 0.5, "--json").json
    added = ("rope", "probability_better", "probability_equivalent")
    assert [plain[key] for key in added] == [None, None, None]
    assert asked["rope"] == 0.005
    assert {key: value for key, value in asked.items() if key not in added} == {
        key: value for key, value in plain.items() if key not in added
    }
    shown = cli(*pair, "--rope", 0.5).out
    assert "a description, not a test (Bayesian bootstrap, predictions): P(tfidf-svm better) = " in shown
    assert f"P(|difference| < 0.5 points) = {asked['probability_equivalent']:.3f}" in shown
    assert "predictions of the lowest seeds" in cli("compare", "stratified", "majority", *MELD, "--rope", 1).out
    refused = cli(*pair, "--rope", -1)
    assert (refused.code, "rope" in refused.err) == (2, True)


def test_several_datasets_are_compared_one_by_one_and_together(cli: Cli) -> None:
    pair = ("compare", "tfidf-svm", "majority", "--results-dir", RESULTS, "--dataset")
    both = cli(*pair, "meld", "emorynlp", "--json").json
    assert set(both) == {"datasets", "macro", "wins"}
    assert both["datasets"] == [cli(*pair, name, "--json").json for name in ("meld", "emorynlp")]
    differences = [one["difference"] for one in both["datasets"]]
    assert both["macro"]["difference"] == pytest.approx(sum(differences) / 2, abs=1e-12)
    assert both["macro"]["se"] == pytest.approx(sum(one["se"] ** 2 for one in both["datasets"]) ** 0.5 / 2, rel=1e-9)
    assert both["macro"]["low"] < both["macro"]["difference"] < both["macro"]["high"]
    assert both["wins"] == {"a": 2, "b": 0, "n_datasets": 2, "alpha": 0.05}
    shown = cli(*pair, "meld", "--dataset", "emorynlp").out
    assert "weighted_f1 on meld: " in shown
    assert "weighted_f1 on emorynlp: " in shown
    assert "tfidf-svm is better than majority on at least 2 of 2 datasets" in shown
    assert "majority is better than tfidf-svm on none of 2 datasets for sure" in shown
    assert "no Friedman test or critical difference" in shown
    assert "below 0.5" in shown
    twice = cli(*pair, "meld", "meld")
    assert (twice.code, "give each once" in twice.err) == (2, True)


def test_without_the_corpus_the_design_effect_is_unknown(cli: Cli) -> None:
    pair = ("compare", "tfidf-svm", "tfidf-logreg", *MELD)
    assert cli(*pair, "--json").json["design_effect"] is None
    assert "design effect of the difference unknown: dataset 'meld' is not in" in cli(*pair).out


def test_another_release_of_the_corpus_is_left_alone(cli: Cli, toy_corpus: Path) -> None:
    cli("run", "majority", "stratified", "--dataset", "toy", "--seed", 0, 1, 2)
    pair = ("compare", "majority", "stratified", "--dataset", "toy")
    assert cli(*pair, "--json").json["design_effect"] > 0
    test = toy_corpus / "toy" / "test.jsonl"
    test.write_text(test.read_text().replace("number", "item"))
    other = cli(*pair, "--json")
    assert (other.code, other.json["design_effect"]) == (0, None)
    assert "the corpus here is not the one predicted" in other.json["warnings"][-1]
    assert "the corpus here is not the one predicted" in cli(*pair, "--unit", "utterance").err


def test_the_answer_says_where_its_error_comes_from(cli: Cli) -> None:
    shown = cli("compare", "stratified", "majority", *MELD).out
    assert "| seeds " in shown
    assert "| interaction " in shown
    assert "280 dialogues worth 204 equal ones, 5 and 1 seeds" in shown
    assert shown.splitlines()[-1].startswith("more seeds or more dialogues? neither, the difference is found: ")


def test_a_system_is_no_different_from_itself(cli: Cli) -> None:
    result = cli("compare", "tfidf-svm", "tfidf-svm", *MELD, "--json").json
    assert (result["difference"], result["p_value"], result["dialogues_needed"]) == (0.0, 1.0, None)
    assert result["advice"].endswith("neither: the two never differ on these dialogues")


def test_few_dialogues_and_notes_of_the_corpus_are_warned_about(cli: Cli) -> None:
    cli("run", "majority", "stratified", "--dataset", "toy", "--seed", 0, 1, 2)
    assert "warning: only 14 dialogues" in cli("compare", "majority", "stratified", "--dataset", "toy").err
    noted = cli("compare", "tfidf-svm", "majority", "--dataset", "emorynlp", "--results-dir", RESULTS)
    assert "warning: This is the subset of 659 / 89 / 79 scenes" in noted.err


def _comparison(**changes: Any) -> Comparison:
    fields: dict[str, Any] = {
        "dataset": "meld", "metric": "weighted_f1", "a": "a", "b": "b", "score_a": 0.6, "score_b": 0.59,
        "difference": 0.01, "se": 0.006, "se_dialogue": 0.006, "se_seed": 0.0, "se_interaction": 0.0, "low": -0.002,
        "high": 0.022, "p_value": 0.1, "scope": "procedure", "unit": "dialogue", "test": "satterthwaite",
        "n_dialogues": 280, "n_clusters": 280, "effective_clusters": 204.0, "n_utterances": 2610, "n_seeds_a": 5,
        "n_seeds_b": 5, "alpha": 0.05, "n_resamples": 0, "seed": 0, "detectable": 0.0168, "seeds_needed": 1,
        "dialogues_needed": 791, "design_effect": None, "rope": None,
        "probability_better": None, "probability_equivalent": None, "warnings": (),
    }  # fmt: skip
    return Comparison(**(fields | changes))


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "dialogues: seeds add 0% to the variance of dialogues; a true difference of this size needs about 791"),
        ({"se": 0.009, "seeds_needed": 63}, "seeds: seeds add 125% to the variance of dialogues (63 seeds each"),
        ({"se": 0.0061}, "dialogues: seeds add 3%"),
        ({"seeds_needed": None, "scope": "checkpoint"}, "dialogues: seeds play no part in checkpoint scope"),
        ({"p_value": 0.001, "dialogues_needed": 200}, "neither, the difference is found: seeds add 0%"),
    ],
)
def test_the_advice_is_the_larger_source_of_error(changes: dict[str, Any], verdict: str) -> None:
    assert advise(_comparison(**changes)).startswith(f"more seeds or more dialogues? {verdict}")
