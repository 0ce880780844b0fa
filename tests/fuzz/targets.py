"""Every reader of what others write, as a function of bytes, with whole inputs to begin from.

`tests/fuzz/test_targets.py` damages the inputs at random and repeats what was found; `tests/fuzz/fuzz.py` lets coverage
guide the damage.
"""

from __future__ import annotations

import io
import json
import pickle
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from harness.bundle.build import build_bundle
from harness.bundle.verifying.lock import LOCK
from harness.bundle.verifying.main import check_bundle
from harness.cli.run import parse_params, parse_resources
from harness.data import iemocap, load_dataset
from harness.data.dailydialog import read_dailydialog
from harness.data.descriptions import read_descriptions
from harness.data.emorynlp import read_emorynlp
from harness.data.emorynlp_official import read_emorynlp_official
from harness.data.jsonl import SAMPLE, jsonl_spec, read_jsonl
from harness.data.meld import read_meld
from harness.data.split import SPLIT_NAMES
from harness.errors import HarnessError
from harness.export import export_leaderboard, read_leaderboard
from harness.features.cache import _load as load_array
from harness.features.encoder import EncoderName
from harness.features.glove import Glove
from harness.features.precomputed import Precomputed
from harness.features.spoken import SpokenSplit
from harness.features.tables import _open as open_table
from harness.leaderboard.spec import BoardSpec, PredictorEntry, load_spec
from harness.literature import load_literature
from harness.llm.lm_eval.results import find_results
from harness.llm.lm_eval.samples import read_samples
from harness.llm.lm_eval.tasks import FORMAT as TASKS
from harness.llm.lm_eval.tasks import _files_of as files_of_tasks
from harness.llm.reading.parsing import read_answer
from harness.llm.request import Response
from harness.llm.server.address import parse_server
from harness.llm.tables.prices import PriceTable
from harness.llm.tables.read import read_own
from harness.predictors import PREDICTORS
from harness.predictors.build import resolve_params
from harness.predictors.plugins import load_plugins
from harness.prompting import Line, load_template, name_labels
from harness.schema import LabelSet, UtteranceView
from harness.store import Layout, RunStore, StoredRun
from harness.store.run_log import RunLog
from harness.store.run_store import read_manifest
from harness.store.trained import RECORD, read_record

ROOT = Path(__file__).resolve().parents[2]
CORPUS = Path(__file__).parent / "corpus"
RUN = next(path.parent for path in sorted((ROOT / "results/runs/sample").rglob("generations.parquet")))
LABELS = LabelSet(("neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger"))
SPOKEN = SpokenSplit("toy", "test", "f" * 64, (("d", tuple(UtteranceView(i, ("A",), "x") for i in "ab")),))


@dataclass(frozen=True)
class Target:
    """A reader, and what it can read."""

    read: Callable[[Path], object]
    """Takes a file, alone in its folder; the name of the target is that of the file."""
    make: Callable[[], Iterable[bytes]]
    n_examples: int = 40
    """Damaged inputs in every test run."""

    @cached_property
    def whole(self) -> tuple[bytes, ...]:
        """Inputs that the reader understands."""
        return tuple(self.make())


def target(read: Callable[[Path], object], *whole: bytes) -> Target:
    return Target(read, lambda: whole)


def found(name: str) -> list[Path]:
    """Returns the inputs that once got the better of a reader, each kept as a file."""
    return sorted((CORPUS / name).glob("*"))


