"""Prompts: load, render and hash templates; choose windows, label names and exemplars. Knows no model and no gold."""

from harness.prompting.exemplars import Exemplar
from harness.prompting.label_names import LabelNames, name_labels
from harness.prompting.prompt import Form, Message, Prompt
from harness.prompting.templates import Template, list_templates, load_template
from harness.prompting.window import Line, Scene, Window

__all__ = [
    "Exemplar",
    "Form",
    "LabelNames",
    "Line",
    "Message",
    "Prompt",
    "Scene",
    "Template",
    "Window",
    "list_templates",
    "load_template",
    "name_labels",
]
