"""Prompt templates: found, checked, hashed and rendered into messages. Knows no model and no corpus.

One file is one wording, for chat models and for plain ones: `{{ role("user") }}` begins a message, and `Prompt.text`
joins messages for a model without roles. The marker that `role` writes holds a control character, and no `Line` and no
label can hold one: whatever a corpus says, it opens no message. What a template may use: prompts/templates/README.md.
"""

from __future__ import annotations

import hashlib
import re
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

from harness.bounded import MAX_SETTINGS, read_bounded
from harness.errors import PromptError, UnknownNameError
from harness.prompting.exemplars import Exemplar
from harness.prompting.prompt import Form, Message, Prompt, Role
from harness.prompting.window import Line, one_line

if TYPE_CHECKING:
    import jinja2
    from jinja2.sandbox import ImmutableSandboxedEnvironment

VARIABLES = ("labels", "history", "target", "future", "exemplars")
"""What a template may use, besides `role`."""

SAME_WORDING = {"few-shot": "zero-shot"}
"""Families that are another one's files under a name of their own: few-shot/v1 is zero-shot/v1 shown exemplars."""

DESCRIBING = "describe-video"
"""Family of the wordings that ask what a video shows, and show no label; all others ask for a label."""

_PADDING = ("center", "ljust", "rjust", "zfill", "expandtabs", "format", "format_map", "indent", "slice", "batch")
"""Methods and filters that make a text as long, or go on as often, as a number says."""

_MARK = "\x02"
_OF_TEMPLATES = (
    ArithmeticError, AttributeError, LookupError, TypeError, ValueError, SyntaxError, RecursionError, MemoryError
)  # fmt: skip
"""What a template raises, when it is read or rendered."""
_FILE = "<template>"
"""The file name that jinja2 gives to a template made from a string."""


@dataclass(frozen=True, slots=True)
class Template:
    """A wording of the question. Two templates with one hash render the same prompts.

    Raises:
        PromptError: broken syntax, or a variable that does not exist.
    """

    name: str
    """'<family>/<version>', or '<file>@<8 hex digits of the hash>' for a file of the user's own."""
    source: str = field(repr=False)
    """The text of the file, with "\\n" as line end."""

    def __post_init__(self) -> None:
        _check(self.name, self.source)

    @property
    def sha256(self) -> str:
        """SHA-256 of the source, 64 hex digits."""
        return hashlib.sha256(self.source.encode()).hexdigest()

    @property
    def shows(self) -> frozenset[str]:
        """What of a scene the template has a place for: variables it uses, and 'video'."""
        from jinja2 import meta, nodes

        tree = _environment().parse(self.source)
        video = any(node.attr == "video" for node in tree.find_all(nodes.Getattr))
        return frozenset(meta.find_undeclared_variables(tree).intersection(VARIABLES) | ({"video"} if video else set()))

    def render(
        self,
        form: Form,
        *,
        labels: Sequence[str],
        target: Line,
        history: Sequence[Line] = (),
        future: Sequence[Line] = (),
        exemplars: Sequence[Exemplar] = (),
    ) -> Prompt:
        """Returns the question about one utterance.

        Args:
            form: how the prompt reaches the model.
            labels: as shown, in the order to show them.
            target: the utterance asked about.
            history: what was said before it, in order of time.
            future: what was said after it, in order of time.
            exemplars: in the order to show them.

        Raises:
            PromptError: the template fails, its messages are no conversation that ends with the user, or a label holds
                line breaks or control characters.
        """
        for label in (*labels, *(exemplar.label for exemplar in exemplars)):
            if not label or label != one_line(label):
                raise PromptError(
                    f"label {label!r}: expected one line of text, without control characters or outer spaces"
                )
        with _failing_as(self.name):
            text = _compiled(self.source).render(
                labels=labels, target=target, history=history, future=future, exemplars=exemplars
            )
        return Prompt(_messages(self.name, text), form)


def load_template(name: str, *, describing: bool = False) -> Template:
    """Returns a template by name, or from a file of the user's own, whose name ends with '.j2'.

    Args:
        name: '<family>/<version>', or the path of a file.
        describing: whether one is wanted that asks what a video shows; else one that asks for a label.

    Raises:
        UnknownNameError: no such template.
        PromptError: the file cannot be read, has broken syntax, or uses a variable that does not exist.
    """
    if name.endswith(".j2"):
        path = Path(name)
        source = _read(name, path)
        digest = hashlib.sha256(source.encode()).hexdigest()
        return Template(f"{path.stem}@{digest[:8]}", source)
    if name not in (known := list_templates(describing=describing)):
        raise UnknownNameError.of("template", name, known, "or give the path of a file that ends with .j2")
    family, version = name.split("/")
    return Template(name, _read(name, _folder() / SAME_WORDING.get(family, family) / f"{version}.j2"))


