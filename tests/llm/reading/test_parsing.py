"""Nasty answers, each of another kind, with what they mean by the rules as documented; then properties for any text."""

from __future__ import annotations

import json
import time
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.llm import Response
from harness.llm.reading.parsing import Reading, read_answer
from harness.prompting.label_names import LabelNames, name_labels
from harness.schema import LabelSet

MELD = name_labels(
    LabelSet(("neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger"), "neutral"), "natural"
)
IEMOCAP = name_labels(LabelSet(("hap", "sad", "neu", "ang", "exc", "fru"), "neu"), "natural")
EMORY = name_labels(
    LabelSet(("Joyful", "Mad", "Peaceful", "Neutral", "Sad", "Powerful", "Scared"), "Neutral"), "natural"
)
CODES = name_labels(LabelSet(("hap", "sad", "neu", "ang"), "neu"), "canonical")
DAILY = name_labels(LabelSet(("no_emotion", "anger", "happiness"), "no_emotion"), "canonical")
EMOJI = LabelNames(LabelSet(("good", "bad"), None), ("😊", "😡"))
TWINS = name_labels(LabelSet(("fear", "scared", "joy")), "canonical")
SWAPPED = LabelNames(LabelSet(("joy", "sadness")), ("sadness", "joy"))

NO = None
CASES: list[tuple[str, str, LabelNames, str | None, str, str]] = [
    # exactly a label
    ("joy", "stop", MELD, "joy", "ok", "label"),
    ("JOY", "stop", MELD, "joy", "ok", "label"),
    ("  joy \n", "stop", MELD, "joy", "ok", "label"),
    ("Joy.", "stop", MELD, "joy", "ok", "label"),
    ("**Joy**", "stop", MELD, "joy", "ok", "label"),
    ("`joy`", "stop", MELD, "joy", "ok", "label"),
    ("_joy_", "stop", MELD, "joy", "ok", "label"),
    ("- joy", "stop", MELD, "joy", "ok", "label"),
    ("## Joy", "stop", MELD, "joy", "ok", "label"),
    ("> joy", "stop", MELD, "joy", "ok", "label"),
    ("“joy”", "stop", MELD, "joy", "ok", "label"),
    ("'joy'", "stop", MELD, "joy", "ok", "label"),
    ("😄 Joy 😄", "stop", MELD, "joy", "ok", "label"),
    ("ｊｏｙ", "stop", MELD, "joy", "ok", "label"),
    ("\u200bjoy\ufeff", "stop", MELD, "joy", "ok", "label"),
    ("<joy>", "stop", MELD, "joy", "ok", "label"),
    ("[joy]", "stop", MELD, "joy", "ok", "label"),
    ("#joy", "stop", MELD, "joy", "ok", "label"),
    ("```\njoy\n```", "stop", MELD, "joy", "ok", "label"),
    ("```\njoy\n```\nThe", "length", MELD, "joy", "ok", "label"),
    ('"joy"', "stop", MELD, "joy", "ok", "label"),
    ("joy\n\nSpeaker A: I am so ang", "length", MELD, "joy", "ok", "label"),
    ("joy\nEmotion: anger\nEmotion: fear", "stop", MELD, "joy", "ok", "label"),
    ("joy\r\nUtterance: what?", "length", MELD, "joy", "ok", "label"),
    ("joy\u2028Speaker A: anger", "stop", MELD, "joy", "ok", "label"),
    ("joy", "length", MELD, "joy", "ok", "label"),
    ('joy\n{"label": "anger"}', "stop", MELD, "joy", "ok", "label"),
    # whose name it is
    ("happiness", "stop", IEMOCAP, "hap", "ok", "label"),
    ("hap", "stop", IEMOCAP, "hap", "ok", "label"),
    ("happy", "stop", IEMOCAP, "hap", "ok", "label+form"),
    ("frustrated", "stop", IEMOCAP, "fru", "ok", "label+form"),
    ("sad", "stop", IEMOCAP, "sad", "ok", "label"),
    ("Mad", "stop", EMORY, "Mad", "ok", "label"),
    ("anger", "stop", EMORY, "Mad", "ok", "label"),
    ("angry", "stop", EMORY, "Mad", "ok", "label+form"),
    ("afraid", "stop", EMORY, "Scared", "ok", "label+form"),
    ("powerful", "stop", EMORY, "Powerful", "ok", "label"),
    ("Angry!", "stop", MELD, "anger", "ok", "label+form"),
    ("happy", "stop", MELD, NO, "unparsed", "no-label"),
    ("rage", "stop", MELD, NO, "unparsed", "no-label"),
    ("surprising", "stop", MELD, NO, "unparsed", "no-label"),
    ("happiness", "stop", CODES, NO, "unparsed", "no-label"),
    ("sadness", "stop", CODES, "sad", "ok", "label+form"),
    ("no emotion", "stop", DAILY, NO, "unparsed", "no-label"),
    ("no_emotion", "stop", DAILY, "no_emotion", "ok", "label"),
    ("😊", "stop", EMOJI, "good", "ok", "label"),
    ("scared", "stop", TWINS, "scared", "ok", "label"),
    ("afraid", "stop", TWINS, NO, "unparsed", "no-label"),
    ("joy", "stop", SWAPPED, "sadness", "ok", "label"),
    # the call
    ("joy", "error", MELD, NO, "failed", "call-failed"),
    ("joy", "filter", MELD, NO, "refused", "content-filter"),
    ("", "stop", MELD, NO, "unparsed", "empty"),
    (" \n\t ", "length", MELD, NO, "truncated", "empty"),
    ("---\n***", "stop", MELD, NO, "unparsed", "empty"),
    # reasoning
    ("<think>anger? no, fear</think>\n\njoy", "stop", MELD, "joy", "ok", "label"),
    ("anger or fear ... so\n</think>\njoy", "stop", MELD, "joy", "ok", "label"),
    ("<THINK>joy", "stop", MELD, NO, "unparsed", "open-reasoning"),
    ("<think>The speaker shows joy", "length", MELD, NO, "truncated", "open-reasoning"),
    ("<think>joy</think>", "stop", MELD, NO, "unparsed", "empty"),
    ("<think></think><think>joy", "length", MELD, NO, "truncated", "open-reasoning"),
    # JSON
    ('{"label": "joy"}', "stop", MELD, "joy", "ok", "json"),
    ('```json\n{"emotion": "Joy"}\n```', "stop", MELD, "joy", "ok", "json"),
    ('Here you are: {"predicted_emotion": "joy", "why": "not anger"}', "stop", MELD, "joy", "ok", "json"),
    ('{"label": "angry"}', "stop", MELD, "anger", "ok", "json+form"),
    ('{"label": "joy", "emotion": "joy"}', "stop", MELD, "joy", "ok", "json"),
    ('{"label": "joy", "emotion": "anger"}', "stop", MELD, NO, "unparsed", "json"),
    ('{"label": "joy", "label": "anger"}', "stop", MELD, NO, "unparsed", "json"),
    ('{"label": ["joy"]}', "stop", MELD, "joy", "ok", "json"),
    ('["joy", "anger"]', "stop", MELD, NO, "unparsed", "json"),
    ('{"joy": 0.9, "anger": 0.1}', "stop", MELD, NO, "unparsed", "json"),
    ('{"label": 3}', "stop", MELD, NO, "unparsed", "json"),
    ('{"label": null}', "stop", MELD, NO, "unparsed", "json"),
    ('{"emotion": "joy", "emotion_intensity": "anger"}', "stop", MELD, "joy", "ok", "json"),
    ("{'label': 'joy'}", "stop", MELD, "joy", "ok", "statement"),
    ('{"label": "joy"', "length", MELD, NO, "truncated", "unfinished"),
    ('{"label": "jo', "length", MELD, NO, "truncated", "no-label"),
    # statements
    ("Emotion: joy", "stop", MELD, "joy", "ok", "statement"),
    ("**Emotion:** Joy", "stop", MELD, "joy", "ok", "statement"),
    ("The answer is joy", "stop", MELD, "joy", "ok", "statement"),
    ("Answer:\n\n**joy**", "stop", MELD, "joy", "ok", "statement"),
    (
        "The emotion expressed by the speaker in this utterance is most likely joy.",
        "stop",
        MELD,
        "joy",
        "ok",
        "statement",
    ),
    ("I would classify the emotion of the utterance as angry.", "stop", MELD, "anger", "ok", "statement+form"),
    ("Anger fits, fear too. Label: fear", "stop", MELD, "fear", "ok", "statement"),
    ("The first emotion is anger.\nFinal answer: fear", "stop", MELD, "fear", "ok", "statement"),
    ("Emotion: joy\nEmotion: anger", "stop", MELD, NO, "unparsed", "several-labels"),
    ("The emotion is joy, not anger.", "stop", MELD, "joy", "ok", "statement"),
    ("The emotion is not joy but anger.", "stop", MELD, "anger", "ok", "first-line"),
    ("Emotion: joy, sadness", "stop", MELD, NO, "unparsed", "several-labels"),
    ("Which emotion: joy, anger or fear?\nAnswer: fear", "stop", MELD, "fear", "ok", "statement"),
    ("Joy. There is some surprise too.", "stop", MELD, "joy", "ok", "statement"),
    ("Joy. Anger. Fear.", "stop", MELD, NO, "unparsed", "several-labels"),
    ("joy. The speaker feels", "length", MELD, "joy", "ok", "statement"),
    ("Sure! The emotion is joy. It shows because", "length", MELD, "joy", "ok", "statement"),
    ("Emotion = joy", "stop", MELD, "joy", "ok", "statement"),
    ("Emotion -> joy", "stop", MELD, "joy", "ok", "statement"),
    ("As an AI, I have no feelings, but the label is sadness.", "stop", MELD, "sadness", "ok", "statement"),
    # one label in a sentence
    ("The speaker feels joy here", "stop", MELD, "joy", "ok", "first-line"),
    ("She is clearly angry about it", "stop", MELD, "anger", "ok", "first-line+form"),
    ("<label>joy</label>", "stop", MELD, "joy", "ok", "first-line"),
    ("joy<|im_end|>", "stop", MELD, "joy", "ok", "first-line"),
    ("(b) joy", "stop", MELD, "joy", "ok", "label"),
    ("2. joy", "stop", MELD, "joy", "ok", "label"),
    ("joy joy joy", "stop", MELD, "joy", "ok", "first-line"),
    ("Joyful joy", "stop", MELD, "joy", "ok", "first-line"),
    ("Sure, I can do that.\nIt sounds like fear to me.", "stop", MELD, "fear", "ok", "text"),
    ("It sounds like fear.\nOr is it anger?", "stop", MELD, "fear", "ok", "first-line"),
    ("It sounds like fear.\nThat is because the", "length", MELD, "fear", "ok", "first-line"),
    ("Okay.\nIt sounds like fear because", "length", MELD, NO, "truncated", "unfinished"),
    ("The speaker feels joy", "length", MELD, NO, "truncated", "unfinished"),
    # several
    ("joy/anger", "stop", MELD, NO, "unparsed", "several-labels"),
    ("joy or anger", "stop", MELD, NO, "unparsed", "several-labels"),
    ("a mix of joy and sadness", "stop", MELD, NO, "unparsed", "several-labels"),
    ("neutral, surprise, fear, sadness, joy, disgust, anger", "stop", MELD, NO, "unparsed", "several-labels"),
    ("1. joy\n2. anger\n3. fear", "stop", MELD, NO, "unparsed", "several-labels"),
    ("- neutral\n- surprise\n- fear", "stop", MELD, NO, "unparsed", "several-labels"),
    ("neutral\n\nsurprise\n\nfe", "length", MELD, NO, "truncated", "several-labels"),
    ("joy\njoy\njoy", "length", MELD, "joy", "ok", "label"),
    ("It could be\n- joy\n- anger", "stop", MELD, NO, "unparsed", "several-labels"),
    ("a. joy b. anger", "stop", MELD, NO, "unparsed", "several-labels"),
    ("joy: 0.9, anger: 0.1", "stop", MELD, NO, "unparsed", "several-labels"),
    ("more sadness than anger", "stop", MELD, NO, "unparsed", "several-labels"),
    ("neutral, surprise, fea", "length", MELD, NO, "truncated", "several-labels"),
    ("not only joy but also surprise", "stop", MELD, NO, "unparsed", "several-labels"),
    # ruled out
    ("not happy but sad", "stop", IEMOCAP, "sad", "ok", "first-line"),
    ("not joy", "stop", MELD, NO, "unparsed", "negated"),
    ("The speaker isn't angry.", "stop", MELD, NO, "unparsed", "negated"),
    ("The speaker isn’t angry.", "stop", MELD, NO, "unparsed", "negated"),
    ("sadness rather than anger", "stop", MELD, "sadness", "ok", "first-line"),
    ("sadness instead of joy", "stop", MELD, "sadness", "ok", "first-line"),
    ("There is no joy, anger or fear here.", "stop", MELD, NO, "unparsed", "negated"),
    ("Neither joy nor anger: sadness", "stop", MELD, "sadness", "ok", "first-line"),
    ("not anger, sadness", "stop", MELD, NO, "unparsed", "negated"),
    ("It's not anger, it's sadness.", "stop", MELD, "sadness", "ok", "first-line"),
    ("I don't think the emotion is joy", "stop", MELD, NO, "unparsed", "negated"),
    ("anything but joy", "stop", MELD, NO, "unparsed", "negated"),
    ("Joy isn't what I see. Fear is.", "stop", MELD, "fear", "ok", "first-line"),
    ("Joy is not present.", "stop", MELD, NO, "unparsed", "negated"),
    ("Joy can be ruled out", "stop", MELD, NO, "unparsed", "negated"),
    ("Joy? No, the speaker shows fear.", "stop", MELD, "fear", "ok", "first-line"),
    ("joy: no", "stop", MELD, NO, "unparsed", "negated"),
    ("No, joy.", "stop", MELD, "joy", "ok", "first-line"),
    ("no doubt joy", "stop", MELD, "joy", "ok", "first-line"),
    ("!= joy", "stop", MELD, NO, "unparsed", "negated"),
    ("~~joy~~", "stop", MELD, NO, "unparsed", "negated"),
    ("no longer angry, now joy", "stop", MELD, "joy", "ok", "first-line"),
    ("a lack of joy", "stop", MELD, NO, "unparsed", "negated"),
    ("This is not an expression of joy", "stop", MELD, NO, "unparsed", "negated"),
    ("It is neutral, without a trace of joy", "stop", MELD, "neutral", "ok", "first-line"),
    ("She does not hide her anger, though she smiles with joy", "stop", MELD, NO, "unparsed", "several-labels"),
    ("The speaker is disgusted, which is not neutral", "stop", MELD, "disgust", "ok", "first-line+form"),
    ("not neutral", "stop", MELD, NO, "unparsed", "negated"),
    ("I dont think its joy", "stop", MELD, NO, "unparsed", "negated"),
    # inside other words
    ("unhappy", "stop", IEMOCAP, NO, "unparsed", "no-label"),
    ("courage", "stop", name_labels(LabelSet(("rage", "joy")), "canonical"), NO, "unparsed", "no-label"),
    ("madness", "stop", EMORY, NO, "unparsed", "no-label"),
    ("enjoy", "stop", MELD, NO, "unparsed", "no-label"),
    ("non-neutral", "stop", MELD, NO, "unparsed", "no-label"),
    ("joy-free", "stop", MELD, NO, "unparsed", "no-label"),
    ("joy2", "stop", MELD, NO, "unparsed", "no-label"),
    ("assistantfinaljoy", "stop", MELD, NO, "unparsed", "no-label"),
    ("jo\u0301y", "stop", MELD, NO, "unparsed", "no-label"),
    ("感情はjoyです", "stop", MELD, NO, "unparsed", "no-label"),
    # no label
    ("freude", "stop", MELD, NO, "unparsed", "no-label"),
    ("喜び", "stop", MELD, NO, "unparsed", "no-label"),
    ("j o y", "stop", MELD, NO, "unparsed", "no-label"),
    ("jjoy", "stop", MELD, NO, "unparsed", "no-label"),
    ("3", "stop", MELD, NO, "unparsed", "no-label"),
    ("0", "stop", MELD, NO, "unparsed", "no-label"),
    ("(b)", "stop", MELD, NO, "unparsed", "no-label"),
    ("none of the above", "stop", MELD, NO, "unparsed", "no-label"),
    ("😄", "stop", MELD, NO, "unparsed", "no-label"),
    ("confusion", "stop", MELD, NO, "unparsed", "no-label"),
    ("surp", "length", MELD, NO, "truncated", "no-label"),
    ("surp", "stop", MELD, NO, "unparsed", "no-label"),
    ("The emotion is not joy. It", "length", MELD, NO, "truncated", "negated"),
    # refusals and courtesies
    ("I'm sorry, but I can't help with that.", "stop", MELD, NO, "refused", "refusal"),
    ("I’m sorry, I can’t", "stop", MELD, NO, "refused", "refusal"),
    ("Sorry.", "stop", MELD, NO, "refused", "refusal"),
    ("As an AI language model, I", "length", MELD, NO, "refused", "refusal"),
    ("I cannot determine the emotion.", "stop", MELD, NO, "refused", "refusal"),
    ("I'm afraid I cannot tell.", "stop", MELD, NO, "refused", "refusal"),
    ("The emotion cannot be determined from this.", "stop", MELD, NO, "refused", "refusal"),
    ("I cannot determine whether the emotion is joy or anger.", "stop", MELD, NO, "refused", "refusal"),
    ("There is not enough context to tell joy from anger.", "stop", MELD, NO, "refused", "refusal"),
    ("Sorry to hear that. It is sadness.", "stop", MELD, "sadness", "ok", "first-line"),
    ("She can't help but feel joy", "stop", MELD, "joy", "ok", "first-line"),
    ("I'm happy to help! What is the utterance?", "stop", IEMOCAP, NO, "unparsed", "no-label"),
    ("Happy to help!", "stop", IEMOCAP, NO, "unparsed", "no-label"),
]


