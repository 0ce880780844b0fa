"""Instructions: one per labelled utterance, with nothing of the future, no other gold, and the corpus's own words."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data import Dataset, DatasetCard, Split, load_dataset
from harness.data.descriptions import Descriptions
from harness.errors import DataError, PromptError, UnknownNameError
from harness.prompting import Template, Window, load_template, name_labels
from harness.prompting.instruction_set import (
    InstructionSet,
    choose_instructions,
    count_instructions,
)
from harness.prompting.instructions import build_instructions
from harness.schema import Dialogue, LabelSet, Utterance

LABELS = LabelSet(("neu", "hap", "sad"), neutral="neu")
TEMPLATE = load_template("dialogue-llm/v1")
KEYS = [
    "id",
    "dataset",
    "split",
    "dialogue_id",
    "utterance_id",
    "labels",
    "video",
    "context",
    "input",
    "output",
    "prompt",
]


def make_dialogue(name: str, *labels: str | None) -> Dialogue:
    """A dialogue in which everybody says where they are in it."""
    return Dialogue(
        name,
        tuple(Utterance(f"{name}u{i}", ("AB"[i % 2],), f"said {i} in {name}", label) for i, label in enumerate(labels)),
    )


def make_split(*dialogues: Dialogue, dataset: str = "made-up", name: str = "train") -> Split:
    return Split(dataset, name, dialogues, LABELS)  # type: ignore[arg-type]


def make_records(split: Split, window: Window, **options: Any) -> list[dict[str, Any]]:
    names = name_labels(split.label_set, "natural")
    return [made.record(TEMPLATE) for made in build_instructions(split, names, window, **options)]


def make_dataset(dataset: str, **dialogues: list[Dialogue]) -> Dataset:
    """A corpus from the dialogues of each split."""
    card = DatasetCard("", LABELS, "en", "CC0-1.0", "", dataset, (), redistributable=True, obtain="")
    splits = {name: make_split(*spoken, dataset=dataset, name=name) for name, spoken in dialogues.items()}
    return Dataset(dataset, card, splits)


SPLIT = make_split(make_dialogue("d0", "neu", None, "sad"), make_dialogue("d1", "hap"))


def test_a_record_holds_what_the_module_says() -> None:
    first, second, third = make_records(SPLIT, Window(1, speakers="none"), videos={"d0u2": "A man weeps."})
    assert list(first) == KEYS
    prompt = second.pop("prompt")
    assert second == {
        "id": "made-up/train/d0u2",
        "dataset": "made-up",
        "split": "train",
        "dialogue_id": "d0",
        "utterance_id": "d0u2",
        "labels": ["neutral", "happiness", "sadness"],
        "video": "A man weeps.",
        "context": ["said 1 in d0"],
        "input": "said 2 in d0",
        "output": "sadness",
    }
    blocks = ("A man weeps.", "### Context:\nsaid 1 in d0\n", "### Input:\nsaid 2 in d0\n")
    places = [prompt.index(block) for block in ("[neutral, happiness, sadness]", *blocks)]
    assert places == sorted(places) and prompt.endswith("### Response:\n")
    assert "said 0" not in prompt and not prompt.rstrip().endswith("sadness")
    for record in (first, third):
        assert (record["video"], record["context"]) == (None, [])
        assert "### Context" not in record["prompt"] and "### Video" not in record["prompt"]


def test_speakers_are_written_where_they_are_shown() -> None:
    _, record, _ = make_records(SPLIT, Window(None, speakers="masked"), videos={"d0u1": "A door."})
    assert record["context"] == ["Speaker A: said 0 in d0", "Speaker B: said 1 in d0"]
    assert record["input"] == "Speaker A: said 2 in d0"


def test_a_template_that_fails_is_told() -> None:
    broken = Template("broken", '{{ role("user") }}{{ history[5].text }}{{ target.text }}')
    made = next(build_instructions(SPLIT, name_labels(LABELS, "natural"), Window(1)))
    with pytest.raises(PromptError, match="broken"):
        made.record(broken)


DIALOGUES = st.lists(
    st.lists(st.sampled_from(["neu", "hap", "sad", None]), min_size=1, max_size=5), min_size=1, max_size=4
).filter(lambda dialogues: any(label for labels in dialogues for label in labels))


@given(DIALOGUES, st.sampled_from([0, 1, 2, 3, None]))
def test_each_label_is_one_question_after_the_utterances_before_it(
    dialogues: list[list[str | None]], n: int | None
) -> None:
    split = make_split(*(make_dialogue(f"d{i}", *labels) for i, labels in enumerate(dialogues)))
    records = make_records(split, Window(n, speakers="none"))
    assert [record["utterance_id"] for record in records] == list(split.gold)
    shown = dict(zip(LABELS.labels, ("neutral", "happiness", "sadness"), strict=True))
    for record in records:
        dialogue, i = record["dialogue_id"], int(record["utterance_id"].split("u")[1])
        before = range(0 if n is None else max(0, i - n), i)
        assert record["context"] == [f"said {j} in {dialogue}" for j in before]
        assert record["input"] == f"said {i} in {dialogue}"
        assert record["output"] == shown[split.gold[record["utterance_id"]]]
        assert ("### Context" in record["prompt"]) == (len(before) > 0)
        # no gold but the answer: in the prompt, labels are in the list to choose from only
        assert not any(word in record["prompt"].replace("[neutral, happiness, sadness]", "") for word in shown.values())


def write_out(chosen: InstructionSet) -> list[dict[str, Any]]:
    return list(chosen.records(Window(1, speakers="none"), TEMPLATE))


def test_a_union_keeps_corpora_apart_and_counts_them() -> None:
    one = make_dataset("one", train=list(SPLIT.dialogues), test=[make_dialogue("d0", "hap")])
    other = make_dataset("other", train=[make_dialogue("d0", "sad", "neu")])
    chosen = choose_instructions([one, other], ["train"], "canonical")
    records = write_out(chosen)
    ids = [record["id"] for record in records]
    assert ids == ["one/train/d0u0", "one/train/d0u2", "one/train/d1u0", "other/train/d0u0", "other/train/d0u1"]
    assert [split.dataset for split in chosen.unseen] == ["one"]
    lengths = [len(record["prompt"]) + len(record["output"]) for record in records]
    assert count_instructions(chosen.parts) == {
        "n_dialogues": 3,
        "n_labelled": 5,
        "n_with_context": 2,
        "n_with_video": 0,
        "mean_characters": sum(lengths) / 5,
        "max_characters": max(lengths),
        "n_dialogues_left_out": 0,
        "n_labelled_left_out": 0,
    }
    assert count_instructions(chosen.parts[1:])["n_labelled"] == 2
    pools = [(overlap.query, overlap.pool) for overlap in chosen.find_overlaps()]
    assert pools == [(("one/test",), pool) for pool in (("one/train",), ("other/train",), ("one/train", "other/train"))]


def test_what_is_learned_from_is_not_what_must_stay_unseen() -> None:
    spoken = {name: [make_dialogue(f"{name} one two three", "hap")] for name in ("train", "dev", "test")}
    one = make_dataset("one", **spoken)
    chosen = choose_instructions([one], ["train", "dev", "train"], "natural", decontaminate=True)
    assert [split.name for split in chosen.learned] == ["train", "dev"]
    assert [split.name for split in chosen.unseen] == ["test"]
    copy = make_dataset("copy", train=spoken["test"])
    with pytest.raises(DataError, match="nothing is left of copy/train"):
        choose_instructions([copy], ["train"], "natural", tested=[one], decontaminate=True)
    with pytest.raises(UnknownNameError, match="split of 'copy' 'test'"):
        choose_instructions([one], ["train"], "natural", tested=[copy])


def test_descriptions_are_of_the_first_corpus_and_of_their_split() -> None:
    spoken = {name: [make_dialogue("d0", "hap")] for name in ("train", "dev", "test")}
    one, other = make_dataset("one", **spoken), make_dataset("other", **spoken)
    seen = Descriptions(Path("v.jsonl"), {"train": {"d0u0": "A cup."}, "dev": {"d0u0": "A door."}})
    chosen = choose_instructions([one, other], ["train", "dev"], "natural", videos=seen)
    records = list(chosen.records(Window(1), load_template("dialogue-llm/v1")))
    told = [(r["dataset"], r["split"], r["video"]) for r in records if r["utterance_id"] == "d0u0"]
    assert told == [
        ("one", "train", "A cup."), ("one", "dev", "A door."), ("other", "train", None), ("other", "dev", None)
    ]  # fmt: skip
    foreign = Descriptions(Path("v.jsonl"), {"train": {"e9": "A cup."}})
    with pytest.raises(DataError, match="not an utterance of split 'train' of the dataset: 'e9'"):
        choose_instructions([one], ["train"], "natural", videos=foreign)


# Real corpora, checked against the rows of their files


@pytest.fixture(scope="module")
def corpora(data_dir: Path) -> dict[str, Dataset]:
    return {name: load_dataset(name, data_dir) for name in ("meld", "emorynlp")}


def test_sizes_are_those_of_the_releases(corpora: dict[str, Dataset]) -> None:
    # DialogueLLM, arXiv 2310.11374v4, Table 1: 9,989 and 7,551 to train with, and 954 of EmoryNLP's dev
    chosen = choose_instructions([corpora["meld"], corpora["emorynlp"]], ["train"], "natural")
    ids = [record["id"] for record in write_out(chosen)]
    assert [count_instructions([part])["n_labelled"] for part in chosen.parts] == [9_989, 7_551]
    assert len(ids) == len(set(ids)) == 17_540
    dev = choose_instructions([corpora["emorynlp"]], ["dev"], "natural")
    assert len(write_out(dev)) == 954


@pytest.mark.parametrize("n", [0, 1, 2, None])
def test_questions_are_made_of_the_rows_of_the_file(data_dir: Path, corpora: dict[str, Dataset], n: int | None) -> None:
    with (data_dir / "meld" / "train_sent_emo.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    turns: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: int(row["Utterance_ID"])):
        turns[f"dia{row['Dialogue_ID']}"].append(row)
    records = make_records(corpora["meld"].split("train"), Window(n, speakers="none"))
    first = 0
    for record in records:
        dialogue = turns[record["dialogue_id"]]
        at = next(i for i, r in enumerate(dialogue) if record["utterance_id"].endswith(f"_utt{r['Utterance_ID']}"))
        texts = [" ".join(row["Utterance"].split()) for row in dialogue[: at + 1]]
        assert record["input"] == texts[-1]
        assert record["context"] == texts[0 if n is None else max(0, at - n) : at]
        assert record["output"] == dialogue[at]["Emotion"]
        first += at == 0
    assert (len(records), first) == (9_989, 1_038)


def test_what_is_tested_is_found_in_training_as_reported_and_gone_on_request(corpora: dict[str, Dataset]) -> None:
    datasets = [corpora["meld"], corpora["emorynlp"]]
    found = {o.query + o.pool: o for o in choose_instructions(datasets, ["train"], "natural").find_overlaps()}
    # counted apart over the same files with another normalisation, which moves a number by up to 0.4 points
    shares = [100 * count.share for count in found["meld/test", "emorynlp/train"].counts]
    assert shares == pytest.approx((27.0, 14.7, 12.8), abs=0.4)
    both = found["meld/test", "meld/train", "emorynlp/train"].counts[1]
    assert f"{both.share:.1%}" == "15.0%"  # as the README says
    clean = choose_instructions(datasets, ["train"], "natural", decontaminate=True)
    assert all(count.n_found == 0 for overlap in clean.find_overlaps() for count in overlap.counts[1:])
    write_out(clean)
    counts = count_instructions(clean.parts)
    # 9,260 + 6,449 utterances are left, counted apart over the CSV files
    assert (counts["n_labelled"], counts["n_labelled_left_out"]) == (15_709, 17_540 - 15_709)
