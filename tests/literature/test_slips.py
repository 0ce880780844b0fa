"""Arithmetic on printed tables: the known slips are found, and what is right or a matter of rounding is not accused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.literature import Slip, find_slips, load_literature

Write = Callable[..., Path]


@pytest.fixture(scope="module")
def known() -> tuple[Slip, ...]:
    return find_slips(load_literature())


def of_lab(path: Path) -> list[Slip]:
    return [slip for slip in find_slips(load_literature([path])) if "lab/main" in slip.tables]


def test_the_known_wrong_averages_are_found_and_no_other(known: tuple[Slip, ...]) -> None:
    found = {(s.tables[0], s.system, s.metric, s.printed, s.computed) for s in known if s.kind == "average"}
    # (62.68 + 62.11 + 36.43) / 3 = 53.74; (71.90 + 69.93 + 40.05) / 3 = 60.6267
    assert found == {
        ("dialogue-llm/table-3", "dialogue-gcn", "weighted_f1", 53.14, 53.74),
        ("dialogue-llm/table-3", "dialogue-llm", "weighted_f1", 60.52, 60.63),
        ("instructerc/table-7", "dialogue-gcn", "weighted_f1", 53.14, 53.74),
    }
    assert not [slip for slip in known if slip.kind == "average" and slip.by_rounding]


def test_gains_that_do_not_follow_are_found_with_whether_rounding_explains_them(known: tuple[Slip, ...]) -> None:
    gains = {(slip.printed, slip.computed, slip.by_rounding) for slip in known if slip.kind == "gain"}
    # 70.62 / 69.08 = 1.02229, 40.05 / 39.65 = 1.01009, 60.6267 / 58.44 = 1.03742
    assert gains == {(2.22, 2.23, True), (1.00, 1.01, True), (3.56, 3.74, False)}


def test_the_claim_to_surpass_all_baselines_is_refuted_by_the_four_that_are_better(known: tuple[Slip, ...]) -> None:
    (claim,) = [slip for slip in known if slip.kind == "claim"]
    assert (claim.system, claim.metric) == ("dialogue-llm", "accuracy")
    listed = "DialogueRNN 43.66, CauAIN 43.13, TODKAT 42.38, SACL-LSTM 42.21"
    assert claim.text.endswith(f"its accuracy on emorynlp, 41.88, is not above {listed}")


def test_what_a_source_prints_in_two_ways_is_found(known: tuple[Slip, ...]) -> None:
    found = {(s.system, s.printed, s.computed) for s in known if s.kind == "contradiction"}
    assert {("llama-7b", 69.71, 64.17), ("llama-7b", 68.89, 67.62), ("emotionic", 69.5, 69.61)} <= found
    assert {("spcl", 66.13, 66.35), ("spcl", 68.42, 69.74)} <= found
    assert not [slip for slip in known if slip.kind == "contradiction" and slip.tables[0].startswith("dialogue-llm/")]


@pytest.mark.parametrize(
    ("old", "new", "kinds"),
    [
        ("", "", []),
        ("average = { weighted_f1 = 45.00 }", "average = { weighted_f1 = 45.01 }", ["average"]),
        ("average = { weighted_f1 = 45.00 }", "average = { weighted_f1 = 44.0 }", ["average"]),
        ("average = { weighted_f1 = 45.00 }", "average = { weighted_f1 = 45 }", []),
        ("weighted_f1 = 50.00", "weighted_f1 = 50.01", ["gain", "gain"]),  # 45.005 may be printed as 45.00 or as 45.01
        ("values.tales = { weighted_f1 = 25.00 }", "values.tales = { weighted_f1 = 24.98 }", ["gain"]),
        ("average = { weighted_f1 = 25.00 }", "average = { weighted_f1 = 20.00 }", ["gain"]),
        ("values.meld = { weighted_f1 = 32.00 }", "values.meld = { weighted_f1 = 40.00 }", ["gain", "claim"]),
    ],
)  # fmt: skip
def test_slips_are_computed_from_the_values(write_results: Write, old: str, new: str, kinds: list[str]) -> None:
    assert [slip.kind for slip in of_lab(write_results(old, new))] == kinds


def test_rounding_explains_a_hundredth_and_no_more(write_results: Write) -> None:
    old = "average = { weighted_f1 = 45.00 }"
    verdicts = {}
    for printed in ("45.01", "44.99", "45.02", "44.98"):
        (slip,) = of_lab(write_results(old, f"average = {{ weighted_f1 = {printed} }}"))
        verdicts[printed] = slip.by_rounding
    assert verdicts == {"45.01": True, "44.99": True, "45.02": False, "44.98": False}
