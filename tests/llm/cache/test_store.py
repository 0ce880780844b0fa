"""The response store: what the key holds, what is kept and checked, why a request is missed, and what is deleted."""

from __future__ import annotations

import hashlib
import json
import math
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.errors import ConfigError, StoreError
from harness.llm import Decoding, Request, Response
from harness.llm.answer import Arrival
from harness.llm.cache import file as cache_file
from harness.llm.cache.file import default_path
from harness.llm.cache.store import ResponseCache, request_key
from harness.prompting import Message, Prompt

IDENTITY = {"backend": "openai", "model": "m", "revision": None, "adapter": None, "dtype": "bf16"}
REQUEST = Request(Prompt((Message("user", "How does Ross feel?\nEmotion:"),), "chat"), ("joy", "anger"))
RENDERED = "<user>How does Ross feel?\nEmotion:"


def key_of(request: Request = REQUEST, rendered: str = RENDERED, **identity: object) -> str:
    return request_key({**IDENTITY, **identity}, request, rendered)[0]


def put(
    cache: ResponseCache, text: str = "joy", rendered: str = RENDERED, request: Request = REQUEST, **identity: Any
) -> tuple[str, dict[str, Any]]:
    key, fields = request_key({**IDENTITY, **identity}, request, rendered)
    response = Response("stop", text, n_prompt_tokens=10, n_completion_tokens=2)
    cache.put(key, fields, response, identity.pop("usd", None), str(fields["identity"]["model"]))
    return key, fields


@pytest.fixture
def cache(tmp_path: Path) -> ResponseCache:
    return ResponseCache(tmp_path / "new" / "folder" / "responses.sqlite")


def test_key_is_the_sha256_of_canonical_json() -> None:
    # Written out by hand: a change of it makes every stored answer of every user unreachable.
    text = (
        '{"choices":null,"constrained":false,"decoding":{"max_new_tokens":16,"n_beams":1,"seed":null,"temperature":0.0},'
        '"form":"chat","identity":{"adapter":null,"backend":"openai","dtype":"bf16","model":"m","revision":null},'
        '"mode":"generate","premise":null,"prompt":"<user>How does Ross feel?\\nEmotion:"}'
    )
    assert key_of() == hashlib.sha256(text.encode()).hexdigest()


