"""Stored files that somebody else has made or broken: every one is refused in one line, and cheaply."""

from __future__ import annotations

import io
import json
import os
import re
import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.bounded import MAX_DEPTH, MAX_SETTINGS, parse_json, parse_toml, read_bounded
from harness.errors import ConfigError, HarnessError, StoreError
from harness.export import FORMATS, export_leaderboard
from harness.leaderboard.build import build_leaderboard
from harness.leaderboard.spec import BoardSpec, load_spec
from harness.schema.run import RunConfig
from harness.store import RunStore, StoredRun
from harness.store.layout import Layout, beside
from harness.store.predictions import decode_predictions
from harness.store.run_log import RunLog
from harness.store.run_store import encode_manifest, read_manifest

ROOT = Path(__file__).resolve().parents[2]
COMMITTED = sorted((ROOT / "results" / "runs" / "sample").glob("test/*/*/manifest.json"))
ONE = next(path for path in COMMITTED if (path.parent / "generations.parquet").exists())
FILES = ("predictions", "dialogues", "generations")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a copy of a committed run of a language model."""
    folder = tmp_path.joinpath("results", *ONE.parent.relative_to(ROOT / "results").parts)
    shutil.copytree(ONE.parent, folder)
    return folder


def reseal(folder: Path, name: str, content: bytes) -> StoredRun:
    """Puts another file into a run, with a manifest that vouches for it, as whoever means harm can."""
    (folder / name).write_bytes(content)
    manifest = read_manifest(folder / "manifest.json")
    files = {**manifest.files, name: sha256(content).hexdigest()}
    (folder / "manifest.json").write_bytes(encode_manifest(replace(manifest, files=files)))
    return StoredRun(folder, read_manifest(folder / "manifest.json"))


@contextmanager
def within(n_bytes: int) -> Iterator[None]:
    """Fails if the block makes the process grow by more; in kB as Linux counts."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < n_bytes >> 10


def packed(table: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", **options)
    return buffer.getvalue()


def test_a_file_of_gigabytes_is_refused_by_its_size(tmp_path: Path) -> None:
    path = tmp_path / "huge.json"
    path.touch()
    os.truncate(path, 8 << 30)  # a hole: it takes no room on the disk
    with within(64 << 20), pytest.raises(OSError, match="more than 268435456 bytes"):
        read_bounded(path)


def test_pipes_and_devices_are_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    for name in ("pipe", "zero"):
        with pytest.raises(OSError, match="no regular file"):
            read_bounded(tmp_path / name)


def test_a_log_that_is_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "run.log.jsonl")
    with pytest.raises(StoreError, match="it is no regular file"):
        RunLog(tmp_path / "run.log.jsonl", "0" * 8, {}, "2026-01-01")


def test_a_log_that_cannot_be_flushed_says_so_when_it_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = RunLog(tmp_path / "run.log.jsonl", "0" * 8, {}, "2026-01-01")
    monkeypatch.setattr(os, "fsync", lambda descriptor: os.write(-1, b""))
    with pytest.raises(StoreError, match="cannot write .*run.log.jsonl"):
        log.close()


@pytest.mark.parametrize("parse", [parse_json, lambda text: parse_toml(f"a = {text}")], ids=["json", "toml"])
def test_depth_is_bounded(parse: Callable[[str], Any]) -> None:
    assert parse("[" * 30 + "]" * 30)
    for depth in (MAX_DEPTH + 1, 900, 100_000):
        with pytest.raises(ValueError, match="nested too deeply"):
            parse("[" * depth + "]" * depth)


@pytest.mark.parametrize(
    "text",
    ["a = " + "[" * 5000, "a = " + "9" * 5000, "a" + ".a" * 3000 + " = 1", "datasets = [" * 70 + "]" * 70, "\x00"],
)
def test_boards_that_break_the_parser_are_config_errors(tmp_path: Path, text: str) -> None:
    path = Layout(tmp_path).board_spec("mine")
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"board\.toml"):
        load_spec("mine", Layout(tmp_path))


