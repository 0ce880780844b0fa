"""Corpora of the user's own: a folder with `card.toml`, `test.jsonl` and, if need be, `train.jsonl` and `dev.jsonl`.

Each line of a .jsonl file is one dialogue; `utterance_id` and `attributes` may be left out, a null label means that the
utterance is context only, and a missing utterance id becomes "<dialogue_id>_<position>", counted from 0:

    {"dialogue_id": "d1", "utterances": [{"speaker": "Ann", "text": "You came!", "label": "joy"},
                                         {"speaker": ["Ben", "Cem"], "text": "Sure.", "label": null}],
     "attributes": {"episode": "e1"}}

`card.toml` has the keys of `harness.data.dataset.DatasetCard` that the user can know:

    name = "my-corpus"        # lower case; shown in tables
    title = "My corpus"
    language = "en"           # BCP 47
    license = "CC-BY-4.0"
    source = "who releases it, and where"
    labels = ["joy", "anger", "neutral"]
    neutral = "neutral"       # optional
    redistributable = true
    metric = "macro_f1"       # optional, weighted_f1 unless given
    notes = "what readers of a table must know"    # optional

Files are read line by line and never held as text. What is in memory is the utterances, about 0.2 kB each beside their
text, and 0.1 kB more each until ids are checked: a million of nine words, a file of 88 MB, take 312 MB.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from harness.data.catalogue import DATASETS, DatasetSpec, Reader
from harness.data.dataset import DatasetCard
from harness.data.files import UniqueIds, Value, parse_json, read_lines, read_toml
from harness.data.split import SPLIT_NAMES
from harness.errors import ConfigError, DataError
from harness.registry.registry import NAME
from harness.schema import Dialogue, LabelSet, Utterance

SAMPLE = Path(__file__).parent / "sample"
"""The bundled corpus."""

_REQUIRED = ("name", "title", "language", "license", "source", "labels", "redistributable")
_OPTIONAL = ("neutral", "metric", "notes")

Speakers = dict[tuple[str, ...], tuple[str, ...]]
"""The speakers of utterances so far, by themselves: those who speak again are not kept again."""

read_sample: Reader
"""Reads the bundled corpus; it is registered as dataset 'sample' when this is first asked for."""


def find_jsonl(name: str, data_dir: Path | None) -> Path | None:
    """Returns the folder of a user's corpus: `data_dir/name`, else the path `name`, if it holds a card.toml.

    Under the data directory a corpus lies in a folder of its own name, so that boards and lists can find it by it.
    """
    for folder in (data_dir / name if data_dir is not None else None, Path(name)):
        try:
            if name and folder is not None and (folder / "card.toml").is_file():
                return folder
        except OSError:  # a name that no file system can have
            continue
    return None


def jsonl_spec(folder: Path) -> DatasetSpec:
    """Returns the spec of a user's corpus, from its card.

    Raises:
        DataError: the card is broken, lacks a key, has an unknown one or a value that is not allowed.
    """
    card = read_toml(folder / "card.toml")
    fields = card.fields(_REQUIRED, _OPTIONAL)
    texts = {key: value.text() for key, value in fields.items() if key not in ("labels", "redistributable")}
    name = texts["name"]
    if not NAME.fullmatch(name):
        raise fields["name"].error(f"{name!r} is not a name; expected lower-case letters, digits, '.', '_' and '-'")
    if name in DATASETS and folder.resolve() != SAMPLE.resolve():
        raise fields["name"].error(f"{name!r} is a registered dataset; expected another name, such as 'my-{name}'")
    labels = tuple(label.text() for label in fields["labels"].items())
    try:
        label_set = LabelSet(labels, neutral=texts.get("neutral"))
    except ConfigError as error:
        raise card.error(str(error)) from None
    dataset_card = DatasetCard(
        title=texts["title"],
        label_set=label_set,
        language=texts["language"],
        license=texts["license"],
        source=texts["source"],
        folder=folder.name,
        files=("card.toml", "test.jsonl"),
        redistributable=fields["redistributable"].flag(),
        obtain=f"it is a corpus of your own: complete the folder {folder}",
        metric=texts.get("metric", "weighted_f1"),
        table_notes=(texts["notes"],) if "notes" in texts else (),
    )
    return DatasetSpec(name, dataset_card, partial(read_jsonl, label_set=label_set))


def read_jsonl(folder: Path, label_set: LabelSet) -> Mapping[str, Sequence[Dialogue]]:
    """Reads the splits of a user's corpus, line by line; test is required, train and dev are not.

    Args:
        folder: holds the .jsonl files.
        label_set: of its card.

    Returns:
        Dialogues by split, in the order of the files.

    Raises:
        DataError: a line is not as the module describes, test.jsonl is missing, or another file has the same dialogues.
    """
    paths = {split: folder / f"{split}.jsonl" for split in SPLIT_NAMES}
    present: dict[str, Path] = {split: path for split, path in paths.items() if split == "test" or path.exists()}
    splits = {split: list(_dialogues(path, label_set)) for split, path in present.items()}
    for split, dialogues in splits.items():
        if split != "test" and dialogues == splits["test"]:
            problem = "it holds the dialogues of test.jsonl; expected others, or systems would be chosen by the test"
            raise DataError.at(present[split], problem)
    return splits


def _dialogues(path: Path, label_set: LabelSet) -> Iterator[Dialogue]:
    dialogue_ids, utterance_ids = UniqueIds("dialogue"), UniqueIds("utterance")
    known: Speakers = {}
    for line, text in read_lines(path):
        fields = parse_json(text, path, line).fields(("dialogue_id", "utterances"), ("attributes",))
        dialogue_id = dialogue_ids.claim(fields["dialogue_id"].text(), fields["dialogue_id"])
        attributes = fields["attributes"].mapping() if "attributes" in fields else {}
        yield Dialogue(
            dialogue_id,
            tuple(
                _utterance(value, f"{dialogue_id}_{position}", label_set, utterance_ids, known)
                for position, value in enumerate(fields["utterances"].items())
            ),
            tuple((key, value.text()) for key, value in attributes.items()),
        )
    if not dialogue_ids.places:
        raise DataError.at(path, "the file is empty; expected one dialogue a line")


def _utterance(value: Value, default_id: str, label_set: LabelSet, ids: UniqueIds, known: Speakers) -> Utterance:
    fields = value.fields(("speaker", "text", "label"), ("utterance_id",))
    place = fields.get("utterance_id", value)
    utterance_id = ids.claim(place.text() if "utterance_id" in fields else default_id, place)
    speaker = fields["speaker"]
    names = tuple(name.text() for name in (speaker.items() if isinstance(speaker.content, list) else [speaker]))
    label = None if fields["label"].content is None else fields["label"].choice(label_set.labels)
    return Utterance(utterance_id, known.setdefault(names, names), fields["text"].text(blank=True), label)


if not TYPE_CHECKING:  # for a type checker, this would give the module every attribute

    def __getattr__(name: str) -> Reader:
        """Makes `read_sample`, so that importing this module reads no file."""
        if name != "read_sample":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        spec = jsonl_spec(SAMPLE)
        card = replace(spec.card, bundled=SAMPLE, obtain="it comes with erc-harness: install that anew")
        DATASETS.add("sample", replace(spec, card=card), origin=__name__, target=f"{__name__}:read_sample")
        globals()["read_sample"] = spec.read
        return spec.read
