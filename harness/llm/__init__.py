"""Calls to large language models: back ends, answers and what they mean, cache, limits, cost. Knows no dialogue.

Back ends import what is heavy inside: importing this room imports no torch, transformers, openai or lm_eval.
"""

from harness.llm.backend import BACKENDS, Backend, Keep, ModelSettings, build_backend, register_backend
from harness.llm.calls import CallSettings
from harness.llm.request import Decoding, Finish, Request, Response

__all__ = [
    "BACKENDS",
    "Backend",
    "CallSettings",
    "Decoding",
    "Finish",
    "Keep",
    "ModelSettings",
    "Request",
    "Response",
    "build_backend",
    "register_backend",
]
