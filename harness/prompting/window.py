"""The part of a dialogue that a prompt shows around its target: how much, on which side, under which names.

Knows views only, so there is no gold to show. Knows no template.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Literal, get_args

from harness.errors import ConfigError
from harness.schema import DialogueView, UtteranceView

Speakers = Literal["names", "masked", "none"]
"""Names as released; 'Speaker A', 'Speaker B', ... in order of appearance; or no speaker at all."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def one_line(text: str) -> str:
    """Returns text without control characters and line breaks, each run of white space as one space."""
    return " ".join(_CONTROL.sub(" ", text).split())


@dataclass(frozen=True, slots=True)
class Line:
    """One utterance as shown. Its texts become one line each: what somebody said can never look like a new message."""

    speaker: str | None
    """None: not shown."""
    text: str
    video: str | None = None
    """What can be seen, in words; None: no description."""

    def __post_init__(self) -> None:
        for name in ("speaker", "text", "video"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, one_line(value))

    def __str__(self) -> str:
        spoken = self.text if self.speaker is None else f"{self.speaker}: {self.text}"
        return spoken if self.video is None else f"{spoken} ({self.video})"


@dataclass(frozen=True, slots=True)
class Scene:
    """A target and what is shown around it, in order of time."""

    history: tuple[Line, ...]
    target: Line
    future: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Window:
    """How much of a dialogue is shown. Whole utterances only; the nearest come first.

    Raises:
        ConfigError: a negative size, or another way to name speakers.
    """

    n_utterances: int | None = 5
    """At most, on each side of the target; None: all."""
    n_tokens: int | None = None
    """At most, for the whole history and then, with what is left, the future; the target is not counted. None: all."""
    future: bool = False
    """Whether what is said after the target is shown, where the view has it."""
    speakers: Speakers = "names"

    def __post_init__(self) -> None:
        for name in ("n_utterances", "n_tokens"):
            size = getattr(self, name)
            if size is not None and size < 0:
                raise ConfigError(f"window: {name}={size!r}; expected 0 or more, or None for all")
        if self.speakers not in get_args(Speakers):
            raise ConfigError(f"window: speakers={self.speakers!r}; expected one of {list(get_args(Speakers))}")

    def frame(
        self,
        view: DialogueView,
        position: int,
        videos: Mapping[str, str] = {},
        count_tokens: Callable[[str], int] | None = None,
    ) -> Scene:
        """Returns a target with the context that the window lets through.

        Args:
            view: what the predictor may see.
            position: of the target in the view.
            videos: descriptions by utterance id; utterances without one are shown without.
            count_tokens: tokens of a text; asked about each line as 'speaker: text (video)'.

        Raises:
            ConfigError: the window has a budget of tokens and nobody counts them.
        """
        if self.n_tokens is not None and count_tokens is None:
            raise ConfigError(
                f"window: n_tokens={self.n_tokens} needs a tokenizer, which this back end lacks; "
                "give n_utterances instead"
            )
        show = self._naming(view)

        def line(i: int) -> Line:
            utterance = view.utterances[i]
            return Line(show(utterance), utterance.text, videos.get(utterance.id))

        budget = _Budget(self.n_tokens, count_tokens)
        before = budget.take(map(line, range(position - 1, -1, -1)), self.n_utterances)
        later = range(position + 1, len(view.utterances) if self.future else 0)
        return Scene(tuple(reversed(before)), line(position), tuple(budget.take(map(line, later), self.n_utterances)))

    def _naming(self, view: DialogueView) -> Callable[[UtteranceView], str | None]:
        """How the speaker of an utterance is shown; a mask depends on no later utterance."""
        if self.speakers == "none":
            return lambda utterance: None
        if self.speakers == "names":
            return lambda utterance: utterance.speaker or None
        everybody = dict.fromkeys(name for utterance in view.utterances for name in utterance.speakers)
        masks = {name: f"Speaker {_letters(i)}" for i, name in enumerate(everybody)}
        return lambda utterance: " & ".join(masks[name] for name in utterance.speakers) or None


class _Budget:
    """Tokens left to show."""

    def __init__(self, n_tokens: int | None, count: Callable[[str], int] | None) -> None:
        self.left, self.count = n_tokens, count

    def take(self, lines: Iterable[Line], n_lines: int | None) -> list[Line]:
        """Returns the first lines that fit; the first one that does not ends them, so that there is no gap."""
        taken: list[Line] = []
        for line in islice(lines, n_lines):
            if self.left is not None and self.count is not None:
                cost = self.count(str(line))
                if cost > self.left:
                    break
                self.left -= cost
            taken.append(line)
        return taken


def _letters(i: int) -> str:
    """A, B, ..., Z, AA, AB, ..."""
    return (_letters(i // 26 - 1) if i >= 26 else "") + chr(ord("A") + i % 26)
