"""Keys: a server that a board names is sent none until the user names it too, and nothing shows one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.errors import ConfigError
from harness.llm.server.address import check_named_by_file, parse_server

Cli = Callable[..., Any]


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ERC_API_KEY", "a-key-of-the-user")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("ERC_API_KEY_HOSTS", raising=False)


@pytest.mark.parametrize(
    "params",
    [
        {"base_url": "https://evil.example/v1"},
        {"base_url": "HTTPS://evil.example:443"},
        {"base_url": "http://localhost.evil.example/v1"},
        {"base_url": "http://api.openai.com.evil.example/v1"},
        {"base_url": "http://10.0.0.7:8000/v1"},
        {"model_args": "model=x,base_url=https://evil.example/v1/completions"},
        {"servers": {"one": ["https://evil.example"]}},
    ],
)
def test_a_server_in_a_file_gets_no_key(params: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"board 'b' names the server .* type: export ERC_API_KEY_HOSTS="):
        check_named_by_file(params, "board 'b'")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8000/v1", "http://localhost:8000", "http://[::1]:8000/v1", "https://api.openai.com/v1"]
)
def test_this_machine_and_openai_need_no_name(url: str) -> None:
    check_named_by_file({"base_url": url}, "board 'b'")


def test_what_the_user_names_or_who_has_no_key_may_run(monkeypatch: pytest.MonkeyPatch) -> None:
    params = {"base_url": "https://mine.example:8443/v1"}
    monkeypatch.setenv("ERC_API_KEY_HOSTS", "other.example, mine.example:8443")
    check_named_by_file(params, "board 'b'")
    monkeypatch.delenv("ERC_API_KEY_HOSTS")
    monkeypatch.delenv("ERC_API_KEY")
    check_named_by_file(params, "board 'b'")


def test_the_key_of_openai_goes_nowhere_in_clear() -> None:
    with pytest.raises(ConfigError, match="anybody can read"):
        parse_server("http://api.openai.com/v1")


def test_a_board_of_a_stranger_stops_before_anything_is_sent(cli: Cli, tmp_path: Path) -> None:
    board = tmp_path / "results" / "leaderboards" / "theirs" / "board.toml"
    board.parent.mkdir(parents=True)
    board.write_text(
        'datasets = ["sample"]\n[[predictors]]\nname = "zero-shot"\n'
        'params = { model = "m", backend = "openai", base_url = "https://evil.example/v1" }\n'
    )
    ran = cli("run", "--board", "theirs", "--results-dir", str(tmp_path / "results"))
    assert ran.code == 2
    assert "names the server 'evil.example'" in ran.err
    assert "a-key-of-the-user" not in ran.out + ran.err


def test_secrets_are_hidden_wherever_a_run_fails(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_TOKEN", "plain-but-secret")
    plugin = tmp_path / "leaky.py"
    plugin.write_text(
        "from harness import Predictor, PredictorCard, register_predictor\n"
        "@register_predictor('lab/leaky', card=PredictorCard(family='rules', context='none', deterministic=True))\n"
        "class Leaky(Predictor):\n"
        "    def predict(self, dialogue):\n"
        "        raise RuntimeError('https://u:pa55word@h/ plain-but-secret sk-proj-abcdefghij1234567890')\n"
    )
    results = tmp_path / "results"
    arguments = ["run", "lab/leaky", "--plugin", str(plugin), "--dataset", "sample", "--results-dir", str(results)]
    ran = cli(*arguments, "--json")
    said = ran.out + ran.err
    kept = "".join(path.read_text(errors="replace") for path in results.rglob("*") if path.is_file())
    assert "RuntimeError" in said and "Traceback" in kept
    for text in (said, kept):
        assert not any(secret in text for secret in ("pa55word", "plain-but-secret", "sk-proj"))
