"""What the documents of an exported task are made from: written into each of them, read back from logged samples."""

from __future__ import annotations

from dataclasses import dataclass, fields

from harness.data.files import Value


@dataclass(frozen=True)
class TaskOrigin:
    """The split and the wording of a task."""

    dataset: str
    split: str
    fingerprint: str
    """SHA-256 of the split."""
    labels: tuple[str, ...]
    """In the order of their numbers."""
    shown: tuple[str, ...]
    """How each is written."""
    template: str
    template_sha256: str
    form: str
    """Plain or chat."""
    window: int | None
    """Utterances shown before the target; None: all."""


def read_origin(value: Value) -> TaskOrigin:
    """Returns the origin that stands in a document; raises DataError where it is none."""
    told = value.fields([field.name for field in fields(TaskOrigin)])
    return TaskOrigin(
        dataset=told["dataset"].text(),
        split=told["split"].text(),
        fingerprint=told["fingerprint"].text(),
        labels=tuple(label.text() for label in told["labels"].items()),
        shown=tuple(name.text() for name in told["shown"].items()),
        template=told["template"].text(),
        template_sha256=told["template_sha256"].text(),
        form=told["form"].text(),
        window=None if told["window"].content is None else told["window"].whole(),
    )
