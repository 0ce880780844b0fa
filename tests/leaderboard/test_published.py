"""Published values on a board: shown apart, never ranked, and set beside the rows that make them again."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.errors import ConfigError, UnknownNameError
from harness.export import export_leaderboard, read_leaderboard
from harness.leaderboard.build import build_leaderboard
from harness.leaderboard.leaderboard import Leaderboard
from harness.leaderboard.published import Reproduction, compare_with_published, open_literature
from harness.leaderboard.settings import reads_of, selection_of
from harness.leaderboard.spec import BoardSpec, load_spec
from harness.store import Layout, RunStore

MakeRuns = Callable[..., list[Path]]

BOARD = """
title = "Toy"
datasets = ["toy"]
seeds = [0, 1, 2]
other_runs = true
"""

LITERATURE = """
[literature]
tables = ["lab/main"]
files = ["lab.toml"]
"""

RESULTS = """
[sources.lab]
title = "A paper"
cite = "Lab"
where = "a test"
kind = "paper"

[protocols.toy]
corpus = "toy"
dataset = "toy"
release = "toy, as here"
n_labels = 3
n_utterances = {n_utterances}

[protocols.toy-old]
corpus = "toy"
release = "toy of old"
n_labels = 2

[features.own]
title = "its own"
ours = [""]

[[tables]]
source = "lab"
key = "main"
name = "Table 1"

[tables.all]
provenance = "own"
features = "own"

[[tables.rows]]
system = "lab/good"
name = "GOOD"
selection = "none"
seeds = 3
values.toy = {{ weighted_f1 = {reported:.2f}, accuracy = 10.00 }}
average = {{ weighted_f1 = 99.00 }}

[[tables.rows]]
system = "lab/good"
name = "GOOD"
variant = "of old"
seeds = 1
selection = "test"
verified = false
problems = ["chosen on test"]
values.toy-old = {{ weighted_f1 = 99.90 }}

