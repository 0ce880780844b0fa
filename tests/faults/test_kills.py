"""SIGKILL at any instant, then the same command again: nothing lost, nothing repeated, the bytes of an undisturbed run.

What is measured is left out of the comparison: times in a manifest, seconds of calls, whether an answer was there.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

KINDS = ("run", "seal", "training", "build", "features", "calls")


@pytest.fixture(scope="module")
def disturb(stage: Any, begin: Callable[[str], Any], undisturbed: Any) -> Callable[..., bool]:
    def check(kind: str, **kill: Any) -> bool:
        """Kills a command once, repeats it, and compares; returns whether the kill came before the end."""
        place = begin(kind)
        killed = stage.act(place, kind, **kill)["code"] == -9
        before, kept = Counter(place.asked), settled(place)
        assert kept <= before.keys()
        done = stage.act(place, kind)
        assert done["code"] == 0, done["stderr"]
        assert "Traceback" not in done["stderr"]
        content, expected = place.content(), undisturbed(kind).content
        differing = {name for name in content.keys() | expected.keys() if content.get(name) != expected.get(name)}
        assert not differing, (kind, kill, [(content.get(name), expected.get(name)) for name in differing])
        after = Counter(place.asked)
        assert {word: after[word] for word in kept} == {word: before[word] for word in kept}, "something was repeated"
        return killed

    return check


def settled(place: Any) -> set[str]:
    """What was asked and is kept for good: dialogues in the log, answers in the store; it must not be asked again."""
    kept = {f"asked {word.split()[1]}" for word in place.asked if word.startswith("kept ")}
    for log in place.root.rglob("run.log.jsonl"):
        for line in log.read_bytes().rpartition(b"\n")[0].splitlines():
            rows = json.loads(line).get("predictions", [])
            kept |= {row[0] for row in rows[:1] if rows[0][4] is None and row[0] in place.asked}
    if list(place.root.glob("results/**/fitted")) and "fit" in place.asked:
        kept.add("fit")
    return kept


@pytest.mark.parametrize("kind", KINDS)
def test_a_kill_between_two_writes(kind: str, undisturbed: Any, disturb: Callable[..., bool]) -> None:
    n = undisturbed(kind).n_writes
    rng = random.Random(kind)
    assert disturb(kind, kill_at=rng.randint(2, n - 1))


@pytest.mark.parametrize("kind", ["features"])
def test_a_kill_at_a_random_instant(kind: str, undisturbed: Any, disturb: Callable[..., bool]) -> None:
    rng = random.Random(kind)
    disturb(kind, kill_after=rng.uniform(0, undisturbed(kind).seconds))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_200_random_instants(
    undisturbed: Any, disturb: Callable[..., bool], capsys: pytest.CaptureFixture[str]
) -> None:
    rng = random.Random(8)
    counts: Counter[str] = Counter()
    while counts.total() < 200:
        kind = KINDS[counts.total() % len(KINDS)]
        hit = disturb(kind, kill_after=rng.uniform(0, undisturbed(kind).seconds))
        counts[f"{kind}: {'killed' if hit else 'over before'}"] += 1
    with capsys.disabled():
        print(f"\n{counts.total()} random instants, all resumed to the same bytes: {dict(sorted(counts.items()))}")
    assert sum(n for what, n in counts.items() if what.endswith("killed")) > 100


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", KINDS)
def test_a_kill_before_every_write(
    kind: str, undisturbed: Any, disturb: Callable[..., bool], capsys: pytest.CaptureFixture[str]
) -> None:
    n = undisturbed(kind).n_writes
    assert all(disturb(kind, kill_at=at) for at in range(1, n + 1))
    with capsys.disabled():
        print(f"\n{kind}: killed before each of its {n} writes, resumed to the same bytes")
