"""What is quoted of others' text."""

from __future__ import annotations

import pytest

from harness.redaction import hide_secrets, redact


def test_what_is_quoted_is_one_line_without_secrets() -> None:
    text = redact("a\n b Bearer abc.def sk-proj-1234_x*** api-key=zzz known", ("known",))
    assert text == "a b [secret] [secret] api-key=[secret] [secret]"
    assert len(redact("x" * 5000, ())) == 300


SECRETS = [
    "sk-proj-abcdefghij1234567890", "Bearer abc.def-ghi", "Authorization: Basic dXNlcjpwYXNz", "hf_abcdefghijklmn1234",
    "ghp_abcdefghijklmnopqrstuvwxyz", "AKIAIOSFODNN7EXAMPLE", '"api_key": "zzz-secret"', "api-key: zzz-secret",
    "https://user:pa55word@host.example/v1", "https://t0ken@host.example/v1", "https://h.example/?x=1&access_token=abc99",
]  # fmt: skip
HIDDEN = [
    "sk-proj",
    "abc.def-ghi",
    "dXNlcjpwYXNz",
    "hf_abc",
    "ghp_",
    "AKIA",
    "zzz-secret",
    "pa55word",
    "t0ken",
    "abc99",
]


@pytest.mark.parametrize("text", SECRETS)
def test_what_looks_like_a_secret_is_hidden_and_the_rest_is_kept(text: str) -> None:
    shown = hide_secrets(f"before {text} after")
    assert "[secret]" in shown and shown.startswith("before ") and shown.endswith(" after")
    assert not any(part in shown for part in HIDDEN)


@pytest.mark.parametrize(
    "text",
    ["model@3f2a9c1b", "task-mean", "https://host.example/v1?x=1", "export ERC_API_KEY=...", "a basic idea: b@c"],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert hide_secrets(text) == text
