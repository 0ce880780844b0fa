"""The page: one HTML file with its styles, scripts and data in it, that asks nobody for anything.

Foreign text meets HTML in two places only: jinja2 with autoescape, and JSON in a script element with every "<" and "&"
escaped. Scripts set text, never markup, and the page's own policy forbids any other script, style or request.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from importlib import resources

from harness.data import Split
from harness.leaderboard.leaderboard import Leaderboard
from harness.report.content import Content, make_content
from harness.report.systems import read_systems
from harness.store import RunStore

SCRIPTS = ("dom.js", "table.js", "plot.js", "groups.js", "pairs.js", "confusion.js", "cost.js", "seeds.js",
           "dialogues.js", "main.js")  # fmt: skip
"""In the order in which they stand in the page's one module."""


def build_report(board: Leaderboard, store: RunStore, splits: Mapping[str, Split] | None = None) -> str:
    """Returns a leaderboard as one HTML page; the same files give the same page.

    Args:
        board: what to show.
        store: the runs behind it.
        splits: corpora whose dialogues are to be shown, by dataset. Such a page holds their text.

    Raises:
        IncompatibleRunsError: a corpus is another release than the one predicted.
        StoreError: a stored file is missing or corrupt.
        UnknownNameError: a run of the board is not in the store.
    """
    return render_page(make_content(board, read_systems(board, store), store, splits or {}))


def render_page(content: Content) -> str:
    """Returns the HTML of a page's content."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("harness.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False, "sort_keys": False}
    style, script = _asset("report.css"), "\n".join(map(_asset, SCRIPTS))
    policy = (
        f"default-src 'none'; style-src {_source(style)}; script-src {_source(script)}; base-uri 'none'; "
        "form-action 'none'"
    )
    return environment.get_template("report.html.j2").render(page=content, style=style, script=script, policy=policy)


@cache
def _asset(name: str) -> str:
    return (resources.files("harness.report") / "templates" / name).read_text(encoding="utf-8")


def _source(text: str) -> str:
    """Returns the hash by which a content security policy knows an inline style or script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
