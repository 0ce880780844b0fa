"""SIGKILL at random moments, and several processes on one store: nothing lost, nothing asked again, no lock met."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from harness.llm.cache.store import ResponseCache

N_REQUESTS = 240
IN_FLIGHT = 8

CHILD = """
import itertools, os, sys, time
from pathlib import Path
from harness.llm import CallSettings, Request, Response
from harness.llm.cache.store import ResponseCache
from harness.llm.client import Client
from harness.prompting import Message, Prompt

store, log, first, n, in_flight, delay = Path(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:6]), float(sys.argv[6])
file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

class Slow:
    repeats_prompt = False

    def identity(self):
        return {"backend": "slow", "model": "slow"}

    def render(self, prompt):
        return prompt.text

    def count_tokens(self, text):
        return None

    def answer(self, requests, keep):
        number = 0
        while batch := list(itertools.islice(requests, in_flight)):
            for request in batch:
                os.write(file, f"asked {request.prompt.text}\\n".encode())
            for i in reversed(range(len(batch))):
                time.sleep(delay)
                response = Response("stop", batch[i].prompt.text, n_prompt_tokens=1, n_completion_tokens=1)
                keep(number + i, response)
                yield number + i, response
            number += len(batch)

    def close(self):
        pass

requests = (Request(Prompt((Message("user", f"q{i}"),), "plain"), ("joy",)) for i in range(first, first + n))
for answer in Client(Slow(), CallSettings(), ResponseCache(store)).answer(requests):
    assert answer.response.text == answer.request.prompt.text
    os.write(file, f"seen {answer.response.text}\\n".encode())
print("finished")
"""


def start(tmp_path: Path, log: str, first: int = 0, n: int = N_REQUESTS, delay: float = 0.002) -> subprocess.Popen[str]:
    arguments = [tmp_path / "responses.sqlite", tmp_path / log, first, n, IN_FLIGHT, delay]
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def lines(log: Path, word: str) -> list[str]:
    return [line.split()[1] for line in log.read_text().splitlines() if line.startswith(f"{word} ")]


def stored(path: Path) -> set[str]:
    """Prompts whose answers are in the store, read past the code under test."""
    if not path.exists() or not path.stat().st_size:
        return set()
    db = sqlite3.connect(path, timeout=10)
    try:
        return {prompt for (prompt,) in db.execute("SELECT json_extract(fields, '$.prompt') FROM responses")}
    except sqlite3.OperationalError:  # the table is not made yet
        return set()
    finally:
        db.close()


def test_killed_at_any_moment_nothing_is_lost_and_nothing_stored_is_asked_again(tmp_path: Path) -> None:
    rng = random.Random(11)
    store, log = tmp_path / "responses.sqlite", tmp_path / "log"
    n_asked: dict[str, int] = {}  # times a prompt had been asked when its answer was first seen in the store
    n_kills = n_useful = 0
    while n_kills < 8 and len(n_asked) < N_REQUESTS - 2 * IN_FLIGHT:
        child = start(tmp_path, "log")
        deadline = time.monotonic() + 20
        n_more = rng.randrange(1, 30)
        while len(stored(store)) < len(n_asked) + n_more and time.monotonic() < deadline:
            time.sleep(rng.uniform(0.001, 0.01))
        os.kill(child.pid, signal.SIGKILL)
        child.communicate()
        n_kills += 1
        kept = stored(store)
        assert kept >= n_asked.keys(), "a stored answer was lost"
        assert kept >= set(lines(log, "seen")), "an answer was seen before it was stored"
        n_useful += len(kept) > len(n_asked)
        counts = Counter(lines(log, "asked"))
        n_asked |= {prompt: counts[prompt] for prompt in kept - n_asked.keys()}
    assert n_useful >= 5, "too few kills fell into the calls: the test says nothing"
    out, err = start(tmp_path, "log").communicate()
    assert (out, err) == ("finished\n", "")
    asked = Counter(lines(log, "asked"))
    assert asked.keys() == {f"q{i}" for i in range(N_REQUESTS)}
    assert {prompt: asked[prompt] for prompt in n_asked} == n_asked, "a stored answer was asked for again"
    assert asked.total() <= N_REQUESTS + n_kills * IN_FLIGHT
    assert ResponseCache(store).stats().n_entries == N_REQUESTS
    assert lines(log, "seen")[-N_REQUESTS:] == [f"q{i}" for i in range(N_REQUESTS)]
    assert ResponseCache(store).prune(corrupt=True, dry_run=True) == 0


def test_several_processes_make_and_fill_one_store_at_once(tmp_path: Path) -> None:
    # Overlapping thirds: 0..199, 100..299, 200..399, and 0..199 once more; all begin where no file is.
    children = [start(tmp_path, f"log{i}", first, 200, delay=0.0) for i, first in enumerate((0, 100, 200, 0))]
    for i, child in enumerate(children):
        out, err = child.communicate(timeout=60)
        assert (out, err) == ("finished\n", "")
        assert len(lines(tmp_path / f"log{i}", "seen")) == 200
    cache = ResponseCache(tmp_path / "responses.sqlite")
    assert cache.stats().n_entries == 400
    assert cache.prune(corrupt=True, dry_run=True) == 0


RACE = """
import sys, time
from pathlib import Path
from harness.llm.cache.store import ResponseCache

folder, begin = Path(sys.argv[1]), float(sys.argv[2])
for i in range(60):
    while time.time() < begin + 0.01 * i:
        pass
    ResponseCache(folder / f"{i}.sqlite").prepare()
    ResponseCache(folder / f"{i}.sqlite").get_many(["0" * 64])
"""


def test_a_store_is_made_once_however_many_make_it_at_the_same_moment(tmp_path: Path) -> None:
    begin = str(time.time() + 1.0)
    children = [
        subprocess.Popen([sys.executable, "-c", RACE, str(tmp_path), begin], stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    assert [child.communicate(timeout=60)[1] for child in children] == [""] * 4
