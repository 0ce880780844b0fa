"""A plugin for the tests of faults: a predictor that tells what it is asked, an encoder, a language model."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any

import numpy as np

from harness import DialogueView, Prediction, Predictor, PredictorCard, register_predictor
from harness.features import Encoder, register_encoder
from harness.llm import Response, register_backend


def tell(word: str) -> None:
    """Adds a line to the file that ASKED names, at once."""
    descriptor = os.open(os.environ["ASKED"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, f"{word}\n".encode())
    os.close(descriptor)


@register_predictor("lab/words", card=PredictorCard(family="test", context="past", deterministic=True))
class Words(Predictor):
    """Learns one word and knows it."""

    word = ""

    def fit(self, train: Any, dev: Any) -> None:
        tell("fit")
        self.word = "lovely"

    def save(self, folder: Any) -> None:
        (folder / "word.txt").write_text(self.word)

    def load(self, folder: Any) -> None:
        self.word = (folder / "word.txt").read_text()

    def predict(self, dialogue: DialogueView) -> list[Prediction]:
        time.sleep(0.002)
        tell(dialogue.targets[0].id)
        return [Prediction(u.id, "joy" if self.word in u.text else "neutral") for u in dialogue.targets]


@register_encoder("lab/hashed", kind="frozen", summary="Eight numbers by the hash of the words.")
class Hashed(Encoder):
    def identity(self) -> dict[str, Any]:
        return {"encoder": "lab/hashed"}

    def encode(self, utterances: Sequence[Any], tell_progress: Any = None) -> Any:
        tell("encode")
        return np.array([[sum(map(vector, u.text.lower().split()), np.zeros(8))] for u in utterances], np.float32)


def vector(word: str) -> Any:
    return np.random.default_rng(int(sha256(word.encode()).hexdigest()[:8], 16)).normal(size=8)


@register_backend("lab")
class ByHash:
    """A language model that answers by the hash of what it reads."""

    repeats_prompt = False

    def __init__(self, model: Any, calls: Any) -> None:
        self.model = model

    def identity(self) -> Mapping[str, object]:
        return {"backend": "lab", "model": self.model.model}

    def preferred_form(self) -> str:
        return "plain"

    def render(self, prompt: Any) -> str:
        return str(prompt.text)

    def count_tokens(self, text: str) -> int | None:
        return len(text.split())

    def answer(self, requests: Iterator[Any], keep: Any) -> Iterator[tuple[int, Response]]:
        for n, request in enumerate(requests):
            key = sha256(request.prompt.text.encode()).hexdigest()
            tell(f"asked {key}")
            response = Response("stop", ("neutral", "joy", "anger")[int(key[:4], 16) % 3], n_prompt_tokens=1)
            keep(n, response)
            tell(f"kept {key}")
            yield n, response

    def close(self) -> None:
        pass
