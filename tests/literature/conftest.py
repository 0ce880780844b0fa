"""A small file of published results, and changes to it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

FILE = """
[sources.lab]
title = "A paper of the laboratory"
cite = "Lab"
where = "arXiv 0000.00000"
kind = "paper"

[protocols.tales]
corpus = "tales"
dataset = "tales"
release = "tales, 5 / 5 / 5 dialogues"
n_labels = 3
n_utterances = 20

[protocols.tales-old]
corpus = "tales"
release = "tales of old"

[features.words]
title = "words"
ours = ["words*"]

[[tables]]
source = "lab"
key = "main"
name = "Table 1"

[tables.all]
provenance = "own"
features = "words"
problems = ["written by hand"]

[[tables.rows]]
system = "first"
name = "First"
seeds = 5
selection = "dev"
values.tales = { weighted_f1 = 50.00, accuracy = 60.0 }
values.meld = { weighted_f1 = 40.00 }
average = { weighted_f1 = 45.00 }

[[tables.rows]]
system = "second"
name = "Second"
values.tales-old = { weighted_f1 = 40.00 }
values.meld = { weighted_f1 = 32.00 }

[[tables.gains]]
system = "first"
over = "second"
values.tales = { weighted_f1 = 25.00 }
average = { weighted_f1 = 25.00 }

[[tables.claims]]
system = "first"
says = "First is best"
"""


@pytest.fixture
def write_results(tmp_path: Path) -> Callable[..., Path]:
    """Writes the file with some of its text replaced, which must be there, and returns its path."""

    def write(old: str = "", new: str = "", name: str = "lab.toml") -> Path:
        assert old in FILE
        path = tmp_path / name
        path.write_text(FILE.replace(old, new, 1) if old else FILE)
        return path

    return write
