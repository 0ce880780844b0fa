"""What a metric is, and which ones exist by name.

Owns names, titles and the choice of linearisation. Must not know which dataset uses which metric.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Literal

from harness.errors import ConfigError, UnknownNameError
from harness.metrics import f1
from harness.metrics.confusion import FloatArray, Totals


@dataclass(frozen=True)
class Metric:
    """A pure function of summed statistics, vectorised over leading dimensions."""

    name: str
    """Name in code, files and signatures, for example "weighted_f1"."""
    title: str
    """Name in a table header, for example "wF1"."""
    description: str
    """One sentence for a caption."""
    value: Callable[[Totals], FloatArray]
    """Totals of any leading shape to scores of that shape, fractions in [0, 1]."""
    gradient: Callable[[Totals], f1.Gradient] | None = None
    """Derivatives at given totals; None where no closed form is known, and the jackknife takes its place."""
    linearisation: Literal["gradient", "jackknife"] = "gradient"
    """What standard errors and tests rest on; the jackknife is safer where single labels are rare."""
    higher_is_better: bool = True


METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        metric.name: metric
        for metric in (
            Metric(
                name="weighted_f1",
                title="wF1",
                description="F1 of each label, averaged with gold counts as weights.",
                value=f1.weighted_f1,
                gradient=f1.weighted_f1_gradient,
            ),
            Metric(
                name="macro_f1",
                title="macro-F1",
                description="Plain mean of F1 over the labels that occur in gold or predictions.",
                value=f1.macro_f1,
                gradient=f1.macro_f1_gradient,
                linearisation="jackknife",
            ),
            Metric(
                name="accuracy",
                title="accuracy",
                description="Share of utterances with the right label.",
                value=f1.accuracy,
                gradient=f1.accuracy_gradient,
            ),
            Metric(
                name="micro_f1",
                title="micro-F1",
                description="F1 of the pooled counts; equals accuracy when every utterance has an answer.",
                value=f1.micro_f1,
                gradient=f1.micro_f1_gradient,
            ),
        )
    }
)
"""The metrics that need no label name. `get_metric` also builds those that do."""


def metric_names(labels: Sequence[str] = (), neutral: str | None = None) -> tuple[str, ...]:
    """Returns every name that `get_metric` accepts for this label set."""
    without_neutral = () if neutral is None else ("micro_f1_no_neutral",)
    return (*METRICS, *without_neutral, *(f"f1:{label}" for label in labels))


def metric_title(name: str) -> str:
    """Returns the name of any metric in table heads and sentences: "wF1", "F1 joy"; of a foreign one, its words."""
    return METRICS[name].title if name in METRICS else name.replace("f1:", "F1 ", 1).replace("_", " ")


def get_metric(name: str, labels: Sequence[str] = (), neutral: str | None = None) -> Metric:
    """Returns the metric of that name.

    Args:
        name: a key of `METRICS`, "micro_f1_no_neutral", or "f1:<label>".
        labels: the label set in order; needed by the names that speak of labels.
        neutral: the label that "micro_f1_no_neutral" leaves out (the convention for DailyDialog).

    Raises:
        UnknownNameError: no such metric for this label set.
        ConfigError: `neutral` is not one of `labels`.
    """
    if neutral is not None and neutral not in labels:
        raise ConfigError(f"neutral is {neutral!r}; allowed: one of the labels {', '.join(labels)}")
    names = metric_names(labels, neutral)
    if name not in names:
        hint = "" if neutral else "micro_f1_no_neutral needs a neutral label"
        if name in {"ece", "brier", "nll"}:
            hint = "scores of probabilities are described and not tested: no sum of label counts gives them"
        raise UnknownNameError.of("metric", name, names, hint)
    if name in METRICS:
        return METRICS[name]
    if name == "micro_f1_no_neutral" and neutral is not None:
        return _micro_f1_without(neutral, labels.index(neutral))
    label = name.removeprefix("f1:")
    return _f1_of(label, labels.index(label))


def _micro_f1_without(neutral: str, index: int) -> Metric:
    return Metric(
        name="micro_f1_no_neutral",
        title="micro-F1",
        description=f"F1 of the pooled counts of all labels but {neutral!r}.",
        value=partial(f1.micro_f1, left_out=(index,)),
        gradient=partial(f1.micro_f1_gradient, left_out=(index,)),
    )


def _f1_of(label: str, index: int) -> Metric:
    return Metric(
        name=f"f1:{label}",
        title=f"F1 {label}",
        description=f"F1 of the label {label!r}.",
        value=partial(f1.label_f1, label=index),
        gradient=partial(f1.label_f1_gradient, label=index),
        linearisation="jackknife",
    )
