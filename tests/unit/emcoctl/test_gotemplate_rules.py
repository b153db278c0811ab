"""What the template engine promises beside Go's output: bounds, places, and no silent gaps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emco_emcoctl import gotemplate
from emco_emcoctl.gotemplate import Limits, TemplateError

_TEXT = st.text(alphabet=st.characters(exclude_characters="{}", exclude_categories=["Cs"]))


def render(text: str, data: object = None, **options: bool) -> str:
    return gotemplate.render(text, data, name="r.yaml", **options)


@given(_TEXT)
def test_a_text_without_braces_is_unchanged(text: str) -> None:
    assert render(text) == text


@given(_TEXT, _TEXT, st.text())
def test_a_value_is_printed_as_it_is_between_the_texts_around_it(before: str, after: str, value: str) -> None:
    assert render(f"{before}{{{{ .v }}}}{after}", {"v": value}) == before + value + after


_WORDS = [
    "{{",
    "}}",
    "-",
    "if",
    "range",
    "end",
    "else",
    ".",
    ".a",
    "$",
    "$x",
    ":=",
    "=",
    "(",
    ")",
    "|",
    "len",
    "eq",
    "1",
    ",",
    "define",
    "template",
    "block",
    "with",
    "nil",
    "break",
    "/*",
    "*/",
    '"s"',
    " ",
    "\n",
]


def _outcome(text: str, data: object) -> str:
    """The output, or the error where there is one."""
    try:
        return "rendered " + render(text, data, missing_as_text=True)
    except TemplateError as error:
        return str(error)


@given(st.text(max_size=60))
def test_any_text_at_all_is_rendered_or_refused_with_a_line(text: str) -> None:
    assert _outcome("{{" + text + "}}" + text, {"a": 1}).startswith(("rendered ", "template: r.yaml:"))


@given(st.lists(st.sampled_from(_WORDS), max_size=25))
def test_any_order_of_words_is_rendered_or_refused_with_a_line(words: list[str]) -> None:
    assert _outcome("{{" + " ".join(words), {"a": [1, 2]}).startswith(("rendered ", "template: r.yaml:"))


@pytest.mark.parametrize(
    "template", ["{{.A}}", "{{.A.B}}", "{{.Null}}", "{{$.A}}", '{{printf "%s" .A}}', "{{.A | html}}"]
)
def test_a_missing_value_that_would_be_printed_names_key_and_line(template: str) -> None:
    with pytest.raises(TemplateError, match=r"r\.yaml:2:.*(\.A|\.Null|html).*missing"):
        render(f"a\nb {template}", {"Null": None})


@pytest.mark.parametrize(
    "template",
    ["{{if .A}}x{{end}}", "{{range .A}}x{{end}}", "{{with .A}}x{{end}}", "{{if not .A}}{{end}}", "{{$x := .A}}"],
)
def test_a_missing_value_that_is_only_asked_about_is_no_error(template: str) -> None:
    assert render(template, {}) == ""


def test_without_any_values_every_key_is_missing() -> None:
    assert render("{{.A}} {{.A.B}}", None, missing_as_text=True) == "<no value> <no value>"


def test_an_invocation_without_end_is_stopped() -> None:
    with pytest.raises(TemplateError, match="nested deeper than"):
        render('{{define "x"}}{{template "x"}}{{end}}{{template "x"}}')


@pytest.mark.parametrize("opening", ["{{if 1}}", "{{range .}}", "("])
def test_nesting_is_bounded_before_it_reaches_the_stack(opening: str) -> None:
    text = "{{" + opening * 5000 if opening == "(" else opening * 5000

    with pytest.raises(TemplateError, match="nested deeper than"):
        render(text, [1])


def test_output_is_bounded() -> None:
    with pytest.raises(TemplateError, match="writes more than 10"):
        gotemplate.render("{{range .}}{{.}}{{end}}", ["abc"] * 9, name="x", limits=Limits(output=10))


def test_steps_are_bounded_even_without_output() -> None:
    nested = "{{range $}}" * 6 + "{{end}}" * 6

    with pytest.raises(TemplateError, match="takes more than 1000 steps"):
        gotemplate.render(nested, list(range(50)), name="x", limits=Limits(steps=1000))


def test_width_is_bounded() -> None:
    assert len(render('{{printf "%99999999d" 1}}')) <= 1_000_000


def test_attributes_of_values_cannot_be_reached() -> None:
    with pytest.raises(TemplateError, match="can't evaluate field __class__"):
        render("{{.v.__class__}}", {"v": "text"})


def test_a_chain_of_else_if_is_bounded_too() -> None:
    assert render("{{if 0}}" + "{{else if 0}}" * 40 + "{{else}}x{{end}}") == "x"
    with pytest.raises(TemplateError, match="nested deeper than"):
        render("{{if 0}}" + "{{else if 0}}" * 5000 + "{{end}}")
