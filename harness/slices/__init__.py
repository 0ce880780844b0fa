"""The error atlas: where a system is right and wrong, by slices of the split, each with its interval.

`register_slice` adds a slice; `build_atlas` scores stored runs on each. Needs the corpus, since runs hold no text.
"""

from harness.slices.slice import SLICES, Slice, Sources, register_slice

BUILTIN = {
    "emotion-shift": "harness.slices.builtin:emotion_shift",
    "position": "harness.slices.builtin:position_in_dialogue",
    "utterance-length": "harness.slices.builtin:utterance_length",
    "dialogue-length": "harness.slices.builtin:dialogue_length",
    "speakers": "harness.slices.builtin:number_of_speakers",
    "turn": "harness.slices.builtin:turn_of_speaker",
    "rare-label": "harness.slices.builtin:rare_label",
    "seen-in-train": "harness.slices.builtin:seen_in_train",
    "other-corpus": "harness.slices.builtin:in_other_corpus",
    "video": "harness.slices.builtin:video_description",
}
"""Slices of this distribution in the order of tables: name -> "module:function", imported on first use."""

__all__ = ["BUILTIN", "SLICES", "Slice", "Sources", "choose_slices", "register_slice", "slice_names"]

for _name, _target in BUILTIN.items():
    SLICES.add_lazy(_name, _target, origin="erc-harness")


def slice_names() -> tuple[str, ...]:
    """Returns the names of all slices: those of this distribution in the order of tables, then those of plugins."""
    return (*BUILTIN, *(name for name in SLICES if name not in BUILTIN))


def choose_slices(names: tuple[str, ...] = ()) -> tuple[Slice, ...]:
    """Returns slices by name, each once; all of them without names.

    Raises:
        UnknownNameError: no such slice.
        PluginLoadError: its code cannot be imported.
    """
    return tuple(SLICES.get(name) for name in dict.fromkeys(names or slice_names()))
