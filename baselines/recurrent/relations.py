"""Commonsense knowledge of utterances: nine vectors each, side by side, one for each relation of ATOMIC.

Relations that begin with x say what an event tells of the one who acts, here the speaker; those with o, of others.

Source: Bosselut et al. 2019, "COMET: Commonsense Transformers for Automatic Knowledge Graph Construction"; the vectors
that Ghosal et al. 2020 publish with COSMIC (declare-lab/conv-emotion) are 9 * 768 numbers in this order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from harness.errors import ConfigError, DataError

if TYPE_CHECKING:
    from torch import Tensor

Relation = Literal["xIntent", "xAttr", "xNeed", "xWant", "xEffect", "xReact", "oWant", "oEffect", "oReact"]

RELATIONS: tuple[Relation, ...] = get_args(Relation)
"""In the order of the vectors."""


def relation_width(width: int) -> int:
    """Returns the width of one relation's vector.

    Args:
        width: of the knowledge of an utterance.

    Raises:
        DataError: it is not that of nine vectors.
    """
    if width % len(RELATIONS):
        raise DataError(
            f"knowledge: {width} numbers an utterance, expected {len(RELATIONS)} vectors of one width side by side, "
            f"such as 9 * 768 = 6912: {', '.join(RELATIONS)}"
        )
    return width // len(RELATIONS)


def take_relations(knowledge: Tensor, *relations: Relation) -> Tensor:
    """Returns the vectors of some relations side by side, in the order they are asked for.

    Args:
        knowledge: float32 (..., 9 * width).
        relations: at least one.

    Returns:
        float32 (..., len(relations) * width).
    """
    vectors = knowledge.view(*knowledge.shape[:-1], len(RELATIONS), -1)
    return vectors[..., [RELATIONS.index(name) for name in relations], :].flatten(-2)


def require_knowledge(knowledge: str | None, without: str) -> None:
    """Refuses a system that was given no knowledge.

    Args:
        knowledge: the system's parameter.
        without: name of its variant that needs none.

    Raises:
        ConfigError: it is None.
    """
    if knowledge is None:
        raise ConfigError(
            "parameter 'knowledge': got None, expected features with nine commonsense vectors of each utterance: "
            f"-P knowledge=file:FILE; {without!r} is the variant without knowledge"
        )
