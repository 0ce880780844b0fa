"""The response store: answers by the content of what was asked. Knows no back end."""
