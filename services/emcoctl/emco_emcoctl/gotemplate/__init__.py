"""A small engine for Go's text/template, with its built-in functions and none besides (emcoctl 4).

Pure: it reads no files, calls no methods of values, and its depth, steps and output are bounded. Values are ``None``,
``bool``, ``int``, ``float``, ``str``, lists and mappings of these; anything else prints as ``str`` gives it.
"""

from __future__ import annotations

from typing import Any

from emco_emcoctl.gotemplate.errors import TemplateError
from emco_emcoctl.gotemplate.execute import Execution, Limits
from emco_emcoctl.gotemplate.functions import FUNCTIONS
from emco_emcoctl.gotemplate.parser import parse

__all__ = ["Limits", "TemplateError", "render"]


def render(text: str, data: Any, *, name: str, missing_as_text: bool = False, limits: Limits | None = None) -> str:
    """The template ``text`` executed with ``data`` as its dot.

    A missing or null value that would be printed is an error; with ``missing_as_text`` it prints ``<no value>``, as
    Go does. Raises ``TemplateError`` that names ``name``, the line, and the token or node.
    """
    templates = parse(text, name=name, functions=FUNCTIONS)
    execution = Execution(templates, text, name, data, missing_as_text, limits or Limits())
    return execution.run()
