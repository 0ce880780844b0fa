"""Prices: what an answer costs, whose table goes first, and what a bad table says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.errors import ConfigError
from harness.llm import CallSettings
from harness.llm.tables.prices import Price, find_price, packaged_prices

OPENAI = "api.openai.com"


@pytest.fixture(autouse=True)
def no_table_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ERC_PRICES", raising=False)


def test_an_answer_costs_its_tokens() -> None:
    # By hand: 600 of 1000 prompt tokens at $2, 400 from the provider's cache at $0.5, 10 written at $8, per million.
    price = Price(input=2.0, cached_input=0.5, output=8.0)
    assert price.usd(1000, 10, 400) == pytest.approx(0.0012 + 0.0002 + 0.00008)
    assert Price(input=2.0, output=8.0).usd(1000, 10, 400) == pytest.approx(0.002 + 0.00008)


def test_the_batch_service_takes_its_discount_off_once() -> None:
    price = find_price("gpt-4.1", CallSettings(batch_api=True), OPENAI)
    assert price is not None
    assert price.usd(1_000_000, 1_000_000, 500_000) == pytest.approx(1.0 + 4.0)
    assert find_price("gpt-4.1", CallSettings(), OPENAI) == packaged_prices().models["gpt-4.1"]


def test_unknown_is_none_and_names_are_exact() -> None:
    assert find_price("gpt-4o-2024-08-06", CallSettings(), OPENAI) == find_price("gpt-4o", CallSettings(), OPENAI)
    for name in ("gpt-4o-2024-05-13", "openai/gpt-4o", "GPT-4o", "gpt-4", ""):
        assert find_price(name, CallSettings(), OPENAI) is None


@pytest.mark.parametrize("server", [None, "local", "openrouter.ai/api", "api.openai.com:8443"])
def test_a_list_price_is_that_of_its_own_server_only(tmp_path: Path, server: str | None) -> None:
    assert find_price("gpt-4o", CallSettings(), server) is None
    anywhere, here = tmp_path / "anywhere.toml", tmp_path / "here.toml"
    anywhere.write_text("[models.gpt-4o]\ninput = 1\noutput = 1\n")
    here.write_text(f"server = {json.dumps(server or 'nowhere')}\n[models.gpt-4o]\ninput = 2\noutput = 2\n")
    price = find_price("gpt-4o", CallSettings(prices=anywhere), server)
    assert price is not None and price.input == 1
    price = find_price("gpt-4o", CallSettings(prices=here), server)
    assert (price and price.input) == (2 if server else None)
    elsewhere = find_price("gpt-4o", CallSettings(prices=here), OPENAI)
    assert elsewhere is not None and elsewhere.input == 2.5  # the packaged one


def test_the_users_tables_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, usd in (("given", 1), ("environment", 2)):
        (tmp_path / name).write_text(f'[models.gpt-4o]\ninput = {usd}\noutput = {usd}\naliases = ["{name}-alias"]\n')
    monkeypatch.setenv("ERC_PRICES", str(tmp_path / "environment"))
    given = CallSettings(prices=tmp_path / "given")
    found = [find_price("gpt-4o", calls, OPENAI) for calls in (given, CallSettings())]
    assert [price and price.input for price in found] == [1, 2]
    found = [find_price(name, given, OPENAI) for name in ("given-alias", "environment-alias", "gpt-4o-mini")]
    assert [price and price.input for price in found] == [1, 2, 0.15]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[models.m]\ninput = 1.0\n", "key 'models.m.output': Field required"),
        ("[models.m]\ninput = -1.0\noutput = 1.0\n", "key 'models.m.input': .*greater than or equal to 0, got -1.0"),
        ("[models.m]\ninput = 1.0\noutput = 1.0\nfree = true\n", "key 'models.m.free': Extra inputs"),
        ("[models.m]\ninput = 1.0\noutput = inf\n", "key 'models.m.output': .*finite number, got inf"),
        ("[m]\ninput = 1.0\noutput = 1.0\n", "key 'models': Field required"),
        ("models", "not a TOML file"),
        (None, r"--prices '.*prices.toml': cannot be read: No such file or directory; give a TOML file"),
    ],
)
def test_a_bad_table_is_named_with_the_key(tmp_path: Path, text: str | None, said: str) -> None:
    path = tmp_path / "prices.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=rf"prices\.toml.*{said}|{said}"):
        find_price("m", CallSettings(prices=path), None)


def test_packaged_prices_are_dated_and_every_name_means_one() -> None:
    models = packaged_prices().models
    names = [name for model, price in models.items() for name in (model, *price.aliases)]
    assert len(names) == len(set(names))
    for price in models.values():
        assert price.date is not None
        assert price.source.startswith("https://")
        assert 0 < price.cached_input < price.input < price.output  # type: ignore[operator]  # all of them have one
