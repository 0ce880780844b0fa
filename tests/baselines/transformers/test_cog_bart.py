"""CoG-BART: chunks by enumeration, its network and losses against loops written from the equations, its size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from baselines.transformers.cog_bart import PUBLISHED, Chunk, CogBart  # noqa: E402
from baselines.transformers.cog_bart_network import CogBartNetwork, contrast_labels  # noqa: E402
from harness.errors import ConfigError, ModelError  # noqa: E402
from harness.predictors import PREDICTORS  # noqa: E402
from harness.predictors.build import resolve_params  # noqa: E402
from harness.predictors.plugins import load_plugins  # noqa: E402
from harness.schema import DialogueView, LabelSet, UtteranceView  # noqa: E402

LABELS = LabelSet(("neutral", "joy", "anger"), "neutral")


def view(n: int, targets: tuple[int, ...] | None = None) -> DialogueView:
    said = tuple(
        UtteranceView(f"u{i}", ("Ann" if i % 2 else "Bo",), f"words {i} " + "go on " * (i % 3)) for i in range(n)
    )
    return DialogueView("d", said, tuple(range(n)) if targets is None else targets, LABELS)


@pytest.fixture
def system(tiny_base: Callable[[str], Path]) -> CogBart:
    predictor = CogBart(encoder=str(tiny_base("bart")), dropout=0.0)
    predictor._labels = LABELS.labels
    network = predictor.new_network()
    predictor._network = network.cpu().eval()
    return predictor


def network_of(system: CogBart) -> Any:
    return system._network


def read(system: CogBart, *views: DialogueView) -> list[Any]:
    return [chunk for one in views for chunk in system.read(one, system._tokenizer)]


def test_a_dialogue_is_cut_into_chunks_of_eight_that_know_what_comes_next(system: CogBart) -> None:
    said = [system._tokenizer(f"{u.speaker}: {u.text.strip()}").input_ids for u in view(19).utterances]
    chunks = read(system, view(19, (0, 7, 8, 18)))
    assert [(c.start, len(c.tokens), c.answers) for c in chunks] == [(0, 8, (0, 7)), (8, 8, (8,)), (16, 3, (18,))]
    assert [list(t) for c in chunks for t in c.tokens] == said
    assert [list(t) for c in chunks for t in c.following] == [*said[1:], []]
    assert [c.start for c in read(system, view(19, (9,)))] == [8], "a chunk without target is not read"


def test_logits_follow_from_the_equations(system: CogBart) -> None:
    network, chunks = network_of(system), read(system, view(11, (1, 3, 8, 10)), view(1))
    expected = []
    with torch.inference_mode():
        for chunk in chunks:
            largest = []
            for tokens in chunk.tokens:
                states = network.bart.get_encoder()(input_ids=torch.tensor([tokens])).last_hidden_state[0]
                largest.append(torch.stack([max(column) for column in states.T]))
            states = network.unit.layer(torch.stack(largest)[None])[0]
            for position in chunk.answers:
                hidden = torch.nn.functional.gelu(network.hidden(states[position - chunk.start]))
                expected.append(network.head(hidden))
        np.testing.assert_allclose(network(chunks), torch.stack(expected), atol=1e-5)


def test_the_contrast_follows_from_its_equation() -> None:
    torch.manual_seed(0)
    first, second = torch.randn(5, 4, requires_grad=True), torch.randn(5, 4, requires_grad=True)
    labels = torch.tensor([0, 2, 0, 1, 2])
    features, owners = [*first, *second], [*labels.tolist(), *labels.tolist()]
    total = torch.zeros(())
    for i, own in enumerate(features):
        others = [a for a in range(10) if a != i]
        whole = sum(torch.exp(own @ features[a] / 5) for a in others)
        alike = [a for a in others if owners[a] == owners[i]]
        total = total - sum(torch.log(torch.exp(own @ features[p] / 5) / whole) for p in alike) / len(alike)
    ours = contrast_labels(first, second, labels, 5.0)
    np.testing.assert_allclose(ours.detach(), total.detach() / 10, rtol=1e-5)
    for own, other in zip(
        torch.autograd.grad(ours, [first, second]), torch.autograd.grad(total / 10, [first, second]), strict=True
    ):
        np.testing.assert_allclose(own, other, atol=1e-5)


def test_the_decoder_goes_on_with_the_dialogue_word_by_word(system: CogBart) -> None:
    network, chunks = network_of(system), read(system, view(9), view(1))
    losses = []
    with torch.inference_mode():
        for chunk in chunks:
            for tokens, following in zip(chunk.tokens, chunk.following, strict=True):
                written = [network.bart.config.decoder_start_token_id]
                for word in following:
                    logits = network.bart(
                        input_ids=torch.tensor([tokens]), decoder_input_ids=torch.tensor([written])
                    ).logits[0, -1]
                    losses.append(-torch.log_softmax(logits, dim=0)[word])
                    written.append(word)
        words = network.encode(chunks)
        np.testing.assert_allclose(network.generation_loss(words, chunks), np.mean(losses), rtol=1e-4)
        alone = read(system, view(1))
        assert network.generation_loss(network.encode(alone), alone) == 0


@pytest.mark.parametrize(("alpha", "beta"), [(0.0, 0.0), (0.5, 0.1), (0.2, 0.7)])
def test_the_loss_is_the_weighted_sum(system: CogBart, alpha: float, beta: float) -> None:
    network = network_of(system)
    chunks = [Chunk(c.tokens, c.answers, labels=(0, 1, 0), start=c.start, following=c.following)
              for c in read(system, view(3), view(3))]  # fmt: skip
    system.alpha, system.beta = alpha, beta
    words, gold = network.encode(chunks), torch.tensor([0, 1, 0, 0, 1, 0])
    features = network.features(words, chunks)
    parts = [
        (1 - alpha - beta) * torch.nn.functional.cross_entropy(network.head(features), gold),
        alpha * contrast_labels(features, features, gold, 5.0),
        beta * network.generation_loss(words, chunks),
    ]
    np.testing.assert_allclose(system.loss(network, chunks, None).detach(), sum(parts).detach(), rtol=1e-5)


def test_two_views_differ_by_dropout_and_both_learn(system: CogBart) -> None:
    network, chunks = network_of(system), read(system, view(4))
    torch.manual_seed(0)
    network.train()
    network.unit.layer.dropout.p = network.dropout.p = 0.5
    words = network.encode(chunks)
    first, second = network.features(words, chunks), network.features(words, chunks)
    assert not torch.allclose(first, second)
    (gradient,) = torch.autograd.grad(second.sum(), [network.bart.get_input_embeddings().weight])
    assert gradient.abs().max() > 0


def test_number_of_weights() -> None:
    """BART-large 406,291,456; layer over utterances of width 1024 and 2048; 1024 * 400 + 400; 400 * 7 + 7.

    The table of DialogueLLM prints 415.1M.
    """
    layer = 4 * (1024 * 1024 + 1024) + 2 * 1024 * 2048 + 2048 + 1024 + 4 * 1024
    with torch.device("meta"):
        network = CogBartNetwork(transformers.BartForConditionalGeneration(transformers.BartConfig()), 7, 0.3)
    n = sum(p.numel() for p in network.parameters())
    assert n == 406_291_456 + layer + 410_000 + 2_807 == 415_104_135


def test_published_settings_are_settings() -> None:
    load_plugins()
    spec = PREDICTORS.get("cog-bart")
    defaults = resolve_params(spec, {})
    assert {key: defaults[key] for key in PUBLISHED["meld"]} == PUBLISHED["meld"]
    for own in PUBLISHED.values():
        CogBart(**resolve_params(spec, own))  # type: ignore[arg-type]


def test_the_optimizer_has_the_published_epsilon(system: CogBart) -> None:
    optimizer: Any = system.make_optimizer(network_of(system), 10)
    assert {(group["eps"], group["weight_decay"]) for group in optimizer.param_groups} == {(1e-6, 0.01), (1e-6, 0.0)}


def test_settings_are_checked(tiny_base: Callable[[str], Path]) -> None:
    with pytest.raises(ConfigError, match=r"alpha 0\.9, beta 0\.1: expected 0 or more of each, and a sum below 1"):
        CogBart(alpha=0.9)
    with pytest.raises(ConfigError, match="'temperature': got 0"):
        CogBart(temperature=0)
    with pytest.raises(ConfigError, match="'minilm' has no decoder; give BART"):
        CogBart(encoder="minilm")
    with pytest.raises(ModelError, match="'tiny-roberta@.*' as a model for Seq2SeqLM cannot be loaded"):
        CogBart(encoder=str(tiny_base("roberta"))).load_base()
