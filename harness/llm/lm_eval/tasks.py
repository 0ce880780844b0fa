"""Writes a split as tasks of lm-eval: its prompts, rendered once and here, and files that make lm-eval score as we do.

Owns what the folder holds. Knows no model; how answers are scored there is in `harness.llm.lm_eval.task_utils`.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.bounded import MAX_SETTINGS, parse_json, read_bounded
from harness.data import Dataset, Split
from harness.errors import ConfigError, PromptError
from harness.llm.lm_eval import task_utils
from harness.llm.lm_eval.backend import END
from harness.llm.lm_eval.origin import TaskOrigin
from harness.prompting import Form, LabelNames, Prompt, Template, Window
from harness.schema import DialogueView

FORMAT = "erc-harness lm-eval tasks"
"""By this an earlier export is recognised."""

MAX_NEW_TOKENS = 16
"""Length of a written answer, as in our own runs."""

_SCORES = [("weighted_f1", "!function utils.weighted_f1"), ("macro_f1", "!function utils.macro_f1"), ("acc", "mean")]

METRICS = {
    "choice": [(name + end, aggregation, "true") for end in ("", "_bytes") for name, aggregation in _SCORES],
    "generate": [*((*score, "true") for score in _SCORES), ("no_label", "mean", "false")],
}
"""By kind of task: the score of a document, what makes one number of all, and whether a higher one is better."""

README = """# {title}, split {split}, for lm-eval

{n_documents} documents, one for each annotated utterance. Licence of the corpus: {license}.{warning}

    {command}

- `{choice}` needs lm-eval alone. `weighted_f1`, `macro_f1` and `acc` compare the log-likelihoods of the labels as they
  are: `-P answers=choice -P normalisation=sum` of erc-harness. Those that end in `_bytes` divide by the length of the
  label in bytes: `normalisation=byte-mean`. Equal likelihoods single out no label.
- `{generate}` reads written answers by the rules of erc-harness, which has to be installed beside lm-eval
  (`-P answers=generate`). An answer without a label counts as wrong; `no_label` is their share. lm-eval does not tell
  which texts were cut by the limit of {max_new_tokens} tokens, so that each is read as if it had ended by itself.
- Prompts: template {template}, {window} before the target, labels as {shown}, form {form}.
- `id` and `dialogue` in each document are the ids that erc-harness uses; `origin` says what this is an export of.
- With `--log_samples --output_path OUT` lm-eval keeps the answers; to put them on a board of erc-harness as a run:
  `erc-harness import lm-eval OUT/.../samples_....jsonl --dataset {dataset} --split {split} --name NAME`
