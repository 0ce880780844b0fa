"""Whole runs through the command line and the real client, against a server on loopback that counts its calls."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SECRET = "sk-planted-0123456789abcdefghijklmn"


class Commands:
    """The command line in a folder of its own, as a user with a key in the environment has it."""

    def __init__(self, folder: Path, url: str) -> None:
        self.results, self.cache, self.url = folder / "results", folder / "cache", url
        self.environment = {
            **os.environ,
            "ERC_RESULTS_DIR": str(self.results),
            "ERC_CACHE_DIR": str(self.cache),
            "ERC_API_KEY": SECRET,
            "OPENAI_API_KEY": SECRET,
        }

    def run_command(self, *more: str) -> list[str]:
        model = ("-P", "backend=openai", "-P", "model=m", "-P", f"base_url={self.url}")
        return [sys.executable, "-m", "harness", "run", "zero-shot", *model, "--dataset", "sample", "--json", *more]

    def start(self, *more: str) -> subprocess.Popen[bytes]:
        quiet = subprocess.DEVNULL
        return subprocess.Popen(self.run_command(*more), env=self.environment, stdout=quiet, stderr=quiet)

    def run(self, *more: str) -> subprocess.CompletedProcess[str]:
        command = self.run_command(*more)
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)

    def show(self, done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
        path = json.loads(done.stdout)["runs"][0]["path"]
        command = [sys.executable, "-m", "harness", "show", path, "--json"]
        shown = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=True)
        found: dict[str, Any] = json.loads(shown.stdout)
        return found


Open = Callable[..., tuple[Commands, Any]]


@pytest.fixture
def commands(loopback: Callable[..., Any], tmp_path: Path) -> Open:
    """Starts a server and gives the commands that call it."""

    def start(handler: Callable[[Any], Any]) -> tuple[Commands, Any]:
        server = loopback(handler)
        return Commands(tmp_path, server.url), server

    return start


def test_a_killed_run_goes_on_and_repeats_only_what_was_in_flight(commands: Open, wire: Any) -> None:
    async def slow(call: Any) -> Any:
        await asyncio.sleep(0.06)
        return wire.say("joy" if "!" in call.prompt else "neutral")

    here, server = commands(slow)
    rng = random.Random(3)
    n_kills = 0
    for target in (20, 60, 100, 140):  # killed a little after that many answers
        process = here.start("--concurrency", "4")
        while process.poll() is None and sum(server.successes.values()) < target:
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.05))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            n_kills += 1
        process.wait()
    assert n_kills == 4
    done = here.run("--concurrency", "4")
    assert done.returncode == 0, done.stderr
    shown = here.show(done)
    assert shown["coverage"] == 1.0
    assert len(server.successes) <= shown["n_utterances"]
    repeated = sum(server.counts.values()) - len(server.counts)
    assert repeated <= 4 * n_kills, "something that was stored was asked again"
    assert shown["usage"]["n_answers"] == shown["n_utterances"]


def test_one_poisoned_item_fails_alone_and_alone_is_asked_again(commands: Open, wire: Any) -> None:
    poisoned: list[str] = []

    async def refuse_one(call: Any) -> Any:
        if not poisoned:
            poisoned.append(call.prompt)
        return wire.fail(400, "this prompt breaks me") if call.prompt in poisoned else wire.say("neutral")

    here, server = commands(refuse_one)
    shown = here.show(here.run())
    assert (shown["statuses"]["failed"], shown["statuses"]["ok"]) == (1, shown["n_utterances"] - 1)
    n_asked = sum(server.counts.values())
    poisoned[0] = "mended"
    shown = here.show(here.run("--rerun"))
    assert shown["statuses"]["failed"] == 0
    assert sum(server.counts.values()) == n_asked + 1


def test_a_limit_of_tokens_stops_cleanly_and_the_rest_comes_later(commands: Open, wire: Any) -> None:
    async def answer(call: Any) -> Any:
        return wire.say("neutral")

    here, server = commands(answer)
    stopped = here.run("--max-tokens-total", "2000")
    assert stopped.returncode == 3
    (outcome,) = json.loads(stopped.stdout)["runs"]
    assert outcome["status"] == "incomplete"
    assert "of 2000 tokens" in outcome["detail"] and "repeat the command" in outcome["detail"]
    assert 14 * sum(server.successes.values()) <= 2000  # what the server says that each answer took
    assert here.show(here.run())["coverage"] == 1.0
    assert max(server.counts.values()) == 1


def test_a_secret_in_the_environment_is_in_no_file_and_on_no_screen(commands: Open, wire: Any, tmp_path: Path) -> None:
    async def leak(call: Any) -> Any:
        """Quotes the key in every way that servers have been seen to."""
        header = call.headers.get("Authorization", "")
        assert SECRET in header, "the key did not reach the server: the test would say nothing"
        kind = sum(map(ord, call.prompt)) % 4
        if kind == 0 and call.count == 1:
            return wire.fail(500, f"cannot serve {header}")
        if kind == 1:
            return wire.fail(400, f"bad prompt for key {SECRET}", code=SECRET)
        return wire.say("neutral", id=SECRET, system_fingerprint=SECRET)

    here, server = commands(leak)
    done = here.run("--max-retries", "2")
    assert here.show(done)["statuses"]["failed"] > 0
    assert sum(server.successes.values()) > 0
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.suffix == ".sqlite" for path in files) and any(path.name == "manifest.json" for path in files)
    assert not [path for path in files if SECRET.encode() in path.read_bytes()]
    assert SECRET not in done.stdout + done.stderr


def test_a_wrong_key_stops_at_once_and_is_not_quoted(commands: Open, wire: Any, tmp_path: Path) -> None:
    async def deny(call: Any) -> Any:
        return wire.fail(401, f"Incorrect API key provided: {SECRET}")

    here, server = commands(deny)
    done = here.run("--concurrency", "2")
    assert done.returncode == 3
    assert sum(server.counts.values()) <= 2
    assert SECRET not in done.stdout + done.stderr
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]


def test_keys_in_an_address_are_refused_and_not_kept(commands: Open, wire: Any, tmp_path: Path) -> None:
    async def answer(call: Any) -> Any:
        return wire.say("neutral")

    here, server = commands(answer)
    here.url = server.url.replace("http://", f"http://user:{SECRET}@")
    done = here.run()
    assert done.returncode == 2
    assert "environment" in done.stderr and SECRET not in done.stdout + done.stderr
    assert not server.calls
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
