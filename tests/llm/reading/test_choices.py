"""Likelihoods to labels: against lm-eval's own scoring, scipy's softmax, and numbers worked out by hand."""

from __future__ import annotations

import math
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from harness.errors import PredictionError
from harness.llm import Response
from harness.llm.reading.choices import Normalisation, pick_choice, scores_from_first_token, weigh_choices
from harness.llm.reading.parsing import Reading
from harness.prompting.label_names import LabelNames, name_labels
from harness.schema import LabelSet, Prediction

NAMES = name_labels(LabelSet(("hap", "neu", "ang"), "neu"), "natural")  # happiness, neutral, anger: 9, 7, 5 bytes
HOWS = get_args(Normalisation)
THREE = st.lists(st.floats(-30, 0), min_size=3, max_size=3)
RESPONSE = Response(
    "stop", choice_logprobs=(-6.0, -5.0, -4.0), choice_tokens=(3, 1, 1), premise_logprobs=(-9.0, -5.5, -3.0)
)


@pytest.mark.parametrize(
    ("how", "weights", "label"),
    [
        ("sum", (-6, -5, -4), "ang"),
        ("token-mean", (-2, -5, -4), "hap"),
        ("byte-mean", (-6 / 9, -5 / 7, -4 / 5), "hap"),
        ("pmi", (3, 0.5, -1), "hap"),
    ],
)
def test_each_normalisation_by_hand(how: Normalisation, weights: tuple[float, ...], label: str) -> None:
    assert weigh_choices(RESPONSE, NAMES.shown, how) == pytest.approx(weights, abs=1e-15)
    reading, scores = pick_choice(RESPONSE, NAMES, how)
    assert reading == Reading(label, "ok", f"choice:{how}")
    assert scores == pytest.approx(dict(zip(NAMES.label_set.labels, softmax(weights), strict=True)), abs=1e-15)
    assert all(type(value) is float for value in scores.values())
    Prediction("u", reading.label, scores)


def test_bytes_are_counted_in_utf8_and_without_the_leading_space() -> None:
    response = Response("stop", choice_logprobs=(-12.0, -12.0))
    assert weigh_choices(response, (" joy", "freude é喜"), "byte-mean") == (-4.0, -1.0)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(-50, 0), min_size=4, max_size=4, unique=True))
def test_the_same_choice_as_lm_eval(logprobs: list[float]) -> None:
    """acc and acc_bytes, computed by lm-eval 0.4.13's own multiple-choice task."""
    choices = ["joy", "überraschung", "anger", "喜び"]
    response = Response("stop", choice_logprobs=tuple(logprobs))
    best = {how: int(np.argmax(weigh_choices(response, choices, how))) for how in ("sum", "byte-mean")}
    for how, gold in best.items():
        scored = _lm_eval_scores(choices, logprobs, gold)
        assert scored["acc" if how == "sum" else "acc_bytes"] == 1.0


def _lm_eval_scores(choices: list[str], logprobs: list[float], gold: int) -> dict[str, float]:
    import lm_eval.api.task as task_module

    class Task(task_module.ConfigurableTask):
        OUTPUT_TYPE = "multiple_choice"

        def __init__(self) -> None:  # nothing is downloaded: only the scoring of answers is asked for
            self._metric_fn_list = dict.fromkeys(("acc", "acc_norm", "acc_bytes"))
            self.multiple_input = self.multiple_target = 0
            self._config = task_module.TaskConfig(
                task="t", output_type="multiple_choice", doc_to_choice=choices, doc_to_target=gold
            )

        def doc_to_choice(self, doc, doc_to_choice=None):
            return choices

        def doc_to_target(self, doc, doc_to_target=None):
            return gold

    return dict(Task().process_results({}, [(value, False) for value in logprobs]))


@pytest.mark.parametrize("how", HOWS)
def test_a_tie_is_no_label_in_any_order(how: Normalisation) -> None:
    names = LabelNames(LabelSet(("a", "b", "c")), ("aa", "bb", "cc"))
    for logprobs in ((-1.0, -1.0, -3.0), (-1.0, -3.0, -1.0), (-2.0, -2.0, -2.0)):
        tie = Response("stop", choice_logprobs=logprobs, choice_tokens=(1, 1, 1), premise_logprobs=(0.0, 0.0, 0.0))
        assert pick_choice(tie, names, how) == (Reading(None, "unparsed", f"choice:{how}:tie"), None)