def test_a_board_of_megabytes_is_refused_before_it_is_parsed(tmp_path: Path) -> None:
    path = Layout(tmp_path).board_spec("mine")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"#" * (MAX_SETTINGS + 1))
    with pytest.raises(ConfigError, match="has more than 4194304 bytes"):
        load_spec("mine", Layout(tmp_path))


@pytest.mark.parametrize(
    "entry", ["params = { trust_remote_code = true }", 'params = { model_args = "a=1,trust_remote_code=True" }']
)
def test_no_board_lets_code_run_that_comes_with_weights(tmp_path: Path, entry: str) -> None:
    path = Layout(tmp_path).board_spec("mine")
    path.parent.mkdir(parents=True)
    path.write_text(f'datasets = ["sample"]\n[[predictors]]\nname = "zero-shot"\n{entry}\n')
    with pytest.raises(ConfigError, match="a board, which is data and may let no code run"):
        load_spec("mine", Layout(tmp_path))


PATHS = (
    "../x.toml", "/etc/x.toml", "a/b.toml", "C:\\x.toml", "C:x.toml", "a:b.toml", "CON.toml", "nul", "com1.toml", "..",
    ".", "", "x.toml.", "x.toml ", "a\\b.toml", "x\n.toml", "\x00.toml",
)  # fmt: skip


@pytest.mark.parametrize("name", PATHS)
def test_a_file_that_a_file_names_lies_beside_it(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="leads out of"):
        beside(tmp_path, name)
    path = Layout(tmp_path).board_spec("mine")
    path.parent.mkdir(parents=True)
    path.write_text(f'datasets = ["sample"]\n[literature]\ntables = ["x/y"]\nfiles = [{json.dumps(name)}]\n')
    with pytest.raises(ConfigError):
        load_spec("mine", Layout(tmp_path))


def test_a_link_out_of_the_folder_is_no_file_beside_it(tmp_path: Path) -> None:
    inside, outside = tmp_path / "board", tmp_path / "secret.toml"
    inside.mkdir()
    outside.write_text("password = 1")
    (inside / "more.toml").symlink_to(outside)
    with pytest.raises(ConfigError, match="leads out of"):
        beside(inside, "more.toml")
    (inside / "own.toml").write_text("")
    (inside / "alias.toml").symlink_to(inside / "own.toml")
    assert beside(inside, "alias.toml") == inside / "alias.toml"


@pytest.mark.parametrize(
    "name", ["..", "../x", "a/../b", "/x", "con", "nul.x", "lab/aux", "com1", "x.", "lab./x", "a:b", "A"]
)
def test_no_name_leaves_its_folder_on_any_system(tmp_path: Path, name: str) -> None:
    for place in (Layout(tmp_path).board, lambda one: Layout(tmp_path).run(one, "test", "p", "seed0-00000000")):
        with pytest.raises(ConfigError, match="expected lower-case"):
            place(name)


def test_a_temporary_file_is_not_written_through_a_link(tmp_path: Path) -> None:
    from harness.store.atomic import write_atomic

    victim, path = tmp_path / "victim", tmp_path / "leaderboard.json"
    victim.write_text("precious")
    path.with_name(f".{path.name}.{os.getpid()}.tmp").symlink_to(victim)
    write_atomic(path, b"{}")
    assert (victim.read_text(), path.read_bytes()) == ("precious", b"{}")


def many_rows(n: int, id_bytes: int = 8) -> Any:
    """A predictions.parquet of one row, n times over: n times 5 columns in a few kB."""
    text = pa.DictionaryArray.from_arrays(pa.nulls(n, pa.int32()).fill_null(0), pa.array(["x" * id_bytes]))
    names = ("dialogue_id", "utterance_id", "label", "status")
    return pa.table({**dict.fromkeys(names, text), "scores": pa.nulls(n, pa.list_(pa.float32(), 7))})


@pytest.mark.parametrize(("n", "id_bytes"), [(5_000_000, 8), (100_000, 50_000)], ids=["rows", "text"])
def test_a_parquet_bomb_is_refused_before_it_unpacks(run: Path, n: int, id_bytes: int) -> None:
    content = packed(many_rows(n, id_bytes))
    assert len(content) < 200_000
    stored = reseal(run, "predictions.parquet", content)
    with within(400 << 20), pytest.raises(StoreError, match=r"is corrupt: it has \d+ .* when unpacked"):
        stored.predictions()