"""


@dataclass(frozen=True, slots=True)
class ExportedTasks:
    """What was written."""

    dataset: str
    split: str
    folder: Path
    tasks: tuple[str, ...]
    """Names, the choice task first."""
    n_documents: int
    files: tuple[str, ...]
    """Names in the folder."""
    command: str
    """How to run the tasks, with MODEL where the name of a model belongs."""


def export_tasks(
    dataset: Dataset,
    split: str,
    folder: Path,
    *,
    template: Template,
    window: Window,
    names: LabelNames,
    form: Form,
    allow_text: bool = False,
) -> ExportedTasks:
    """Writes the tasks of a split to a folder; an earlier export there is replaced.

    Args:
        dataset: the corpus.
        split: its name.
        folder: made if absent.
        template: the wording, without exemplars.
        window: the part of the past that is shown.
        names: how labels are written.
        form: "plain", or "chat" for models that are run with --apply_chat_template.
        allow_text: whether the user answers for a copy of a text that may not be passed on.

    Raises:
        ConfigError: the text may not be passed on, or the folder holds something else.
        PromptError: the template makes messages that a task cannot hold.
        UnknownNameError: no such split.
    """
    part = dataset.split(split)
    card = dataset.card
    if not (card.redistributable or allow_text):
        raise ConfigError(
            f"the text of {dataset.name!r} may not be passed on ({card.license}), and {str(folder)!r} would hold it; "
            "add --allow-text to write it for yourself alone"
        )
    prompts = list(_prompts(part, template, window, names, form))
    stem = f"erc_{dataset.name}" + ("" if split == "test" else f"_{split}")
    tasks = (f"{stem}_choice", f"{stem}_generate")
    command = (
        f"lm_eval --model hf --model_args pretrained=MODEL --tasks {','.join(tasks)} "
        f"--include_path {shlex.quote(str(folder))}" + " --apply_chat_template" * (form == "chat")
    )
    n_shown = "all utterances" if window.n_utterances is None else f"up to {window.n_utterances} utterances"
    readme = README.format(
        title=card.title, dataset=dataset.name, split=split, n_documents=len(prompts), license=card.license,
        command=command,
        warning="" if card.redistributable else " Its text may not be passed on: keep this folder to yourself.",
        choice=tasks[0], generate=tasks[1], max_new_tokens=MAX_NEW_TOKENS, template=template.name, window=n_shown,
        shown=", ".join(names.shown), form=form,
    )  # fmt: skip
    origin = asdict(_origin(part, template, window, names, form))
    documents = "".join(
        json.dumps({**doc, "origin": origin}, ensure_ascii=False) + "\n" for doc in _documents(part, prompts)
    )
    delimiter = _delimiter(prompts, names)
    files = {
        "documents.jsonl": documents,
        "utils.py": Path(task_utils.__file__).read_text(encoding="utf-8"),
        f"{tasks[0]}.yaml": _describe_task(tasks[0], "choice", delimiter, names, form),
        f"{tasks[1]}.yaml": _describe_task(tasks[1], "generate", delimiter, names, form),
        "README.md": readme,
    }
    about = {
        "format": FORMAT,
        "version": 2,
        **origin,
        "license": card.license,
        "n_documents": len(prompts),
        "files": sorted(files),
    }
    _write(folder, about, files)
    return ExportedTasks(dataset.name, split, folder, tasks, len(prompts), ("export.json", *sorted(files)), command)


def _origin(split: Split, template: Template, window: Window, names: LabelNames, form: Form) -> TaskOrigin:
    return TaskOrigin(
        dataset=split.dataset,
        split=split.name,
        fingerprint=split.fingerprint,
        labels=names.label_set.labels,
        shown=names.shown,
        template=template.name,
        template_sha256=template.sha256,
        form=form,
        window=window.n_utterances,
    )


def _prompts(
    split: Split, template: Template, window: Window, names: LabelNames, form: Form
) -> Iterator[tuple[DialogueView, Prompt]]:
    for dialogue in split.dialogues:
        for view in dialogue.views("past", split.label_set):
            (position,) = view.target_positions
            scene = window.frame(view, position)
            yield view, template.render(form, labels=names.shown, target=scene.target, history=scene.history)


def _documents(split: Split, prompts: list[tuple[DialogueView, Prompt]]) -> Iterator[dict[str, Any]]:
    for view, prompt in prompts:
        *before, question = prompt.messages
        if prompt.form == "chat" and [message.role for message in before] not in ([], ["system"]):
            raise PromptError("a task of lm-eval holds one question, with a system message at most; use form plain")
        system = before[0].content if before else ""
        id_ = view.targets[0].id
        yield {
            "id": id_,
            "dialogue": view.dialogue_id,
            "system": system if prompt.form == "chat" else "",
            "prompt": question.content if prompt.form == "chat" else prompt.text,
            "gold": split.label_set.index(split.gold[id_]),
        }


def _delimiter(prompts: list[tuple[DialogueView, Prompt]], names: LabelNames) -> str:
    """Returns what stands between every prompt and every choice."""
    found = {p.continuation(name).removesuffix(name) for _, p in prompts for name in names.shown}
    if len(found) > 1:
        raise PromptError("some prompts end with white space and some do not; use a template that ends alike for all")
    return found.pop()


def _describe_task(name: str, kind: str, delimiter: str, names: LabelNames, form: Form) -> str:
    """Returns the YAML of a task. Fields of documents are named, not put into templates: no text is interpreted."""
    lines = [
        f"task: {json.dumps(name)}",
        'tag: "erc"',
        "custom_dataset: !function utils.load_documents",
        'test_split: "test"',
        'doc_to_text: "prompt"',
        'doc_to_target: "gold"',
        f"target_delimiter: {json.dumps(delimiter)}",
        "num_fewshot: 0",
        'metadata: {"version": 1}',
        f"process_results: !function utils.process_{kind}",
    ]
    if form == "chat":
        lines.append('description: "system"')
    if kind == "choice":
        lines += ["output_type: multiple_choice", f"doc_to_choice: {json.dumps(names.shown)}"]
    else:
        settings = {"until": [END], "max_gen_toks": MAX_NEW_TOKENS, "do_sample": False, "temperature": 0.0}
        lines += ["output_type: generate_until", f"generation_kwargs: {json.dumps(settings)}"]
        lines.append("process_docs: !function utils.require_reader")
    lines.append("metric_list:")
    for metric, aggregation, better in METRICS[kind]:
        lines += [f"  - metric: {metric}", f"    aggregation: {aggregation}", f"    higher_is_better: {better}"]
    return "\n".join(lines) + "\n"


def _write(folder: Path, about: dict[str, Any], files: dict[str, str]) -> None:
    """Writes the files of an export and removes those of an earlier one.

    Raises:
        ConfigError: the folder holds something that is no export, or cannot be written.
    """
    marker = folder / "export.json"
    try:
        if folder.exists() and any(folder.iterdir()):
            for name in _files_of(marker).difference(files):
                (folder / name).unlink(missing_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in {marker.name: json.dumps(about, indent=1) + "\n", **files}.items():
            (folder / name).write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise ConfigError(f"cannot write {str(folder)!r}: {error.strerror or error}; choose another folder") from error


def _files_of(marker: Path) -> set[str]:
    """Returns the names of the files of the export that a folder holds."""
    try:
        about = parse_json(read_bounded(marker, MAX_SETTINGS))
        if about["format"] == FORMAT:
            return {Path(name).name for name in about["files"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{str(marker.parent)!r} is not empty and no earlier export; choose a new folder") from error
    raise ConfigError(f"{str(marker.parent)!r} is not empty and no earlier export; choose a new folder")
