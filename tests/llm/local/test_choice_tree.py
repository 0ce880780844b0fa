"""Rows hold each token once, and every prompt and choice can be read back from them."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from harness.llm.local.choice_tree import Candidates, Row, common_prefix, header_of, pack_rows

tokens = st.lists(st.integers(0, 2), min_size=1, max_size=6).map(tuple)
candidates = st.builds(Candidates, tokens, st.lists(tokens, min_size=1, max_size=4).map(tuple))


def path_to(row: Row, position: int) -> tuple[int, ...]:
    """Tokens on the branch of a position, by going from parent to parent."""
    path: list[int] = []
    while position >= 0:
        path.insert(0, row.tokens[position])
        position = row.parents[position]
    return tuple(path)


@given(st.lists(candidates, min_size=1, max_size=8), st.integers(1, 20), st.integers(1, 4))
def test_every_choice_is_read_back_after_its_prompt(items: Sequence[Candidates], n_tokens: int, n_prompts: int) -> None:
    header = header_of(items)
    rows = pack_rows(items, len(header), n_tokens, n_prompts)
    assert sorted(number for row in rows for number in row.members) == list(range(len(items)))
    for row in rows:
        assert len(row.members) <= n_prompts
        found: dict[tuple[int, int], list[tuple[tuple[int, ...], int]]] = {}
        for owner, source, target in zip(row.owners, row.sources, row.targets, strict=True):
            found.setdefault(owner, []).append((header + path_to(row, source), target))
        for number in row.members:
            item = items[number]
            for choice, continuation in enumerate(item.continuations):
                assert found[number, choice] == [
                    (item.context + continuation[:i], token) for i, token in enumerate(continuation)
                ]


@given(st.lists(candidates, min_size=1, max_size=8))
def test_a_row_holds_no_token_twice_and_sees_its_branch_only(items: Sequence[Candidates]) -> None:
    header = header_of(items)
    (row,) = pack_rows(items, len(header), 10_000, 10_000)
    inputs = {item.context + one[:-1] for item in items for one in item.continuations}
    beginnings = {text[:i] for text in inputs for i in range(len(header) + 1, len(text) + 1)}
    assert len(row.tokens) == len(beginnings)
    seen = row.visible()
    for position, depth in enumerate(row.depths):
        branch = path_to(row, position)
        assert [row.tokens[i] for i in seen[position].nonzero()[0]] == list(branch)
        assert depth == len(header) + len(branch) - 1


def test_header_leaves_every_context_a_token() -> None:
    assert header_of([Candidates((1, 2, 3), ((4,),)), Candidates((1, 2), ((4,),))]) == (1,)
    assert header_of([Candidates((1, 2, 3), ((4,),))]) == (1, 2)
    assert header_of([Candidates((1, 2), ((4,),)), Candidates((3, 2), ((4,),))]) == ()


def test_common_prefix_ends_at_the_first_difference_or_the_shorter_end() -> None:
    assert common_prefix((1, 2, 3), (1, 2, 4, 5)) == 2
    assert common_prefix((1, 2), (1, 2, 3)) == 2
    assert common_prefix((), (1,)) == 0


def test_depth_counts_what_the_model_reads_for_the_longest_choice() -> None:
    assert Candidates((1, 2, 3), ((4,), (4, 5, 6))).depth == 5
