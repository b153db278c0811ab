"""Tokens to a tree. Names, variables and functions are checked here, so that a template that parses has no typos."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from emco_emcoctl.gotemplate.lexer import Kind, Token
from emco_emcoctl.gotemplate.nodes import Action, Block, Branch, Invocation, Jump, Statement, Text
from emco_emcoctl.gotemplate.pipelines import Pipelines
from emco_emcoctl.gotemplate.stream import Stream


def parse(text: str, *, name: str, functions: Collection[str]) -> dict[str, Block]:
    """The template called ``name`` and all that it defines; raises ``TemplateError``."""
    return _Parser(text, name=name, functions=functions).all()


@dataclass
class _Stop:
    """The ``end`` or ``else`` a list of statements stopped at; ``follows`` is the word of ``else if``."""

    word: str
    follows: str = ""


class _Parser:
    def __init__(self, text: str, *, name: str, functions: Collection[str]) -> None:
        self._name = name
        self._stream = Stream(text, name=name)
        self._pipelines = Pipelines(self._stream, functions=functions)
        self._templates: dict[str, Block] = {}
        self._ranges = 0

    def all(self) -> dict[str, Block]:
        statements: list[Statement] = []
        while (token := self._stream.next()).kind is not Kind.END:
            if token.kind is Kind.LEFT and self._stream.peek_word() == "define":
                self._stream.next_solid()
                self._definition(token)
                continue
            found = self._statement(token)
            if isinstance(found, _Stop):
                raise self._stream.fail(token.position, f"unexpected {{{{{found.word}}}}}")
            statements.append(found)
        self._define(self._name, Block(tuple(statements)), position=0)
        return self._templates

    def _statement(self, token: Token) -> Statement | _Stop:
        if token.kind is Kind.TEXT:
            return Text(token.text, token.position)
        match self._stream.peek_word():
            case "if" | "with" | "range" as word:
                self._stream.next_solid()
                return self._branch(word, position=token.position)
            case "else":
                self._stream.next_solid()
                return self._otherwise()
            case "end":
                self._stream.next_solid()
                self._stream.expect(Kind.RIGHT, context="end")
                return _Stop("end")
            case "break" | "continue" as word:
                return self._jump(word, position=token.position)
            case "template":
                self._stream.next_solid()
                return self._invocation(position=token.position)
            case "block":
                self._stream.next_solid()
                return self._block(position=token.position)
            case "define":
                raise self._stream.unexpected(self._stream.peek_solid(), "{{define}} clause")
        return Action(self._pipelines.pipeline("command", Kind.RIGHT), token.position)

    def _block_until_stop(self, *, position: int) -> tuple[Block, _Stop]:
        self._stream.enter(position)
        statements: list[Statement] = []
        while (token := self._stream.next()).kind is not Kind.END:
            found = self._statement(token)
            if isinstance(found, _Stop):
                self._stream.leave()
                return Block(tuple(statements)), found
            statements.append(found)
        raise self._stream.fail(self._stream.length, "unexpected EOF")

    def _branch(self, word: str, *, position: int) -> Branch:
        mark = len(self._pipelines.variables)
        pipe = self._pipelines.pipeline(word, Kind.RIGHT)
        self._ranges += word == "range"
        body, stop = self._block_until_stop(position=position)
        self._ranges -= word == "range"
        otherwise = self._else_part(word, stop, position=position) if stop.word == "else" else None
        del self._pipelines.variables[mark:]
        return Branch(word, pipe, body, otherwise, position)

    def _else_part(self, word: str, stop: _Stop, *, position: int) -> Block:
        if stop.follows:
            if stop.follows != word:
                raise self._stream.fail(position, f"unexpected <{stop.follows}> in else")
            self._stream.enter(position)
            chained = self._branch(word, position=position)
            self._stream.leave()
            return Block((chained,))
        block, ending = self._block_until_stop(position=position)
        if ending.word != "end":
            raise self._stream.fail(position, "expected end; found {{else}}")
        return block

    def _otherwise(self) -> _Stop:
        follows = self._stream.peek_word()
        if follows in ("if", "with"):
            self._stream.next_solid()
            return _Stop("else", follows)
        self._stream.expect(Kind.RIGHT, context="else")
        return _Stop("else")

    def _jump(self, word: str, *, position: int) -> Jump:
        self._stream.next_solid()
        if not self._ranges:
            raise self._stream.fail(position, f"{{{{{word}}}}} outside {{{{range}}}}")
        self._stream.expect(Kind.RIGHT, context=f"{{{{{word}}}}}")
        return Jump(word, position)

    def _definition(self, token: Token) -> None:
        name = self._template_name("define clause")
        self._stream.expect(Kind.RIGHT, context="define clause")
        self._body_of(name, position=token.position)

    def _body_of(self, name: str, *, position: int) -> None:
        outer, self._pipelines.variables = self._pipelines.variables, ["$"]
        ranges, self._ranges = self._ranges, 0
        body, stop = self._block_until_stop(position=position)
        if stop.word != "end":
            raise self._stream.fail(position, f"unexpected {{{{else}}}} in the definition of {name}")
        self._pipelines.variables, self._ranges = outer, ranges
        self._define(name, body, position=position)

    def _define(self, name: str, body: Block, *, position: int) -> None:
        known = self._templates.get(name)
        if known is None or known.is_empty:
            self._templates[name] = body
        elif not body.is_empty:
            raise self._stream.fail(position, f'multiple definition of template "{name}"')

    def _invocation(self, *, position: int) -> Invocation:
        name = self._template_name("template clause")
        if self._stream.peek_solid().kind is Kind.RIGHT:
            self._stream.next_solid()
            return Invocation(name, None, position)
        return Invocation(name, self._pipelines.pipeline("template clause", Kind.RIGHT), position)

    def _block(self, *, position: int) -> Invocation:
        name = self._template_name("block clause")
        pipe = self._pipelines.pipeline("block clause", Kind.RIGHT)
        self._body_of(name, position=position)
        return Invocation(name, pipe, position)

    def _template_name(self, context: str) -> str:
        token = self._stream.next_solid()
        if token.kind not in (Kind.STRING, Kind.RAW):
            raise self._stream.unexpected(token, context)
        return self._pipelines.string(token)
