"""One prediction for one utterance: a label with optional probabilities, or the reason why there is none."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from harness.errors import PredictionError
from harness.schema.generation import Generation

Status = Literal["ok", "unparsed", "refused", "truncated", "failed"]
"""How an answer ended. Everything but "ok" has no label and counts as wrong."""

STATUSES: tuple[Status, ...] = get_args(Status)


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a predictor says of one target utterance.

    Raises:
        PredictionError: label and status contradict each other, or the scores are no probabilities.
    """

    utterance_id: str
    """Id of the target."""
    label: str | None
    """A name of the label set; None exactly when the status is not "ok"."""
    scores: Mapping[str, float] | None = None
    """Probability per label of the set, non-negative, summing to 1 within 1e-3; None if the predictor has none."""
    status: Status = "ok"
    """How the answer ended."""
    generation: Generation | None = None
    """How a language model came to it; None for other predictors."""

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise PredictionError(f"status {self.status!r} of {self.utterance_id!r}: expected one of {STATUSES}")
        if (self.label is None) == (self.status == "ok"):
            raise PredictionError(
                f"utterance {self.utterance_id!r} has label {self.label!r} with status {self.status!r}: "
                "give a label with status 'ok', or no label with another status"
            )
        if self.scores is not None:
            values = self.scores.values()
            total = math.fsum(values)
            if not all(v >= 0 for v in values) or not abs(total - 1) <= 1e-3:
                raise PredictionError(
                    f"scores of {self.utterance_id!r} are not probabilities: expected values >= 0 that sum to 1, "
                    f"got a sum of {total:.6g}; leave scores out if the model has none"
                )