def beside(path: Path, *parts: str) -> Path:
    """Returns a path beside a file, in a folder that is there."""
    path = path.parent.joinpath(*parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def read_board(path: Path) -> None:
    beside(path, "leaderboards", "mine", "board.toml").write_bytes(path.read_bytes())
    load_spec("mine", Layout(path.parent)).jobs()


def read_export(path: Path) -> None:
    export_leaderboard(read_leaderboard(path.read_bytes().decode(errors="replace")), "latex")


def read_own_corpus(path: Path) -> None:
    beside(path, "corpus", "test.jsonl").write_bytes(path.read_bytes())
    read_jsonl(path.parent / "corpus", LABELS)


def read_card(path: Path) -> None:
    beside(path, "own", "card.toml").write_bytes(path.read_bytes())
    jsonl_spec(path.parent / "own")


def corpus(read: Callable[[Path], object], *names: str) -> Callable[[Path], object]:
    """Returns a reader of one file of a corpus: the others hold the same."""

    def read_all(path: Path) -> None:
        for name in names:
            beside(path, "corpus", name).write_bytes(path.read_bytes())
        read(path.parent / "corpus")

    return read_all


def read_dialogues(path: Path) -> None:
    """A file of texts and one of labels, with a NUL in between."""
    texts, _, labels = path.read_bytes().partition(b"\x00")
    for name in ("train", "validation", "test"):
        beside(path, name, f"dialogues_{name}.txt").write_bytes(texts)
        beside(path, name, f"dialogues_emotion_{name}.txt").write_bytes(labels)
    read_dailydialog(path.parent)


def read_session(path: Path) -> None:
    """A transcript and the votes on it, with a NUL in between; the whole corpus has 302 such files."""
    turns, _, votes = path.read_bytes().partition(b"\x00")
    beside(path, "dialog", "EmoEvaluation", "Ses01F_impro01.txt").write_bytes(votes)
    transcript = beside(path, "dialog", "transcriptions", "Ses01F_impro01.txt")
    transcript.write_bytes(turns)
    iemocap._read_dialogue(transcript, "Session1", {"neu": "neu"})


def read_log(path: Path) -> None:
    RunLog(path, "0" * 8, {"code": "x"}, "2026-01-01").close()


def read_run(path: Path) -> None:
    """A manifest where its run belongs."""
    place = beside(path, *RUN.relative_to(ROOT / "results").parts, "manifest.json")
    place.write_bytes(path.read_bytes())
    read_manifest(place)


def sealed(name: str) -> Target:
    """Returns the reader of a file of a run, whose manifest vouches for whatever is in it."""
    manifest = read_manifest(RUN / "manifest.json")

    def read(path: Path) -> None:
        files = {**manifest.files, path.name: sha256(path.read_bytes()).hexdigest()}
        getattr(StoredRun(path.parent, replace(manifest, files=files)), name)()

    return target(read, (RUN / f"{name}.parquet").read_bytes())


@cache
def bundle() -> dict[str, bytes]:
    """Returns the files of a bundle of two systems."""
    store = RunStore(Layout(ROOT / "results"))
    names = [PredictorEntry(name=name) for name in ("majority", "stratified")]
    spec = BoardSpec(datasets=("sample",), seeds=(0, 1), predictors=tuple(names), n_resamples=100)
    return build_bundle("two", spec, store)


def bundled(name: str) -> Target:
    """Returns the check of a bundle in which one file is another, entered in the lock unless it is that."""

    def read(path: Path) -> None:
        content = path.read_bytes()
        files = {**bundle(), name: content}
        if name != LOCK:
            lock = json.loads(files[LOCK])
            lock["files"][name] = sha256(content).hexdigest()
            files[LOCK] = json.dumps(lock).encode()
        for other, whole in files.items():
            place = beside(path, "bundle", other)
            if not place.exists() or other in (name, LOCK):
                place.write_bytes(whole)
        check_bundle(path.parent / "bundle")

    return Target(read, lambda: [bundle()[name]])


def packed(save: Callable[[Any], object]) -> bytes:
    file = io.BytesIO()
    save(file)
    return file.getvalue()


ROWS = {"test/ids": np.array(["a", "b"]), "test/features": np.ones((2, 3), np.float32), "test/fingerprint": "f" * 64}


def h5_rows() -> Iterator[bytes]:
    with suppress(ImportError):
        import h5py

        file = io.BytesIO()
        with h5py.File(file, "w") as arrays:
            for name, value in ROWS.items():
                arrays[name] = value if name == "test/features" else np.asarray(value, dtype=object)
        yield file.getvalue()


def read_features(path: Path) -> None:
    Precomputed(f"{path}").encode_split(SPOKEN)


def read_vectors(path: Path) -> None:
    Glove(f"{path}").encode([UtteranceView("u", ("A",), "joy the")])


def read_table(path: Path) -> None:
    """The record beside a table of features."""
    np.save(path.with_suffix(".npy"), np.ones((2, 1, 3), np.float32))
    open_table(path.with_suffix(".npy"), path, SPOKEN)


def read_training(path: Path) -> None:
    (path.parent / RECORD).write_bytes(path.read_bytes())
    read_record(path.parent)


@cache
def sample_line(answers: str) -> bytes:
    """Returns a sample as lm-eval logs it of an exported task."""
    split = load_dataset("sample").split("test")
    utterance_id, label = next(iter(split.gold.items()))
    gold, labels = split.label_set.index(label), list(split.label_set.labels)
    origin = {
        "dataset": "sample", "split": "test", "fingerprint": split.fingerprint, "labels": labels, "shown": labels,
        "template": "zero-shot/v1", "template_sha256": "0" * 64, "form": "plain", "window": None,
    }  # fmt: skip
    asked = {"gen_args_0": {"arg_0": "Q", "arg_1": {"do_sample": False, "temperature": 0.0}}}
    sample: dict[str, Any] = {"doc": {"id": utterance_id, "gold": gold, "origin": origin}, "arguments": asked}
    if answers == "generate":
        sample |= {"filtered_resps": [label], "weighted_f1": [gold, gold], "no_label": 0}
    else:
        likely = [[str(-1.0 - (i != gold)), "False"] for i in range(len(labels))]
        sample |= {"filtered_resps": likely, "weighted_f1": [gold, gold], "weighted_f1_bytes": [gold, gold]}
    return json.dumps(sample).encode() + b"\n"


def read_logged(path: Path) -> None:
    read_samples(path, load_sample())


@cache
def load_sample() -> Any:
    return load_dataset("sample").split("test")


def read_printed(path: Path) -> None:
    beside(path, "results_2026-01-01T00-00-00.json").write_bytes(path.read_bytes())
    find_results(path.with_name("samples_erc_2026-01-01T00-00-00.jsonl"))


def read_text_of_model(path: Path) -> None:
    names = name_labels(LabelSet(("joy", "anger", "neutral")), "natural")
    reading = read_answer(Response("stop", text_of(path)), names)
    assert (reading.status == "ok") == (reading.label is not None)


def text_of(path: Path) -> str:
    return path.read_bytes().decode(errors="surrogateescape")


def read_template(path: Path) -> None:
    line = Line("A", "So?", "u")
    load_template(f"{path}").render("chat", labels=("joy", "anger"), target=line, history=(line,))


def read_parameters(path: Path) -> None:
    load_plugins()
    params = parse_params(text_of(path).split("\n"))
    for name in ("zero-shot", "few-shot", "tfidf-svm"):
        with suppress(HarnessError):
            spec = PREDICTORS.get(name)
            resolved = resolve_params(spec, params)
            spec.build.refine_card(spec.card, resolved)
            json.dumps(spec.build.identify(resolved), allow_nan=False)


def read_words(path: Path) -> None:
    """A word of the command line, wherever one is parsed."""
    word = text_of(path)
    for parse in (lambda word: parse_resources([word], None), EncoderName.parse, parse_server):
        with suppress(HarnessError):
            parse(word)


LOG = b"".join(
    json.dumps(record).encode() + b"\n"
    for record in (
        {"config_id": "0" * 8, "made_with": {"code": "x"}, "started": "2026-01-01"},
        {"fit_seconds": 1.5},
        {"dialogue_id": "d", "seconds": 0.1, "predictions": [["u", "joy", "ok", {"joy": 1.0}, None]]},
    )
)
LITERATURE = (
    b'[sources.own]\ntitle = "T"\ncite = "C"\nwhere = "W"\nkind = "paper"\n[protocols.own]\ncorpus = "meld"\n'
    b'release = "r"\n[features.own]\ntitle = "f"\n[[tables]]\nsource = "own"\nkey = "one"\nname = "T1"\n'
    b'[[tables.rows]]\nsystem = "s"\nname = "S"\nprovenance = "own"\nfeatures = "own"\nverified = false\n'
    b"values.own = { weighted_f1 = 65.30 }\naverage = { weighted_f1 = 65.30 }\n"
)
MELD = (
    b"Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime\n"
    b'1,"Oh, no\x92t",Joey,joy,positive,0,0,8,21,0,1\n2,"Why?",Ross,neutral,neutral,0,1,8,21,0,1\n'
)
EMORYNLP = (
    b"Utterance,Speaker,Emotion,Scene_ID,Utterance_ID,Season,Episode,Start_Time,End_Time\n"
    b"Hi,\"['Ross Geller', 'Joey']\",Joyful,4,1,1,15,0,1\n"
)
OFFICIAL = json.dumps(
    {"season_id": "s01", "episodes": [{"episode_id": "s01_e01", "scenes": [{"scene_id": "s01_e01_c01", "utterances": [
        {"utterance_id": "u1", "speakers": ["Ross"], "transcript": "Hi", "emotion": "Joyful", "tokens": [["Hi"]]}]}]}]}
).encode()  # fmt: skip
PRINTED = json.dumps(
    {"results": {"erc": {"weighted_f1,none": 0.5, "alias": "erc"}}, "config": {"model": "hf", "model_dtype": "bf16",
     "model_num_parameters": 3}, "date": 1.7e9, "model_name": "a/b", "lm_eval_version": "0.4.9"}
).encode()  # fmt: skip
TABLE = json.dumps({"shape": [2, 1, 3], "fingerprint": "f" * 64, "sha256": "0"}).encode()
TEMPLATE = (
    b"{{ role('user') }}{% for line in history %}{{ line.speaker }}: {{ line.text }}\n{% endfor %}{{ labels|join }}"
)
TURNS = b"Ses01F_impro01_F000 [006.2901-008.2357]: Excuse me.\nM: Yeah.\n\x00"
VOTES = b"% head\n[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5000, 2.5000, 2.5000]\nC-E2:\tNeutral;\t()\n"

TARGETS: dict[str, Target] = {
    "board.toml": target(read_board, (ROOT / "results/leaderboards/sample/board.toml").read_bytes()),
    "leaderboard.json": target(read_export, (ROOT / "results/leaderboards/sample/leaderboard.json").read_bytes()),
    "literature.toml": target(lambda path: load_literature([path]), LITERATURE),
    "prices.toml": target(
        lambda path: read_own(PriceTable, path, "x"), (ROOT / "harness/llm/tables/prices.toml").read_bytes()
    ),
    "card.toml": target(read_card, (SAMPLE / "card.toml").read_bytes().replace(b'"sample"', b'"mine"')),
    "test.jsonl": target(read_own_corpus, (SAMPLE / "test.jsonl").read_bytes().split(b"\n")[0]),
    "descriptions.jsonl": target(
        read_descriptions, b'{"utterance_id": "u", "description": "d", "split": "test"}\n'
    ),
    "meld.csv": target(corpus(read_meld, *(f"{name}_sent_emo.csv" for name in SPLIT_NAMES)), MELD),
    "emorynlp.csv": target(corpus(read_emorynlp, *(f"emorynlp_{name}_final.csv" for name in SPLIT_NAMES)), EMORYNLP),
    "emorynlp.json": target(
        corpus(read_emorynlp_official, *(f"emotion-detection-{name}.json" for name in ("trn", "dev", "tst"))), OFFICIAL
    ),
    "dailydialog.txt": target(read_dialogues, b"Hi . __eou__ Oh ! __eou__\nNo . __eou__\n\x000 4\n1\n"),
    "iemocap.txt": target(read_session, TURNS + VOTES),
    "run.log.jsonl": target(read_log, LOG),
    "manifest.json": target(read_run, (RUN / "manifest.json").read_bytes()),
    "predictions.parquet": sealed("predictions"),
    "dialogues.parquet": sealed("dialogues"),
    "generations.parquet": sealed("generations"),
    "bundle-lock.json": bundled(LOCK),
    "bundle-runs.json": bundled("runs.json"),
    "bundle-board.json": bundled("leaderboard.json"),
    "bundle-counts.npz": bundled("counts/sample.npz"),
    "features.npz": target(read_features, packed(lambda file: np.savez_compressed(file, **ROWS))),
    "features.h5": Target(read_features, h5_rows, 8),  # a process each
    "features.pkl": target(read_features, *(
        pickle.dumps({"d": np.ones((2, 3), np.float32), "e": [[1.0], [2.0]]}, protocol) for protocol in (0, 2, 5)
    )),
    "glove.txt": target(read_vectors, b"the 0.1 -0.2\njoy 1e-3 2\n"),
    "array.npy": target(lambda path: load_array(path, 2), packed(lambda file: np.save(file, ROWS["test/features"]))),
    "table.json": target(read_table, TABLE),
    "training.json": target(read_training, b'{"base": "x", "seconds": 1.5}'),
    "samples.jsonl": target(read_logged, sample_line("generate"), sample_line("choice")),
    "results.json": target(read_printed, PRINTED),
    "export.json": target(files_of_tasks, json.dumps({"format": TASKS, "files": ["a.yaml"]}).encode()),
    "answer.txt": target(read_text_of_model, b"joy", b'{"label": "anger"}', b"<think>no</think> not **joy**, 1. anger"),
    "template.j2": target(read_template, TEMPLATE),
    "parameters.txt": target(
        read_parameters,
        b"window=2\nlabel_names=natural\nbase_url=http://localhost:8000/v1\nbackend=openai",
        b"speaker=true\nhistory=1",
    ),
    "words.txt": target(read_words, b"gpus=0.5", b"glove:a.txt@r1-r2", b"https://api.example.org:81/v1"),
}  # fmt: skip
"""By the name of the file that is read."""