def list_templates(*, describing: bool = False) -> list[str]:
    """Returns the names of the templates of one kind, as `load_template` says, that come with the package, sorted."""
    folders = [f for f in _folder().iterdir() if f.is_dir() and (f.name == DESCRIBING) == describing]
    files = [(f.name, v.name) for f in folders for v in f.iterdir()]
    names = [(family, file.removesuffix(".j2")) for family, file in files if file.endswith(".j2")]
    again = [(other, version) for other, family in SAME_WORDING.items() for f, version in names if f == family]
    return sorted(f"{family}/{version}" for family, version in names + again)


def _folder() -> Traversable:
    folder = resources.files("prompts") / "templates"
    if not folder.is_dir():
        raise PromptError(f"no templates in the package 'prompts' ({folder}); type: erc-harness doctor")
    return folder


def _read(name: str, path: Traversable) -> str:
    try:
        source = (read_bounded(path, MAX_SETTINGS) if isinstance(path, Path) else path.read_bytes()).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise PromptError(f"template {name!r} cannot be read: {reason}; expected a text file in UTF-8") from error
    return source.replace("\r\n", "\n").replace("\r", "\n")


@cache
def _environment() -> ImmutableSandboxedEnvironment:
    import jinja2
    from jinja2.exceptions import SecurityError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Sandbox(ImmutableSandboxedEnvironment):
        """Lets a few characters of a template take no gigabytes, and no hours."""

        intercepted_binops = frozenset({"*", "**", "%"})

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            if operator == "**" or not all(isinstance(side, int | float) and abs(side) < 1e6 for side in (left, right)):
                raise SecurityError(f"{operator!r} is for numbers of less than a million, and '**' for none")
            return super().call_binop(context, operator, left, right)

        def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
            return attr not in _PADDING and super().is_safe_attribute(obj, attr, value)

    environment = Sandbox(undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.globals.clear()  # `lipsum` and the filter `random` draw from the global generator
    for name in ("random", *_PADDING):
        environment.filters.pop(name, None)
    environment.globals["role"] = _begin_message
    return environment


@cache
def _compiled(source: str) -> jinja2.Template:
    return _environment().from_string(source)


def _check(name: str, source: str) -> None:
    """Raises PromptError for a template that cannot work, without rendering it."""
    from jinja2 import meta, nodes

    with _failing_as(name):
        tree = _environment().parse(source)
        _compiled(source)
    unknown = meta.find_undeclared_variables(tree).difference(VARIABLES, _environment().globals)
    for node in tree.find_all(nodes.Name):
        if node.name in unknown:
            allowed = ", ".join(VARIABLES)
            raise PromptError(f"template {name!r}, line {node.lineno}: unknown variable {node.name!r}; use {allowed}")


@contextmanager
def _failing_as(name: str) -> Iterator[None]:
    """Turns what goes wrong inside a template into a PromptError with its name and line."""
    import jinja2

    try:
        yield
    except (jinja2.TemplateError, *_OF_TEMPLATES) as error:
        passed = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == _FILE]
        line = error.lineno if isinstance(error, jinja2.TemplateSyntaxError) else passed[-1] if passed else None
        place = f"template {name!r}" + (f", line {line}" if line else "")
        raise PromptError(f"{place}: {one_line(str(error)).rstrip('.')}; see prompts/templates/README.md") from error


def _begin_message(role: str) -> str:
    if role not in get_args(Role):
        raise ValueError(f"role {role!r}: expected one of {list(get_args(Role))}")
    return f"{_MARK}{role}{_MARK}"


def _messages(name: str, text: str) -> tuple[Message, ...]:
    """The messages of a rendered text: stripped, except that the last keeps what follows its cue."""
    before, *parts = re.split(f"{_MARK}([a-z]+){_MARK}", text)
    roles, contents = parts[::2], [content.strip() for content in parts[1::2]]
    if before.strip() or not roles:
        raise PromptError(f'template {name!r}: text before the first message; begin with {{{{ role("user") }}}}')
    turns = roles[1:] if roles[0] == "system" else roles
    if len(turns) % 2 == 0 or any(turn != ("user", "assistant")[i % 2] for i, turn in enumerate(turns)):
        raise PromptError(
            f"template {name!r}: messages of {', '.join(roles)}; expected at most one of system, then user and "
            "assistant by turns, and the last of user"
        )
    if not all(contents):
        empty = contents.index("")
        raise PromptError(f"template {name!r}: message {empty + 1}, of {roles[empty]}, is empty; expected some text")
    contents[-1] = parts[-1].lstrip()
    return tuple(Message(cast(Role, role), content) for role, content in zip(roles, contents, strict=True))