[[tables.rows]]
system = "nobody"
name = "NOBODY"
values.toy = {{ accuracy = 50.00 }}
"""

Write = Callable[..., tuple[BoardSpec, Leaderboard]]


@pytest.fixture
def write_board(make_runs: MakeRuns, store: RunStore) -> Write:
    """Makes runs of two systems, writes a board with published values, and returns it as specified and built."""
    make_runs("good", 0.9)
    make_runs("bad", 0.2)

    def write(off: float = 0.0, more: str = "", literature: str = LITERATURE) -> tuple[BoardSpec, Leaderboard]:
        path = store.layout.board_spec("mine")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(BOARD)
        plain = build_leaderboard("mine", load_spec("mine", store.layout), store)
        reported = 100 * (plain.entries[0].score + off)
        size = plain.datasets[0].n_utterances
        (path.parent / "lab.toml").write_text(RESULTS.format(n_utterances=size, reported=reported))
        path.write_text(BOARD + literature + more)
        spec = load_spec("mine", store.layout)
        return spec, build_leaderboard("mine", spec, store)

    return write


def compare(spec: BoardSpec, board: Leaderboard, store: RunStore) -> tuple[Reproduction, ...]:
    return compare_with_published(board, spec, open_literature("mine", spec.literature, store.layout), store)


def test_published_values_stand_apart_and_change_nothing_that_is_tested(write_board: Write, store: RunStore) -> None:
    spec, board = write_board()
    plain = build_leaderboard("mine", spec.model_copy(update={"literature": None}), store)
    assert replace(board, published=(), published_slips=()) == plain
    assert not {"GOOD", "NOBODY"} & {entry.name for entry in board.entries}
    good, old, nobody = board.published
    assert (good.name, good.table, good.cited, good.verified) == ("GOOD", "lab/main", "Lab, Table 1", True)
    assert good.metrics.keys() == {"weighted_f1", "accuracy"}
    assert good.differs == ()
    assert nobody.metrics == {"accuracy": 0.5}
    n = board.datasets[0].n_utterances
    assert old.differs == (
        "release: toy of old; here toy", "label set: 2 labels; here 3 labels",
        f"split size: not stated; here {n} utterances",
    )  # fmt: skip
    assert (old.verified, old.problems, old.selection, old.n_seeds) == (False, ("chosen on test",), "test", 1)
    assert [slip.split(": ")[1] for slip in board.published_slips] == [
        f"average wF1 of GOOD is printed as 99.00, its values give {100 * good.metrics['weighted_f1']:.2f}"
    ]


def test_the_json_view_holds_them_under_a_key_of_their_own_and_comes_back(write_board: Write, store: RunStore) -> None:
    spec, board = write_board()
    text = export_leaderboard(board, "json")
    document = json.loads(text)
    assert [entry["name"] for entry in document["published"]] == ["GOOD", "GOOD", "NOBODY"]
    assert [entry["verified"] for entry in document["published"]] == [True, False, True]
    assert len(document["entries"]) == 2
    stored = read_leaderboard(text)
    assert (stored.published, stored.published_slips) == (board.published, board.published_slips)
    plain = build_leaderboard("mine", spec.model_copy(update={"literature": None}), store)
    assert "published" not in export_leaderboard(plain, "json")
    assert export_leaderboard(board, "csv") == export_leaderboard(plain, "csv")
    for to in ("csv", "json", "latex"):
        assert export_leaderboard(board, to, "pairs") == export_leaderboard(plain, to, "pairs")


NAMED = '\n[literature.reproduces."{}"]\nsystem = "{}"\nvariant = "{}"\n'


def test_a_reported_value_is_set_beside_the_row_of_its_system(write_board: Write, store: RunStore) -> None:
    spec, board = write_board(off=-0.01)
    (found,) = compare(spec, board, store)
    assert (found.predictor, found.name, found.metric) == (board.entries[0].name, "GOOD", "weighted_f1")
    assert found.reproduced == board.entries[0].score
    assert found.difference == pytest.approx(0.01, abs=5e-5)
    assert found.inside is True
    assert [(one.kind, one.published, one.ours) for one in found.mismatches] == [
        ("settings", "as published", "skill=0.9")
    ], "nobody said that this row is the published system"
    spec, board = write_board(off=-0.01, more=NAMED.format(found.predictor, "lab/good", ""))
    (found,) = compare(spec, board, store)
    assert (found.sound, found.mismatches) == (True, ())
    spec, board = write_board(off=-0.5)
    assert [one.inside for one in compare(spec, board, store)] == [False]


def test_a_board_says_which_row_makes_which_variant_again(write_board: Write, store: RunStore) -> None:
    row = "lab/bad[skill=0.2]"
    spec, board = write_board(more=NAMED.format(row, "lab/good", "of old"))
    _, old = compare(spec, board, store)
    assert (old.predictor, old.variant, old.verified, old.sound) == (row, "of old", False, False)
    assert [mismatch.kind for mismatch in old.mismatches] == [
        "release", "label set", "split size", "epoch selection", "seeds",
    ]  # fmt: skip
    assert old.problems == ("chosen on test",)
    spec, board = write_board(more=NAMED.format(row, "nobody", ""))
    _, other = compare(spec, board, store)
    assert (other.metric, other.difference, other.inside) == ("accuracy", None, None)
    assert "metric" in [mismatch.kind for mismatch in other.mismatches]
    spec, board = write_board(more=NAMED.format(row, "lab/good", "of new"))
    with pytest.raises(UnknownNameError, match=r"unknown published system 'lab/good \(of new\)'; did you mean"):
        compare(spec, board, store)
    spec, board = write_board(more=NAMED.format("lab/bda[skill=0.2]", "lab/good", ""))
    with pytest.raises(UnknownNameError, match=r"unknown row 'lab/bda\[skill=0.2\]'; did you mean 'lab/bad"):
        compare(spec, board, store)


def test_without_a_section_every_table_counts(write_board: Write, store: RunStore) -> None:
    spec, board = write_board(literature="")
    assert (spec.literature, board.published) == (None, ())
    assert compare(spec, board, store) == ()


@pytest.mark.parametrize(
    ("literature", "error", "said"),
    [
        ('[literature]\ntables = ["lab/mian"]\nfiles = ["lab.toml"]', UnknownNameError, "did you mean 'lab/main'"),
        ('[literature]\ntables = ["lab/main"]', UnknownNameError, "unknown published table 'lab/main'"),
        ('[literature]\ntables = ["dialogue-llm/table-3"]', ConfigError,
         "board 'mine', key 'literature.tables': no value of weighted_f1, accuracy, macro_f1 on toy in dialogue-llm"),
        ('[literature]\ntables = ["lab/main"]\nfiles = ["none.toml"]', ConfigError, "cannot be read: No such file"),
        ('[literature]\ntables = ["lab/main"]\nfiles = ["../lab.toml"]', ConfigError,
         "board.toml, key 'literature.files': .*lie beside the board.toml"),
        ("[literature]\ntables = []", ConfigError, "key 'literature.tables': .*at least 1 item"),
        ('[literature]\ntabels = ["x"]', ConfigError, r"known keys: tables, files, reproduces\)|Field required"),
        ('[literature]\ntables = ["x"]\ncolour = 1', ConfigError, r"'literature.colour'.*keys: tables, files, repro"),
        ('[literature]\ntables = ["x"]\n[literature.reproduces.row]\nsystme = "x"', ConfigError,
         r"reproduces\.row\.system': Field required"),
    ],
)  # fmt: skip
def test_a_bad_section_is_refused(write_board: Write, literature: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said) as caught:
        write_board(literature=literature)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("params", "reads"),
    [
        ({"encoder": "minilm", "epochs": 60}, "minilm"),
        ({"encoder": "minilm", "audio": "file:a.npz@01234567"}, "minilm + file:a.npz@01234567"),
        ({"base": "llama-2-7b", "video": "v.jsonl@01234567"}, "descriptions of the video + llama-2-7b"),
        ({"base": "llama-2-7b", "video": None}, "llama-2-7b"),
        ({"history": 0}, ""),
    ],
)
def test_what_a_run_reads_is_told_by_its_parameters(params: dict[str, object], reads: str) -> None:
    assert reads_of(params) == reads


@pytest.mark.parametrize(
    ("trained_on", "training", "selection"),
    [
        ((), None, "none"),
        (("train",), {"n_parameters": 3, "best_epoch": 12, "dev_weighted_f1": 0.5}, "dev"),
        (("train",), {"selected_by": "dev weighted F1"}, "dev"),
        (("train",), {"selected_by": "minus the held-out loss"}, "train, on a part held out"),
        (("train",), {"n_parameters": 3}, "none"),
        (("train",), None, "not stated"),
    ],
)
def test_only_what_chose_an_epoch_on_dev_is_said_to_have(
    write_board: Write, make_runs: MakeRuns, store: RunStore, trained_on: tuple[str, ...], training: Any, selection: str
) -> None:
    make_runs("new", 0.6, trained_on=trained_on, training=training)
    spec, board = write_board(more=NAMED.format("lab/new[skill=0.6]", "nobody", ""))
    (found,) = [one for one in compare(spec, board, store) if one.predictor == "lab/new[skill=0.6]"]
    assert [one.ours for one in found.mismatches if one.kind == "epoch selection"] == [selection]


@pytest.mark.parametrize(
    ("name", "selection"),
    [("tfidf-logreg", "none"), ("majority", "none"), ("minilm-logreg", "none"), ("bc-lstm", "dev"), ("textcnn", "dev"),
     ("roberta", "dev"), ("dialogue-llm", "dev")],
)  # fmt: skip
def test_committed_runs_tell_what_chose_their_epoch(name: str, selection: str) -> None:
    store = RunStore(Layout(Path(__file__).parents[2] / "results"))
    manifests = [run.manifest for run in store.runs("meld", "test")]
    own = [one for one in manifests if one.predictor.name == name and one.seed == 0]
    plain = next(one for one in own if "minilm-tuned" not in str(one.predictor.params.get("encoder")))
    assert selection_of(plain.predictor) == selection
