"""What is quoted of others' text."""

from __future__ import annotations

from harness.redaction import redact


def test_what_is_quoted_is_one_line_without_secrets() -> None:
    text = redact("a\n b Bearer abc.def sk-proj-1234_x*** api-key=zzz known", ("known",))
    assert text == "a b [secret] [secret] api-key=[secret] [secret]"
    assert len(redact("x" * 5000, ())) == 300
