"""TextCNN against its equations, window by window; its rules, its word vectors, and what it keeps."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

torch = pytest.importorskip("torch")

from baselines.utterance.text_cnn import TextCnn  # noqa: E402
from baselines.utterance.text_cnn_network import KERNELS, TextCnnNetwork, pad_words  # noqa: E402
from harness.data import Split, load_dataset  # noqa: E402
from harness.errors import ConfigError, ModelError, PredictionError  # noqa: E402
from harness.predictors import PREDICTORS  # noqa: E402
from harness.predictors.build import build_predictor  # noqa: E402
from harness.predictors.check import CHECKS, check_predictor  # noqa: E402
from harness.predictors.plugins import load_plugins  # noqa: E402
from harness.predictors.session import FitProgress, Session  # noqa: E402
from harness.schema import Dialogue, DialogueView, LabelSet, Utterance  # noqa: E402

LABELS = LabelSet(("neutral", "joy", "anger"), "neutral")
WORDS = {"neutral": "a table .", "joy": "lovely !", "anger": "that is so awful , really awful"}


def split(name: Any, n: int, **dialogue: str) -> Split:
    """Returns utterances whose words tell their label, one without label, one without words."""
    rng = np.random.default_rng(n)
    drawn = [str(label) for label in rng.choice(LABELS.labels, size=n)]
    own = [Utterance(f"{name}{i}", ("A",), f"{WORDS[label]} {rng.integers(9)}", label) for i, label in enumerate(drawn)]
    own += [Utterance(f"{name}x", ("A",), "whatever", None), Utterance(f"{name}y", ("A",), "", "neutral")]
    return Split("lab", name, (Dialogue("d", tuple(own)),), LABELS)


def views(of: Split) -> list[DialogueView]:
    return [view for dialogue in of.dialogues for view in dialogue.views("none", of.label_set)]


def network(frozen: bool = False, n_words: int = 20) -> TextCnnNetwork:
    torch.manual_seed(0)
    return TextCnnNetwork(n_words, 6, 4, 5, 3, 0.5, frozen=frozen).eval()


def utterances(*lengths: int) -> list[Any]:
    rng = np.random.default_rng(1)
    return [rng.integers(1, 20, size=n) for n in lengths]


def logits_by_hand(net: TextCnnNetwork, words: Any) -> Any:
    """The equations for one utterance, a window and a filter at a time."""
    rows = [net.words.weight[int(word)] for word in words] + [torch.zeros(6)] * (5 - len(words))
    features = []
    for conv, kernel in zip(net.filters, KERNELS, strict=True):
        for weight, bias in zip(conv.weight, conv.bias, strict=True):
            values = []
            for start in range(len(rows) - kernel + 1):
                total = bias
                for offset in range(kernel):
                    total = total + weight[:, offset] @ rows[start + offset]
                values.append(torch.relu(total))
            features.append(max(values))
    hidden = torch.relu(net.hidden.weight @ torch.stack(features) + net.hidden.bias)
    return net.head.weight @ hidden + net.head.bias


def test_logits_and_gradients_follow_from_the_equations() -> None:
    net, batch = network(), utterances(0, 1, 4, 5, 9, 23)
    parameters = list(net.parameters())
    ours = net(*pad_words(batch))
    theirs = torch.stack([logits_by_hand(net, words) for words in batch])
    np.testing.assert_allclose(ours.detach(), theirs.detach(), atol=1e-5)
    expected = torch.autograd.grad((theirs**2).sum(), parameters)
    for own, other in zip(torch.autograd.grad((ours**2).sum(), parameters), expected, strict=True):
        np.testing.assert_allclose(own, other, atol=1e-5)


def test_neither_padding_nor_company_nor_order_change_an_answer() -> None:
    net, batch = network(), utterances(0, 2, 5, 9, 30)
    with torch.inference_mode():
        alone = torch.cat([net(*pad_words([one])) for one in batch])
        for others in (net(*pad_words(batch)), net(*pad_words(batch, extra=7)), net(*pad_words(batch[::-1])).flip(0)):
            np.testing.assert_allclose(others, alone, atol=1e-5)


def test_number_of_weights() -> None:
    """Filters (3 + 4 + 5) * 300 * 50 + 150, layer 150 * 100 + 100, labels 100 * 7 + 7; frozen vectors are apart."""
    net = TextCnnNetwork(1000, 300, TextCnn.maps, TextCnn.hidden, 7, 0.0, frozen=True)
    assert sum(p.numel() for p in net.parameters() if p.requires_grad) == 180_150 + 15_100 + 707
    assert sum(p.numel() for p in net.parameters()) == 180_150 + 15_100 + 707 + 300_000


def test_keeps_every_rule() -> None:
    load_plugins()
    results = check_predictor(PREDICTORS.get("textcnn"), {"epochs": 2})
    assert [r.detail for r in results if not r.passed] == []
    assert [r.name for r in results] == [check.name for check in CHECKS]


def test_it_learns_and_leaves_random_numbers_alone() -> None:
    predictor = TextCnn(epochs=15, learning_rate=0.01, width=8)
    with pytest.raises(PredictionError, match="has learned nothing yet"):
        list(predictor.predict_batch([]))
    before = torch.get_rng_state(), torch.get_num_threads()
    predictor.fit(split("train", 60), split("dev", 20))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert torch.get_num_threads() == before[1]
    assert predictor.facts()["training"]["dev_weighted_f1"] > 0.9, "words tell the label"
    test = split("test", 30)
    told = [p for answer in predictor.predict_batch(views(test)) for p in answer]
    assert [p.utterance_id for p in told] == list(test.gold)
    assert np.mean([p.label == gold for p, gold in zip(told, test.gold.values(), strict=True)]) > 0.9


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device")
def test_answers_on_a_gpu_are_those_of_the_processor() -> None:
    told = utterances(1, 5, 17, 3)
    with torch.inference_mode():
        logits = {device: network().to(device)(*pad_words(told, device)).cpu() for device in ("cpu", "cuda")}
    torch.testing.assert_close(logits["cuda"], logits["cpu"], atol=1e-4, rtol=1e-4)


def test_rare_labels_weigh_more_when_that_is_asked_for() -> None:
    train, dev = split("train", 12), split("dev", 12)
    counts = Counter(label for label in train.gold.values() if label is not None)
    weights = TextCnn(class_weights="train")
    weights.fit(train, dev)
    told = weights.label_weights(weights._number_split(train))
    plain = TextCnn()
    plain.fit(train, dev)
    assert told is not None and plain.label_weights(plain._number_split(train)) is None
    balanced = compute_class_weight("balanced", classes=np.array(list(counts)), y=list(counts.elements()))
    expected = dict(zip(counts, balanced, strict=True))
    np.testing.assert_allclose(told, [expected.get(label, 0) for label in LABELS.labels], rtol=1e-6)
    assert weights._network is not None and plain._network is not None
    first, second = weights._network.state_dict(), plain._network.state_dict()
    assert any(not torch.equal(first[key], second[key]) for key in first), "the weights reach the loss"


def test_interrupted_training_ends_with_the_same_weights_and_epochs_are_kept(tmp_path: Path) -> None:
    train, dev = split("train", 40), split("dev", 12)

    def trained(folder: Path | None, stop_after: int | None = None) -> TextCnn:
        def report(progress: FitProgress) -> None:
            if progress.done == stop_after:
                raise KeyboardInterrupt

        predictor = TextCnn(epochs=4, patience=0, width=8, batch_size=8)
        predictor.use(Session(checkpoints=folder, report=report))
        predictor.fit(train, dev)
        return predictor

    whole = trained(None)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path, 2)
    resumed = trained(tmp_path)
    assert whole._network is not None and resumed._network is not None
    weights = resumed._network.state_dict()
    assert all(torch.equal(value, weights[key]) for key, value in whole._network.state_dict().items())
    asked = views(dev)
    by_epoch = dict(resumed.predict_epochs(asked))
    assert list(by_epoch) == [1, 2, 3, 4]
    assert by_epoch[resumed.facts()["training"]["best_epoch"]] == list(resumed.predict_batch(asked))
    assert list(whole.predict_epochs(asked)) == []


def test_vectors_of_a_file_stay_as_they_are_and_are_kept_with_the_weights(tmp_path: Path) -> None:
    path = tmp_path / "glove.6B.txt"
    words = ("a", "table", ".", "lovely", "!", "that", "is", "so", "awful", ",", "really")
    numbers = np.random.default_rng(0).normal(size=(len(words), 7))
    lines = [f"{word} {' '.join(map(str, own))}" for word, own in zip(words, numbers, strict=True)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    predictor = TextCnn(word_vectors=str(path), epochs=2, learning_rate=0.01)
    predictor.fit(split("train", 40), split("dev", 12))
    assert predictor._network is not None and predictor._vectors is not None
    np.testing.assert_array_equal(predictor._network.words.weight.detach(), predictor._vectors)
    n_weights = sum(p.numel() for p in predictor._network.parameters())
    assert predictor.facts()["training"]["n_parameters"] == n_weights - (len(lines) + 2) * 7
    predictor.save(tmp_path)
    path.unlink()
    restored = TextCnn(word_vectors=str(path))
    restored.load(tmp_path)
    asked = views(split("test", 9))
    assert list(restored.predict_batch(asked)) == list(predictor.predict_batch(asked))
    with pytest.raises(ModelError, match="no such file"):
        restored.fit(split("train", 4), split("dev", 2))


def test_results_name_word_vectors_by_content_and_the_card_says_their_kind(tmp_path: Path) -> None:
    path = tmp_path / "glove.txt"
    path.write_text("a 1\n")
    load_plugins()
    spec = PREDICTORS.get("textcnn")
    assert TextCnn.identify({"word_vectors": str(path)})["word_vectors"].startswith("glove.txt@")
    assert TextCnn.identify({"word_vectors": None}) == {"word_vectors": None}
    assert TextCnn.refine_card(spec.card, {"word_vectors": str(path)}).features == ("text: glove, frozen",)
    assert TextCnn.refine_card(spec.card, {"word_vectors": None}).features == ("text: words, learned",)
    assert build_predictor(spec, {}, 3).seed == 3  # type: ignore[attr-defined]


def test_settings_are_checked() -> None:
    for bad in ({"width": 0}, {"dropout": 1.0}, {"patience": -1}, {"epochs": 0}):
        with pytest.raises(ConfigError, match=str(next(iter(bad)))):
            TextCnn(**bad)  # type: ignore[arg-type]


def test_the_sample_is_learned() -> None:
    sample = load_dataset("sample")
    predictor = TextCnn(epochs=3)
    predictor.fit(sample.split("train"), sample.split("dev"))
    assert predictor.facts()["training"]["n_words"] == len(predictor._vocabulary.words) > 20
