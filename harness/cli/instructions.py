"""`erc-harness data instructions`: corpora as questions and answers for a language model to learn from, counted."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.corpora import load_corpora, overlap_record, print_overlaps
from harness.cli.options import DataDir, Json, NamingName, Plugins, Quiet, find_layout
from harness.cli.output import note, print_json, print_table, print_text
from harness.errors import ConfigError

if TYPE_CHECKING:
    from harness.data import Dataset
    from harness.data.descriptions import Descriptions
    from harness.data.overlap import Overlap
    from harness.prompting import Template, Window
    from harness.prompting.instruction_set import InstructionSet


class SpeakersName(StrEnum):
    """Ways to show who speaks."""

    names = "names"
    masked = "masked"
    none = "none"


def instructions(
    datasets: Annotated[list[str], typer.Argument(metavar="DATASET", help="Names, or folders with a card.toml.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File to write, as JSON lines; an earlier one is replaced. Default: none."),
    ] = None,
    split: Annotated[list[str] | None, typer.Option(help="Splits to learn from. Default: train.")] = None,
    history: Annotated[str, typer.Option(help="Utterances shown before each: 0, 1, 2, ... or all.")] = "1",
    template: Annotated[str, typer.Option(help="FAMILY/VERSION, or a .j2 file of your own.")] = "dialogue-llm/v1",
    speakers: Annotated[SpeakersName, typer.Option(help="How speakers are shown.")] = SpeakersName.none,
    label_names: Annotated[NamingName, typer.Option(help="How labels are written.")] = NamingName.natural,
    video: Annotated[Path | None, typer.Option(help="JSON lines with a description by utterance id.")] = None,
    test: Annotated[
        list[str] | None, typer.Option(help="More datasets whose test split must not be in what is learned from.")
    ] = None,
    decontaminate: Annotated[
        bool,
        typer.Option(
            "--decontaminate",
            help="Leave out dialogues that share an utterance of 5 words or more with dev or test of a dataset named.",
        ),
    ] = False,
    data_dir: DataDir = None,
    plugin: Plugins = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write each labelled utterance as a question with its answer, for a language model to learn from, and count them.

    `harness.prompting.instructions` says what a line of the file holds.
    """
    from harness.data.descriptions import read_descriptions
    from harness.prompting import Window
    from harness.prompting.instruction_set import (
        PUBLISHED,
        PUBLISHED_PARTS,
        choose_instructions,
        count_instructions,
    )
    from harness.store.atomic import open_atomic

    window = Window(_parse_history(history), speakers=speakers.value)
    wording = _load_wording(template, window, video is not None)
    if output is not None:
        _check_output(output)
    corpora = load_corpora([*datasets, *(test or ())], data_dir, plugin)
    videos = read_descriptions(video) if video is not None else None
    n_learned = len(dict.fromkeys(datasets))
    chosen = choose_instructions(
        corpora[:n_learned],
        split or ["train"],
        label_names.value,
        tested=corpora[n_learned:],
        decontaminate=decontaminate,
        videos=videos,
    )
    lines = (_encode(record) for record in chosen.records(window, wording))
    if output is None:
        for _ in lines:  # for the counts alone
            pass
    else:
        with open_atomic(output, "choose another --output") as file:
            file.writelines(lines)
    overlaps = chosen.find_overlaps() if n_learned > 1 or test or decontaminate else []
    rows: list[dict[str, Any]] = [
        {"dataset": p.split.dataset, "split": p.split.name, **count_instructions([p])} for p in chosen.parts
    ]
    total = count_instructions(chosen.parts)
    if as_json:
        print_json(
            {
                "file": None if output is None else str(output),
                "template": wording.name,
                "history": window.n_utterances,
                "speakers": window.speakers,
                "decontaminate": decontaminate,
                "labels": {part.split.dataset: list(part.names.shown) for part in chosen.parts},
                "counts": rows,
                "total": total,
                "published": {**PUBLISHED, "parts": PUBLISHED_PARTS},
                "overlaps": [overlap_record(overlap) for overlap in overlaps],
            }
        )
    else:
        print_table([_row(row, decontaminate) for row in [*rows, {"dataset": "total", "split": None, **total}]])
        summands = " + ".join(f"{n:,} ({name})" for name, n in PUBLISHED_PARTS.items())
        print_text(
            "\nLengths are characters of question and answer. DialogueLLM's authors give "
            f"{PUBLISHED['abstract']:,} examples in their abstract and {PUBLISHED['body']:,} in the text; "
            f"by our reckoning, the latter is their {summands}."
        )
        if overlaps:
            print_text("")
            print_overlaps(overlaps)
    if not quiet:
        for remark in _remarks(corpora[:n_learned], output, chosen, overlaps, videos):
            note(remark)


