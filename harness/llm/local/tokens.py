"""How a prompt becomes text and tokens for one tokenizer: chat template, first token, and choices as continuations."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from harness.errors import ConfigError, ModelError
from harness.features.weights import one_line
from harness.llm.local.choice_tree import Candidates
from harness.prompting import Form, Message, Prompt


class PromptTokens:
    """A tokenizer of transformers, seen from prompts: nothing ends a text, since choices and answers go on after it."""

    def __init__(self, tokenizer: Any) -> None:
        """Takes a tokenizer over.

        Raises:
            ModelError: the tokenizer changes a text when it adds its first and last tokens.
        """
        self.tokenizer = tokenizer
        self._n_closing = _count_closing(tokenizer)
        backend = getattr(tokenizer, "backend_tokenizer", None)
        self._splits_words = backend is not None and backend.pre_tokenizer is not None

    @property
    def preferred_form(self) -> Form:
        """Chat where there is a chat template."""
        return "chat" if self.tokenizer.chat_template else "plain"

    @property
    def template_sha256(self) -> str | None:
        """SHA-256 of the chat template, None without one."""
        template = self.tokenizer.chat_template
        return hashlib.sha256(str(template).encode()).hexdigest() if template else None

    def render(self, prompt: Prompt) -> str:
        """Returns what the model reads.

        A chat template that refuses the system role or leaves its text out gets it in front of the user's first text.

        Raises:
            ConfigError: chat form without a chat template, or messages that the template refuses.
        """
        if prompt.form == "plain":
            return prompt.text
        if not self.tokenizer.chat_template:
            raise ConfigError("this model has no chat template; add -P form=plain")
        from jinja2 import TemplateError

        system = prompt.messages[0].content if prompt.messages[0].role == "system" else ""
        try:
            text = self._apply(prompt.messages)
            if system.strip() in text:
                return text
        except TemplateError as error:
            if not system:
                raise ConfigError(f"chat template: {one_line(error)}; add -P form=plain") from error
        try:
            return self._apply(fold_system(prompt.messages))
        except TemplateError as error:
            raise ConfigError(f"chat template: {one_line(error)}; add -P form=plain") from error

    def _apply(self, messages: Sequence[Message]) -> str:
        turns = [{"role": message.role, "content": message.content} for message in messages]
        return str(self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Returns the tokens of rendered texts. A text that begins with the model's first token gets no second one."""
        bos = self.tokenizer.bos_token
        tokens: list[list[int]] = [[] for _ in texts]
        for has_bos in (True, False):
            numbers = [i for i, text in enumerate(texts) if bool(bos and text.startswith(bos)) == has_bos]
            for number, ids in zip(numbers, self._ids([texts[i] for i in numbers], not has_bos), strict=True):
                tokens[number] = ids
        return tokens

    def _ids(self, texts: list[str], special: bool) -> list[list[int]]:
        if not texts:
            return []
        ids: list[list[int]] = self.tokenizer(texts, add_special_tokens=special, return_attention_mask=False).input_ids
        return [row[: len(row) - self._n_closing] for row in ids] if special else ids

    def candidates(self, texts: Sequence[str], continuations: Sequence[Sequence[str]]) -> list[Candidates]:
        """Returns rendered prompts and what may follow them, as tokens; a continuation may come out empty.

        White space at the end of a prompt, or of the header that a chat template ends with, is counted to the
        continuation, as lm-eval does: the likelihood of a choice then includes that of the white space, the same for
        all choices unless both are one token. Prompt and continuation are encoded together and cut after as many
        tokens as the prompt has alone.

        Most tokenizers work word by word, so that what follows the last line break can be encoded apart: once for all
        prompts that end alike. It is, where the tokens of the prompt as a whole show that the cut changed nothing.

        Source: `TemplateLM._encode_pair` of lm-eval 0.4.13.
        """
        contexts = [text.rstrip() for text in texts]
        endings = [
            [text[len(context) :] + one for one in after]
            for text, context, after in zip(texts, contexts, continuations, strict=True)
        ]
        tokens = self.encode(contexts)
        cuts = [context.rfind("\n") + 1 if self._splits_words else 0 for context in contexts]
        last_lines = [context[cut:] for context, cut in zip(contexts, cuts, strict=True)]
        apart = [line + end for line, ends in zip(last_lines, endings, strict=True) for end in ("", *ends)]
        unique = list(dict.fromkeys(apart))
        tails = dict(zip(unique, self._ids(unique, False), strict=True))
        whole: list[str] = []
        found: list[Candidates | None] = []
        for context, ids, cut, line, ends in zip(contexts, tokens, cuts, last_lines, endings, strict=True):
            n_tail = len(tails[line])
            if cut and n_tail and ids[-n_tail:] == tails[line]:
                found.append(_split(ids, [ids[:-n_tail] + tails[line + end] for end in ends]))
            else:
                found.append(None)
                whole.extend(context + end for end in ends)
        ids_of_whole = iter(self.encode(whole))
        return [
            known or _split(ids, [next(ids_of_whole) for _ in ends])
            for known, ids, ends in zip(found, tokens, endings, strict=True)
        ]

    def written(self, text: str, tokens: Sequence[int], continuation: str) -> list[int]:
        """Returns the tokens that a model would write after a prompt to say a continuation."""
        (whole,) = self.encode([text + continuation])
        if whole[: len(tokens)] == list(tokens):
            return whole[len(tokens) :]
        return self._ids([continuation], False)[0]


def _split(context: list[int], wholes: list[list[int]]) -> Candidates:
    return Candidates(tuple(context), tuple(tuple(whole[len(context) :]) for whole in wholes))


def _count_closing(tokenizer: Any) -> int:
    """Returns how many tokens a tokenizer puts after each text, such as an end token."""
    probe = "x"
    text: list[int] = tokenizer(probe, add_special_tokens=False).input_ids
    whole: list[int] = tokenizer(probe).input_ids
    for begin in range(len(whole) - len(text), -1, -1):
        if whole[begin : begin + len(text)] == text:
            return len(whole) - begin - len(text)
    raise ModelError(
        f"tokenizer: {probe!r} is {text} alone and {whole} between first and last tokens, so nobody can tell where a "
        "prompt ends; use another tokenizer"
    )


def fold_system(messages: Sequence[Message]) -> list[Message]:
    """Returns messages in which the system's text is the beginning of the first one of the user."""
    system, first, *rest = messages
    return [Message(first.role, f"{system.content}\n\n{first.content}"), *rest]
