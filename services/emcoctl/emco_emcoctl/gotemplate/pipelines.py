"""Pipelines and what they are made of: commands, operands, constants, variables."""

from __future__ import annotations

from collections.abc import Collection

from emco_emcoctl.gotemplate import literals
from emco_emcoctl.gotemplate.lexer import Kind, Token
from emco_emcoctl.gotemplate.nodes import Chain, Command, Dot, Field, Function, Literal, Operand, Pipe, Variable
from emco_emcoctl.gotemplate.stream import KEYWORDS, Stream

_TERMS = frozenset(
    {Kind.WORD, Kind.FIELD, Kind.VARIABLE, Kind.DOT, Kind.NUMBER, Kind.CHAR, Kind.STRING, Kind.RAW, Kind.OPEN}
)
_CONSTANTS = {"true": True, "false": False, "nil": None}


class Pipelines:
    """Parses pipelines from a stream. ``variables`` holds the names declared so far, innermost last."""

    def __init__(self, stream: Stream, *, functions: Collection[str]) -> None:
        self._stream = stream
        self._functions = functions
        self.variables = ["$"]

    def pipeline(self, context: str, ending: Kind) -> Pipe:
        position = self._stream.peek_solid().position
        names, assigns = self._declared(context)
        commands: list[Command] = []
        while True:
            token = self._stream.next_solid()
            if token.kind is ending:
                break
            if token.kind not in _TERMS:
                raise self._stream.unexpected(token, context)
            self._stream.index -= 1
            commands.append(self._command())
        if not commands:
            raise self._stream.fail(position, f"missing value for {context}")
        for stage, command in enumerate(commands[1:], start=2):
            if isinstance(command.args[0], Literal | Dot):
                raise self._stream.fail(position, f"non executable command in pipeline stage {stage}")
        if not assigns:
            self.variables += names
        return Pipe(tuple(names), assigns, tuple(commands), position, grouped=ending is Kind.CLOSE)

    def _declared(self, context: str) -> tuple[list[str], bool]:
        """The variables in front of a pipeline, and whether they are assigned to rather than declared."""
        names: list[str] = []
        while (token := self._stream.peek_solid()).kind is Kind.VARIABLE:
            before = self._stream.index
            self._stream.next_solid()
            after = self._stream.next_solid()
            if after.kind in (Kind.ASSIGN, Kind.DECLARE):
                names.append(token.text)
                if after.kind is Kind.ASSIGN:
                    self._check_known(names, position=token.position)
                return names, after.kind is Kind.ASSIGN
            if after.kind is not Kind.SIGN or after.text != ",":
                self._stream.index = before
                break
            names.append(token.text)
            if context != "range" or len(names) > 1:
                raise self._stream.fail(token.position, f"too many declarations in {context}")
        if names:
            raise self._stream.fail(self._stream.peek_solid().position, "range can only initialize variables")
        return [], False

    def _check_known(self, names: list[str], *, position: int) -> None:
        for name in names:
            if name not in self.variables:
                raise self._stream.fail(position, f'undefined variable "{name}"')

    def _command(self) -> Command:
        position = self._stream.peek_solid().position
        args: list[Operand] = []
        while True:
            self._stream.peek_solid()
            operand = self._operand()
            if operand is not None:
                args.append(operand)
            token = self._stream.next()
            if token.kind is Kind.SPACE:
                continue
            if token.kind in (Kind.RIGHT, Kind.CLOSE):
                self._stream.index -= 1
            elif token.kind is not Kind.PIPE:
                raise self._stream.unexpected(token, "operand")
            break
        if not args:
            raise self._stream.fail(position, "empty command")
        return Command(tuple(args), position)

    def _operand(self) -> Operand | None:
        term = self._term()
        if term is None or self._stream.peek().kind is not Kind.FIELD:
            return term
        path: list[str] = []
        while self._stream.peek().kind is Kind.FIELD:
            path.append(self._stream.next().text[1:])
        match term:
            case Field():
                return Field((*term.path, *path), term.position)
            case Variable():
                return Variable(term.name, (*term.path, *path), term.position)
            case Literal() | Dot():
                raise self._stream.fail(term.position, f'unexpected . after term "{term}"')
        return Chain(term, tuple(path), term.position)

    def _term(self) -> Operand | None:
        token = self._stream.next()
        position = token.position
        match token.kind:
            case Kind.WORD:
                return self._word(token)
            case Kind.DOT:
                return Dot(position)
            case Kind.FIELD:
                return Field((token.text[1:],), position)
            case Kind.VARIABLE:
                self._check_known([token.text], position=position)
                return Variable(token.text, (), position)
            case Kind.NUMBER | Kind.CHAR:
                return Literal(self._number(token), token.text, position)
            case Kind.STRING | Kind.RAW:
                return Literal(self.string(token), token.text, position)
            case Kind.OPEN:
                return self._grouped(position)
        self._stream.index -= token.kind is not Kind.END
        return None

    def _grouped(self, position: int) -> Pipe:
        self._stream.enter(position)
        pipe = self.pipeline("parenthesized pipeline", Kind.CLOSE)
        self._stream.leave()
        return pipe

    def _word(self, token: Token) -> Operand | None:
        if token.text in _CONSTANTS:
            return Literal(_CONSTANTS[token.text], token.text, token.position)
        if token.text in KEYWORDS:
            self._stream.index -= 1
            return None
        if token.text not in self._functions:
            raise self._stream.fail(token.position, f'function "{token.text}" not defined')
        return Function(token.text, token.position)

    def _number(self, token: Token) -> int | float:
        try:
            return literals.character(token.text) if token.kind is Kind.CHAR else literals.number(token.text)
        except ValueError as error:
            raise self._stream.fail(token.position, str(error)) from error

    def string(self, token: Token) -> str:
        if token.kind is Kind.RAW:
            return token.text[1:-1]
        try:
            return literals.unquoted(token.text)
        except ValueError as error:
            raise self._stream.fail(token.position, str(error)) from error