def test_the_table_holds_more_than_a_hundred_different_answers() -> None:
    assert len({(text, finish, names) for text, finish, names, *_ in CASES}) == len(CASES) > 100


@pytest.mark.parametrize(("text", "finish", "names", "label", "status", "rule"), CASES)
def test_answer_means(text: str, finish: str, names: LabelNames, label: str | None, status: str, rule: str) -> None:
    assert read_answer(Response(finish, text), names) == Reading(label, status, rule)


def test_an_answer_without_text_is_empty() -> None:
    assert read_answer(Response("stop"), MELD) == Reading(None, "unparsed", "empty")


SETS = [MELD, IEMOCAP, EMORY, CODES, DAILY, TWINS]
FINISHES = st.sampled_from(["stop", "length"])
WORDS = (
    "joy anger happy sad fear neutral not no isn't but and , or . ; : ? \n is the emotion answer final I'm "
    'sorry <think> </think> { } " [ ] ** ``` rather than 3 — ß İ'
)
PIECES = st.lists(
    st.one_of(
        st.sampled_from(WORDS.split(" ")),
        st.text(max_size=4),
    ),
    max_size=25,
).map(" ".join)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(), PIECES), FINISHES, st.sampled_from(SETS))
def test_any_text_is_read_and_has_a_label_exactly_if_ok(text: str, finish: str, names: LabelNames) -> None:
    reading = read_answer(Response(finish, text), names)
    assert (reading.label is not None) == (reading.status == "ok")
    assert reading.label is None or reading.label in names.label_set
    assert reading.status in ("ok", "refused", "truncated" if finish == "length" else "unparsed")


