"""The one error of the template engine."""

from __future__ import annotations


class TemplateError(Exception):
    """A template that cannot be parsed or executed. The text is that of Go: template, line, and the token or node."""
