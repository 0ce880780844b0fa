"""Windows: what is shown around a target, and under which names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import ConfigError
from harness.prompting import Line, Scene, Window
from harness.schema import Dialogue, DialogueView, LabelSet, Utterance

LABELS = LabelSet(("neutral", "joy"), neutral="neutral")
SPOKEN = [
    (("Ann",), "one"),
    (("Bo",), "two two"),
    (("Ann", "Cy"), "three three three"),
    (("Bo",), "four"),
    (("Dee",), "five five"),
    (("Ann",), "six"),
]
DIALOGUE = Dialogue("d", tuple(Utterance(f"u{i}", who, text, "joy") for i, (who, text) in enumerate(SPOKEN)))
(FULL,) = DIALOGUE.views("full", LABELS)
PAST = list(DIALOGUE.views("past", LABELS))
ALONE = list(DIALOGUE.views("none", LABELS))


def texts(scene: Scene) -> tuple[list[str], str, list[str]]:
    return [line.text for line in scene.history], scene.target.text, [line.text for line in scene.future]


def n_words(text: str) -> int:
    return len(text.split())


def test_utterances_on_each_side() -> None:
    past = ["one", "two two", "three three three"]
    assert texts(Window().frame(FULL, 3)) == (past, "four", [])
    assert texts(Window(2).frame(FULL, 3)) == (past[1:], "four", [])
    assert texts(Window(1, future=True).frame(FULL, 3)) == (past[2:], "four", ["five five"])
    assert texts(Window(None, future=True).frame(FULL, 3)) == (past, "four", ["five five", "six"])
    assert texts(Window(0, future=True).frame(FULL, 3)) == ([], "four", [])
    assert texts(Window(None, future=True).frame(FULL, 5)) == ([*past, "four", "five five"], "six", [])


def test_a_window_shows_no_more_than_the_view() -> None:
    window = Window(None, future=True)
    for i, (past, alone) in enumerate(zip(PAST, ALONE, strict=True)):
        assert texts(window.frame(past, i)) == ([text for _, text in SPOKEN[:i]], SPOKEN[i][1], [])
        assert texts(window.frame(alone, 0)) == ([], SPOKEN[i][1], [])


@pytest.mark.parametrize(
    ("n_tokens", "history", "future"),
    # words of 'speaker: text': Bo 3, "Ann & Cy" 6, Bo 2, Dee 3, Ann 2
    [
        (0, 0, 0),
        (4, 0, 1),
        (5, 0, 2),
        (6, 1, 0),
        (8, 1, 0),
        (9, 2, 0),
        (11, 3, 0),
        (13, 3, 0),
        (14, 3, 1),
        (15, 3, 1),
        (16, 3, 2),
    ],
)
def test_tokens_are_for_whole_utterances_the_nearest_first_history_before_future(
    n_tokens: int, history: int, future: int
) -> None:
    scene = Window(None, n_tokens, future=True).frame(FULL, 3, count_tokens=n_words)
    assert (len(scene.history), len(scene.future)) == (history, future)
    assert [line.text for line in scene.history] == [text for _, text in SPOKEN[3 - history : 3]]


def test_tokens_count_what_is_shown() -> None:
    videos = {"u2": "a b c"}
    assert len(Window(None, 3, speakers="none").frame(FULL, 3, count_tokens=n_words).history) == 1
    assert len(Window(None, 5, speakers="none").frame(FULL, 3, videos, n_words).history) == 0
    assert len(Window(None, 6, speakers="none").frame(FULL, 3, videos, n_words).history) == 1
    assert len(Window(1, 99).frame(FULL, 3, count_tokens=n_words).history) == 1


def test_speakers() -> None:
    def names(window: Window, view: DialogueView, position: int) -> list[str | None]:
        scene = window.frame(view, position)
        return [line.speaker for line in (*scene.history, scene.target, *scene.future)]

    assert names(Window(), PAST[3], 3) == ["Ann", "Bo", "Ann & Cy", "Bo"]
    assert names(Window(speakers="none"), FULL, 3) == [None] * 4
    masks = ["Speaker A", "Speaker B", "Speaker A & Speaker C", "Speaker B", "Speaker D", "Speaker A"]
    assert names(Window(None, future=True, speakers="masked"), FULL, 3) == masks
    for i, view in enumerate(PAST):
        assert names(Window(speakers="masked"), view, i) == names(Window(speakers="masked"), FULL, i) == masks[: i + 1]
    assert names(Window(1, speakers="masked"), FULL, 4) == masks[3:5], "the letter does not depend on the window"


def test_many_speakers_and_none() -> None:
    crowd = Dialogue("d", tuple(Utterance(f"u{i}", (f"n{i}",), "x", "joy") for i in range(30)))
    (view,) = crowd.views("full", LABELS)
    scene = Window(None, speakers="masked").frame(view, 29)
    assert [line.speaker for line in scene.history[25:]] == ["Speaker Z", "Speaker AA", "Speaker AB", "Speaker AC"]
    (nobody,) = Dialogue("d", (Utterance("u", (), "x", "joy"),)).views("full", LABELS)
    for speakers in ("names", "masked", "none"):
        assert Window(speakers=speakers).frame(nobody, 0).target == Line(None, "x")


def test_videos_belong_to_their_utterances() -> None:
    scene = Window(2).frame(FULL, 3, {"u3": "Bo sits.", "u1": "Bo stands.", "elsewhere": "Nobody."})
    assert [line.video for line in scene.history] == ["Bo stands.", None]
    assert scene.target.video == "Bo sits."


@given(st.text())
def test_a_line_is_one_line_without_control_characters(text: str) -> None:
    line = Line(text, text, text)
    for shown in (line.speaker, line.text, line.video):
        assert shown is not None
        assert len(shown.splitlines()) <= 1
        assert not any(ord(character) < 32 or ord(character) == 127 for character in shown)
    assert Line(line.speaker, line.text, line.video) == line


def test_printable_text_stays_as_it_is() -> None:
    text = "Don\u2019t \U0001f469\u200d\U0001f680 caf\u00e9 {{ x }} </s>"
    assert Line("Ann", text).text == text


def test_settings_that_are_not_allowed() -> None:
    with pytest.raises(ConfigError, match="n_utterances=-1; expected 0 or more"):
        Window(-1)
    with pytest.raises(ConfigError, match="n_tokens=-5"):
        Window(n_tokens=-5)
    with pytest.raises(ConfigError, match=r"speakers='initials'; expected one of \['names', 'masked', 'none'\]"):
        Window(speakers="initials")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="n_tokens=7 needs a tokenizer"):
        Window(n_tokens=7).frame(FULL, 3)