@settings(max_examples=100, deadline=None)
@given(
    st.permutations(range(3)), THREE, THREE, st.lists(st.integers(1, 9), min_size=3, max_size=3), st.sampled_from(HOWS)
)
def test_the_order_of_the_label_set_plays_no_part(
    order: list[int], logprobs: list[float], premises: list[float], n_tokens: list[int], how: Normalisation
) -> None:
    def ask(numbers: list[int]) -> tuple[Reading, dict[str, float] | None]:
        labels, shown = NAMES.label_set.labels, NAMES.shown
        names = LabelNames(LabelSet(tuple(labels[i] for i in numbers)), tuple(shown[i] for i in numbers))
        response = Response(
            "stop",
            choice_logprobs=tuple(logprobs[i] for i in numbers),
            choice_tokens=tuple(n_tokens[i] for i in numbers),
            premise_logprobs=tuple(premises[i] for i in numbers),
        )
        return pick_choice(response, names, how)

    (reading, scores), (mixed, mixed_scores) = ask([0, 1, 2]), ask(order)
    assert reading == mixed
    assert (scores is None) == (mixed_scores is None)
    assert scores is None or scores == pytest.approx(mixed_scores, abs=1e-15)


def test_failed_and_filtered_calls_have_their_status() -> None:
    assert pick_choice(Response("error", error="gone"), NAMES, "sum")[0] == Reading(None, "failed", "call-failed")
    assert pick_choice(Response("filter"), NAMES, "sum")[0] == Reading(None, "refused", "content-filter")


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
def test_a_weight_that_is_no_number_fails_this_answer(how: Normalisation, broken: float) -> None:
    response = Response(
        "stop", choice_logprobs=(broken, -1.0, -2.0), choice_tokens=(1, 1, 1), premise_logprobs=(-1.0, -1.0, -1.0)
    )
    assert pick_choice(response, NAMES, how) == (Reading(None, "failed", f"choice:{how}:not-finite"), None)


def test_very_unlikely_choices_do_not_overflow() -> None:
    _, scores = pick_choice(Response("stop", choice_logprobs=(-1e5, -2e5, -3e5)), NAMES, "sum")
    assert scores == {"hap": 1.0, "neu": 0.0, "ang": 0.0}


@pytest.mark.parametrize(
    ("how", "response", "field"),
    [
        ("sum", Response("stop", "joy"), "choice_logprobs None"),
        ("sum", Response("stop", choice_logprobs=(-1.0,)), r"choice_logprobs \(-1.0,\)"),
        ("pmi", Response("stop", choice_logprobs=(-1.0, -2.0, -3.0)), "premise_logprobs None"),
        ("token-mean", Response("stop", choice_logprobs=(-1.0, -2.0, -3.0)), "choice_tokens None"),
        ("token-mean", Response("stop", choice_logprobs=(-1.0, -2.0, -3.0), choice_tokens=(1, 0, 1)), "length 0"),
    ],
)
def test_a_response_that_lacks_something_names_it(how: Normalisation, response: Response, field: str) -> None:
    with pytest.raises(PredictionError, match=field):
        pick_choice(response, NAMES, how)


def _first(**tokens: float) -> Response:
    return Response("stop", "joy", first_token_logprobs={k.replace("_", " "): math.log(v) for k, v in tokens.items()})


def test_first_tokens_add_up_by_label_and_are_normalised() -> None:
    scores = scores_from_first_token(_first(hap=0.2, _Happ=0.1, neutral=0.3, ang=0.15, the=0.25), NAMES)
    assert scores == pytest.approx({"hap": 0.3 / 0.75, "neu": 0.3 / 0.75, "ang": 0.15 / 0.75}, abs=1e-15)


def test_no_scores_where_first_tokens_cannot_tell_every_label() -> None:
    assert scores_from_first_token(Response("stop", "joy"), NAMES) is None
    assert scores_from_first_token(Response("stop", "joy", first_token_logprobs={}), NAMES) is None
    assert scores_from_first_token(_first(hap=0.6, neu=0.3), NAMES) is None  # anger is not among the likeliest
    assert scores_from_first_token(_first(happinessful=0.6, neu=0.3, ang=0.1), NAMES) is None
    assert scores_from_first_token(_first(hap=0.6, neu=0.3, ang=0.1, _=0.1), NAMES) is not None  # a space is no label
    twins = LabelNames(LabelSet(("sadness", "satisfaction")), ("sadness", "satisfaction"))
    assert scores_from_first_token(_first(sad=0.6, sat=0.3), twins) is not None
    assert scores_from_first_token(_first(sad=0.6, sat=0.3, sa=0.01), twins) is None
