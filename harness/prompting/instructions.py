"""Corpora as instructions: one solved question per labelled utterance, for a language model to learn from.

What is asked is framed and worded by the same window and template that ask it later. Knows no model.

Where instructions are written to a file, each is one JSON object with these keys:

- `id`: "dataset/split/utterance", unique over corpora; `dataset`, `split`, `dialogue_id`, `utterance_id`: its parts.
- `labels`: the labels to choose from, those of the corpus, as prompts write them.
- `video`: what the video of the utterance shows, in words; null where nothing describes it.
- `context`: the utterances before it, in order of time; "speaker: text" where speakers are shown.
- `input`: the utterance, written likewise.
- `output`: its gold label, one of `labels`.
- `prompt`: the question as a model without roles reads it, before it writes `output`; a space comes between them unless
  the prompt ends with white space. It holds `labels`, `video`, `context` and `input` in the wording of the template.

DialogueLLM's records have a key `instruction`, which is missing here: the wording belongs to the template, which need
not keep it in one place, and a second wording beside `prompt` would be one that nobody reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from harness.data import Split
from harness.prompting.label_names import LabelNames
from harness.prompting.prompt import Form, Prompt
from harness.prompting.templates import Template
from harness.prompting.window import Line, Scene, Window


@dataclass(frozen=True, slots=True)
class Instruction:
    """A labelled utterance as a question and its answer.

    Source: DialogueLLM, arXiv 2310.11374v4, section 3: instruction, context, input and the description of the video.
    """

    dataset: str
    split: str
    dialogue_id: str
    utterance_id: str
    scene: Scene
    """The utterance and what is shown around it."""
    names: LabelNames
    """Labels of the dataset, and how prompts write them."""
    label: str
    """Gold, a name of the label set."""

    @property
    def answer(self) -> str:
        """The label as prompts write it."""
        return self.names.of(self.label)

    def prompt(self, template: Template, form: Form) -> Prompt:
        """Returns the question; raises PromptError as `Template.render`."""
        scene = self.scene
        return template.render(
            form, labels=self.names.shown, history=scene.history, target=scene.target, future=scene.future
        )

    def record(self, template: Template) -> dict[str, Any]:
        """Returns the instruction for a file, as the module says; raises PromptError as `Template.render`."""
        return {
            "id": f"{self.dataset}/{self.split}/{self.utterance_id}",
            "dataset": self.dataset,
            "split": self.split,
            "dialogue_id": self.dialogue_id,
            "utterance_id": self.utterance_id,
            "labels": list(self.names.shown),
            "video": self.scene.target.video,
            "context": [_spoken(line) for line in self.scene.history],
            "input": _spoken(self.scene.target),
            "output": self.answer,
            "prompt": self.prompt(template, "plain").text,
        }

    def without_farthest_line(self) -> Instruction:
        """Returns the same question without the earliest line of its history, which must not be empty."""
        return replace(self, scene=replace(self.scene, history=self.scene.history[1:]))


def build_instructions(
    split: Split, names: LabelNames, window: Window, videos: Mapping[str, str] = {}
) -> Iterator[Instruction]:
    """Yields one instruction per labelled utterance of a split, in its order.

    Args:
        split: what to learn from.
        names: how its labels are written.
        window: what is shown around an utterance; DialogueLLM shows one utterance before it and no speaker.
        videos: descriptions by utterance id; utterances without one are shown without.

    Raises:
        ConfigError: the window counts tokens, which nobody does here.
    """
    for dialogue in split.dialogues:
        for view in dialogue.views("full" if window.future else "past", split.label_set):
            for position in view.target_positions:
                utterance_id = view.utterances[position].id
                scene = window.frame(view, position, videos)
                yield Instruction(
                    split.dataset, split.name, dialogue.id, utterance_id, scene, names, split.gold[utterance_id]
                )


def _spoken(line: Line) -> str:
    return str(replace(line, video=None))
