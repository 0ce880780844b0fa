"""The tables that come with the package: figures typed again from the sources, and what must hold for all of them."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import pytest

from harness.data import DATASETS
from harness.errors import UnknownNameError
from harness.literature import Literature, load_literature


@pytest.fixture(scope="module")
def literature() -> Literature:
    return load_literature()


def percent(literature: Literature, table: str, system: str, variant: str = "") -> dict[tuple[str, str], str]:
    """Values of a row as printed, by corpus and metric."""
    return {
        (value.corpus, value.metric): str(value.printed)
        for value in literature.values_of(literature.table(table))
        if (value.system, value.variant) == (system, variant)
    }


TABLE_3 = {
    "bc-lstm": "65.87 64.87 63.08 62.84 40.85 36.84",
    "mtl": "62.45 61.90 - - 36.36 35.92",
    "dialog-xl": "- 62.41 - 65.94 - 34.73",
    "dialogue-rnn": "65.96 65.30 64.85 64.65 43.66 37.54",
    "dialogue-gcn": "63.62 62.68 62.49 62.11 36.87 36.43",
    "cauain": "65.85 64.89 65.08 65.01 43.13 37.87",
    "coin": "- - 66.05 65.37 - -",
    "sacl-lstm": "67.51 66.45 69.08 69.22 42.21 39.65",
    "llama-2-7b": "23.71 24.12 26.73 24.35 25.50 17.27",
    "dialogue-llm": "71.96 71.90 70.62 69.93 41.88 40.05",
}
"""Accuracy and weighted F1 on MELD, IEMOCAP and EmoryNLP; source: DialogueLLM, arXiv 2310.11374v4, Table 3."""

COLUMNS = [(corpus, metric) for corpus in ("meld", "iemocap", "emorynlp") for metric in ("accuracy", "weighted_f1")]


@pytest.mark.parametrize("system", TABLE_3)
def test_table_3_of_dialogue_llm(literature: Literature, system: str) -> None:
    printed = dict(zip(COLUMNS, TABLE_3[system].split(), strict=True))
    assert percent(literature, "dialogue-llm/table-3", system) == {k: v for k, v in printed.items() if v != "-"}


def test_table_3_is_whole(literature: Literature) -> None:
    table = literature.table("dialogue-llm/table-3")
    assert len(table.rows) == 15 + 3 + 1
    assert Counter(row.provenance for row in table.rows)["own"] == 1
    n_params = {value.system: value.n_params for value in literature.values_of(table)}
    assert (n_params["dialogue-rnn"], n_params["cog-bart"], n_params["dialogue-llm"]) == ("9.9M", "415.1M", "4.2M")
    sums = {column: Decimal() for column in COLUMNS}
    for value in literature.values_of(table):
        sums[value.corpus, value.metric] += value.printed
    # The columns of the printed table, added up apart from this project's files.
    printed = ("784.11", "957.10", "851.71", "1044.71", "510.19", "538.55")
    assert [str(sums[column]) for column in COLUMNS] == list(printed)


@pytest.mark.parametrize(
    ("table", "variant", "printed"),
    [
        ("table-4", "zero-shot", "71.91 71.81 70.48 69.40 41.76 38.47"),
        ("table-4", "zero-shot, without context", "70.91 67.94 68.14 68.01 39.41 36.25"),
        ("table-4", "zero-shot, without LoRA", "66.17 64.42 65.23 63.78 35.66 33.83"),
        ("table-4", "zero-shot, without video", "60.80 59.75 - - - -"),
        ("table-5", "one-shot", "71.96 71.90 70.62 69.93 41.88 40.05"),
        ("table-5", "5-shot", "71.92 71.63 70.54 69.37 41.62 38.61"),
        ("table-5", "10-shot", "70.65 71.04 69.94 68.82 41.25 38.19"),
        ("table-7", "EmotionPrompt, zero-shot", "- 72.19 - 69.82 - 39.25"),
        ("table-7", "EmotionPrompt, one-shot", "- 72.67 - 70.42 - 40.71"),
        ("epochs", "zero-shot, 7 epochs", "- 69.02 - 68.11 - 39.68"),
    ],
)
def test_other_tables_of_dialogue_llm(literature: Literature, table: str, variant: str, printed: str) -> None:
    values = dict(zip(COLUMNS, printed.split(), strict=True))
    found = percent(literature, f"dialogue-llm/{table}", "dialogue-llm", variant)
    assert found == {k: v for k, v in values.items() if v != "-"}


@pytest.mark.parametrize(
    ("table", "system", "variant", "iemocap", "meld", "emorynlp"),
    [
        ("instructerc/table-1", "instructerc", "", "71.39", "69.15", "41.37"),
        ("instructerc/table-1", "chatgpt-3.5", "zero-shot, InstructERC's prompt", "53.38", "65.07", "37.00"),
        ("instructerc/table-1", "llama-7b", "LoRA", "64.17", "67.62", "39.34"),
        ("instructerc/table-11", "llama-7b", "LoRA", "69.71", "68.89", "39.90"),
        ("instructerc/table-10", "instructerc", "exemplars of the gold label", "72.25", "71.06", "42.68"),
        ("instructerc/table-7", "cosmic", "", "65.03", "63.43", "38.49"),
        ("instructerc/table-7", "ket", "", "59.56", "58.18", "34.39"),
        ("conv-emotion/cosmic", "cosmic", "", "65.28", "65.21", "38.11"),
        ("conv-emotion/cosmic", "dialogue-rnn", "", "64.76", "63.61", "37.44"),
        ("conv-emotion/cosmic", "roberta", "", "54.55", "62.02", "37.29"),
        ("sacl/readme", "sacl-lstm", "best seed", "69.70", "66.86", "40.47"),
        ("leaderboards/pages", "dag-erc", "", "68.03", "63.65", "39.02"),
        ("own-papers/text", "todkat", "first release", "61.33", "68.23", "43.12"),
    ],
)
def test_weighted_f1_of_other_sources(
    literature: Literature, table: str, system: str, variant: str, iemocap: str, meld: str, emorynlp: str
) -> None:
    values = percent(literature, table, system, variant)
    assert [values[corpus, "weighted_f1"] for corpus in ("iemocap", "meld", "emorynlp")] == [iemocap, meld, emorynlp]


def test_only_our_own_releases_name_our_datasets(literature: Literature) -> None:
    named = {key: protocol.dataset for key, protocol in literature.protocols.items() if protocol.dataset}
    assert named.items() == {
        "meld": "meld", "iemocap-c": "iemocap", "iemocap-4": "iemocap-4", "emorynlp": "emorynlp",
        "emorynlp-official": "emorynlp-official", "dailydialog": "dailydialog",
    }.items()  # fmt: skip
    for key, dataset in named.items():
        assert literature.protocols[key].n_labels == len(DATASETS.get(dataset).card.label_set.labels)
    sizes = {key: protocol.n_utterances for key, protocol in literature.protocols.items()}
    assert (sizes["meld"], sizes["iemocap-b"], sizes["iemocap-c"]) == (2610, 1623, 1622)
    assert (sizes["emorynlp"], sizes["emorynlp-official"]) == (984, 1328)


def test_what_no_primary_source_confirms_is_unverified(literature: Literature) -> None:
    unverified = {(value.system, value.corpus, str(value.printed)) for value in literature.values if not value.verified}
    assert {
        ("bc-lstm", "meld", "56.44"), ("dialogue-rnn", "iemocap", "62.75"), ("spcl", "meld", "67.25"),
        ("cauain", "iemocap", "67.61"), ("hitrans", "meld", "61.94"), ("cog-bart", "meld", "64.81"),
        ("dag-erc", "iemocap", "68.03"), ("todkat", "iemocap", "62.75"), ("prc-emo", "meld", "70.44"),
    } <= unverified  # fmt: skip
    assert not [value for value in literature.values if value.table == "dialogue-llm/table-3" and not value.verified]
    second_hand = {key for key, source in literature.sources.items() if source.kind == "second-hand"}
    assert {v.table.split("/")[0] for v in literature.values if not v.verified} >= second_hand


def test_values_are_found_by_corpus_system_and_metric(literature: Literature) -> None:
    values = literature.find(corpus="emorynlp-official", system="dialog-xl", metric="weighted_f1")
    assert {(str(value.printed), value.protocol, value.cited) for value in values} == {
        ("34.73", "emorynlp-official", "DialogueLLM v4, Table 3"),
        ("34.73", "emorynlp-official", "InstructERC, Table 7"),
        ("36.27", "emorynlp-official", "DialogXL's repository, README"),
    }
    assert {value.corpus for value in literature.find(corpus="iemocap")} == {"iemocap"}
    assert len(literature.find()) == len(literature.values)
    assert [value.value for value in values] == pytest.approx([0.3473, 0.3473, 0.3627])


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"system": "bc-lsmt"}, r"unknown published system 'bc-lsmt'; did you mean 'bc-lstm'"),
        ({"corpus": "melt"}, r"unknown published corpus 'melt'; did you mean 'meld'\?"),
        ({"metric": "wf1"}, "unknown published metric 'wf1'.*erc-harness literature list"),
    ],
)
def test_unknown_names_are_named(literature: Literature, wanted: dict[str, str], said: str) -> None:
    with pytest.raises(UnknownNameError, match=said):
        literature.find(**wanted)


def test_an_unknown_table_is_named(literature: Literature) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'dialogue-llm/table-3'"):
        literature.table("dialogue-llm/table3")
