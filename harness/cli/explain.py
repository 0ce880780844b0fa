"""`erc-harness explain`: which claim each number supports, in plain words."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Annotated

import typer

from harness.cli.options import Json
from harness.cli.output import print_json, print_text
from harness.errors import UnknownNameError


@dataclass(frozen=True, slots=True)
class Explanation:
    """What one number of a table is, and what may be said because of it."""

    name: str
    """What the user types."""
    title: str
    """Head of the entry here and in the README."""
    heads: tuple[str, ...]
    """Column heads of tables that it explains; the user may type them too."""
    claim: str
    """What it is and what it supports; stands word for word in the README."""
    caution: str
    """What it does not support, or an example."""


WIDTH = 100

INTRODUCTION = (
    "A test split is a sample of dialogues: on others of the same kind each score would come out differently, and the "
    "order of close systems too. The columns say how far a score may be trusted, and which differences are more than "
    "the luck of the sample.",
    "An example, measured on the test split of MELD with 13 classical systems: seven of them score between 54.3 and "
    "55.9 weighted F1. No test separates any two of the seven: they share the letter a, and each has the rank set 1–7. "
    "They are one group, and the first of them is not 'the best', only the first. With the utterance as unit 52 of the "
    "78 pairs pass for different, with the dialogue 51, and after the correction over all pairs 47. The median "
    "standard error of a difference is 0.94 points: one test finds true differences of 2.6 points with 80% power, a "
    "test among all 78 pairs those of 3.8; papers claim differences of 0.3 to 0.8.",
)
"""Source of the figures: measured on MELD for this project, with 13 systems that it trained for the purpose."""

_ENTRIES = (
    Explanation(
        "score",
        "Score",
        ("wF1 %",),
        "the dataset's main metric, weighted F1 unless the card says otherwise; the mean over seeds, never the best "
        "seed. Unparsed, refused, truncated and failed answers count as wrong.",
        "Bold marks the highest score and claims nothing else. One metric is primary and tested; the others describe.",
    ),
    Explanation(
        "interval",
        "Interval",
        ("[low, high]",),
        "what the score may be over all dialogues of this kind (and, in scope procedure, over all seeds): intervals "
        "made so hold it in 95 of 100 studies. t on the dialogue-clustered standard error.",
        "Do not compare two systems by whether their intervals overlap: both were scored on the same dialogues, so the "
        "error of their difference is smaller than the two intervals suggest. Look at letters and p adj. Utterances of "
        "a dialogue resemble each other; an interval that takes them for independent is too short.",
    ),
    Explanation(
        "scope",
        "Scope",
        (),
        "`checkpoint` supports the claim 'these predictions are better on dialogues of this kind'; `procedure` "
        "supports 'this way of training is better', over new dialogues and new seeds, and needs three seeds or more "
        "of a system that is not deterministic.",
        "With one seed a better score may be a better seed. A t-test over seeds, as many papers have it, ignores that "
        "all seeds met the same dialogues: at 5% it cries wolf in 7 to 67% of cases (measured).",
    ),
    Explanation(
        "unit",
        "Unit",
        (),
        "what was resampled: whole dialogues, or a coarser attribute of them such as the episode; utterances only by "
        "`compare --unit utterance`, with a warning. '280 dialogues worth 204 equal ones' tells how much unequal "
        "lengths cost.",
        "The design effect of a difference, how much dialogues inflate its variance, needs gold labels per utterance: "
        "`compare` prints it where the corpus can be read, boards do not, because they need no corpus. On MELD it is "
        "1.14 at the median pair, which is little; in IEMOCAP's long dialogues tests on utterances would err in 28 to "
        "57% of cases (simulated). "
        "IEMOCAP's test split holds two speakers: nothing here says how far a result carries to other people.",
    ),
    Explanation(
        "test",
        "Test",
        (),
        "two-sided, of every pair, on the same dialogues: a t-test on the variance of dialogues plus seeds "
        "(Satterthwaite) in scope procedure, a studentised sign-flip in scope checkpoint. All pairs of a dataset are "
        "one family for the correction (Holm, or step-down max-T).",
        "A p-value holds for a question fixed beforehand. A test split that a whole field has tuned on is worn; "
        "settings are chosen on dev.",
    ),
    Explanation(
        "delta",
        "Δ top and p adj",
        ("Δ top", "p adj"),
        "points between a system and the best tested one, with p adj, the p-value of that difference corrected over "
        "all pairs: at or below α it supports 'worse than the best'.",
        "A large p adj does not support 'as good as the best', only 'not shown to be worse'; how much worse it may be "
        "is told by the interval of the difference (`erc-harness compare`, or to_top_low in the CSV) and by MDE80.",
    ),
    Explanation(
        "rank",
        "Rank",
        ("Rank",),
        "the places that the tests leave open: 2–4 says that one system is shown to be better, and that all but four, "
        "itself included, are shown to be worse. All ranges of a table hold together with 95% confidence.",
        "A rank of one number is a claim; a range is the honest answer. Ranks from bootstrap replicates, or a "
        "'probability of being best', hold together in 0 to 75% of studies (measured) and are not offered.",
    ),
    Explanation(
        "letters",
        "Letters",
        ("Letters",),
        "systems that share a letter are not separable. Sharing is not transitive: a may share with b and b with c "
        "while a and c differ.",
        "Letters are therefore no league table: 'ab' belongs to two groups at once. Not separable does not mean equal.",
    ),
    Explanation(
        "top",
        "† (top group)",
        ("†",),
        "not separable from the best: with 95% confidence the truly best system on this board is among those marked.",
        "Report the group, not its first row.",
    ),
    Explanation(
        "mde",
        "MDE80",
        ("MDE80",),
        "the smallest true difference that the tests find in 80 of 100 studies, at the median pair, for one test and "
        "for one among all pairs. Differences well below it are missed more often than found.",
        "Where true differences are far below MDE80, those that come out significant are exaggerated. `erc-harness "
        "power DATASET` tells how many dialogues and seeds a claim needs, before the study is run.",
    ),
    Explanation(
        "se",
        "SE split",
        ("SE",),
        "the standard error by source, dialogues | seeds | interaction: if seeds weigh little against dialogues, more "
        "seeds will not help and more annotated dialogues would.",
        "The interaction is noise of seed times dialogue. It is in both other parts and counted once: SE² = dialogues² "
        "+ max(seeds² − interaction², 0). `erc-harness compare` says which of the two to add.",
    ),
    Explanation(
        "coverage",
        "Coverage",
        ("Cover", "Coverage"),
        "the share of utterances that got a usable label; the column appears where some row is below 100%.",
        "Missing answers count as wrong, so a low coverage is already in the score: a better parser may raise it.",
    ),
    Explanation(
        "seeds",
        "Seeds",
        ("Seeds",),
        "runs behind the row; 1 for a system that gives the same predictions every time. Each seed is scored "
        "alone, and the scores are averaged.",
        "Seeds of two systems are not paired: seed 1 of one has nothing to do with seed 1 of the other.",
    ),
    Explanation(
        "context",
        "Context",
        ("Ctx", "Context"),
        "what the system sees beside the utterance: none, the past of the dialogue, or all of it (full); and which "
        "modalities beyond text.",
        "A system with full context knows the future: it cannot run while people talk, and rows of other contexts "
        "answer another question.",
    ),
    Explanation(
        "signature",
        "Signature",
        (),
        "what two tables must have in common to be compared: data with fingerprint, split, labels, context, scope, "
        "unit, test, correction, seeds, version. Runs on other data or labels are refused, not mixed.",
        "Scores from papers often differ in splits, label sets or seeds; without a signature such a comparison is a "
        "guess.",
    ),
)

ENTRIES: Mapping[str, Explanation] = MappingProxyType({entry.name: entry for entry in _ENTRIES})
"""The explanations by name, in the order of reading."""


def explain(
    column: Annotated[str | None, typer.Argument(help="One of the columns; default: all of them.")] = None,
    as_json: Json = False,
) -> None:
    """Say in plain words which claim each number of a table supports."""
    entries = list(ENTRIES.values()) if column is None else [find_explanation(column)]
    if as_json:
        print_json({"explanations": [asdict(entry) for entry in entries]})
        return
    if column is None:
        for paragraph in INTRODUCTION:
            print_text(_filled(paragraph, ""))
            print_text("")
    for entry in entries:
        print_text(f"{entry.title}  ({entry.name})")
        print_text(_filled(f"{entry.claim[0].upper()}{entry.claim[1:]}", "    "))
        print_text(_filled(entry.caution, "    "))
        print_text("")


def find_explanation(column: str) -> Explanation:
    """Returns an explanation by its name, or by a column head of a table.

    Raises:
        UnknownNameError: there is none.
    """
    wanted = column.casefold()
    for entry in ENTRIES.values():
        if wanted in (entry.name, *(head.casefold() for head in entry.heads)):
            return entry
    raise UnknownNameError.of("column", column, ENTRIES, "type: erc-harness explain")


def _filled(text: str, indent: str) -> str:
    return textwrap.fill(text, WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)
