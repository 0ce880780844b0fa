"""`erc-harness data describe-video`: what the clips of a corpus show, in words, by a vision model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import calls as options
from harness.cli.options import DataDir, Json, Plugins, Quiet, find_data_dir
from harness.cli.output import note, print_json, print_table, print_text
from harness.errors import N_LISTED, CallsStoppedError

if TYPE_CHECKING:
    from harness.data import Dataset
    from harness.data.clips import SplitClips
    from harness.data.descriptions import DescriptionFile
    from harness.data.emotion_words import WordCounts
    from harness.llm.describing import Describer, Description

N_BETWEEN = 100
"""Clips between two lines that say how far it is."""


def describe_video(
    dataset: Annotated[
        str, typer.Argument(help="Name of a dataset whose card says how clips are named, such as meld.")
    ],
    clips: Annotated[Path, typer.Option(help="Folder with one folder of clips a split, named as in the release.")],
    model: Annotated[str, typer.Option(help="Name of a vision model at the server.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="JSONL file to write, or to go on with.")],
    base_url: Annotated[
        str | None, typer.Option(help="Address of a server that speaks the OpenAI protocol. Default: OpenAI's.")
    ] = None,
    split: Annotated[
        list[str] | None, typer.Option(help="Split to describe; may be repeated. Default: all that have clips.")
    ] = None,
    frames: Annotated[int, typer.Option(min=1, help="Frames shown of each clip, evenly spaced.")] = 4,
    transcript: Annotated[bool, typer.Option(help="Whether the model is shown what is said, too.")] = True,
    max_cost: options.MaxCost = None,
    max_tokens_total: options.MaxTokensTotal = None,
    prices: options.Prices = None,
    concurrency: options.Concurrency = 32,
    requests_per_minute: options.RequestsPerMinute = None,
    tokens_per_minute: options.TokensPerMinute = None,
    timeout_seconds: options.TimeoutSeconds = 60.0,
    max_retries: options.MaxRetries = 6,
    cache: options.Cache = None,
    data_dir: DataDir = None,
    plugin: Plugins = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Describe what the clip of each utterance shows; a repeated command goes on and asks nothing twice."""
    from harness.data import load_dataset
    from harness.data.clips import find_clips
    from harness.data.descriptions import DescriptionFile
    from harness.llm.calls import CallSettings
    from harness.llm.describing import Describer
    from harness.predictors.plugins import load_plugins

    load_plugins(tuple(plugin or ()))
    corpus = load_dataset(dataset, find_data_dir(data_dir))
    found = find_clips(corpus, clips, split or ())
    calls = CallSettings(
        concurrency, requests_per_minute, tokens_per_minute, timeout_seconds, max_retries,
        budget=options.make_budget(max_cost, max_tokens_total), cache=cache, prices=prices,
    )  # fmt: skip
    with (
        closing(Describer(model, base_url, frames, transcript, calls)) as describer,
        DescriptionFile(out, describer.described_by) as file,
    ):
        work = _Work(corpus, found, quiet)
        work.do(describer, file)
        leaks = _count_emotion_words(corpus, [text for texts in file.described.values() for text in texts.values()])
        rows = work.rows(file)
    if as_json:
        print_json(
            {
                "dataset": corpus.name,
                "path": str(out),
                "described_by": describer.described_by,
                "splits": rows,
                **work.named(),
                "emotion_words": {
                    "n_descriptions": leaks.n_texts,
                    "n_with_any": leaks.n_with_any,
                    "share": leaks.share,
                    "counts": dict(leaks.counts),
                },
                "n_tokens": work.n_tokens,
                "usd": work.usd,
            }
        )
    else:
        print_table(
            [{"split": name, **{k.removeprefix("n_"): v for k, v in row.items()}} for name, row in rows.items()]
        )
        print_text(f"\n{describer.described_by}; in {out}\n{_say(leaks)}")
    if any(row["n_failed"] or row["n_left"] for row in rows.values()):
        raise typer.Exit(3)


