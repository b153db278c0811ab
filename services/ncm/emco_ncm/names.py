"""What Kubernetes accepts as a label value and as a label, and its words for what it does not (spec ncm 3, 4). Pure."""

from __future__ import annotations

import re

_VALUE = "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?"
_DNS_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_DNS_SUBDOMAIN = rf"{_DNS_LABEL}(\.{_DNS_LABEL})*"


def value_errors(value: str) -> list[str]:
    """Why ``value`` is no label value of 1 to 63 characters; empty if it is one."""
    errors = []
    if not value:
        errors.append("name must have at least one character")
    if len(value) > 63:
        errors.append("must be no more than 63 characters")
    if not re.fullmatch(_VALUE, value):
        errors.append(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must"
            " start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used"
            f" for validation is '{_VALUE}')"
        )
    return errors


def label_errors(label: str) -> list[str]:
    """Why ``label`` is none of ``value``, ``name=value`` and ``prefix/name=value``; empty if it is."""
    name, equals, value = label.partition("=")
    if not equals:
        return value_errors(label)
    prefix, slash, name = name.rpartition("/")
    errors = value_errors(value)
    if slash:
        errors += _dns_errors(prefix, _DNS_SUBDOMAIN, 253, "DNS-1123 subdomain")
    return errors + _dns_errors(name, _DNS_LABEL, 63, "DNS-1123 label")


def _dns_errors(text: str, pattern: str, longest: int, what: str) -> list[str]:
    errors = []
    if len(text) > longest:
        errors.append(f"must be no more than {longest} characters")
    if not re.fullmatch(pattern, text):
        errors.append(
            f"a {what} must consist of lower case alphanumeric characters or '-', and must start and end with an"
            f" alphanumeric character (regex used for validation is '{pattern}')"
        )
    return errors