def test_a_column_of_another_type_is_refused_before_it_unpacks(run: Path) -> None:
    wide = pa.nulls(10, pa.list_(pa.float32(), 10_000_000))  # 400 MB of nothing
    table = many_rows(10).set_column(4, "scores", wide)
    stored = reseal(run, "predictions.parquet", packed(table))
    with pytest.raises(StoreError, match=r"column 'scores' is of type fixed_size_list<.*>\[10000000\]; expected"):
        stored.predictions()


def changed(run: Path, name: str, change: Callable[[Any], Any]) -> StoredRun:
    return reseal(run, name, packed(change(pq.read_table(io.BytesIO((run / name).read_bytes())))))


@pytest.mark.parametrize(
    ("name", "change", "problem"),
    [
        ("predictions", lambda t: t.slice(1), "has 1?[0-9]+ predictions; its manifest says"),
        ("predictions", lambda t: pa.concat_tables([t, t]), "missing or repeated"),
        ("predictions", lambda t: t.drop(["label"]), "it has the columns"),
        ("predictions", lambda t: t.append_column("gold", t["label"]), "it has the columns"),
        ("predictions", lambda t: t.set_column(2, "label", pa.array(["glee"] * len(t))), "label 'glee' is unknown"),
        ("predictions", lambda t: t.set_column(3, "status", pa.array(["fine"] * len(t))), "status 'fine'"),
        ("dialogues", lambda t: t.slice(1), "dialogues; its manifest says"),
        ("dialogues", lambda t: t.set_column(1, "attributes", pa.array(["[" * 9000] * len(t))), "nested too deeply"),
        ("dialogues", lambda t: t.set_column(1, "attributes", pa.array(["[]"] * len(t))), "no object of texts"),
        ("generations", lambda t: t.set_column(4, "exemplars", pa.nulls(len(t), pa.list_(pa.string()))), "are missing"),
    ],
)  # fmt: skip
def test_a_table_that_is_sealed_but_wrong_is_named(run: Path, name: str, change: Any, problem: str) -> None:
    stored = changed(run, f"{name}.parquet", change)
    with pytest.raises(StoreError, match=problem):
        getattr(stored, name)()


def test_counts_are_not_negative_and_as_many_as_the_manifest_says(run: Path) -> None:
    def shifted(table: Any, by: int) -> Any:
        counts = table["confusion"].combine_chunks()
        values = counts.flatten().to_numpy().copy()
        values[0] += by
        return table.set_column(
            2, "confusion", pa.FixedSizeListArray.from_arrays(pa.array(values), counts.type.list_size)
        )

    for by, problem in ((1, "counted utterances; its manifest says"), (-1000, "counts are negative")):
        stored = changed(run, "dialogues.parquet", lambda table, by=by: shifted(table, by))
        with pytest.raises(StoreError, match=problem):
            stored.dialogues()
        shutil.copy(ONE.parent / "dialogues.parquet", run)


# Cases that fuzzing has found: each raised something else than a HarnessError once.
MANIFESTS = {
    "card without context": lambda m: m["predictor"]["card"].pop("context"),
    "card says no determinism": lambda m: m["predictor"]["card"].update(deterministic="no"),
    "modalities are a number": lambda m: m["predictor"]["card"].update(modalities=3),
    "a seed of 4,000 digits": lambda m: m.update(seed=10**4000),
    "a negative seed": lambda m: m.update(seed=-1),
    "a seed that numpy does not take": lambda m: m.update(seed=2**32),
    "dataset is a path": lambda m: m["data"].update(dataset="../../etc"),
    "predictor is a device": lambda m: m["predictor"].update(name="con"),
    "labels twice": lambda m: m["data"].update(labels=["joy", "joy"]),
    "no labels": lambda m: m["data"].update(labels=[]),
    "unknown status": lambda m: m["statuses"].update(great=3),
    "negative status": lambda m: m["statuses"].update(ok=-3),
}


