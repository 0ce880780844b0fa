"""Names by content: exact, quick the second time, free of paths; and one line for what is not there."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.errors import ModelError
from harness.features.weights import content_name, is_content_of, locate


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ERC_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("ERC_MODELS_DIR", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "My Model (v2)"
    path.mkdir()
    (path / "config.json").write_text("{}")
    (path / "model.safetensors").write_bytes(b"weights")
    return path


def age(path: Path, seconds: float = 3600) -> None:
    """Makes a file old enough to be remembered; the time of its last change in the file system cannot be set back."""
    stat = path.stat()
    os.utime(path, ns=(stat.st_atime_ns, int(stat.st_mtime_ns - seconds * 1e9)))


def test_a_name_is_the_folder_and_a_hash_of_names_and_contents(folder: Path) -> None:
    parts = [(file.name, hashlib.sha256(file.read_bytes()).hexdigest()) for file in sorted(folder.iterdir())]
    expected = hashlib.sha256("".join(f"{name}\0{digest}\n" for name, digest in parts).encode()).hexdigest()
    assert content_name(folder) == f"my-model-v2@{expected[:8]}"


def test_only_what_changes_answers_counts(folder: Path) -> None:
    before = content_name(folder)
    for name in ("README.md", "optimizer.pt", "trainer_state.json", "training_args.bin"):
        (folder / name).write_text("left over")
    assert content_name(folder) == before
    (folder / "tokenizer.json").write_text("{}")
    assert content_name(folder) != before


def test_a_changed_byte_of_equal_length_is_seen_at_once(folder: Path) -> None:
    before = content_name(folder)
    (folder / "model.safetensors").write_bytes(b"Weights")
    assert content_name(folder) != before


def test_a_single_file_has_a_name_too(folder: Path) -> None:
    name = content_name(folder / "model.safetensors")
    assert name.startswith("model.safetensors@")
    (folder / "config.json").write_text("[]")
    assert content_name(folder / "model.safetensors") == name


def test_hashes_are_remembered_until_a_file_changes(folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.features.weights.SETTLED_SECONDS", -1.0)
    before = content_name(folder)
    memo = cache / "model_hashes.json"
    entries = json.loads(memo.read_text())
    assert set(entries) == {str(path.resolve()) for path in folder.iterdir()}
    for entry in entries.values():
        entry[-1] = "0" * 64
    memo.write_text(json.dumps(entries))
    remembered = content_name(folder)
    assert remembered != before  # it read the memo, not the files
    for file in folder.iterdir():
        age(file)
    assert content_name(folder) == before  # another time of change: it read the files


@pytest.mark.parametrize("content", ["not json", "[]", '{"x": 1}'])
def test_a_broken_memo_is_no_obstacle(folder: Path, cache: Path, content: str) -> None:
    before = content_name(folder)
    cache.mkdir(exist_ok=True)
    (cache / "model_hashes.json").write_text(content)
    assert content_name(folder) == before


def test_an_unwritable_cache_is_no_obstacle(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.features.weights.SETTLED_SECONDS", -1.0)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ERC_CACHE_DIR", str(tmp_path / "file"))
    assert content_name(folder).startswith("my-model-v2@")


def test_nothing_to_name_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not exist"):
        content_name(tmp_path / "absent")
    with pytest.raises(ModelError, match="holds no weights"):
        content_name(tmp_path)


def test_folders_are_found_by_path_and_in_the_models_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = locate(str(folder))
    assert (found.source, found.commit, found.name) == (str(folder), None, content_name(folder))
    monkeypatch.setenv("ERC_MODELS_DIR", str(folder.parent))
    assert locate(folder.name).name == found.name


def test_a_content_name_finds_its_folder_and_no_other(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ERC_MODELS_DIR", str(folder.parent))
    name = content_name(folder)
    assert locate(name).source == str(folder)
    (folder / "config.json").write_text('{"changed": true}')
    with pytest.raises(ModelError, match=f"model '{name}': .* holds '{content_name(folder)}'"):
        locate(name)


def test_a_folder_of_something_else_is_told(folder: Path) -> None:
    (folder / "config.json").unlink()
    with pytest.raises(ModelError, match=r"has no config\.json"):
        locate(str(folder))


REVISION = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "hub"
    path.mkdir()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(path))
    return path


def test_the_hubs_cache_is_searched_at_the_pinned_commit(hub_cache: Path) -> None:
    snapshot = hub_cache / "models--org--name" / "snapshots" / REVISION
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    found = locate("org/name", REVISION)
    assert (found.source, found.commit, found.name) == ("org/name", REVISION, "org/name")


def test_absent_weights_say_where_was_looked_and_what_to_type(hub_cache: Path) -> None:
    with pytest.raises(ModelError) as caught:
        locate("org/name", REVISION)
    text = str(caught.value)
    assert "\n" not in text and str(hub_cache) in text
    assert f"hf download org/name --revision {REVISION}" in text and "--download" in text


def test_a_mistyped_path_is_no_name_at_the_hub() -> None:
    with pytest.raises(ModelError, match="no such folder"):
        locate("./weights/of mine")


class Hub(http.server.BaseHTTPRequestHandler):
    """A hub that refuses: the code is its answer, as the real one gives it."""

    code, reason = 403, "GatedRepo"

    def do_HEAD(self) -> None:
        self.send_response(self.code)
        self.send_header("X-Error-Code", self.reason)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_HEAD  # noqa: N815

    def log_message(self, *args: object) -> None:
        """Says nothing."""


@pytest.fixture
def hub(hub_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Hub]]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
    monkeypatch.setattr(
        "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    yield Hub
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("code", "reason", "words"), [(403, "GatedRepo", "accept its licence"), (404, "RepoNotFound", "hub knows none")]
)
def test_a_hub_that_refuses_is_told_in_one_line(
    hub: type[Hub], monkeypatch: pytest.MonkeyPatch, code: int, reason: str, words: str
) -> None:
    monkeypatch.setattr(hub, "code", code)
    monkeypatch.setattr(hub, "reason", reason)
    with pytest.raises(ModelError, match=words) as caught:
        locate("org/name", REVISION, download=True)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("my-model-v2@0123abcd", "models/My Model v2", True),
        ("llama-2-7b@01c7f73d", "llama-2-7b", True),
        ("llama-2-7b@01c7f73d", "llama-7b", False),
        ("llama-2-7b@01c7f73d", "llama-2-7b@8416d3fe", False),
        ("llama-2-7b", "llama-2-7b", False),
        ("lab/model@01c7f73d", "lab/model", False),
    ],
)
def test_a_content_name_is_told_from_what_was_given(name: str, given: str, expected: bool) -> None:
    assert is_content_of(name, given) == expected
