"""What video clips show, asked of a vision model: from clips to descriptions. Knows no corpus and writes no file.

Frames are decoded ahead of the questions, by a few threads, and a bounded number of clips at once: memory does not grow
with the corpus. The calls are those of every other question: stored, repeated, paced, within a budget.
"""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from harness.data.clips import import_av, sample_frames
from harness.errors import ConfigError, DataError
from harness.features.weights import content_name, find_folder
from harness.llm.answer import Answer
from harness.llm.backend import ModelSettings, build_backend
from harness.llm.calls import CallSettings
from harness.llm.client import Client
from harness.llm.reading.parsing import is_refusal, without_reasoning
from harness.llm.request import Decoding, Request, Response
from harness.llm.server.address import parse_server
from harness.prompting import Line, Prompt, load_template
from harness.prompting.window import one_line

TEMPLATE = "describe-video/v1"

N_TOKENS = 200
"""Length of a description at most; the wording asks for three sentences."""

_MOST_THREADS = 4
"""That decode clips, each on one processor core."""

_SENTENCES = re.compile(r".*[.!?][\"')\]]*(?=\s|\Z)")
"""As many whole sentences as a line begins with."""

Status = Literal["described", "corrupt", "refused", "failed"]
"""Described; no video can be read; the model or its filter declines; no answer came, or an empty one."""


@dataclass(frozen=True, slots=True)
class Clip:
    """An utterance and the file that shows it."""

    split: str
    utterance_id: str
    text: str
    """What is said."""
    path: Path


@dataclass(frozen=True, slots=True)
class Description:
    """What came of one clip."""

    clip: Clip
    status: Status
    text: str
    """The description, one line; else why there is none."""
    n_tokens: int = 0
    """Prompt and completion tokens, as far as the server tells; 0 for an answer that was stored before."""
    usd: float | None = 0.0
    """What was paid now, in US dollars; None: no price is known."""


class Describer:
    """Asks one model about clips.

    Raises:
        ConfigError: no frame is asked for, or a setting that the server cannot take.
        MissingDependencyError: PyAV or Pillow is not installed.
        ModelError: the server wants a key and the environment has none.
    """

    def __init__(self, model: str, base_url: str | None, n_frames: int, transcript: bool, calls: CallSettings) -> None:
        """Calls nobody yet.

        Args:
            model: its name at the server.
            base_url: address of a server that speaks the OpenAI protocol; None: OpenAI's own.
            n_frames: frames shown of each clip.
            transcript: whether what is said is shown too.
            calls: pace and limits.
        """
        if n_frames < 1:
            raise ConfigError(f"frames {n_frames!r}: expected at least 1")
        import_av()
        parse_server(base_url).key()
        backend = build_backend(ModelSettings("openai", model, base_url=base_url), calls)
        self._n_frames, self._transcript = n_frames, transcript
        self._n_together = 2 * calls.concurrency
        self._template = load_template(TEMPLATE, describing=True)
        self._client = Client(backend, calls)
        folder = find_folder(model)  # a server may call a model by its folder, which is named by what it holds
        name = model if folder is None else content_name(folder)
        self.described_by = (
            f"{name} at {backend.identity()['server']}, {TEMPLATE}@{self._template.sha256[:8]}, {n_frames} frames, "
            f"{'with' if transcript else 'without'} transcript"
        )
        """All that descriptions depend on, in one line."""

    def describe(self, clips: Iterable[Clip]) -> Generator[Description]:
        """Yields what came of each clip, one after the other; those that cannot be read come as they are found.

        Raises:
            CallsStoppedError: the budget does not allow the next question, or nobody answers any more.
            ModelError: the model cannot be called, or takes no images.
            StoreError: the response store cannot be read or written.
        """
        asked: deque[Clip] = deque()
        unreadable: deque[Description] = deque()

        def requests() -> Generator[Request]:
            with closing(_frames_of(clips, self._n_frames, self._n_together)) as sampled:
                for clip, frames in sampled:
                    if isinstance(frames, DataError):
                        unreadable.append(Description(clip, "corrupt", str(frames)))
                        continue
                    asked.append(clip)
                    yield Request(self._prompt(clip, frames), (), decoding=Decoding(N_TOKENS))

        with closing(requests()) as questions, closing(self._client.answer(questions, self._n_together)) as answers:
            for answer in answers:
                while unreadable:
                    yield unreadable.popleft()
                yield _read(asked.popleft(), answer)
        yield from unreadable

    def close(self) -> None:
        """Lets go of the store."""
        self._client.close()

    def _prompt(self, clip: Clip, frames: tuple[bytes, ...]) -> Prompt:
        target = Line(None, clip.text if self._transcript else "")
        prompt = self._template.render("chat", labels=(), target=target)
        *before, question = prompt.messages
        return replace(prompt, messages=(*before, replace(question, images=frames)))


def _frames_of(
    clips: Iterable[Clip], n_frames: int, n_ahead: int
) -> Generator[tuple[Clip, tuple[bytes, ...] | DataError]]:
    """Yields clips with their frames, or with the reason why there are none; so many are decoded ahead."""
    waiting: deque[tuple[Clip, Future[tuple[bytes, ...]]]] = deque()

    def take() -> tuple[Clip, tuple[bytes, ...] | DataError]:
        clip, future = waiting.popleft()
        try:
            return clip, future.result()
        except DataError as error:
            return clip, error

    pool = ThreadPoolExecutor(min(_MOST_THREADS, os.cpu_count() or 1))
    try:
        for clip in clips:
            waiting.append((clip, pool.submit(sample_frames, clip.path, n_frames)))
            if len(waiting) > n_ahead:
                yield take()
        while waiting:
            yield take()
    finally:
        pool.shutdown(cancel_futures=True)


def _read(clip: Clip, answer: Answer) -> Description:
    """Returns what an answer says."""
    response = answer.response
    used: tuple[int, float | None] = (0, 0.0)
    if not answer.cached:
        used = ((response.n_prompt_tokens or 0) + (response.n_completion_tokens or 0), answer.usd)
    if response.finish == "error":
        return Description(clip, "failed", response.error, *used)
    text = _one_description(response)
    opening = text[: text.find(". ") + 1] or text  # what comes later may say what cannot be seen
    if response.finish == "filter" or is_refusal(opening):
        return Description(clip, "refused", response.error or text, *used)
    if not text:
        return Description(clip, "failed", f"the answer is empty after {N_TOKENS} tokens at most", *used)
    return Description(clip, "described", text, *used)


def _one_description(response: Response) -> str:
    """Returns the text of an answer in one line, without reasoning; where it was cut, up to its last whole sentence."""
    text = one_line((without_reasoning(response.text or "") or "").encode(errors="replace").decode())
    whole = _SENTENCES.match(text) if response.finish == "length" else None
    return whole[0] if whole else text
