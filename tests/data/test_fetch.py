"""Fetching: only what the hashes say, only under its terms, and never half a file. The server is on the loopback."""

from __future__ import annotations

import hashlib
import io
import json
import random
import re
import subprocess
import sys
import threading
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from harness.data import DATASETS, fetch, sources
from harness.data.download import Limits, RemoteFile
from harness.data.fetch import Notice, fetch_dataset
from harness.data.sources import EMORYNLP_TRAIN, SOURCES, Source
from harness.errors import ConfigError, DataError, DatasetNotFoundError, StoreError, UnknownNameError

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

LIMITS = Limits(n_attempts=3, wait_seconds=0.01, timeout_seconds=5, max_bytes=2_000_000)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


ENDLESS = 100_000_000
"""Bytes after which a server that never ends its answer ends it after all, so that the test ends."""


@dataclass
class Host:
    """A web server of which a test sets the files and the faults, and which keeps what it was asked."""

    files: dict[str, bytes] = field(default_factory=dict)
    """By path; 404 for others."""
    ranges: bool = True
    """Whether it understands Range."""
    length: bool = True
    """Whether it says how long a body is."""
    faults: list[int | str] = field(default_factory=list)
    """One for each coming request: a status; 'cut' or 'hang' in the middle of the body; 'wrong range'; 'endless'."""
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    """Path and Range of each request."""
    sent: list[int] = field(default_factory=list)
    """Body bytes of each answer with a file."""
    address: str = ""
    half_sent: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        wanted = request.headers.get("Range")
        self.requests.append((request.path, wanted))
        fault = self.faults.pop(0) if self.faults else ""
        data = self.files.get(request.path)
        if isinstance(fault, int) or data is None:
            request.send_error(fault if isinstance(fault, int) else 404)
            return
        start = int(re.fullmatch(r"bytes=(\d+)-", wanted).group(1)) if wanted and self.ranges else 0  # type: ignore[union-attr]
        if start and start >= len(data):
            request.send_error(416)
            return
        body = data[start:]
        request.send_response(206 if start else 200)
        if start:
            first = start + 1 if fault == "wrong range" else start
            request.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
        if self.length:
            request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if fault in ("cut", "hang"):
            body = body[: len(body) // 2]
        self.sent.append(len(body))
        request.wfile.write(body)
        request.wfile.flush()
        if fault == "endless":
            while self.sent[-1] < ENDLESS:
                self.sent[-1] += len(body)
                request.wfile.write(body)  # raises when the client has hung up
        if fault == "hang":
            self.half_sent.set()
            self.go_on.wait(30)


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    state = Host()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.answer(self)

        def log_message(self, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *args: object) -> None:
            pass  # a client that hangs up is no fault of the server

    server = Server(("127.0.0.1", 0), Handler)
    state.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    state.go_on.set()
    server.shutdown()
    thread.join()
    server.server_close()


@dataclass
class Fetch:
    """Fetches a dataset from the host into a folder, and keeps what the callbacks were told."""

    host: Host
    data_dir: Path
    notices: list[Notice] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def __call__(self, name: str = "meld", limits: Limits = LIMITS) -> list[Path]:
        return fetch_dataset(
            name,
            self.data_dir,
            notify=self.notices.append,
            report=self.lines.append,
            base=self.host.address,
            limits=limits,
        )


@pytest.fixture
def run(host: Host, tmp_path: Path) -> Fetch:
    return Fetch(host, tmp_path / "data")


CONTENT = random.Random(0).randbytes(300_000)
"""Of the one file that 'meld' has in the tests with the fixture `one_file`."""


@pytest.fixture
def one_file(host: Host, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Makes 'meld' a single file; returns its path in the data directory."""
    file = RemoteFile("https://owner.invalid/data/one.csv", "one.csv", sha256(CONTENT))
    monkeypatch.setitem(SOURCES, "meld", Source((file,), "Someone (2024).", "For research."))
    host.files["/data/one.csv"] = CONTENT
    return Path("meld") / "one.csv"


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_file_is_downloaded_verified_and_reported(run: Fetch, one_file: Path) -> None:
    assert run() == [run.data_dir / one_file]
    assert files_in(run.data_dir) == {str(one_file): CONTENT}
    assert len(run.lines) == 1
    assert "written" in run.lines[0]
    assert sha256(CONTENT) in run.lines[0]


def test_the_notice_comes_once_and_before_the_first_request(run: Fetch, host: Host, one_file: Path) -> None:
    n_requests: list[int] = []

    def notify(notice: Notice) -> None:
        run.notices.append(notice)
        n_requests.append(len(host.requests))

    fetch_dataset("meld", run.data_dir, notify=notify, base=host.address, limits=LIMITS)
    assert n_requests == [0]
    notice = run.notices[0]
    assert (notice.name, notice.license, notice.terms) == ("meld", "GPL-3.0", "For research.")
    for said in ("meld", "GPL-3.0", "For research.", "Someone (2024).", "https://owner.invalid/data/one.csv"):
        assert said in str(notice)


def test_whoever_declines_the_terms_causes_no_request_and_no_file(run: Fetch, host: Host, one_file: Path) -> None:
    def decline(notice: Notice) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch_dataset("meld", run.data_dir, notify=decline, base=host.address, limits=LIMITS)
    assert host.requests == []
    assert not run.data_dir.exists()


def test_a_partial_file_is_resumed_with_a_range(run: Fetch, host: Host, one_file: Path) -> None:
    part = run.data_dir / f"{one_file}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT[:120_000])
    run()
    assert host.requests == [("/data/one.csv", "bytes=120000-")]
    assert host.sent == [180_000]
    assert files_in(run.data_dir) == {str(one_file): CONTENT}


def test_a_server_without_range_sends_the_whole_file_again(run: Fetch, host: Host, one_file: Path) -> None:
    host.ranges = False
    part = run.data_dir / f"{one_file}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT[:120_000])
    run()
    assert host.sent == [300_000]
    assert files_in(run.data_dir) == {str(one_file): CONTENT}


@pytest.mark.parametrize("size", [300_000, 300_001])
def test_a_partial_file_that_is_too_long_is_begun_anew(run: Fetch, host: Host, one_file: Path, size: int) -> None:
    part = run.data_dir / f"{one_file}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(bytes(size))
    run()
    assert [wanted for _, wanted in host.requests] == [f"bytes={size}-", None]
    assert files_in(run.data_dir) == {str(one_file): CONTENT}


def test_another_range_than_asked_for_is_not_appended(run: Fetch, host: Host, one_file: Path) -> None:
    host.faults = ["wrong range"]
    part = run.data_dir / f"{one_file}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT[:120_000])
    run()
    assert [wanted for _, wanted in host.requests] == ["bytes=120000-", None]
    assert files_in(run.data_dir) == {str(one_file): CONTENT}


def test_a_cut_connection_is_resumed_where_it_was_cut(run: Fetch, host: Host, one_file: Path) -> None:
    host.faults = ["cut"]
    run()
    assert host.requests == [("/data/one.csv", None), ("/data/one.csv", "bytes=150000-")]
    assert host.sent == [150_000, 150_000]
    assert files_in(run.data_dir) == {str(one_file): CONTENT}


def test_after_the_last_attempt_the_partial_file_waits_for_the_next_call(
    run: Fetch, host: Host, one_file: Path
) -> None:
    host.faults = ["cut", "cut", "cut"]
    with pytest.raises(DatasetNotFoundError, match=r"one\.csv: the connection was cut after 262500 of 300000 bytes, 3"):
        run()
    assert files_in(run.data_dir) == {f"{one_file}.part": CONTENT[:262_500]}  # 300,000 (1 - 1/2^3)
    run()
    assert host.sent == [150_000, 75_000, 37_500, 37_500]
    assert files_in(run.data_dir) == {str(one_file): CONTENT}


def test_a_silent_server_is_given_up_after_the_timeout(run: Fetch, host: Host, one_file: Path) -> None:
    host.faults = ["hang"]
    with pytest.raises(DatasetNotFoundError, match="timed out"):
        run(limits=Limits(n_attempts=1, timeout_seconds=0.2))
    assert files_in(run.data_dir) == {f"{one_file}.part": CONTENT[:150_000]}


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_transient_status_is_tried_again(run: Fetch, host: Host, one_file: Path, status: int) -> None:
    host.faults = [status, status]
    assert run() == [run.data_dir / one_file]
    assert len(host.requests) == 3


def test_attempts_are_bounded(run: Fetch, host: Host, one_file: Path) -> None:
    host.faults = [503] * 9
    with pytest.raises(DatasetNotFoundError, match="HTTP status 503"):
        run()
    assert len(host.requests) == LIMITS.n_attempts


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_lasting_status_is_one_clear_error(run: Fetch, host: Host, one_file: Path, status: int) -> None:
    host.faults = [status]
    with pytest.raises(DatasetNotFoundError) as caught:
        run()
    assert len(host.requests) == 1
    message = str(caught.value)
    assert f"{host.address}/data/one.csv: HTTP status {status}" in message
    assert str(run.data_dir / one_file) in message  # where the user may put it
    assert "\n" not in message
    assert files_in(run.data_dir) == {}


def test_a_server_that_is_not_there_is_tried_again_then_named(run: Fetch, host: Host, one_file: Path) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    server.server_close()
    host.address = f"http://127.0.0.1:{server.server_address[1]}"
    with pytest.raises(DatasetNotFoundError, match="refused.*3 attempts"):
        run()


def test_another_file_than_pinned_is_deleted_and_reported(run: Fetch, host: Host, one_file: Path) -> None:
    host.files["/data/one.csv"] = CONTENT[:-1] + b"?"
    with pytest.raises(DataError) as caught:
        run()
    assert sha256(CONTENT) in str(caught.value)
    assert sha256(CONTENT[:-1] + b"?") in str(caught.value)
    assert files_in(run.data_dir) == {}
    assert len(host.requests) == 1


def test_a_partial_file_of_another_version_is_deleted_so_that_the_next_call_succeeds(
    run: Fetch, one_file: Path
) -> None:
    part = run.data_dir / f"{one_file}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(bytes(120_000))
    with pytest.raises(DataError, match="SHA-256"):
        run()
    assert files_in(run.data_dir) == {}
    run()
    assert files_in(run.data_dir) == {str(one_file): CONTENT}


@pytest.mark.parametrize("length", [True, False])
def test_more_than_the_allowed_bytes_are_refused(run: Fetch, host: Host, one_file: Path, length: bool) -> None:
    host.length = length
    with pytest.raises(DataError, match="more than the 299999 bytes allowed"):
        run(limits=Limits(max_bytes=299_999))
    assert files_in(run.data_dir) == {}
    assert run(limits=Limits(max_bytes=300_000)) == [run.data_dir / one_file]


def test_an_endless_answer_is_not_read_to_the_end(run: Fetch, host: Host, one_file: Path) -> None:
    host.length, host.faults = False, ["endless"]
    with pytest.raises(DataError, match="more than"):
        run()
    assert host.sent[0] < ENDLESS
    assert files_in(run.data_dir) == {}


def test_a_file_that_is_there_is_kept_without_a_request_or_a_notice(run: Fetch, host: Host, one_file: Path) -> None:
    path = run.data_dir / one_file
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    before = path.stat()
    assert run() == []
    assert (host.requests, run.notices) == ([], [])
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert "already there" in run.lines[0]


def test_a_file_with_other_content_is_never_overwritten(run: Fetch, host: Host, one_file: Path) -> None:
    path = run.data_dir / one_file
    path.parent.mkdir(parents=True)
    path.write_bytes(b"my own work")
    with pytest.raises(DataError, match="left as it is: move it away"):
        run()
    assert path.read_bytes() == b"my own work"
    assert host.requests == []


def test_a_folder_that_cannot_be_written_is_named(run: Fetch, one_file: Path) -> None:
    run.data_dir.write_bytes(b"a file, not a folder")
    with pytest.raises(StoreError, match=re.escape(str(run.data_dir / one_file))):
        run()


def test_a_killed_process_leaves_no_final_file_and_the_next_call_finishes(
    run: Fetch, host: Host, one_file: Path
) -> None:
    host.faults = ["hang"]
    script = (
        "import sys; from pathlib import Path\n"
        "from harness.data.download import RemoteFile, download\n"
        "url, sha256, folder, base = sys.argv[1:]\n"
        "download(RemoteFile(url, 'one.csv', sha256), Path(folder), base=base)\n"
    )
    folder = run.data_dir / "meld"
    arguments = ["https://owner.invalid/data/one.csv", sha256(CONTENT), str(folder), host.address]
    process = subprocess.Popen([sys.executable, "-c", script, *arguments])
    try:
        assert host.half_sent.wait(30)
    finally:
        process.kill()
        process.wait()
    assert not (run.data_dir / one_file).exists()
    host.go_on.set()
    run()
    assert files_in(run.data_dir) == {str(one_file): CONTENT}


# --- the archive of DailyDialog ---


def zipped(entries: dict[str, bytes]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, content in entries.items():
            bundle.writestr(name, content)
    return data.getvalue()


def inner(split: str, **more: bytes) -> bytes:
    kinds = {kind: f"{kind} of {split}".encode() for kind in ("", "emotion_", "act_")}
    return zipped({f"{split}/dialogues_{kind}{split}.txt": text for kind, text in kinds.items()} | more)


RELEASE = {f"ijcnlp_dailydialog/{split}.zip": inner(split) for split in ("train", "validation", "test")}

UNPACKED = {
    f"dailydialog/{split}/dialogues_{kind}{split}.txt": f"{kind} of {split}".encode()
    for split in ("train", "validation", "test")
    for kind in ("", "emotion_")
}
"""The layout that the reader of DailyDialog expects."""


@pytest.fixture
def archive(host: Host, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, bytes]], bytes]:
    """Makes the host give an archive with certain entries, and pins its hash."""

    def serve(entries: dict[str, bytes]) -> bytes:
        data = zipped(entries)
        real = SOURCES["dailydialog"]
        file = RemoteFile(real.files[0].url, real.files[0].path, sha256(data))
        monkeypatch.setitem(SOURCES, "dailydialog", Source((file,), "", "", real.packed))
        host.files[urlsplit(file.url).path] = data
        return data

    return serve


Archive = Callable[[dict[str, bytes]], bytes]


def test_dailydialog_is_unpacked_to_the_layout_of_its_reader(run: Fetch, host: Host, archive: Archive) -> None:
    data = archive(RELEASE)
    written = run("dailydialog")
    assert files_in(run.data_dir) == UNPACKED | {"dailydialog/ijcnlp_dailydialog.zip": data}
    assert {str(path.relative_to(run.data_dir)) for path in written} == set(files_in(run.data_dir))
    assert run("dailydialog") == []
    assert len(host.requests) == 1


def test_an_archive_put_there_by_hand_is_checked_and_unpacked(run: Fetch, host: Host, archive: Archive) -> None:
    (run.data_dir / "dailydialog").mkdir(parents=True)
    (run.data_dir / "dailydialog" / "ijcnlp_dailydialog.zip").write_bytes(archive(RELEASE))
    assert {str(path.relative_to(run.data_dir)) for path in run("dailydialog")} == set(UNPACKED)
    assert host.requests == []


def test_an_unpacked_file_with_other_content_is_never_overwritten(run: Fetch, archive: Archive) -> None:
    archive(RELEASE)
    path = run.data_dir / "dailydialog" / "validation" / "dialogues_validation.txt"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"my own work")
    with pytest.raises(DataError, match=r"dialogues_validation\.txt.*left as it is"):
        run("dailydialog")
    assert path.read_bytes() == b"my own work"


@pytest.mark.parametrize("entry", ["../evil.txt", "/evil.txt", "train/../../evil.txt", "..\\evil.txt", "C:evil.txt"])
@pytest.mark.parametrize("level", ["outer", "inner"])
def test_an_entry_that_leads_out_of_the_archive_is_refused(
    run: Fetch, archive: Archive, tmp_path: Path, entry: str, level: str
) -> None:
    bad = {entry: b"evil"}
    archive(RELEASE | (bad if level == "outer" else {"ijcnlp_dailydialog/train.zip": inner("train", **bad)}))
    with pytest.raises(DataError, match="leads out of the archive"):
        run("dailydialog")
    assert not [path for path in files_in(tmp_path) if "evil" in path]
    assert not [path for path in files_in(tmp_path) if path.endswith(".txt")]


def test_an_entry_larger_than_allowed_is_refused(run: Fetch, archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "_MAX_UNPACKED", 500_000)
    archive(RELEASE | {"ijcnlp_dailydialog/train.zip": zipped({"train/dialogues_train.txt": bytes(500_001)})})
    with pytest.raises(DataError, match="has more than 500000 bytes"):
        run("dailydialog")


def test_an_entry_that_lies_about_its_size_is_not_unpacked_beyond_the_limit(
    run: Fetch, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "_MAX_UNPACKED", 1 << 20)
    size = 256 << 20
    bomb = zipped({"train/dialogues_train.txt": bytes(size)}).replace(size.to_bytes(4, "little"), bytes([9, 0, 0, 0]))
    archive(RELEASE | {"ijcnlp_dailydialog/train.zip": bomb})
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="broken archive|more than"):
            run("dailydialog")
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("train", "message"),
    [
        (b"PK no archive", "broken archive"),
        (inner("train").replace(b"PK\x01\x02", b"PK\x01\x03"), "broken archive"),
        (zipped({"readme.txt": b""}), "is missing"),
    ],
)
def test_a_broken_inner_archive_is_refused(run: Fetch, archive: Archive, train: bytes, message: str) -> None:
    archive(RELEASE | {"ijcnlp_dailydialog/train.zip": train})
    with pytest.raises(DataError, match=message):
        run("dailydialog")


# --- EmoryNLP's train file, which has no published hash ---


def emorynlp_train(**change: int) -> bytes:
    """Returns a file with the published counts, or changed ones: scenes and utterances spread evenly, no text."""
    counts = EMORYNLP_TRAIN | change
    names = ("Neutral", "Joyful", "Peaceful", "Powerful", "Scared", "Mad", "Sad")
    labels = [label for label in names for _ in range(counts[label])]
    scenes = [
        {"scene_id": f"c{i}", "utterances": [{"emotion": label} for label in labels[i :: counts["scenes"]]]}
        for i in range(counts["scenes"])
    ]
    episodes = [{"episode_id": f"e{i}", "scenes": scenes[i :: counts["episodes"]]} for i in range(counts["episodes"])]
    return json.dumps({"season_id": "trn", "episodes": episodes}).encode()


@pytest.fixture
def train_only(host: Host, monkeypatch: pytest.MonkeyPatch) -> str:
    """Makes 'emorynlp-official' its train file alone; returns the path on the host."""
    real = SOURCES["emorynlp-official"]
    monkeypatch.setitem(SOURCES, "emorynlp-official", Source(real.files[:1], "", real.terms))
    return urlsplit(real.files[0].url).path


def test_an_unpinned_file_is_checked_by_counts_and_its_hash_is_shown(run: Fetch, host: Host, train_only: str) -> None:
    host.files[train_only] = emorynlp_train()
    (path,) = run("emorynlp-official")
    assert path == run.data_dir / "emorynlp-json" / "emotion-detection-trn.json"
    assert f"SHA-256 {sha256(emorynlp_train())} (not pinned" in run.lines[0]
    assert "Nobody published a hash of emotion-detection-trn.json" in str(run.notices[0])
    assert run("emorynlp-official") == []


@pytest.mark.parametrize("change", [{"episodes": 1}, {"scenes": 712}, {"Mad": 1_075}, {"Mad": 1_075, "Sad": 672}])
def test_an_unpinned_file_with_other_counts_is_refused(
    run: Fetch, host: Host, train_only: str, change: dict[str, int]
) -> None:
    host.files[train_only] = emorynlp_train(**change)
    with pytest.raises(DataError, match="as in the official release.*is deleted"):
        run("emorynlp-official")
    assert files_in(run.data_dir) == {}


def test_an_unpinned_file_with_an_unknown_label_is_refused(run: Fetch, host: Host, train_only: str) -> None:
    host.files[train_only] = emorynlp_train().replace(b'"Mad"', b'"Angry"', 1)
    with pytest.raises(DataError, match="1 Angry; expected 0"):
        run("emorynlp-official")


def test_an_unpinned_file_is_never_put_together_from_two_downloads(run: Fetch, host: Host, train_only: str) -> None:
    host.files[train_only] = emorynlp_train()
    part = run.data_dir / "emorynlp-json" / "emotion-detection-trn.json.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"{")
    run("emorynlp-official")
    assert host.requests == [(train_only, None)]


def test_the_published_counts_add_up() -> None:
    labels = {k: n for k, n in EMORYNLP_TRAIN.items() if k not in ("episodes", "scenes", "utterances")}
    assert len(labels) == 7
    assert sum(labels.values()) == EMORYNLP_TRAIN["utterances"]


# --- the sources themselves ---


def test_pins_are_hashes_and_paths_are_those_of_the_readers() -> None:
    for name, source in SOURCES.items():
        unpinned = [file.path for file in source.files if file.sha256 is None]
        assert unpinned == (["emotion-detection-trn.json"] if name == "emorynlp-official" else [])
        assert all(re.fullmatch("[0-9a-f]{64}", file.sha256) for file in source.files if file.sha256)
        paths = [member.name for member in source.packed] or [file.path for file in source.files]
        assert sorted(paths) == sorted(DATASETS.get(name).card.files)
        assert source.citation
        assert source.terms


@pytest.mark.parametrize("name", ["meld", "emorynlp", "emorynlp-official"])
def test_pins_fit_the_real_files(name: str, data_dir: Path, run: Fetch, host: Host) -> None:
    """Serves the real files at the paths of their owners' addresses; the train file of emorynlp-official is rebuilt."""
    source, folder = SOURCES[name], DATASETS.get(name).card.folder
    if any(not (data_dir / folder / file.path).exists() for file in source.files):
        pytest.skip(f"{folder}/ is not among the real corpora")
    for file in source.files:
        content = emorynlp_train() if file.sha256 is None else (data_dir / folder / file.path).read_bytes()
        host.files[urlsplit(file.url).path] = content
    assert len(run(name)) == 3
    assert {wanted for _, wanted in host.requests} == {None}


def test_published_episode_counts_are_those_of_the_official_files(data_dir: Path) -> None:
    """Counts 11 and 9 of the same README table as 77 of the train file, whose official copy is not at hand."""
    for split, n_episodes in (("dev", 11), ("tst", 9)):
        path = data_dir / "emorynlp-json" / f"emotion-detection-{split}.json"
        if not path.exists():
            pytest.skip("emorynlp-json/ is not among the real corpora")
        with pytest.raises(DataError, match=f"it has {n_episodes} episodes; expected 77"):
            sources.check_emorynlp_train(path)


# --- datasets that are not downloaded ---


@pytest.mark.parametrize("name", ["iemocap", "iemocap-4"])
def test_iemocap_has_to_be_asked_for(run: Fetch, host: Host, name: str) -> None:
    with pytest.raises(DatasetNotFoundError) as caught:
        run(name)
    for said in ("sail.usc.edu/iemocap", "release form", "University of Southern California", "Session1"):
        assert said in str(caught.value)
    assert str(run.data_dir / "iemocap") in str(caught.value)
    assert (host.requests, run.notices) == ([], [])


def test_the_sample_comes_with_the_package(run: Fetch, host: Host) -> None:
    assert run("sample") == []
    assert run.lines == ["sample: comes with erc-harness, nothing to fetch"]
    assert host.requests == []


def test_a_corpus_of_the_user_is_the_users(run: Fetch) -> None:
    (run.data_dir / "mine").mkdir(parents=True)
    (run.data_dir / "mine" / "card.toml").write_text("")
    with pytest.raises(ConfigError, match=r"'mine' is a corpus of your own.*meld"):
        run("mine")


def test_an_unknown_dataset_is_refused(run: Fetch) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'meld'"):
        run("meldd")
