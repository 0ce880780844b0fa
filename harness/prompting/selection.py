"""The choice of exemplars, from the training split only.

Nothing here sees the gold label of a target: targets come as views, and the labels that are shown are the exemplars'
own. A text of the training split may repeat the target's word for word; 15.5 % of MELD's test utterances are repeated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from harness.data import Split
from harness.errors import ConfigError
from harness.prompting.exemplars import Exemplar, ExemplarPlan
from harness.prompting.label_names import LabelNames
from harness.prompting.retrieval import Bm25, Encode, Retriever, UnitVectors, nearest
from harness.prompting.window import Window
from harness.schema import DialogueView


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A labelled utterance of the training split, and where it stands."""

    view: DialogueView
    position: int
    label: str

    @property
    def id(self) -> str:
        return self.view.utterances[self.position].id

    @property
    def text(self) -> str:
        return self.view.utterances[self.position].text


class Selector:
    """Exemplars for targets; made by `build_selector`."""

    def __init__(
        self, exemplars: Sequence[Exemplar], pools: Sequence[NDArray[np.intp]], n: int, retriever: Retriever | None
    ) -> None:
        self._exemplars, self._pools, self._n, self._retriever = exemplars, pools, n, retriever

    def select(self, view: DialogueView, position: int) -> tuple[Exemplar, ...]:
        """Returns the exemplars to show before one target, in the order to show them."""
        return self.select_many([(view, position)])[0]

    def select_many(self, targets: Sequence[tuple[DialogueView, int]]) -> list[tuple[Exemplar, ...]]:
        """Returns the exemplars for each target, each a view and a position; texts are encoded in one go.

        Retrieval looks at the text of the target alone.
        """
        if self._retriever is None:
            return [tuple(self._exemplars)] * len(targets)
        queries = [view.utterances[position].text for view, position in targets]
        return [self._nearest(row) for row in self._retriever.score(queries)]

    def _nearest(self, scores: NDArray[np.float64]) -> tuple[Exemplar, ...]:
        chosen = np.concatenate([pool[nearest(scores[pool], self._n)] for pool in self._pools])
        return tuple(self._exemplars[i] for i in sorted(chosen, key=lambda i: (scores[i], -i)))


def build_selector(
    train: Split, names: LabelNames, window: Window, plan: ExemplarPlan, seed: int = 0, encode: Encode | None = None
) -> Selector:
    """Returns a selector of exemplars from the training split. Equal arguments give equal exemplars.

    Args:
        train: the training split; its annotated utterances that are not blank are the candidates.
        names: of the labels, as shown.
        window: of the question; exemplars name speakers like it.
        plan: how many, and which.
        seed: of selection "random".
        encode: selection "embedding": texts to unit vectors, such as `TextEncoder.encode`.

    Raises:
        ConfigError: another split than train, fewer candidates than asked for, an id that is no candidate, or nothing
            to encode with.
    """
    if train.name != "train":
        raise ConfigError(f"exemplars from split {train.name!r}: expected 'train'; others would give answers away")
    candidates = _candidates(train)
    frame = replace(window, n_utterances=plan.n_history, n_tokens=None, future=False).frame
    exemplars = [Exemplar(c.id, frame(c.view, c.position), names.of(c.label)) for c in candidates]
    if plan.n == 0:
        return Selector((), (), 0, None)
    if plan.utterance_ids:
        return Selector(_by_id(exemplars, plan.utterance_ids), (), plan.n, None)
    pools = _pools(candidates, train, plan)
    if plan.selection == "fixed":
        return Selector([exemplars[i] for i in sorted(np.concatenate([p[: plan.n] for p in pools]))], (), plan.n, None)
    if plan.selection == "random":
        rng = np.random.default_rng(seed)
        drawn = np.concatenate([rng.choice(pool, plan.n, replace=False) for pool in pools])
        return Selector([exemplars[i] for i in rng.permutation(drawn)], (), plan.n, None)
    texts = [candidate.text for candidate in candidates]
    if plan.selection == "bm25":
        return Selector(exemplars, pools, plan.n, Bm25(texts))
    if encode is None:
        raise ConfigError("exemplars: selection='embedding' needs an encoder of texts; expected encode=...")
    return Selector(exemplars, pools, plan.n, UnitVectors(texts, encode))


def _candidates(train: Split) -> list[_Candidate]:
    """The annotated utterances that are not blank, in the order of the split."""
    return [
        _Candidate(view, i, label)
        for dialogue in train.dialogues
        for view in dialogue.views("full", train.label_set)
        for i in view.target_positions
        if (label := dialogue.utterances[i].label) is not None and dialogue.utterances[i].text.strip()
    ]


def _pools(candidates: Sequence[_Candidate], train: Split, plan: ExemplarPlan) -> list[NDArray[np.intp]]:
    """Positions of the candidates to choose `n` from each: of each label, in the order of the label set, or of all."""
    if not plan.per_class:
        if len(candidates) < plan.n:
            raise ConfigError(
                f"exemplars: n={plan.n}; {train.dataset}, split train, has {len(candidates)} to choose from"
            )
        return [np.arange(len(candidates))]
    labels = np.array([candidate.label for candidate in candidates])
    pools = [np.flatnonzero(labels == label) for label in train.label_set.labels]
    fewest, rarest = min(zip(map(len, pools), train.label_set.labels, strict=True), key=lambda found: found[0])
    if fewest < plan.n:
        raise ConfigError(
            f"exemplars: n={plan.n} of each label; {train.dataset}, split train, has {fewest} of {rarest!r}: ask for "
            "no more, or for exemplars of any label with -P per_class=false"
        )
    return pools


def _by_id(exemplars: Sequence[Exemplar], ids: Sequence[str]) -> list[Exemplar]:
    by_id = {exemplar.utterance_id: exemplar for exemplar in exemplars}
    for utterance_id in ids:
        if utterance_id not in by_id:
            raise ConfigError(
                f"exemplars: {utterance_id!r} is no annotated utterance of split train; "
                f"expected ids like {next(iter(by_id))!r}"
            )
    return [by_id[utterance_id] for utterance_id in ids]
