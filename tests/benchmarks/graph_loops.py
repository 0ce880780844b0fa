"""The graph systems as their equations read: one dialogue at a time, one Python step for every utterance and edge.

The weights are those of a network of ours; how they are used is written here anew. Tests compare numbers and gradients,
benchmarks compare time. All functions take a network and a dialogue (`NumberedDialogue`) and return logits,
float32 (n_utterances, n_labels).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def dialogue_gcn_logits(network: Any, dialogue: Any) -> Tensor:
    """Returns the logits of DialogueGCN."""
    n, speakers = len(dialogue), dialogue.speakers.tolist()
    e = network.context(torch.from_numpy(dialogue.features["text"]))[0]
    conv, m = network.relational, network.n_speakers
    windows = [[j for j in range(n) if i - network.past <= j <= i + network.future] for i in range(n)]
    matrices: dict[int, Tensor] = {}
    h = []
    for i in range(n):
        alpha = torch.softmax(torch.stack([network.positions.weight[min(i, 109)] @ e[j] for j in windows[i]]), dim=0)
        total = conv.root(e[i])
        for weight, j in zip(alpha, windows[i], strict=True):
            relation = (speakers[i] % m * m + speakers[j] % m) * 2 + int(i < j)
            if relation not in matrices:
                matrices[relation] = torch.einsum("b,bwh->wh", conv.coefficients[relation], conv.bases)
            total = total + weight * (e[j] @ matrices[relation])
        h.append(total)
    z = []
    for i in range(n):
        around = torch.zeros_like(h[i])
        for j in windows[i]:
            around = around + h[j]
        z.append(torch.cat([e[i], network.around(around) + network.itself(h[i])]))
    logits = []
    for i in range(n):
        beta = torch.softmax(torch.stack([network.match(z[i]) @ z[j] for j in range(n)]), dim=0)
        logits.append(network.head(sum(weight * z[j] for j, weight in enumerate(beta))))
    return torch.stack(logits)


def heard_by(i: int, speakers: list[int], omega: int) -> list[int]:
    """Returns the utterances that the i-th one listens to in DAG-ERC, walking back from it."""
    heard, n_same = [], 0
    for j in range(i - 1, -1, -1):
        heard.append(j)
        n_same += speakers[j] == speakers[i]
        if n_same == omega:
            break
    return heard


def dag_erc_logits(network: Any, dialogue: Any) -> Tensor:
    """Returns the logits of DAG-ERC."""
    u = torch.from_numpy(dialogue.features["text"])
    n, speakers = len(dialogue), dialogue.speakers.tolist()
    states = [[torch.relu(network.first(u[i])) for i in range(n)]]
    for layer in network.layers:
        below, own = states[-1], []
        for i in range(n):
            message = torch.zeros_like(below[i])
            heard = heard_by(i, speakers, network.omega)
            if heard:
                scores = [layer.attention(torch.cat([below[i], own[j]])) for j in heard]
                for alpha, j in zip(torch.softmax(torch.cat(scores), dim=0), heard, strict=True):
                    kind = layer.same if speakers[i] == speakers[j] else layer.other
                    message = message + alpha * kind(own[j])
            own.append(layer.state_cell(below[i], message) + layer.message_cell(message, below[i]))
        states.append(own)
    return torch.stack([network.head(torch.cat([*(layer[i] for layer in states), u[i]])) for i in range(n)])


def rgat_logits(network: Any, dialogue: Any) -> Tensor:
    """Returns the logits of RGAT."""
    n, speakers = len(dialogue), dialogue.speakers.tolist()
    h, graph = network.first(torch.from_numpy(dialogue.features["text"])), network.attention
    n_heads, size = graph.match.shape[2:]
    logits = []
    for i in range(n):
        g = [torch.zeros(size) for _ in range(n_heads)]
        for r in range(4):
            future, other = divmod(r, 2)
            around = [j for j in range(n) if i - network.past <= j <= i + network.future]
            chosen = [j for j in around if (j > i) == future and (speakers[j] != speakers[i]) == other]
            for k in range(n_heads if chosen else 0):
                w = graph.weight[r, :, k * size : (k + 1) * size]
                a = torch.cat([graph.match[0, r, k], graph.match[1, r, k]])
                scores = [
                    nn.functional.leaky_relu(a @ torch.cat([h[i] @ w, h[j] @ w]), 0.2)
                    + graph.distance[other, j - i + network.past]
                    for j in chosen
                ]
                for alpha, j in zip(torch.softmax(torch.stack(scores), dim=0), chosen, strict=True):
                    g[k] = g[k] + alpha * (h[j] @ w)
        logits.append(network.head(torch.cat([h[i], *g])))
    return torch.stack(logits)