class _Work:
    """The clips of a command and what came of them."""

    def __init__(self, corpus: Dataset, found: Sequence[SplitClips], quiet: bool) -> None:
        self._corpus, self._found, self._quiet = corpus, found, quiet
        self._without: list[Description] = []
        """Clips that got no description in this session."""
        self._n_noted: Counter[str] = Counter()
        self.n_tokens = 0
        self.usd: float | None = 0.0

    def do(self, describer: Describer, file: DescriptionFile) -> None:
        """Describes what the file does not have yet, until all is asked or a limit is met."""
        from harness.llm.describing import Clip

        for clips in self._found:
            for utterance_id in clips.missing:
                self._note("missing", f"{clips.split}, {utterance_id}: no clip")
            for name in clips.surplus:
                self._note("surplus", f"{clips.split}, {name}: a clip without an utterance, left out")
        todo = [
            Clip(clips.split, u.id, u.text, clips.found[u.id])
            for clips in self._found
            for u in self._corpus.split(clips.split).utterances()
            if u.id in clips.found and u.id not in file.described[clips.split]
        ]
        try:
            for n, made in enumerate(describer.describe(todo), 1):
                self._take(made, file)
                if n % N_BETWEEN == 0:
                    self._say(f"{n} of {len(todo)} clips")
        except CallsStoppedError as error:
            note(f"incomplete: {error}")

    def rows(self, file: DescriptionFile) -> dict[str, dict[str, int]]:
        """Returns the counts of each split: `n_left` are clips that nobody was asked about."""
        rows: dict[str, dict[str, int]] = {}
        for clips in self._found:
            counts = Counter(made.status for made in self._without if made.clip.split == clips.split)
            n_described = sum(u in file.described[clips.split] for u in clips.found)
            rows[clips.split] = {
                "n_utterances": len(clips.found) + len(clips.missing),
                "n_described": n_described,
                "n_missing": len(clips.missing),
                **{f"n_{status}": counts[status] for status in ("corrupt", "refused", "failed")},
                "n_left": len(clips.found) - n_described - counts.total(),
            }
        return rows

    def named(self) -> dict[str, list[dict[str, str]]]:
        """Returns every utterance without a description, by the reason, and the clips without an utterance."""
        named: dict[str, list[dict[str, str]]] = {
            "missing": [{"split": c.split, "utterance_id": u} for c in self._found for u in c.missing],
            "surplus": [{"split": c.split, "file": name} for c in self._found for name in c.surplus],
            "corrupt": [],
            "refused": [],
            "failed": [],
        }
        for made in self._without:
            clip = made.clip
            named[made.status].append({"split": clip.split, "utterance_id": clip.utterance_id, "reason": made.text})
        return named

    def _take(self, made: Description, file: DescriptionFile) -> None:
        clip = made.clip
        self.n_tokens += made.n_tokens
        self.usd = None if self.usd is None or made.usd is None else self.usd + made.usd
        if made.status == "described":
            file.add(clip.split, clip.utterance_id, made.text)
        else:
            self._without.append(made)
            self._note(made.status, f"{clip.split}, {clip.utterance_id}: {made.status}, {made.text}")

    def _note(self, kind: str, line: str) -> None:
        """Says a line, of one kind no more than a screen holds; all of them are in the JSON document."""
        self._n_noted[kind] += 1
        if self._n_noted[kind] <= N_LISTED:
            self._say(line)
        elif self._n_noted[kind] == N_LISTED + 1:
            self._say(f"... more are {kind}: see the summary, or --json for all")

    def _say(self, line: str) -> None:
        if not self._quiet:
            note(line)


def _count_emotion_words(corpus: Dataset, texts: Sequence[str]) -> WordCounts:
    from harness.data.emotion_words import EmotionWords
    from harness.prompting import name_labels

    labels = corpus.card.label_set
    return EmotionWords(frozenset((*labels.labels, *name_labels(labels, "natural").shown))).count(texts)


def _say(leaks: WordCounts) -> str:
    said = f"{leaks.n_with_any} of {leaks.n_texts} descriptions ({leaks.share:.1%}) contain an emotion word"
    if not leaks.n_with_any:
        return said
    counts = ", ".join(f"{word} {n}" for word, n in leaks.counts)
    return f"{said}, which may give the answer away: {counts}\n-P mask_emotion_words=true hides them from prompts"
