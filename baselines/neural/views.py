"""Views that are beginnings of one dialogue, computed once by systems that cannot look ahead."""

from __future__ import annotations

from collections.abc import Sequence

from harness.schema import DialogueView


def join_beginnings(views: Sequence[DialogueView]) -> tuple[list[DialogueView], list[int]]:
    """Returns the longest views, and for each view the number of one that it is the beginning of.

    With context "past" there is a view per target, and all views of a dialogue are beginnings of the last one. What a
    causal network says at a position does not depend on later ones, so the longest view answers for all. A view that is
    not word for word the beginning of another one of its dialogue stays by itself.
    """
    longest: list[DialogueView] = []
    belongs = [0] * len(views)
    by_dialogue: dict[str, list[int]] = {}
    for i in sorted(range(len(views)), key=lambda i: -len(views[i].utterances)):
        view = views[i]
        known = by_dialogue.setdefault(view.dialogue_id, [])
        n = len(view.utterances)
        found = next((k for k in known if longest[k].utterances[:n] == view.utterances), None)
        if found is None:
            found = len(longest)
            longest.append(view)
            known.append(found)
        belongs[i] = found
    return longest, belongs
