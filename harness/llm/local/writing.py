"""Texts written by a local causal language model, in batches whose company changes no answer.

Nothing of a checkpoint's own generation settings counts except the tokens that end a text. Knows tokens only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList, StoppingCriteria, StoppingCriteriaList

from harness.llm.local.scoring import is_out_of_memory
from harness.llm.request import Decoding

_After = dict[tuple[int, ...], set[int]]
"""Tokens that may come after what was written; empty: anything goes."""


@dataclass(frozen=True, slots=True)
class Job:
    """A text to write."""

    tokens: tuple[int, ...]
    """The prompt."""
    decoding: Decoding
    allowed: tuple[tuple[int, ...], ...] = ()
    """Texts of which one must be written, as tokens; none: anything goes.

    A model without an end token goes on with the longer of two texts that begin alike: it cannot say that it is done.
    """


@dataclass(frozen=True, slots=True)
class Written:
    """A text that was written."""

    tokens: tuple[int, ...]
    """Without the token that ends it."""
    ended: bool
    """Whether the model ended it, or nothing more was allowed; else the limit did."""


class TextWriter:
    """Writes with one model."""

    def __init__(self, model: Any, end_tokens: Sequence[int], pad_token: int, batch_size: int) -> None:
        self._model = model
        self._end_tokens = list(end_tokens)
        self._pad_token = pad_token
        self._batch_size = batch_size
        # What a call leaves open would be filled in from here.
        model.generation_config = GenerationConfig()  # type: ignore[no-untyped-call]

    @torch.inference_mode()
    def write(self, jobs: Sequence[Job]) -> Iterator[dict[int, Written | None]]:
        """Yields texts by the position of their job, batch by batch, prompts of like length together.

        None stands for a job that has no room in memory even alone.
        """
        kinds: dict[Decoding, list[int]] = {}
        for number, job in enumerate(jobs):
            kinds.setdefault(job.decoding, []).append(number)
        for numbers in kinds.values():
            numbers.sort(key=lambda i: -len(jobs[i].tokens))
            for begin in range(0, len(numbers), self._batch_size):
                yield from self._write_batch(numbers[begin : begin + self._batch_size], jobs)

    def _write_batch(self, numbers: list[int], jobs: Sequence[Job]) -> Iterator[dict[int, Written | None]]:
        try:
            written = self._generate([jobs[i] for i in numbers])
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if self._model.device.type == "cuda":
                torch.cuda.empty_cache()
            half = len(numbers) // 2
            if not half:
                yield dict.fromkeys(numbers)
                return
            yield from self._write_batch(numbers[:half], jobs)
            yield from self._write_batch(numbers[half:], jobs)
            return
        yield dict(zip(numbers, written, strict=True))

    def _generate(self, jobs: list[Job]) -> list[Written]:
        """Returns the texts of a batch whose jobs are decoded alike, prompts padded on the left."""
        decoding, device = jobs[0].decoding, self._model.device
        width = max(len(job.tokens) for job in jobs)
        gaps = [width - len(job.tokens) for job in jobs]
        tokens = [[self._pad_token] * gap + list(job.tokens) for gap, job in zip(gaps, jobs, strict=True)]
        mask = [[0] * gap + [1] * (width - gap) for gap in gaps]
        after = [_continuations(job.allowed, self._end_tokens) for job in jobs]
        processors, criteria = LogitsProcessorList(), StoppingCriteriaList()
        if any(after):
            processors.append(_OnlyAllowed(after, width, self._end_tokens, decoding.n_beams))
            criteria.append(_NothingFollows(after, width))
        if decoding.temperature > 0:
            processors.append(_Draw(jobs))
        output = self._model.generate(
            input_ids=torch.tensor(tokens, device=device),
            attention_mask=torch.tensor(mask, device=device),
            logits_processor=processors,
            stopping_criteria=criteria,
            generation_config=GenerationConfig(  # type: ignore[no-untyped-call]
                max_new_tokens=decoding.max_new_tokens,
                do_sample=False,
                num_beams=decoding.n_beams,
                eos_token_id=self._end_tokens or None,
                pad_token_id=self._pad_token,
            ),
        )
        return [self._cut(row, one) for row, one in zip(output[:, width:].tolist(), after, strict=True)]

    def _cut(self, tokens: list[int], after: _After) -> Written:
        ends = (i for i, token in enumerate(tokens) if token in self._end_tokens or _is_last(tokens[:i], after))
        end = next(ends, len(tokens) if _is_last(tokens, after) else None)
        return Written(tuple(tokens[:end]), end is not None)


class _Draw(LogitsProcessor):
    """Turns the likeliest token into a drawn one: noise added to the scores, then the largest is taken.

    Each text draws from a generator of its own, seeded by its seed and its prompt: it is the same in any company.

    Source: the Gumbel-max trick, Maddison et al. 2014, section 2.
    """

    def __init__(self, jobs: list[Job]) -> None:
        self._temperature = jobs[0].decoding.temperature
        self._generators = [torch.Generator().manual_seed(_seed_of(job)) for job in jobs]

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        exponential = torch.stack(
            [torch.empty(scores.shape[-1]).exponential_(generator=generator) for generator in self._generators]
        )
        noise = -exponential.log().to(scores.device)
        return scores / self._temperature + noise  # type: ignore[return-value]


def _seed_of(job: Job) -> int:
    digest = hashlib.sha256(repr((job.decoding.seed or 0, job.tokens)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


class _OnlyAllowed(LogitsProcessor):
    """Leaves only tokens with which one of the allowed texts goes on, and the end where one is complete."""

    def __init__(self, after: list[_After], width: int, end_tokens: list[int], n_beams: int) -> None:
        self._after, self._width, self._end_tokens, self._n_beams = after, width, end_tokens, n_beams

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        allowed = torch.full_like(scores, -torch.inf)
        for row, written in enumerate(input_ids[:, self._width :].tolist()):
            after = self._after[row // self._n_beams]
            if after:
                tokens = sorted(after.get(tuple(written), self._end_tokens))
                allowed[row, tokens] = scores[row, tokens]
            else:
                allowed[row] = scores[row]
        return allowed  # type: ignore[return-value]


class _NothingFollows(StoppingCriteria):
    """Ends a text that is complete where the model has no end token."""

    def __init__(self, after: list[_After], width: int) -> None:
        self._after, self._width = after, width

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor, **ignored: Any) -> torch.BoolTensor:
        n_each = len(input_ids) // len(self._after)  # more than beams: the search looks at candidates
        done = [
            _is_last(written, self._after[row // n_each])
            for row, written in enumerate(input_ids[:, self._width :].tolist())
        ]
        return torch.tensor(done, device=input_ids.device)  # type: ignore[return-value]


def _is_last(written: Sequence[int], after: _After) -> bool:
    """Returns whether what is written is a whole text after which nothing is allowed, not even an end token."""
    return after.get(tuple(written)) == set()


def _continuations(texts: Sequence[tuple[int, ...]], end_tokens: Sequence[int]) -> _After:
    """Returns the tokens that may follow each beginning of the texts."""
    after: _After = {}
    for text in texts:
        for i, token in enumerate(text):
            after.setdefault(text[:i], set()).add(token)
        after.setdefault(text, set()).update(end_tokens)
    return after
