"""What the documents name is there: pages, headings, commands, targets of the Makefile, settings."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import click
import pytest

from emco_agent.settings import PREFIX as AGENT_PREFIX
from emco_agent.settings import AgentSettings
from emco_allinone.catalogue import CATALOGUE
from emco_allinone.main import cli
from emco_common.settings import Settings
from emco_emcoctl.commands import root
from emco_ingress.settings import IngressSettings

ROOT = Path(__file__).parents[3]
PAGES = sorted(
    page.relative_to(ROOT)
    for folder in (".", "docs", "docs/decisions", "examples", "deploy", "bench", "tests/testbed", "simcluster")
    for page in (ROOT / folder).glob("*.md" if folder in (".", "docs", "docs/decisions") else "**/*.md")
)
SERVICES = {entry.name: entry.settings for entry in CATALOGUE} | {"ingress": IngressSettings}
SOURCES = ("common", "services", "simcluster", "tests", "bench", "deploy", "Makefile", "docker-compose.yaml", ".ci")

_LINK = re.compile(r"(?<!!)\[(?:[^\]\[]|\[[^\]]*\])*\]\(([^()\s]+)\)")
_FENCE = re.compile(r"^```[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`\n]+)`")
_HEADING = re.compile(r"^#{1,6} +(.*?) *#*$", re.MULTILINE)
_TARGET = re.compile(r"^([a-z][a-z-]*):", re.MULTILINE)
_ROOMS = "tests|common|services|deploy|docs|examples|bench|simcluster"
_NAMED_FILE = re.compile(rf"`((?:{_ROOMS})/[\w./-]+\.(?:py|md|json|yaml|sh|proto))`")
_VARIABLE = re.compile(r"\bEMCO_[A-Z0-9]+(?:_[A-Z0-9]+)*\b(?!_)")

each_page = pytest.mark.parametrize("page", PAGES, ids=str)


def text_of(page: Path) -> str:
    return (ROOT / page).read_text()


def links(page: Path) -> list[str]:
    prose = _SPAN.sub("", _FENCE.sub("", text_of(page)))
    return [link for link in _LINK.findall(prose) if "://" not in link and not link.startswith("mailto:")]


@cache
def anchors(page: Path) -> frozenset[str]:
    """Of its headings, as GitHub makes them."""
    found: dict[str, int] = {}
    made = set()
    for heading in _HEADING.findall(_FENCE.sub("", text_of(page))):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        made.add(slug if slug not in found else f"{slug}-{found[slug]}")
        found[slug] = found.get(slug, 0) + 1
    return frozenset(made)


def lines_of_commands(page: Path) -> Iterator[str]:
    """What a reader is to type: lines of blocks, and spans that begin with a program."""
    text = text_of(page)
    for block in _FENCE.findall(text):
        for line in re.sub(r"\\\n\s*", " ", block).splitlines():
            for part in re.split(r"&&|\||;|\$\(", line):
                yield part.strip().removeprefix("$ ").strip()
    yield from (span.strip() for span in _SPAN.findall(_FENCE.sub("", text)))


def words(line: str, program: str) -> list[str] | None:
    """What follows ``program`` on a line that calls it, after variables that are set for it."""
    try:
        parts = shlex.split(line, comments=True)
    except ValueError:
        parts = line.split()
    while parts and re.fullmatch(r"[A-Z_]+=.*", parts[0]):
        parts.pop(0)
    return parts[1:] if parts and parts[0].rpartition("/")[2] == program else None


def calls(page: Path, program: str) -> Iterator[list[str]]:
    yield from (found for line in lines_of_commands(page) if (found := words(line, program)))


def command_named(group: click.Command, given: list[str]) -> str:
    """What of a call is not there, ``""`` if all is; placeholders (``FILE``, ``…``, ``$x``) are let through."""
    known = options_of(group)
    rest = list(given)
    while rest:
        word = rest.pop(0)
        name, _, value = word.partition("=")
        if re.fullmatch("-[a-z]|--[a-z-]+", name):
            if name not in known:
                return f"the flag {name}"
            if known[name] and not value and rest:
                rest.pop(0)
        elif isinstance(group, click.Group) and re.fullmatch("[a-z][a-z-]*", word):
            if word not in group.commands:
                return f"the command {word}"
            group = group.commands[word]
            known = known | options_of(group)
    return ""


def options_of(command: click.Command) -> dict[str, bool]:
    """By name, whether the option takes a value."""
    found = {"--help": False, "-h": False, "--version": False}
    for one in command.params:
        if isinstance(one, click.Option):
            found |= dict.fromkeys((*one.opts, *one.secondary_opts), not (one.is_flag or one.count))
    return found


@each_page
def test_every_link_leads_to_a_page_and_a_heading_that_are_there(page: Path) -> None:
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (ROOT / page.parent / unquote(path)).resolve() if path else ROOT / page
        assert target.exists(), f"{page} links to {link}"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target.relative_to(ROOT)), f"{page} links to {link}: there is no such heading"


@each_page
def test_every_file_that_is_named_is_there(page: Path) -> None:
    for path in sorted(set(_NAMED_FILE.findall(_FENCE.sub("", text_of(page))))):
        assert (ROOT / path).exists(), f"{page} names {path}"


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, left = set(), [Path("README.md")]
    while left:
        page = left.pop()
        if page in reached:
            continue
        reached.add(page)
        for link in links(page):
            target = (ROOT / page.parent / unquote(link.partition("#")[0])).resolve()
            target = target / "README.md" if target.is_dir() else target
            if target.suffix == ".md" and target.exists() and target.is_relative_to(ROOT):
                left.append(target.relative_to(ROOT))
    wanted = {page for page in PAGES if page.parts[0] == "docs"}
    assert wanted - reached == set()


@each_page
def test_every_target_of_make_is_there(page: Path) -> None:
    targets = set(_TARGET.findall((ROOT / "Makefile").read_text()))
    for given in calls(page, "make"):
        named = [word for word in given if re.fullmatch("[a-z][a-z-]*", word)]
        assert set(named) <= targets, f"{page}: make {' '.join(given)}"


@each_page
@pytest.mark.parametrize(("program", "group"), [("emco", cli), ("emcoctl", root)], ids=["emco", "emcoctl"])
def test_every_command_and_flag_is_there(page: Path, program: str, group: click.Group) -> None:
    for given in calls(page, program):
        missing = command_named(group, given)
        assert not missing, f"{page}: `{program} {' '.join(given)}`: {missing} is not there"


@each_page
def test_every_service_that_is_served_is_there(page: Path) -> None:
    for given in calls(page, "emco"):
        if given[0] == "serve" and len(given) > 1 and re.fullmatch("[a-z]+", given[1]):
            assert given[1] in {*SERVICES, "agent"}, f"{page}: emco {' '.join(given)}"


@each_page
def test_every_setting_is_there(page: Path) -> None:
    for variable in sorted(set(_VARIABLE.findall(text_of(page)))):
        assert is_setting(variable) or variable in named_in_sources(), f"{page}: {variable} is read by nobody"


def is_setting(variable: str) -> bool:
    name = variable.removesuffix("_FILE")
    for each in (variable, name):
        if each.removeprefix(AGENT_PREFIX).lower() in AgentSettings.model_fields:
            return True
        short = each.removeprefix("EMCO_").lower()
        if short in Settings.model_fields or any(short in fields.model_fields for fields in SERVICES.values()):
            return True
        for service, fields in SERVICES.items():
            if short.removeprefix(f"{service}_") in fields.model_fields and short.startswith(f"{service}_"):
                return True
    return False


@cache
def named_in_sources() -> frozenset[str]:
    """Variables that are no setting of a service: of tests, programs beside them, deployments."""
    found: set[str] = set()
    for source in SOURCES:
        for file in [ROOT / source] if (ROOT / source).is_file() else (ROOT / source).rglob("*"):
            if (
                file.is_file()
                and file.suffix in ("", ".py", ".yaml", ".sh", ".tpl")
                and file.name != Path(__file__).name
            ):
                found.update(_VARIABLE.findall(file.read_text(errors="replace")))
    return frozenset(found)