@settings(max_examples=150, deadline=None)
@given(PIECES, FINISHES, st.randoms(use_true_random=False))
def test_the_order_of_the_label_set_plays_no_part(text: str, finish: str, random: object) -> None:
    for names in (MELD, IEMOCAP, TWINS):
        pairs = list(zip(names.label_set.labels, names.shown, strict=True))
        random.shuffle(pairs)
        labels, shown = zip(*pairs, strict=True)
        mixed = LabelNames(LabelSet(labels), shown)
        assert read_answer(Response(finish, text), mixed) == read_answer(Response(finish, text), names)


def test_the_table_holds_in_every_order_of_a_small_label_set() -> None:
    for text, finish, _, _, _, _ in CASES:
        answers = {
            read_answer(Response(finish, text), name_labels(LabelSet(order), "canonical"))
            for order in permutations(("joy", "anger", "scared"))
        }
        assert len(answers) == 1, text


MARKS = st.text(st.sampled_from("*_`'\"“”«».#>-()[]…😀\u200b "), max_size=4)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(SETS), st.data(), MARKS, MARKS, FINISHES)
def test_a_label_in_any_casing_and_punctuation_is_read(
    names: LabelNames, data: st.DataObject, before: str, after: str, finish: str
) -> None:
    label = data.draw(st.sampled_from(names.label_set.labels))
    name = names.of(label)
    cased = "".join(data.draw(st.sampled_from((c.lower(), c.upper()))) for c in name)
    assert read_answer(Response(finish, before + cased + after), names) == Reading(label, "ok", "label")


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(MELD.shown), st.sampled_from(["abc", "x", "un", "9"]), st.booleans())
def test_a_label_inside_a_word_is_never_read(name: str, affix: str, before: bool) -> None:
    word = affix + name if before else name + affix
    assert read_answer(Response("stop", f"It is {word}"), MELD) == Reading(None, "unparsed", "no-label")


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(MELD.shown), st.booleans())
def test_json_says_the_same_however_it_is_written(name: str, ascii_only: bool) -> None:
    for indent in (None, 2):
        text = json.dumps({"reason": "不 anger, fear {", "label": name.title()}, indent=indent, ensure_ascii=ascii_only)
        assert read_answer(Response("stop", text), MELD) == Reading(name, "ok", "json")


LONG = [
    "joy or ", "{", '{"a":', "[", "\u0327\u0301", "e\u0327\u0301 ", "a", "not ", "\ufdfa", "ﾞ\u0301", "<think>", "i am ",
    "joy ", "joy. ", "'a", "unable to ", "\n", "a-", "the ", "sorry", "very sorry ", "i'm ", "Emotion: ",
    "Emotion: joy\n", "is ", "label ", "joy, ", "```\n", "9", "</think>joy",
    "happy to ", '"', "*", "*\n", "İ", "as a large ",
]  # fmt: skip


@pytest.mark.parametrize("unit", LONG)
def test_a_hundred_thousand_characters_take_no_quadratic_time(unit: str) -> None:
    """Less than a fifth of a second on an idle core; what grows by the square would take many seconds."""
    response = Response("length" if unit == "joy. " else "stop", (unit * 100_000)[:100_000])

    start = time.process_time()
    read_answer(response, MELD)
    assert time.process_time() - start < 2