def _parse_history(text: str) -> int | None:
    """Returns a number of utterances; None for all."""
    if text == "all":
        return None
    if not (text.isascii() and text.isdigit()):
        raise ConfigError(f"--history {text!r}: expected 0, 1, 2, 3, ... or all")
    return int(text)


def _load_wording(name: str, window: Window, has_videos: bool) -> Template:
    """Returns a template, after checking that it has a place for all that is to be shown."""
    from harness.prompting import load_template

    template = load_template(name)
    shown = template.shows | ({"speaker"} if window.speakers != "none" and _shows_speaker(template) else set())
    for part, is_wanted, advice in (
        ("target", True, "give another --template"),
        ("history", window.n_utterances != 0, "add --history 0, or give another --template"),
        ("speaker", window.speakers != "none", "leave out --speakers, or give another --template"),
        ("video", has_videos, "leave out --video, or give another --template"),
    ):
        if is_wanted and part not in shown:
            raise ConfigError(f"template {template.name!r} has no place for {part!r}; {advice}")
    return template


def _shows_speaker(template: Template) -> bool:
    """Whether it makes a difference who speaks."""
    from harness.prompting import Line

    def ask(speaker: str | None) -> str:
        line = Line(speaker, "Hello.")
        return template.render("plain", labels=("joy", "fear"), history=(line,), target=line).text

    return ask("Ann") != ask(None)


def _check_output(path: Path) -> None:
    """Raises ConfigError for a place where instructions cannot go, or must not."""
    given, results = f"--output {str(path)!r}", find_layout(None).root.resolve()
    if path.resolve().is_relative_to(results):
        raise ConfigError(f"{given} is below {results}, where no text of a corpus may be; give a file elsewhere")
    if not path.parent.is_dir():
        raise ConfigError(f"{given}: there is no folder {str(path.parent)!r}; make it, or give another file")
    try:
        if path.exists() and not _is_replaceable(path):
            raise ConfigError(f"{given} exists and is no earlier file of instructions; remove it, or give another file")
    except OSError as error:
        raise ConfigError(f"{given}: {error.strerror or error}; give another file") from error


def _is_replaceable(path: Path) -> bool:
    """Whether a file is empty, or begins as those written here: nothing else of the user's is overwritten."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        line = file.readline()
    return not line or (line.startswith(b'{"id": ') and b'"prompt": ' in line)


def _encode(record: dict[str, Any]) -> bytes:
    return json.dumps(record, ensure_ascii=False).encode() + b"\n"


def _row(row: dict[str, Any], decontaminated: bool) -> dict[str, object]:
    """Returns counts for people."""
    left_out = f"{row['n_labelled_left_out']:,} ({row['n_dialogues_left_out']:,} dialogues)"
    return {
        "dataset": row["dataset"],
        "split": row["split"],
        "dialogues": f"{row['n_dialogues']:,}",
        "labelled utterances": f"{row['n_labelled']:,}",
        "with context": f"{row['n_with_context']:,}",
        "with video": f"{row['n_with_video']:,}",
        "mean length": f"{row['mean_characters']:.0f}",
        "longest": f"{row['max_characters']:,}",
        **({"left out": left_out} if decontaminated else {}),
    }


def _remarks(
    sources: Sequence[Dataset],
    output: Path | None,
    chosen: InstructionSet,
    overlaps: Sequence[Overlap],
    videos: Descriptions | None,
) -> Iterator[str]:
    """Yields what a user should know of the text and of what it gives away."""
    from harness.data.emotion_words import EmotionWords

    if output is not None:
        held = ", ".join(f"{corpus.name} ({corpus.card.license})" for corpus in sources)
        kept = [corpus.name for corpus in sources if not corpus.card.redistributable]
        yield f"{output} holds text of {held}: pass it on only as far as the licence of each allows" + (
            f", and none of {', '.join(kept)}" if kept else ""
        )
    for split in chosen.learned:
        if split.name == "test":
            yield f"{split.dataset}/test is among these examples: what learns from them cannot be tested on it"
    for overlap in overlaps:
        long = overlap.counts[1]
        if overlap.pool == tuple(f"{split.dataset}/{split.name}" for split in chosen.learned) and long.n_found:
            yield (
                f"{long.share:.1%} of the utterances of {overlap.query[0]} with {long.min_words} words or more stand "
                "word for word in what is learned from; --decontaminate leaves out the dialogues that hold them"
            )
    if videos is not None:
        names = chosen.parts[0].names
        found = EmotionWords(frozenset((*names.label_set.labels, *names.shown))).count(videos.texts())
        yield f"{found.share:.1%} of the video descriptions contain an emotion word"
