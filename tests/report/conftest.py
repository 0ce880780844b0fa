"""Made-up runs, sealed as real ones are, with boards and corpora to match; and a browser where one is installed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chromium import Browser

from harness.data import Split
from harness.leaderboard.build import build_leaderboard
from harness.leaderboard.leaderboard import Leaderboard, PublishedEntry
from harness.leaderboard.spec import BoardSpec
from harness.schema import Dialogue, Generation, LabelSet, Prediction, Utterance
from harness.schema.run import DataRecord, Manifest, PredictorRecord, RunConfig
from harness.store import Layout, RunStore
from harness.store.atomic import sha256_of
from harness.store.generations import encode_generations
from harness.store.predictions import encode_dialogues, encode_predictions, tabulate_dialogues
from harness.store.run_store import encode_manifest

LABELS = ("neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger")
PRIOR = np.array([0.47, 0.11, 0.03, 0.08, 0.15, 0.03, 0.13])
FAMILIES = ("simple", "recurrent", "graph", "transformer", "llm")

HOSTILE = (
    "</script><script>window.pwned = 1</script>",
    '"><img src=x onerror="window.pwned = 2">',
    "<!-- ]]> <b>&amp; 100% {{ 7 * 7 }} {% raw %} `${window.pwned = 3}`",
    "javascript:window.pwned=4 \x1b[31m\u2028\u202eleft to right",
    "__proto__",
)


@dataclass(frozen=True)
class World:
    """A results folder with a board, and the corpora that its runs predicted."""

    store: RunStore
    board: Leaderboard
    splits: Mapping[str, Split]


def make_split(
    name: str,
    n_dialogues: int,
    labels: Sequence[str] = LABELS,
    words: Sequence[str] = ("SECRET", "words"),
    seed: int = 0,
) -> Split:
    """Makes up dialogues of 2 to 16 utterances between three speakers."""
    rng = np.random.default_rng(seed)
    prior = PRIOR[: len(labels)] / PRIOR[: len(labels)].sum()
    dialogues = []
    for d in range(n_dialogues):
        utterances = tuple(
            Utterance(
                f"d{d}-u{u}",
                (f"{words[0]} speaker {rng.integers(3)}",),
                f"{words[u % len(words)]} number {d}-{u}",
                None if u == 3 else str(rng.choice(labels, p=prior)),
            )
            for u in range(int(rng.integers(2, 17)))
        )
        dialogues.append(Dialogue(f"d{d}", utterances))
    return Split(name, "test", tuple(dialogues), LabelSet(tuple(labels), labels[0]))


def seal_system(layout: Layout, split: Split, name: str, skill: float, seeds: Sequence[int], **record: Any) -> None:
    """Seals runs that are right with a chance of `skill`, else draw a label; `record` changes what they say of it."""
    label_set, gold = split.label_set, split.gold
    card = {
        "family": "simple", "context": "past", "modalities": ["text"], "trained_on": ["train"],
        "deterministic": len(seeds) == 1, "features": [], "source": "", "summary": "",
    } | record.get("card", {})  # fmt: skip
    params = record.get("params", {"skill": skill})
    made = PredictorRecord(name, "lab", card, {}, params, record.get("params_changed", {}), "", record.get("facts", {}))
    data = DataRecord(
        split.dataset, "test", split.fingerprint, "f" * 64, label_set.labels, label_set.neutral,
        sum(bool(d.labelled()) for d in split.dialogues), len(gold), "weighted_f1", (),
    )  # fmt: skip
    for seed in seeds:
        rng = np.random.default_rng([seed, *name.encode()])
        own = skill + rng.normal(0, 0.005)
        right, drawn = rng.random(len(gold)) < own, rng.integers(len(label_set), size=len(gold))
        said = {
            utterance: Prediction(
                utterance, label if hit else label_set.labels[guess], None, "ok", record.get("generation")
            )
            for (utterance, label), hit, guess in zip(gold.items(), right, drawn, strict=True)
        }
        lost = next(iter(said))
        statuses = {"ok": len(gold), "unparsed": 0}
        if record.get("loses"):
            said[lost] = Prediction(lost, None, None, "unparsed")
            statuses = {"ok": len(gold) - 1, "unparsed": 1}
        files = {
            "predictions.parquet": encode_predictions(split, said),
            "dialogues.parquet": encode_dialogues(tabulate_dialogues(split, said)),
        }
        if "generation" in record:
            files["generations.parquet"] = encode_generations(said.values())
        config = RunConfig(name, params, split.dataset, "f" * 64, "test", seed)
        folder = layout.run(split.dataset, "test", name, config.run_id)
        folder.mkdir(parents=True)
        manifest = Manifest(
            1, config.run_id, seed, made, data, statuses, {"python": "3"}, None,
            {"processor": "a processor", "accelerator": None},
            {"started": "2026-01-01", "fit_seconds": 1.5, "predict_seconds": 2.0 * skill, "n_sessions": 1},
            {file: sha256_of(content) for file, content in files.items()},
        )  # fmt: skip
        for file, content in files.items():
            (folder / file).write_bytes(content)
        (folder / "manifest.json").write_bytes(encode_manifest(manifest))


def make_published(name: str, dataset: str, score: float, **changes: Any) -> PublishedEntry:
    fields: dict[str, Any] = {
        "dataset": dataset, "system": name.lower(), "name": name, "variant": "",
        "metrics": {"weighted_f1": score, "accuracy": score / 2}, "table": "lab/main", "cited": "Lab, Table 1",
        "provenance": "own", "verified": True, "selection": "unknown", "n_seeds": None, "features": "words",
        "modalities": ("text",), "differs": (), "problems": (),
    }  # fmt: skip
    return PublishedEntry(**(fields | changes))


def many(layout: Layout, splits: Sequence[Split], n_systems: int, seeds: Sequence[int]) -> None:
    """Seals systems of all families and sizes, from bad to good."""
    for split in splits:
        for i in range(n_systems):
            family = FAMILIES[i % len(FAMILIES)]
            modalities = ["text", "audio"] if i % 4 == 3 else ["text"]
            card = {"family": family, "context": ("none", "past", "full")[i % 3], "modalities": modalities}
            facts = {"training": {"n_parameters": 10_000 * 3 ** (i % 12)}} if family != "simple" else {}
            name = f"{family}-{i}" if i % 2 else f"a-rather-long-name-for-{family}-{i}"
            seal_system(layout, split, name, 0.25 + 0.4 * i / n_systems, seeds, card=card, facts=facts)


def build(layout: Layout, splits: Sequence[Split], **spec: Any) -> World:
    """Builds the board of every run on some splits."""
    store = RunStore(layout)
    wanted = BoardSpec(datasets=tuple(split.dataset for split in splits), other_runs=True, **spec)
    return World(store, build_leaderboard("made-up", wanted, store), {split.dataset: split for split in splits})


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Two datasets and eight systems, one that asks a language model and one that loses an answer."""
    layout = Layout(tmp_path_factory.mktemp("world"))
    splits = [make_split("first", 60), make_split("second", 40, LABELS[:4], seed=1)]
    many(layout, splits, 6, (0, 1, 2))
    generation = Generation("exact", "a" * 64, "b" * 64, (), 100, 2, 0.25, 0.0004, 1, False)
    for split in splits:
        seal_system(layout, split, "asked", 0.6, (0,), generation=generation, card={"family": "llm", "context": "full"})
        seal_system(layout, split, "forgetful", 0.5, (0,), loses=True, card={"modalities": []})
    made = build(layout, splits, title="Made-up systems", notes=("Nothing here is real.",))
    published = (
        make_published("EARLY", "first", 0.6, provenance="re-run", problems=("a leak",), n_seeds=5),
        make_published("EARLY", "second", 0.35, differs=("release: of old; here second",)),
        make_published("LATE", "first", 0.999, verified=False, selection="test"),
    )
    return replace(made, board=replace(made.board, published=published, published_slips=("an average is 1, not 2",)))


