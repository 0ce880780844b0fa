"""Files of published results: what is read, and how a bad one is refused in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.errors import ConfigError
from harness.literature import load_literature

Write = Callable[..., Path]


def test_a_further_file_is_read_beside_the_package_and_may_name_what_that_has(write_results: Write) -> None:
    literature = load_literature([write_results()])
    assert len(literature.tables) == len(load_literature().tables) + 1
    first, *_ = literature.values_of(literature.table("lab/main"))
    assert (first.system, first.release, first.metric, first.value) == ("first", "tales, 5 / 5 / 5 dialogues",
                                                                       "weighted_f1", 0.5)  # fmt: skip
    assert (first.seeds, first.selection, first.provenance, first.verified) == (5, "dev", "own", True)
    assert first.problems == ("written by hand",)
    *_, last = literature.values_of(literature.table("lab/main"))
    assert (last.protocol, last.seeds, last.selection) == ("meld", None, "unknown")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[sources.lab]", "[sources.lab", "not a TOML file"),
        ('kind = "paper"', 'kind = "blog"', "key 'sources.lab.kind': Input should be .*, got 'blog'"),
        ('cite = "Lab"\n', "", "key 'sources.lab.cite': Field required"),
        ('corpus = "tales"', 'corpsu = "tales"', "key 'protocols.tales.corpus': Field required"),
        ("n_labels = 3", "n_labels = 1", "key 'protocols.tales.n_labels': .*greater than or equal to 2, got 1"),
        ("[features.words]", "[features.Words]", "key 'features': expected lower-case"),
        ("weighted_f1 = 50.00", "wf1 = 50.00", "row 'first', key 'values': metric 'wf1' is not known; allowed:"),
        ("weighted_f1 = 50.00", "weighted_f1 = 150.00", "row 'first', key 'values.tales.weighted_f1': .*, got 150.00"),
        ("weighted_f1 = 50.00", "weighted_f1 = nan", "key 'values.tales.weighted_f1': .*finite number, got NaN"),
        ("weighted_f1 = 50.00", 'weighted_f1 = "50"', "expected a number in percent, got '50'"),
        ("weighted_f1 = 50.00", "weighted_f1 = true", "expected a number in percent, got True"),
        ("weighted_f1 = 50.00", "weighted_f1 = -1.00", "greater than or equal to 0, got -1.00"),
        ('system = "first"', 'system = "First!"', "key 'system': expected lower-case letters.*, got 'First!'"),
        ('system = "second"', 'system = "first"', "table 'main': system 'first', variant '' is there twice"),
        ("seeds = 5", "seeds = 0", "row 'first', key 'seeds': .*, got 0"),
        ("seeds = 5", "colour = 5", "row 'first', key 'colour': Extra inputs are not permitted"),
        ('selection = "dev"', 'selection = "train"', "row 'first', key 'selection': .*, got 'train'"),
        ('provenance = "own"', 'provenance = "rumour"', "row 'first', key 'provenance': .*, got 'rumour'"),
        ('problems = ["written by hand"]', 'problems = "by hand"', "row 'first', key 'problems': .*, got 'by hand'"),
        ('features = "words"', 'features = "wrods"', r"row 'first': unknown features 'wrods' \(known: .*words"),
        ('source = "lab"', 'source = "bar"', r"table 'main': unknown source 'bar' \(known: .*lab"),
        ("values.meld = { weighted_f1 = 40.00 }", "values.melt = { weighted_f1 = 40.00 }",
         "row 'first': unknown protocol 'melt'"),
        ("values.meld = { weighted_f1 = 40.00 }", "values.meld = {}", "row 'first', key 'values': 'meld' has no value"),
        ("values.meld = { weighted_f1 = 40.00 }", "values.tales-old = { weighted_f1 = 40.00 }",
         "row 'first': two protocols of 'tales' in one row"),
        ("average = { weighted_f1 = 45.00 }", "average = { macro_f1 = 45.00 }",
         "row 'first': an average of macro_f1, of which the row has no value"),
        ('over = "second"', 'over = "third"', "a gain or claim names 'third', which has no row"),
        ("values.tales = { weighted_f1 = 25.00 }", "values.tales = { accuracy = 25.00 }",
         "table 'main': a gain in accuracy on 'tales', where 'second' has no value but 0"),
        ("weighted_f1 = 32.00", "weighted_f1 = 0.00", None),
        ("values.tales-old = { weighted_f1 = 40.00 }", "values.tales-old = { weighted_f1 = 0.00 }",
         "a gain in weighted_f1 on 'tales', where 'second' has no value but 0"),
        ("[protocols.tales]", "[protocols.meld]", "key 'protocols.meld': another file has it already"),
        ('kind = "paper"', 'kind = "second-hand"', "row 'first': a second-hand source verifies nothing"),
        ('key = "main"\n', "", "table 1, key 'key': Field required"),
    ],
)  # fmt: skip
def test_a_bad_file_is_refused_in_one_line(write_results: Write, old: str, new: str, said: str | None) -> None:
    path = write_results(old, new)
    if said is None:
        load_literature([path])
        return
    with pytest.raises(ConfigError, match=said) as caught:
        load_literature([path])
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value) or "TOML" in said


def test_files_that_do_not_fit_together_or_cannot_be_read(write_results: Write, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"more\.toml, key 'sources\.lab': another file has it already"):
        load_literature([write_results(), write_results(name="more.toml")])
    again = tmp_path / "again.toml"
    text = write_results().read_text()
    again.write_text(text[text.index("[[tables]]") :])
    with pytest.raises(ConfigError, match=r"again\.toml, table 'main': 'lab' has a table of this key already"):
        load_literature([write_results(), again])
    with pytest.raises(ConfigError, match="'.*nothing.toml' cannot be read: No such file"):
        load_literature([tmp_path / "nothing.toml"])
    (tmp_path / "bytes.toml").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="cannot be read: not UTF-8"):
        load_literature([tmp_path / "bytes.toml"])


def test_a_file_with_the_name_of_a_packaged_one_replaces_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("papers.toml").write_text("", encoding="utf-8")
    assert len(load_literature([Path("papers.toml")]).tables) == len(load_literature().tables)


def test_a_number_beyond_all_bounds_is_refused(tmp_path: Path) -> None:
    (tmp_path / "huge.toml").write_text("value = 1e99999999999999999999\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"huge\.toml: not a TOML file"):
        load_literature([tmp_path / "huge.toml"])
