"""A rendered prompt: messages with roles, and the plain text they make for a model that has no chat template."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Role = Literal["system", "user", "assistant"]

Form = Literal["chat", "plain"]
"""How a prompt reaches a model: as messages through its chat template, or as one text that it goes on with."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a prompt."""

    role: Role
    content: str
    images: tuple[bytes, ...] = field(default=(), repr=False)
    """JPEG files shown before the text, in order."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a model is asked, before the chat template of the model."""

    messages: tuple[Message, ...]
    """In order; the last one is the user's."""
    form: Form

    @property
    def n_images(self) -> int:
        """Number of images in all messages."""
        return sum(len(message.images) for message in self.messages)

    @property
    def text(self) -> str:
        """The plain text: turns apart by an empty line, an answer on the line of its question. Images are no text."""
        text = ""
        for message in self.messages:
            if not text:
                text = message.content
            elif message.role == "assistant":
                text += _gap(text) + message.content
            else:
                text += "\n\n" + message.content
        return text

    def continuation(self, choice: str) -> str:
        """Returns what a model writes after this prompt when it answers with a choice: a space first where one fits."""
        return choice if self.form == "chat" else _gap(self.text) + choice

    @property
    def premise(self) -> Prompt:
        """The last line of the prompt, alone: what the likelihood of a choice is divided by in PMI.

        Source: domain-conditional PMI, Holtzman et al. 2021, section 3.
        """
        content = self.messages[-1].content
        cue = content.rstrip().rsplit("\n", maxsplit=1)[-1]
        return Prompt((Message("user", cue + content[len(content.rstrip()) :]),), self.form)


def _gap(text: str) -> str:
    return "" if text[-1:].isspace() else " "