@pytest.mark.parametrize("case", MANIFESTS)
def test_a_manifest_that_no_run_can_have_is_named(run: Path, case: str) -> None:
    document = json.loads((run / "manifest.json").read_text())
    MANIFESTS[case](document)
    (run / "manifest.json").write_text(json.dumps(document))
    with pytest.raises(StoreError, match=r"manifest\.json (is corrupt|does not belong here)"):
        read_manifest(run / "manifest.json")


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """Draws a file with bytes changed, cut out or put in."""
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(content)))
        cut = draw(st.sampled_from([0, 1, 1, 4, 64, len(content)]))
        content = content[:at] + draw(st.binary(max_size=8)) + content[at + cut :]
    return content


FUZZ = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("name", FILES)
def test_damaged_tables_raise_harness_errors_only(run: Path, name: str) -> None:
    original = (ONE.parent / f"{name}.parquet").read_bytes()

    @FUZZ
    @given(damaged(original))
    def check(content: bytes) -> None:
        stored = reseal(run, f"{name}.parquet", content)
        try:
            getattr(stored, name)()
        except StoreError as error:
            assert "\n" not in str(error)

    check()


@pytest.mark.parametrize("flip", [0x01, 0x80, 0xFF])
def test_any_byte_of_a_table_may_be_wrong(flip: int) -> None:
    ids, labels = [f"u{i}" for i in range(40)], ["joy", "anger", "fear"] * 13 + ["joy"]
    scores = pa.array([[1.0, 0.0, 0.0]] * 40, pa.list_(pa.float32(), 3))
    content = packed(
        pa.table({"dialogue_id": ids, "utterance_id": ids, "label": labels, "status": ["ok"] * 40, "scores": scores})
    )
    assert len(decode_predictions(content, ("joy", "anger", "fear"))) == 40
    for at in range(len(content)):
        damaged = content[:at] + bytes([content[at] ^ flip]) + content[at + 1 :]
        with suppress(ValueError, TypeError):  # what `StoredRun` turns into a StoreError
            decode_predictions(damaged, ("joy", "anger", "fear"))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, one in inner for place in places(one, (*path, key)))]


def test_manifests_with_other_values_raise_harness_errors_only(tmp_path: Path) -> None:
    document = json.loads(ONE.read_text())
    wide = [place for place in places(document) if place and place[0] not in ("files", "run_id")]

    @FUZZ
    @given(st.sampled_from(wide), VALUES)
    def check(place: tuple[Any, ...], value: Any) -> None:
        changed = json.loads(json.dumps(document))
        holder = changed
        for key in place[:-1]:
            holder = holder[key]
        holder[place[-1]] = value
        shutil.rmtree(tmp_path / "results", ignore_errors=True)
        folder = tmp_path / "results" / "runs" / settle(changed)
        shutil.copytree(ONE.parent, folder)
        (folder / "manifest.json").write_text(json.dumps(changed))
        try:
            spec = BoardSpec(datasets=("sample",), other_runs=True)
            board = build_leaderboard("b", spec, RunStore(Layout(tmp_path / "results")))
            for name in FORMATS:
                export_leaderboard(board, name)
        except HarnessError as error:
            assert "\n" not in str(error)

    check()


def settle(manifest: dict[str, Any]) -> str:
    """Gives a manifest the id that its values call for, and returns the folder where such a run belongs."""
    made, data = manifest["predictor"], manifest["data"]
    try:
        config = RunConfig(
            made["name"], made["params"], data["dataset"], data["dataset_fingerprint"], data["split"], manifest["seed"]
        )
        manifest["run_id"] = config.run_id
        parts = (config.dataset, config.split, config.predictor, config.run_id)
    except (TypeError, KeyError, ValueError):
        parts = ()
    plain = all(isinstance(part, str) and re.fullmatch(r"[\w-]+", part) for part in parts)
    return "/".join(parts) if parts and plain else str(ONE.parent.relative_to(ROOT / "results" / "runs"))
