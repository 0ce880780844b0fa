"""Runs cut into shards by dialogue, which any executor makes like runs of their own, and merged again.

The driver holds the lock of such a run and the only open handle of its log; a worker writes the log of its shard and
nothing else. What a shard has done is moved to the log of the run when the shard ends, or when the run is next taken
up, whatever the number of shards then: no dialogue is asked about twice. A run is sealed when every dialogue is there.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace

from harness.errors import StoreError
from harness.evaluation.executors.executor import Executor, OnOutcome, OnProgress
from harness.evaluation.jobs import PreparedRun, Settings
from harness.evaluation.making import BegunRun, begun, check_log, take_in
from harness.evaluation.progress import Progress
from harness.evaluation.runner import outcome_of
from harness.schema.run import RunOutcome, RunStatus, Shard
from harness.store.layout import SHARDS, is_sealed

TOGETHER = 16
"""Runs that are in shards at once: each has files open, and a predictor without its model."""


class ShardingExecutor:
    """Lets another executor make the shards of those runs whose predictors allow it, and the rest whole."""

    def __init__(self, executor: Executor, n_shards: int) -> None:
        self._executor, self._n_shards = executor, n_shards

    def execute(
        self, runs: Sequence[PreparedRun], settings: Settings, on_progress: OnProgress, on_outcome: OnOutcome
    ) -> list[RunOutcome]:
        """Makes runs; as `Executor.execute`."""
        outcomes: dict[int, RunOutcome] = {}

        def end(index: int, outcome: RunOutcome) -> None:
            outcomes[index] = outcome
            on_outcome(index, outcome)

        cut = [i for i, run in enumerate(runs) if can_shard(run) and (settings.rerun or not is_sealed(run.folder))]
        whole = sorted(set(range(len(runs))) - set(cut))
        for first in range(0, max(1, len(cut)), TOGETHER):
            wave = cut[first : first + TOGETHER]
            self._make(runs, whole if first == 0 else [], wave, settings, on_progress, end)
        return [outcomes[index] for index in range(len(runs))]

    def _make(
        self,
        runs: Sequence[PreparedRun],
        whole: Sequence[int],
        cut: Sequence[int],
        settings: Settings,
        on_progress: OnProgress,
        end: OnOutcome,
    ) -> None:
        """Makes some runs whole and some in shards, at the same time."""
        with ExitStack() as stack:
            jobs: list[tuple[int, PreparedRun]] = [(index, runs[index]) for index in whole]
            shards: dict[int, _CutRun] = {}
            for index in cut:
                one = _CutRun(runs[index], self._n_shards, settings)
                if (outcome := one.begin(stack)) is not None:
                    end(index, outcome)
                    continue
                shards[index] = one
                jobs += [(index, part) for part in one.parts]

            def progress(place: int, said: Progress) -> None:
                index, part = jobs[place]
                on_progress(index, shards[index].join(part, said) if index in shards else said)

            def outcome_of_job(place: int, outcome: RunOutcome) -> None:
                index, part = jobs[place]
                if index not in shards:
                    end(index, outcome)
                elif (merged := shards[index].ended(part, outcome)) is not None:
                    end(index, merged)

            if jobs:
                self._executor.execute([run for _, run in jobs], settings, progress, outcome_of_job)


class _CutRun:
    """A run that is made in shards."""

    def __init__(self, run: PreparedRun, n_shards: int, settings: Settings) -> None:
        self._run, self._n_shards, self._settings = run, n_shards, settings
        self._begun: BegunRun
        self._stack = ExitStack()
        self._outcomes: list[RunOutcome] = []
        self._n_done: Counter[str] = Counter()
        self.parts: list[PreparedRun] = []

    def begin(self, stack: ExitStack) -> RunOutcome | None:
        """Takes up the run until it ends, or the stack is left; returns its outcome if there is nothing for shards."""

        def make() -> tuple[RunStatus, str]:
            with ExitStack() as own:
                found = own.enter_context(begun(self._run, self._settings, lambda progress: None))
                if found is None:
                    return "done", ""
                self._begun = found
                found.learn()
                self.parts = list(cut_run(found, self._n_shards))
                if not self.parts:
                    return "done", found.complete()
                self._stack = stack.enter_context(own.pop_all())
                return "done", ""

        outcome = outcome_of(self._run, make)
        return None if self.parts else outcome

    def join(self, part: PreparedRun, said: Progress) -> Progress:
        """Returns how far the run has come when one of its shards has come so far."""
        if said.phase == "predict":
            self._n_done[part.folder.name] = said.done
        n_all, n_todo = len(self._run.dialogues), sum(len(part.dialogues) for part in self.parts)
        text = f"{len(self._outcomes)} of {len(self.parts)} shards done"
        if said.text:
            text += f", shard {part.folder.name}: {said.text}"
        return Progress("predict", n_all - n_todo + self._n_done.total(), n_all, text)

    def ended(self, part: PreparedRun, outcome: RunOutcome) -> RunOutcome | None:
        """Takes in what a shard has done; returns the outcome of the run after its last shard."""

        def make() -> tuple[RunStatus, str]:
            if outcome.status != "done":
                with suppress(StoreError):  # its worker may not be dead yet: then it is for the next command
                    take_in(part.folder, self._begun.log)
                return outcome.status, outcome.detail
            take_in(part.folder, self._begun.log)
            if missing := {d.id for d in self._begun.missing()} & shard_of(part):
                raise StoreError(f"shard {part.folder.name} left out dialogue {min(missing)!r}; repeat the command")
            return outcome.status, outcome.detail

        self._outcomes.append(outcome_of(self._run, make))
        if len(self._outcomes) < len(self.parts):
            return None
        merged = outcome_of(self._run, self._merge)
        return replace(merged, seconds=max(one.seconds for one in (merged, outcome)))

    def _merge(self) -> tuple[RunStatus, str]:
        """Seals the run if every shard is done, and lets go of it."""
        with self._stack:
            return self._seal()

    def _seal(self) -> tuple[RunStatus, str]:
        for status in ("failed", "incomplete"):
            if told := [one.detail for one in self._outcomes if one.status == status]:
                return status, f"{len(told)} of {len(self.parts)} shards: {told[0]}"
        check_log(self._run.dialogues, self._begun.log)
        remarks = dict.fromkeys(one.detail for one in self._outcomes if one.detail)
        remark = self._begun.complete()
        return "done", "; ".join(dict.fromkeys([*remarks, *([remark] if remark else [])]))


def can_shard(run: PreparedRun) -> bool:
    """Returns whether a run may be made in parts."""
    return run.spec.build.can_shard(run.params)


def shard_of(part: PreparedRun) -> set[str]:
    """Returns the ids of the dialogues of a shard."""
    return set() if part.job.shard is None else set(part.job.shard.dialogues)


def cut_run(begun_run: BegunRun, n_shards: int) -> Iterator[PreparedRun]:
    """Yields the shards of what is missing of a run, at most so many; every n-th dialogue, so that they are alike."""
    run, ids = begun_run.run, [dialogue.id for dialogue in begun_run.missing()]
    n_shards = min(n_shards, len(ids))
    for index in range(n_shards):
        shard = Shard(index + 1, n_shards, tuple(itertools.islice(ids, index, None, n_shards)))
        folder = begun_run.folder / SHARDS / shard.name
        yield replace(run, job=replace(run.job, shard=shard), folder=folder)
