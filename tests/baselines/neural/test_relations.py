"""Knowledge of utterances, taken apart by relation."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from baselines.neural.relations import (  # noqa: E402
    RELATIONS,
    relation_width,
    require_knowledge,
    take_relations,
)
from harness.errors import ConfigError, DataError  # noqa: E402


def test_relations_are_taken_in_the_order_of_the_published_vectors() -> None:
    names = "xIntent xAttr xNeed xWant xEffect xReact oWant oEffect oReact"
    assert list(RELATIONS) == names.split()
    knowledge = torch.arange(2 * 3 * 9 * 4.0).reshape(2, 3, 36)
    for i, name in enumerate(RELATIONS):
        torch.testing.assert_close(take_relations(knowledge, name), knowledge[..., 4 * i : 4 * i + 4])
    two = take_relations(knowledge, "oReact", "xIntent")
    torch.testing.assert_close(two, torch.cat([knowledge[..., 32:36], knowledge[..., :4]], dim=-1))


def test_what_is_no_knowledge_is_refused() -> None:
    assert relation_width(6912) == 768
    with pytest.raises(DataError, match="knowledge: 768 numbers an utterance, expected 9 vectors"):
        relation_width(768)
    require_knowledge("file:comet.npz", "cosmic-no-kb")
    with pytest.raises(ConfigError, match="knowledge=file:FILE; 'cosmic-no-kb' is the variant without knowledge"):
        require_knowledge(None, "cosmic-no-kb")
