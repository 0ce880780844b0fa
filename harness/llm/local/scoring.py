"""Log-likelihoods of choices from a causal language model, each token computed once for all that share it.

Owns the header's keys and values, the mask of a row, the check against the plain computation, and lack of memory.
Knows tokens only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from harness.llm.local.choice_tree import Candidates, Row, header_of, pack_rows
from harness.llm.local.row_pass import Scores, accepts, add_up, log_likelihoods, row_inputs, telling_positions

ROW_TOKENS = {"cpu": 384, "cuda": 2048}
"""Tokens of a row by device. On two cores of a CPU, time per token is flat from 256 to 768."""


def is_out_of_memory(error: BaseException) -> bool:
    """Returns whether an error says that a device or the machine has no memory left."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and ("can't allocate memory" in text or "not enough memory" in text)


class ChoiceScorer:
    """Scores choices with one model.

    Rows as in `choice_tree` where the model takes a mask of its own; wherever a row is larger or more branched than all
    before, one of its prompts is computed plainly too. A model that differs is asked plainly from then on.
    """

    def __init__(self, model: Any, n_prompts: int) -> None:
        self._model = model
        self._n_prompts = n_prompts
        self._device = model.device
        self._selects = accepts(model, "logits_to_keep")
        self.packs = accepts(model, "position_ids", "past_key_values")
        """Whether prompts go in rows; turned off by the first row that comes out wrong."""
        self._reach = tree_reach(model.config)
        self._checked = (0, 0)
        self._row_tokens = ROW_TOKENS.get(self._device.type, ROW_TOKENS["cpu"])
        digits = torch.finfo(model.dtype).eps
        self._tolerance = max(1e-3, 32 * digits)
        """Nats per token by which a row and the plain computation may differ: rounding, not another mask."""

    @torch.inference_mode()
    def score(self, items: Sequence[Candidates]) -> Iterator[Scores]:
        """Yields scores of prompts by their position in `items`, in parts, in any order."""
        deep = [i for i, item in enumerate(items) if not self.packs or item.depth > self._reach]
        near = sorted(set(range(len(items))) - set(deep))
        if near:
            packed = [items[i] for i in near]
            left = set(near)
            for scores in self._score_rows(packed):
                numbered = {near[i]: value for i, value in scores.items()}
                left -= numbered.keys()
                yield numbered
            deep += sorted(left)
        yield from self._score_plainly({i: items[i] for i in deep})

    def _score_rows(self, items: Sequence[Candidates]) -> Iterator[Scores]:
        """Yields scores until a row comes out wrong; what is missing then must be computed plainly."""
        header = header_of(items)
        try:
            cache = self._read_header(header)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            return
        rows = pack_rows(items, len(header), self._row_tokens, self._n_prompts)
        rows.sort(key=lambda row: len(row.tokens))
        while rows:
            row = rows.pop()
            try:
                scores = self._score_row(row, cache)
                if not self._is_right(row, scores, items):
                    self.packs = False
                    return
                yield scores
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                self._free()
                if len(row.members) == 1:
                    yield dict.fromkeys(row.members)
                else:
                    rows += _halves(row, items)

    def _read_header(self, header: Sequence[int]) -> list[tuple[Any, Any]]:
        """Returns keys and values of the header by layer, each (1, n_heads, n_header, width)."""
        from transformers import DynamicCache

        if not header:
            return []
        cache: Any = DynamicCache()
        self._forward(input_ids=self._tensor([header]), past_key_values=cache, use_cache=True, keep=[len(header) - 1])
        return [(layer.keys, layer.values) for layer in cache.layers]

    def _score_row(self, row: Row, cache: list[tuple[Any, Any]]) -> Scores:
        from transformers import DynamicCache

        positions, which = telling_positions(row)
        logits = self._forward(
            **row_inputs(row, self._model.dtype, self._device),
            past_key_values=DynamicCache(cache) if cache else None,
            use_cache=bool(cache),
            keep=positions,
        )
        return add_up(row.owners, self._likelihoods(logits[0], which, row.targets))

    def _is_right(self, row: Row, scores: Scores, items: Sequence[Candidates]) -> bool:
        """Returns whether the last prompt of a row scores as it does plainly; a row that tests nothing new is right."""
        end = row.sources[-1]
        reached = (row.n_header + len(row.tokens), end - (row.depths[end] - row.n_header))
        if reached[0] <= self._checked[0] and reached[1] <= self._checked[1]:
            return True
        number = row.members[-1]
        (plain,) = self._score_plainly({number: items[number]})
        one, other = scores[number], plain[number]
        if one is None or other is None:
            return True
        continuations = items[number].continuations
        off = (abs(a - b) / len(tokens) for a, b, tokens in zip(one, other, continuations, strict=True))
        self._checked = (max(reached[0], self._checked[0]), max(reached[1], self._checked[1]))
        return max(off) <= self._tolerance

    def _score_plainly(self, items: dict[int, Candidates]) -> Iterator[Scores]:
        """Yields scores prompt by prompt; choices that differ in their last token only share a line of the batch."""
        for number, item in items.items():
            lines: dict[tuple[int, ...], list[int]] = {}
            for choice, tokens in enumerate(item.continuations):
                lines.setdefault(tokens[:-1], []).append(choice)
            yield {number: self._score_lines(item, list(lines.items()), self._n_prompts)}

    def _score_lines(
        self, item: Candidates, lines: list[tuple[tuple[int, ...], list[int]]], n_lines: int
    ) -> tuple[float, ...] | None:
        """Returns the scores of one prompt, at most `n_lines` lines at once, fewer where memory lacks."""
        found: Scores = {}
        first = len(item.context) - 1
        try:
            for begin in range(0, len(lines), n_lines):
                batch = lines[begin : begin + n_lines]
                longest = max(len(tokens) for tokens, _ in batch)
                padded = [[*item.context, *tokens, *[0] * (longest - len(tokens))] for tokens, _ in batch]
                mask = [[1] * (first + 1 + len(tokens)) + [0] * (longest - len(tokens)) for tokens, _ in batch]
                logits = self._forward(
                    input_ids=self._tensor(padded),
                    attention_mask=self._tensor(mask),
                    use_cache=False,
                    keep=list(range(first, first + 1 + longest)),
                )
                asked = [
                    (choice, line * (longest + 1) + i, token)
                    for line, (_, choices) in enumerate(batch)
                    for choice in choices
                    for i, token in enumerate(item.continuations[choice])
                ]
                choices, places, tokens = map(list, zip(*asked, strict=True))
                values = self._likelihoods(logits.flatten(0, 1), places, tokens)
                found |= add_up([(choice, 0) for choice in choices], values)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            self._free()
            return self._score_lines(item, lines, n_lines // 2) if n_lines > 1 else None
        return tuple(value for _, scores in sorted(found.items()) for value in scores or ())

    def _forward(self, *, keep: list[int], **inputs: Any) -> torch.Tensor:
        """Returns logits at some positions, (batch, len(keep), vocabulary)."""
        positions = torch.tensor(keep, device=self._device)
        if self._selects:
            logits: torch.Tensor = self._model(**inputs, logits_to_keep=positions).logits
            return logits
        return self._model(**inputs).logits[:, positions]  # type: ignore[no-any-return]

    def _likelihoods(self, logits: torch.Tensor, rows: list[int], tokens: list[int]) -> list[float]:
        index, wanted = (torch.tensor(numbers, device=logits.device) for numbers in (rows, tokens))
        values: list[float] = log_likelihoods(logits, index, wanted).tolist()
        return values

    def _tensor(self, rows: Sequence[Sequence[int]]) -> torch.Tensor:
        return torch.tensor(rows, device=self._device)

    def _free(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.empty_cache()


def tree_reach(config: Any) -> int:
    """Returns how many tokens a sequence may have for a row to be exact.

    Beyond a sliding window or chunk, and beyond the length at which dynamic rotary embeddings change with the longest
    sequence of a batch, the mask of a row says too little.
    """
    text = config.get_text_config()
    limits = [getattr(text, name, None) for name in ("sliding_window", "attention_chunk_size", "window_size")]
    rope = getattr(text, "rope_parameters", None) or getattr(text, "rope_scaling", None) or {}
    if rope.get("rope_type") in ("dynamic", "longrope"):
        limits.append(rope.get("original_max_position_embeddings") or text.max_position_embeddings)
    return min((limit for limit in limits if isinstance(limit, int)), default=1 << 62)


def _halves(row: Row, items: Sequence[Candidates]) -> list[Row]:
    half = len(row.members) // 2
    halves = []
    for members in (row.members[:half], row.members[half:]):
        smaller = Row(row.n_header)
        for number in members:
            smaller.add(number, items[number])
        halves.append(smaller)
    return halves
