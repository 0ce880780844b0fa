"""What the tables for people share."""

from __future__ import annotations

from dataclasses import replace

from harness.export.rows import describe_scores, describe_tests, make_tables, other_titles
from harness.leaderboard.leaderboard import Leaderboard


def test_rows_hold_what_is_printed(small_board: Leaderboard) -> None:
    (table,) = make_tables(small_board)
    first, *_, few_shot, untested = table.rows
    assert (first.score, first.interval, first.half_width, first.rank) == ("61.45", "[59.0, 63.9]", "2.4", "1–3")
    assert (first.others, first.context, first.best, first.top) == (("62.45", "46.45"), "full", True, True)
    assert few_shot.coverage == "99.9"
    assert (untested.rank, untested.interval, untested.letters, untested.others) == ("–", "", "–", ("48.12", "–"))
    assert table.size == "2,610 utterances in 280 dialogues, 1–5 seeds"


def test_the_leader_has_no_distance_and_the_untested_no_p_value(small_board: Leaderboard) -> None:
    (table,) = make_tables(small_board)
    assert [(row.to_top, row.p_adjusted) for row in table.rows] == [
        ("–", "–"), ("0.00", "1.00"), ("-1.14", "0.47"), ("-4.33", "0.002"), ("-30.18", "–"),
    ]  # fmt: skip


def test_coverage_is_a_column_only_where_answers_are_missing(small_board: Leaderboard) -> None:
    assert [table.full_coverage for table in make_tables(small_board)] == [False]
    complete = replace(small_board, entries=small_board.entries[:3])
    assert [table.full_coverage for table in make_tables(complete)] == [True]


def test_notes_say_what_tests_rest_on_and_where_errors_come_from(small_board: Leaderboard) -> None:
    (table,) = make_tables(replace(small_board, entries=small_board.entries[3:]))
    assert (table.power, table.spread) == (
        "280 dialogues worth 228 equal ones; MDE80 (median pair): 2.6 points for one test, 3.3 for all 6 pairs",
        "SE in points, dialogues | seeds | interaction: few-shot[k=8,model=tiny] 0.89 | 0.56 | 0.28",
    )
    header = replace(
        small_board.datasets[0], unit="episode", n_clusters=143, effective_clusters=96.2, n_pairs=0, detectable=None
    )
    (untested,) = make_tables(replace(small_board, datasets=(header,), entries=small_board.entries[4:]))
    assert (untested.power, untested.spread) == ("143 episodes worth 96 equal ones", "")
    uncorrected = replace(small_board.datasets[0], detectable_adjusted=small_board.datasets[0].detectable)
    (single,) = make_tables(replace(small_board, datasets=(uncorrected,), correction="none"))
    assert single.power.endswith("MDE80 (median pair): 2.6 points for one test")
    many = tuple(replace(small_board.entries[0], predictor=f"model-{i}") for i in range(7))
    (table,) = make_tables(replace(small_board, entries=many))
    assert table.spread.endswith("median of 7 systems 0.96 | 0.60 | 0.30")


def test_a_dataset_with_its_own_metric_says_so(two_boards_in_one: Leaderboard) -> None:
    first, second = two_boards_in_one.datasets
    board = replace(two_boards_in_one, datasets=(first, replace(second, metric="micro_f1_no_neutral")))
    assert [table.metric_title for table in make_tables(board)] == ["wF1", "micro f1 no neutral"]


def test_tied_best_print_the_same_digits(small_board: Leaderboard) -> None:
    (table,) = make_tables(small_board)
    assert len({row.score for row in table.rows if row.best}) == 1
    assert sum(row.best for row in table.rows) == 2


def test_modalities_beyond_text_are_shown(small_board: Leaderboard) -> None:
    (table,) = make_tables(small_board)
    assert table.rows[2].context == "past +audio"


def test_heads_of_secondary_metrics(small_board: Leaderboard) -> None:
    board = replace(small_board, metrics=("weighted_f1", "accuracy", "f1:joy", "my_own"))
    assert other_titles(board) == ("accuracy", "F1 joy", "my own")


def test_captions_say_what_was_done(small_board: Leaderboard, two_boards_in_one: Leaderboard) -> None:
    assert describe_scores(small_board) == "wF1 in percent, mean over seeds, with 95% intervals"
    assert describe_tests(small_board) == (
        "Tests: t-test over dialogues and seeds (Satterthwaite), Holm correction over all pairs, α = 0.05. "
        "Scope: training procedure (dialogues and seeds vary)"
    )
    assert "with 10,000 resamples (seed 0), step-down max-T correction over all pairs of a dataset" in describe_tests(
        two_boards_in_one
    )
    assert describe_tests(replace(small_board, comparisons=())).startswith("No pair was tested.")
    one_run = replace(small_board, entries=small_board.entries[-1:], alpha=0.1)
    assert describe_scores(one_run) == "wF1 in percent with 90% intervals"
