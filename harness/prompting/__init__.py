"""Prompts: load, render and hash templates; choose windows, label names and exemplars. Knows no model and no gold."""

from harness.prompting.prompt import Form, Message, Prompt

__all__ = ["Form", "Message", "Prompt"]