CHANGES: dict[str, Callable[[], str]] = {
    "model (served model A's answers for model B: lm-eval #2715, #4063)": lambda: key_of(model="other"),
    "revision": lambda: key_of(revision="0" * 40),
    "adapter": lambda: key_of(adapter="sha256:1"),
    "back end": lambda: key_of(backend="transformers"),
    "precision": lambda: key_of(dtype="fp32"),
    "something new in the identity": lambda: key_of(server="vllm"),
    "rendered prompt (few-shot seed: lm-eval #3881)": lambda: key_of(rendered=RENDERED + " "),
    "form": lambda: key_of(replace(REQUEST, prompt=replace(REQUEST.prompt, form="plain"))),
    "mode": lambda: key_of(replace(REQUEST, mode="choice")),
    "constrained": lambda: key_of(replace(REQUEST, constrained=True)),
    "length (generation arguments: lm-eval #3881)": lambda: key_of(replace(REQUEST, decoding=Decoding(17))),
    "temperature": lambda: key_of(replace(REQUEST, decoding=Decoding(temperature=0.1))),
    "beams": lambda: key_of(replace(REQUEST, decoding=Decoding(n_beams=4))),
    "seed": lambda: key_of(replace(REQUEST, decoding=Decoding(seed=0))),
    "premise": lambda: key_of(replace(REQUEST, with_premise=True)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_changes_an_answer_changes_the_key(change: str) -> None:
    assert CHANGES[change]() != key_of()


def test_choices_are_in_the_key_where_the_back_end_reads_them() -> None:
    other = replace(REQUEST, choices=("anger", "joy"))
    assert key_of(other) == key_of()  # the prompt shows them already
    for change in ({"mode": "choice"}, {"constrained": True}):
        assert key_of(replace(other, **change)) != key_of(replace(REQUEST, **change))


def test_order_of_the_identity_is_not_in_the_key() -> None:
    backwards = dict(reversed(IDENTITY.items()))
    assert request_key(backwards, REQUEST, RENDERED)[0] == key_of()


@pytest.mark.parametrize(
    "response",
    [
        Response(
            "stop", "joy", n_prompt_tokens=3, n_completion_tokens=1, n_cached_tokens=2, seconds=0.25, n_attempts=3
        ),
        Response("length", "", first_token_logprobs={"zest": -0.1, "joy": -2.5, "é\n": -3.0}),
        Response("filter", None, error="refused"),
        Response("stop", "a lone surrogate \ud800 and 喜び\x00"),
        Response("stop", choice_logprobs=(-1.5, -math.inf), choice_tokens=(1, 2), premise_logprobs=(-2.0, -3.0)),
    ],
    ids=lambda r: r.finish,
)
def test_responses_come_back_as_they_went_in(cache: ResponseCache, response: Response) -> None:
    key, fields = request_key(IDENTITY, REQUEST, RENDERED)
    cache.put(key, fields, response, 0.5, "m")
    cache.close()
    found = ResponseCache(cache.path).get_many([key, "0" * 64])
    assert found == {key: Arrival(key, response, 0.5)}
    stored = found[key].response
    assert list(stored.first_token_logprobs or {}) == list(response.first_token_logprobs or {})  # likeliest first


def test_failed_calls_are_not_stored(cache: ResponseCache) -> None:
    key, fields = request_key(IDENTITY, REQUEST, RENDERED)
    cache.put(key, fields, Response("error", error="500"), None, "m")
    assert cache.get_many([key]) == {}


def test_the_first_answer_stays(cache: ResponseCache) -> None:
    key, _ = put(cache, "joy")
    put(cache, "anger")
    assert cache.get_many([key])[key].response.text == "joy"


def test_nothing_is_made_before_the_first_write(cache: ResponseCache, tmp_path: Path) -> None:
    assert cache.get_many(["0" * 64]) == {}
    assert cache.stats().n_entries == 0
    assert cache.explain_miss(request_key(IDENTITY, REQUEST, RENDERED)[1]) is None
    assert cache.prune(everything=True) == 0
    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_is_an_empty_store(tmp_path: Path) -> None:
    path = tmp_path / "responses.sqlite"
    path.touch()
    cache = ResponseCache(path)
    assert cache.get_many(["0" * 64]) == {}
    key, _ = put(cache)
    assert key in cache.get_many([key])


def test_an_answer_is_in_the_file_when_put_returns_and_only_its_owner_may_read_it(cache: ResponseCache) -> None:
    key, _ = put(cache)
    with sqlite3.connect(cache.path) as other:
        assert other.execute("SELECT key FROM responses").fetchall() == [(key,)]
    other.close()
    for path in cache.path.parent.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert {p.name for p in cache.path.parent.iterdir()} > {"responses.sqlite", "responses.sqlite-wal"}


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"ERC_CACHE_DIR": "/a", "XDG_CACHE_HOME": "/b"}, "/a/responses.sqlite"),
        ({"XDG_CACHE_HOME": "/b"}, "/b/erc-harness/responses.sqlite"),
        ({"HOME": "/c"}, "/c/.cache/erc-harness/responses.sqlite"),
    ],
)
def test_default_path(variables: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ERC_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert default_path() == Path(expected)


# Broken files


def change_row(cache: ResponseCache, key: str, sql: str) -> None:
    with sqlite3.connect(cache.path) as db:
        assert db.execute(f"UPDATE responses SET {sql} WHERE key = ?", [key]).rowcount == 1
    db.close()


@pytest.mark.parametrize("sql", ["response = replace(response, 'joy', 'sad')", "response = CAST(x'ff' AS TEXT)"])
def test_a_changed_answer_is_named_and_can_be_pruned(cache: ResponseCache, sql: str) -> None:
    broken, _ = put(cache, "joy")
    whole, _ = put(cache, "joy", rendered="another")
    change_row(cache, broken, sql)
    with pytest.raises(StoreError, match="responses.sqlite is corrupt.*cache prune --corrupt --cache"):
        cache.get_many([broken, whole])
    assert cache.prune(corrupt=True, dry_run=True) == 1
    assert cache.prune(corrupt=True) == 1
    assert list(cache.get_many([broken, whole])) == [whole]


def test_a_changed_request_is_named_and_can_be_pruned(cache: ResponseCache) -> None:
    key, fields = put(cache)
    change_row(cache, key, "fields = replace(fields, 'Ross', 'Joey')")
    with pytest.raises(StoreError, match="corrupt"):
        cache.explain_miss({**fields, "prompt": "x"})
    assert cache.prune(corrupt=True) == 1


@pytest.mark.parametrize("damage", ["garbage", "overwritten"])
def test_a_damaged_file_is_named(cache: ResponseCache, damage: str) -> None:
    keys = [put(cache, rendered=f"{i} {'x' * 2000}")[0] for i in range(40)]
    cache.close()
    content = bytearray(cache.path.read_bytes())
    content[:] = b"no database" * 1000 if damage == "garbage" else content[:4096] + b"\x07" * (len(content) - 4096)
    cache.path.write_bytes(content)
    with pytest.raises(StoreError, match="responses.sqlite is corrupt.*delete the file"):
        cache.get_many(keys)


def test_another_format_and_a_database_of_somebody_else_are_refused(cache: ResponseCache, tmp_path: Path) -> None:
    put(cache)
    cache.close()
    other = tmp_path / "other.sqlite"
    for path, sql in ((cache.path, "PRAGMA user_version = 2"), (other, "CREATE TABLE photos (id)")):
        with sqlite3.connect(path) as db:
            db.execute(sql)
        db.close()
        for use in (lambda c: c.stats(), lambda c: c.prepare()):
            with pytest.raises(StoreError, match=r"has format [02] .*; expected format 1: .*--cache FILE"):
                use(ResponseCache(path))


@pytest.mark.parametrize("place", ["below a file", "a folder"])
def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "responses.sqlite" if place == "below a file" else tmp_path
    with pytest.raises(StoreError, match=r"^cannot use response store \S+: [^\n]+; .*--cache FILE or ERC_CACHE_DIR$"):
        ResponseCache(path).prepare()


FULL = """
import resource, signal, sys
from pathlib import Path
from harness.errors import StoreError
from harness.llm import Request, Response
from harness.llm.cache.store import ResponseCache, request_key
from harness.prompting import Message, Prompt

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
cache, n = ResponseCache(Path(sys.argv[1])), 0
request = Request(Prompt((Message("user", "?"),), "plain"), ("joy",))
try:
    while n < 1000:
        cache.put(*request_key({}, request, f"{n} " + "x" * 2000), Response("stop", "joy"), None, "m")
        n += 1
except StoreError as error:
    print(n, error)
"""


def test_a_full_disk_is_one_line_and_what_was_stored_stays(tmp_path: Path) -> None:
    path = tmp_path / "responses.sqlite"
    done = subprocess.run([sys.executable, "-c", FULL, str(path)], capture_output=True, text=True, check=True)
    n, _, message = done.stdout.partition(" ")
    assert message.startswith(f"cannot use response store {path}: ") and "free the disk" in message
    assert ResponseCache(path).stats().n_entries == int(n) > 10


def test_a_store_that_another_process_holds_is_one_line(cache: ResponseCache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_file, "_WAIT_SECONDS", 0.05)
    put(cache)
    holder = sqlite3.connect(cache.path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="locked; another process holds it"):
        put(cache, rendered="new")
    holder.execute("COMMIT")
    holder.close()
    put(cache, rendered="new")
    assert cache.stats().n_entries == 2


# Why a request is missed


def test_a_stored_request_is_no_miss(cache: ResponseCache) -> None:
    _, fields = put(cache)
    assert cache.explain_miss(fields) is None


@pytest.mark.parametrize(
    ("wanted", "field", "values", "differing"),
    [
        (request_key({**IDENTITY, "model": "n", "dtype": "fp32"}, REQUEST, RENDERED), "model", ("'n'", "'m'"),
         ("model", "dtype")),
        (request_key({**IDENTITY, "backend": "b", "adapter": "a"}, REQUEST, RENDERED), "backend", ("'b'", "'openai'"),
         ("backend", "adapter")),
        (request_key({**IDENTITY, "server": "s"}, REQUEST, RENDERED), "server", ("'s'", "None"), ("server",)),
        (request_key(IDENTITY, replace(REQUEST, decoding=Decoding(32, seed=3)), RENDERED), "decoding.max_new_tokens",
         ("32", "16"), ("decoding.max_new_tokens", "decoding.seed")),
        (request_key(IDENTITY, replace(REQUEST, mode="choice"), "short"), "prompt", ("'short'", repr(RENDERED)),
         ("prompt", "mode", "choices")),
    ],
)  # fmt: skip
def test_the_first_differing_field_is_named_in_a_fixed_order(
    cache: ResponseCache, wanted: Any, field: str, values: tuple[str, str], differing: tuple[str, ...]
) -> None:
    put(cache)
    miss = cache.explain_miss(wanted[1])
    assert miss is not None
    assert (miss.field, (miss.wanted, miss.stored), miss.differing) == (field, values, differing)


def test_of_a_long_prompt_the_place_of_the_first_difference_is_shown(cache: ResponseCache) -> None:
    put(cache, rendered="a" * 500 + "X" + "b" * 500)
    _, fields = request_key(IDENTITY, REQUEST, "a" * 500 + "Y" + "b" * 499)
    miss = cache.explain_miss(fields)
    assert miss is not None
    assert miss.wanted == f"character 501 of 1000: {'...' + 'a' * 30 + 'Y' + 'b' * 29 + '...'!r}"
    assert miss.stored == f"character 501 of 1001: {'...' + 'a' * 30 + 'X' + 'b' * 29 + '...'!r}"


@pytest.mark.parametrize(
    ("stored", "nearest"),
    [
        # the same prompt at another model says more than another prompt at the same model
        ([{"rendered": "x"}, {"model": "n"}], ("model",)),
        # without the same prompt, the same model
        (
            [
                {"rendered": "x", "request": replace(REQUEST, decoding=Decoding(1, 0.5))},
                {"rendered": "y", "model": "n"},
            ],
            ("prompt", "decoding.max_new_tokens", "decoding.temperature"),
        ),
        # among several at the same model, the one with the fewest differences
        ([{"rendered": "x", "request": replace(REQUEST, decoding=Decoding(1))}, {"rendered": "y"}], ("prompt",)),
    ],
)
def test_the_nearest_request_is_the_one_compared(
    cache: ResponseCache, stored: list[dict[str, Any]], nearest: tuple[str, ...]
) -> None:
    for options in stored:
        put(cache, **options)
    miss = cache.explain_miss(request_key(IDENTITY, REQUEST, RENDERED)[1])
    assert miss is not None
    assert miss.differing == nearest


def test_of_equal_fields_the_prompt_with_most_in_common_is_the_nearest(cache: ResponseCache) -> None:
    put(cache, rendered="other preamble\nA: nothing in common")
    put(cache, rendered="old preamble\nA: hello\nEmotion:")  # a template has changed: the end is the same
    put(cache, rendered="new-style preamble")
    miss = cache.explain_miss(request_key(IDENTITY, REQUEST, "new preamble\nA: hello\nEmotion:")[1])
    assert miss is not None
    assert "old preamble" in miss.stored


# Counting and deleting


def test_stats_count_by_model_and_back_end(cache: ResponseCache) -> None:
    for i, usd in enumerate((0.25, 0.5, None)):
        key, fields = request_key(IDENTITY, REQUEST, f"{i}")
        cache.put(key, fields, Response("stop", "joy", n_prompt_tokens=10 + i, n_completion_tokens=2), usd, "m")
    key, fields = request_key({**IDENTITY, "backend": "lm-eval"}, REQUEST, "4")
    cache.put(key, fields, Response("stop", "joy"), None, "m")
    stats = cache.stats()
    rows = [(r.model, r.backend, r.n_entries, r.n_prompt_tokens, r.n_completion_tokens, r.usd, r.n_usd_unknown)
            for r in stats.models]  # fmt: skip
    assert rows == [("m", "openai", 3, 33, 6, 0.75, 1), ("m", "lm-eval", 1, 0, 0, 0.0, 1)]
    assert stats.n_entries == 4
    assert stats.n_bytes == sum(Path(f"{cache.path}{end}").stat().st_size for end in ("", "-wal"))
    assert stats.models[0].first <= stats.models[0].last
    assert stats.models[0].first.endswith("+00:00")


def test_prune_by_model_and_by_age(cache: ResponseCache) -> None:
    old, _ = put(cache)
    new, _ = put(cache, rendered="new")
    other, _ = put(cache, model="n")
    change_row(cache, old, "created = '2020-01-01T00:00:00+00:00'")
    assert cache.prune(older_than_days=1, model="n") == 0
    assert cache.prune(older_than_days=1) == 1
    assert cache.get_many([old, new, other]).keys() == {new, other}
    assert cache.prune(model="n") == 1
    assert cache.get_many([old, new, other]).keys() == {new}


def test_prune_gives_room_back(cache: ResponseCache) -> None:
    for i in range(200):
        put(cache, rendered=f"{i} {'x' * 3000}")
    before = cache.stats().n_bytes
    assert cache.prune(everything=True, dry_run=True) == 200
    assert cache.stats().n_entries == 200
    assert cache.prune(everything=True) == 200
    assert cache.stats().n_bytes < before / 10
    put(cache)
    assert cache.stats().n_entries == 1


@pytest.mark.parametrize("conditions", [{}, {"everything": True, "corrupt": True}, {"everything": True, "model": "m"}])
def test_prune_wants_to_know_what(cache: ResponseCache, conditions: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="--model NAME, --older-than DAYS or --corrupt, or else --all"):
        cache.prune(**conditions)


def test_what_is_stored_beside_an_answer(cache: ResponseCache) -> None:
    from harness import __version__

    key, fields = put(cache)
    with sqlite3.connect(cache.path) as db:
        row = db.execute("SELECT fields, version, usd FROM responses WHERE key = ?", [key]).fetchone()
    db.close()
    assert json.loads(row[0]) == fields
    assert row[1:] == (__version__, None)


def test_a_pipe_is_no_store(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "c.sqlite")
    with pytest.raises(StoreError, match="is no regular file; choose another one with --cache FILE"):
        cache_file.CacheFile(tmp_path / "c.sqlite").writing()
