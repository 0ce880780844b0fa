"""GraphCFC against its equations: nodes and edges listed one by one, attention one node and head at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch.nn.functional import cross_entropy, gelu, layer_norm  # noqa: E402

from baselines.multimodal.graph_cfc import GraphCfc  # noqa: E402
from baselines.multimodal.graph_cfc_network import number_relations  # noqa: E402
from baselines.neural.batch import make_batch  # noqa: E402
from baselines.neural.predictor import Dimensions  # noqa: E402
from harness.errors import ConfigError  # noqa: E402

WIDTHS = {"text": 5, "audio": 2, "visual": 3}
HIDDEN, N_LABELS, N_SPEAKERS = 4, 5, 3

Weights = Mapping[str, Any]


def linear(w: Weights, name: str, x: Any) -> Any:
    return x @ w[f"{name}.weight"].T + w.get(f"{name}.bias", 0)


def norm(w: Weights, name: str, x: Any) -> Any:
    return layer_norm(x, (HIDDEN,), w[f"{name}.weight"], w[f"{name}.bias"])


def feed_forward(w: Weights, name: str, x: Any) -> Any:
    return linear(w, f"{name}.3", gelu(linear(w, f"{name}.0", x)))


def extract(w: Weights, name: str, x: Any) -> Any:
    return norm(w, f"{name}.1", feed_forward(w, f"{name}.0", x))


def attend(w: Weights, name: str, views: list[Any], speakers: list[int], window: int, heads: int) -> list[Any]:
    """GATv2 over a graph whose nodes are (view, utterance), from a list of its edges."""
    nodes = [(v, i) for v in range(len(views)) for i in range(len(speakers))]
    pairs = [(a, b) for b in range(N_SPEAKERS) for a in range(b + 1)]
    out = [torch.zeros_like(view) for view in views]
    for v, i in nodes:
        edges = [((v, j), pairs.index(tuple(sorted((speakers[i], speakers[j]))))) for j in range(len(speakers))]
        edges = [edge for edge in edges if abs(edge[0][1] - i) <= window]
        edges += [((other, i), len(pairs)) for other in range(len(views)) if other != v]
        values = [linear(w, f"{name}.source", views[u][j]) for (u, j), _ in edges]
        query = linear(w, f"{name}.target", views[v][i])
        relations = [linear(w, f"{name}.relation", w["relations.weight"][kind]) for _, kind in edges]
        for head in range(heads):
            part = slice(head * HIDDEN, (head + 1) * HIDDEN)
            z = [(query + value + relation)[part] for value, relation in zip(values, relations, strict=True)]
            scores = [torch.where(own > 0, own, 0.2 * own) @ w[f"{name}.vector"][head] for own in z]
            alpha = torch.softmax(torch.stack(scores), dim=0)
            out[v][i] += sum(a * value[part] for a, value in zip(alpha, values, strict=True)) / heads
    return [own + w[f"{name}.bias"] for own in out]


def complement(w: Weights, number: int, views: list[Any], speakers: list[int], window: int) -> list[Any]:
    for layer in range(2):
        name = f"stacks.{number}.layers.{layer}"
        told = attend(w, f"{name}.attention", views, speakers, window, heads=2)
        views = [norm(w, f"{name}.norms.0", x + own) for x, own in zip(views, told, strict=True)]
        views = [norm(w, f"{name}.norms.1", x + feed_forward(w, f"{name}.feed_forward", x)) for x in views]
    return views


def answer(network: Any, dialogue: Any, given: list[str], window: int) -> list[Any]:
    """Logits of every head for one dialogue."""
    w = dict(network.named_parameters())
    speakers = [min(int(s), N_SPEAKERS - 1) for s in dialogue.speakers]
    encoded = {}
    for m in given:
        rows = torch.from_numpy(dialogue.features[m])
        if m == "text":
            states = network.lstm(linear(w, "text_in", rows)[None])[0][0]
            encoded[m] = linear(w, "text_out", states)
        else:
            encoded[m] = torch.tanh(linear(w, f"inputs.{m}", rows))
        encoded[m] = encoded[m] + w["speakers.weight"][speakers]
    private = {m: extract(w, f"private.{m}", encoded[m]) for m in given}
    parts = [private[m] for m in given]
    if len(given) == 1:
        (whole,) = complement(w, 0, parts, speakers, window)
    else:
        parts.append(linear(w, "join", torch.cat([extract(w, "shared", encoded[m]) for m in given], dim=1)))
        whole = parts[0]
        for i, other in enumerate(parts[1:]):
            whole = linear(w, f"fusions.{i}", torch.cat(complement(w, i, [whole, other], speakers, window), dim=1))
    return [linear(w, f"heads.{k}", x) for k, x in enumerate([*parts, whole])]


def make(given: list[str], window: int) -> tuple[GraphCfc, Any]:
    torch.manual_seed(0)
    system = GraphCfc(hidden=HIDDEN, heads=2, window=window)
    widths: Any = {m: WIDTHS[m] for m in WIDTHS if m in given}
    network: Any = system.build(Dimensions(widths, N_LABELS, N_SPEAKERS)).eval()
    return system, network


@pytest.mark.parametrize("window", [1, 2, 18])
@pytest.mark.parametrize("given", [["text"], ["audio", "text"], ["audio", "visual", "text"]])
def test_every_head_and_the_loss_follow_from_the_equations(
    given: list[str], window: int, random_dialogues: Callable[..., list[Any]]
) -> None:
    system, network = make(given, window)
    dialogues = [d for d in random_dialogues(WIDTHS, N_LABELS) if len(d) < 13]
    batch = make_batch(dialogues)
    each = [answer(network, dialogue, given, window) for dialogue in dialogues]
    expected = [torch.cat(parts) for parts in zip(*each, strict=True)]
    found = [logits[batch.mask] for logits in network.answer(batch)]
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    gold = batch.labels[batch.mask]
    losses = [cross_entropy(logits, gold, ignore_index=-1) for logits in expected]
    scales = network.scales
    total = sum(own / (2 * s * s) + torch.log(1 + s * s) for own, s in zip(losses, scales, strict=True))
    loss = system.loss(network, batch, None)
    torch.testing.assert_close(loss, total)
    gradients = [torch.autograd.grad(of, list(network.parameters())) for of in (loss, total)]
    for (name, _), ours, theirs in zip(network.named_parameters(), *gradients, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4, msg=name)


def test_padding_and_company_change_nothing_with_three_modalities(
    assert_batch_invariant: Callable[[Any, Mapping[str, int]], None],
) -> None:
    assert_batch_invariant(make(["audio", "visual", "text"], window=3)[1], WIDTHS)


def test_relations_are_unordered_pairs() -> None:
    numbers = {(a, b): int(number_relations(torch.tensor(a), torch.tensor(b))) for a in range(5) for b in range(5)}
    assert sorted(set(numbers.values())) == list(range(15))
    assert all(numbers[a, b] == numbers[b, a] for a, b in numbers)


def test_layers_have_weights_of_their_own_and_scales_are_trained() -> None:
    _, network = make(["text"], window=18)
    first, second = network.stacks[0].layers
    assert not torch.equal(first.attention.source.weight, second.attention.source.weight)
    assert any(p is network.scales for p in network.parameters())


def test_settings_are_checked() -> None:
    for setting in ("hidden", "layers", "heads", "window"):
        with pytest.raises(ConfigError, match=f"'{setting}': got 0"):
            GraphCfc(**{setting: 0})