@pytest.fixture(scope="session")
def hostile_world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Every text that somebody else chooses is hostile: title, labels, cards, parameters, speakers, utterances."""
    layout = Layout(tmp_path_factory.mktemp("hostile"))
    split = make_split("toy", 30, HOSTILE, HOSTILE)
    for i, text in enumerate(HOSTILE):
        card = {"family": text, "summary": text, "source": text, "features": [text], "trained_on": [text]}
        seal_system(
            layout, split, f"s{i}", 0.3 + i / 10, (0, 1, 2), card=card, params={"p": text}, params_changed={"p": text}
        )
    made = build(layout, [split], title=HOSTILE[0], notes=HOSTILE)
    published = tuple(
        make_published(text, "toy", 0.5, system=text, cited=text, problems=(text,), differs=(text,), provenance=text)
        for text in HOSTILE
    )
    return replace(made, board=replace(made.board, published=published, published_slips=HOSTILE))


@pytest.fixture(scope="session")
def big_world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """40 systems, 5 seeds, 3 datasets."""
    layout = Layout(tmp_path_factory.mktemp("big"))
    splits = [make_split(name, 120, seed=k) for k, name in enumerate(("one", "two", "three"))]
    many(layout, splits, 40, range(5))
    return build(layout, splits, title="A large board")


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A headless Chromium; skips where there is none."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        missing("Chromium is absent: apt-get install chromium")
    with Browser(program, tmp_path_factory.mktemp("profile")) as running:
        yield running


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core; skips where it is not installed."""
    path = Path(__file__).resolve().parents[2] / "build/axe/node_modules/axe-core/axe.min.js"
    if not path.is_file():
        missing("axe-core is absent: npm install --prefix build/axe axe-core@4.14.1")
    return path.read_text(encoding="utf-8")


def missing(reason: str) -> None:
    """Skips, or fails where everything has to be there."""
    if os.environ.get("ERC_REQUIRE_ALL") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


MakePage = Callable[[World, bool], Path]


@pytest.fixture
def make_page(tmp_path: Path) -> MakePage:
    """Writes the page of a world, with or without its dialogues."""
    from harness.report import build_report

    def write(made: World, dialogues: bool = False) -> Path:
        path = tmp_path / "index.html"
        path.write_text(build_report(made.board, made.store, made.splits if dialogues else None), encoding="utf-8")
        return path

    return write
