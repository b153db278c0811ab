"""Tokens to a tree. Names, variables and functions are checked here, so that a template that parses has no typos."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from emco_emcoctl.gotemplate import literals
from emco_emcoctl.gotemplate.errors import TemplateError
from emco_emcoctl.gotemplate.lexer import Kind, Token, tokens
from emco_emcoctl.gotemplate.nodes import (
    Action,
    Block,
    Branch,
    Chain,
    Command,
    Dot,
    Field,
    Function,
    Invocation,
    Jump,
    Literal,
    Operand,
    Pipe,
    Statement,
    Text,
    Variable,
)

MAX_NESTING = 50
"""Levels of blocks and parentheses. The examples use three; a limit keeps a hostile file from the stack."""

_BRANCHES = frozenset({"if", "with", "range"})
_KEYWORDS = _BRANCHES | {"block", "break", "continue", "define", "else", "end", "nil", "template"}
_TERMS = frozenset(
    {Kind.WORD, Kind.FIELD, Kind.VARIABLE, Kind.DOT, Kind.NUMBER, Kind.CHAR, Kind.STRING, Kind.RAW, Kind.OPEN}
)
_CONSTANTS = {"true": True, "false": False, "nil": None}


def parse(text: str, *, name: str, functions: Collection[str]) -> dict[str, Block]:
    """The template called ``name`` and all that it defines; raises ``TemplateError``."""
    return _Parser(text, name=name, functions=functions).all()


@dataclass
class _Stop:
    """The ``end`` or ``else`` a list of statements stopped at; ``follows`` is the word of ``else if``."""

    word: str
    follows: str = ""


@dataclass
class _Parser:
    text: str
    name: str
    functions: Collection[str]
    variables: list[str] = field(default_factory=lambda: ["$"])
    templates: dict[str, Block] = field(default_factory=dict)
    nesting: int = 0
    ranges: int = 0

    def __post_init__(self) -> None:
        self.source = tokens(self.text, fail=self.fail)
        self.tokens: list[Token] = []
        self.index = 0

    def fail(self, position: int, reason: str) -> TemplateError:
        line = self.text.count("\n", 0, position) + 1
        return TemplateError(f"template: {self.name}:{line}: {reason}")

    def all(self) -> dict[str, Block]:
        statements: list[Statement] = []
        while (token := self.next()).kind is not Kind.END:
            if token.kind is Kind.LEFT and self.peek_word() == "define":
                self.skip_word()
                self.definition(token)
                continue
            found = self.statement(token)
            if isinstance(found, _Stop):
                raise self.fail(token.position, f"unexpected {{{{{found.word}}}}}")
            statements.append(found)
        self.define(self.name, Block(tuple(statements)), position=0)
        return self.templates

    # Tokens

    def next(self) -> Token:
        token = self.peek()
        self.index += token.kind is not Kind.END
        return token

    def peek(self) -> Token:
        if self.index == len(self.tokens):
            self.tokens.append(next(self.source))
        return self.tokens[self.index]

    def next_solid(self) -> Token:
        while (token := self.next()).kind is Kind.SPACE:
            pass
        return token

    def peek_solid(self) -> Token:
        token = self.next_solid()
        self.index -= token.kind is not Kind.END
        return token

    def peek_word(self) -> str:
        token = self.peek_solid()
        return token.text if token.kind is Kind.WORD else ""

    def skip_word(self) -> None:
        self.next_solid()

    def expect(self, kind: Kind, *, context: str) -> Token:
        token = self.next_solid()
        if token.kind is not kind:
            raise self.unexpected(token, context)
        return token

    def unexpected(self, token: Token, context: str) -> TemplateError:
        shown = "EOF" if token.kind is Kind.END else f'"{token.text}"'
        if token.kind is Kind.WORD and token.text in _KEYWORDS:
            shown = f"<{token.text}>"
        return self.fail(token.position, f"unexpected {shown} in {context}")

    # Statements

    def statement(self, token: Token) -> Statement | _Stop:
        if token.kind is Kind.TEXT:
            return Text(token.text, token.position)
        match self.peek_word():
            case "if" | "with" | "range" as word:
                self.skip_word()
                return self.branch(word, position=token.position)
            case "else":
                self.skip_word()
                return self.otherwise()
            case "end":
                self.skip_word()
                self.expect(Kind.RIGHT, context="end")
                return _Stop("end")
            case "break" | "continue" as word:
                return self.jump(word, position=token.position)
            case "template":
                self.skip_word()
                return self.invocation(position=token.position)
            case "block":
                self.skip_word()
                return self.block(position=token.position)
            case "define":
                raise self.unexpected(self.peek_solid(), "{{define}} clause")
        return Action(self.pipeline("command", Kind.RIGHT), token.position)

    def block_until_stop(self, *, position: int) -> tuple[Block, _Stop]:
        self.nesting += 1
        if self.nesting > MAX_NESTING:
            raise self.fail(position, f"nested deeper than {MAX_NESTING} levels")
        statements: list[Statement] = []
        while (token := self.next()).kind is not Kind.END:
            found = self.statement(token)
            if isinstance(found, _Stop):
                self.nesting -= 1
                return Block(tuple(statements)), found
            statements.append(found)
        raise self.fail(len(self.text), "unexpected EOF")

    def branch(self, word: str, *, position: int) -> Branch:
        mark = len(self.variables)
        pipe = self.pipeline(word, Kind.RIGHT)
        self.ranges += word == "range"
        body, stop = self.block_until_stop(position=position)
        self.ranges -= word == "range"
        otherwise = self.else_part(word, stop, position=position) if stop.word == "else" else None
        del self.variables[mark:]
        return Branch(word, pipe, body, otherwise, position)

    def else_part(self, word: str, stop: _Stop, *, position: int) -> Block:
        if stop.follows:
            if stop.follows != word:
                raise self.fail(position, f"unexpected <{stop.follows}> in else")
            return Block((self.branch(word, position=position),))
        block, ending = self.block_until_stop(position=position)
        if ending.word != "end":
            raise self.fail(position, "expected end; found {{else}}")
        return block

    def otherwise(self) -> _Stop:
        follows = self.peek_word()
        if follows in ("if", "with"):
            self.skip_word()
            return _Stop("else", follows)
        self.expect(Kind.RIGHT, context="else")
        return _Stop("else")

    def jump(self, word: str, *, position: int) -> Jump:
        self.skip_word()
        if not self.ranges:
            raise self.fail(position, f"{{{{{word}}}}} outside {{{{range}}}}")
        self.expect(Kind.RIGHT, context=f"{{{{{word}}}}}")
        return Jump(word, position)

    # Definitions

    def definition(self, token: Token) -> None:
        name = self.template_name("define clause")
        self.expect(Kind.RIGHT, context="define clause")
        self.body_of(name, position=token.position)

    def body_of(self, name: str, *, position: int) -> None:
        outer, self.variables = self.variables, ["$"]
        ranges, self.ranges = self.ranges, 0
        body, stop = self.block_until_stop(position=position)
        if stop.word != "end":
            raise self.fail(position, f"unexpected {{{{else}}}} in the definition of {name}")
        self.variables, self.ranges = outer, ranges
        self.define(name, body, position=position)

    def define(self, name: str, body: Block, *, position: int) -> None:
        known = self.templates.get(name)
        if known is None or known.is_empty:
            self.templates[name] = body
        elif not body.is_empty:
            raise self.fail(position, f'multiple definition of template "{name}"')

    def invocation(self, *, position: int) -> Invocation:
        name = self.template_name("template clause")
        if self.peek_solid().kind is Kind.RIGHT:
            self.next_solid()
            return Invocation(name, None, position)
        return Invocation(name, self.pipeline("template clause", Kind.RIGHT), position)

    def block(self, *, position: int) -> Invocation:
        name = self.template_name("block clause")
        pipe = self.pipeline("block clause", Kind.RIGHT)
        self.body_of(name, position=position)
        return Invocation(name, pipe, position)

    def template_name(self, context: str) -> str:
        token = self.next_solid()
        if token.kind not in (Kind.STRING, Kind.RAW):
            raise self.unexpected(token, context)
        return self.string(token)

    # Pipelines

    def pipeline(self, context: str, ending: Kind) -> Pipe:
        position = self.peek_solid().position
        names, assigns = self.declared(context)
        commands: list[Command] = []
        while True:
            token = self.next_solid()
            if token.kind is ending:
                break
            if token.kind not in _TERMS:
                raise self.unexpected(token, context)
            self.index -= 1
            commands.append(self.command())
        if not commands:
            raise self.fail(position, f"missing value for {context}")
        for stage, command in enumerate(commands[1:], start=2):
            if isinstance(command.args[0], Literal | Dot):
                raise self.fail(position, f"non executable command in pipeline stage {stage}")
        if not assigns:
            self.variables += names
        return Pipe(tuple(names), assigns, tuple(commands), position, grouped=ending is Kind.CLOSE)

    def declared(self, context: str) -> tuple[list[str], bool]:
        """The variables in front of a pipeline, and whether they are assigned to rather than declared."""
        names: list[str] = []
        while (token := self.peek_solid()).kind is Kind.VARIABLE:
            before = self.index
            self.next_solid()
            after = self.next_solid()
            if after.kind in (Kind.ASSIGN, Kind.DECLARE):
                names.append(token.text)
                if after.kind is Kind.ASSIGN:
                    self.check_known(names, position=token.position)
                return names, after.kind is Kind.ASSIGN
            if after.kind is not Kind.SIGN or after.text != ",":
                self.index = before
                break
            names.append(token.text)
            if context != "range" or len(names) > 1:
                raise self.fail(token.position, f"too many declarations in {context}")
        if names:
            raise self.fail(self.peek_solid().position, "range can only initialize variables")
        return [], False

    def check_known(self, names: list[str], *, position: int) -> None:
        for name in names:
            if name not in self.variables:
                raise self.fail(position, f'undefined variable "{name}"')

    def command(self) -> Command:
        position = self.peek_solid().position
        args: list[Operand] = []
        while True:
            self.peek_solid()
            operand = self.operand()
            if operand is not None:
                args.append(operand)
            token = self.next()
            if token.kind is Kind.SPACE:
                continue
            if token.kind in (Kind.RIGHT, Kind.CLOSE):
                self.index -= 1
            elif token.kind is not Kind.PIPE:
                raise self.unexpected(token, "operand")
            break
        if not args:
            raise self.fail(position, "empty command")
        return Command(tuple(args), position)

    def operand(self) -> Operand | None:
        term = self.term()
        if term is None or self.peek().kind is not Kind.FIELD:
            return term
        path: list[str] = []
        while self.peek().kind is Kind.FIELD:
            path.append(self.next().text[1:])
        match term:
            case Field():
                return Field((*term.path, *path), term.position)
            case Variable():
                return Variable(term.name, (*term.path, *path), term.position)
            case Literal() | Dot():
                raise self.fail(term.position, f'unexpected . after term "{term}"')
        return Chain(term, tuple(path), term.position)

    def term(self) -> Operand | None:
        token = self.next()
        position = token.position
        match token.kind:
            case Kind.WORD:
                return self.word(token)
            case Kind.DOT:
                return Dot(position)
            case Kind.FIELD:
                return Field((token.text[1:],), position)
            case Kind.VARIABLE:
                self.check_known([token.text], position=position)
                return Variable(token.text, (), position)
            case Kind.NUMBER | Kind.CHAR:
                return Literal(self.number(token), token.text, position)
            case Kind.STRING | Kind.RAW:
                return Literal(self.string(token), token.text, position)
            case Kind.OPEN:
                return self.grouped(position)
        self.index -= token.kind is not Kind.END
        return None

    def grouped(self, position: int) -> Pipe:
        self.nesting += 1
        if self.nesting > MAX_NESTING:
            raise self.fail(position, f"nested deeper than {MAX_NESTING} levels")
        pipe = self.pipeline("parenthesized pipeline", Kind.CLOSE)
        self.nesting -= 1
        return pipe

    def word(self, token: Token) -> Operand | None:
        if token.text in _CONSTANTS:
            return Literal(_CONSTANTS[token.text], token.text, token.position)
        if token.text in _KEYWORDS:
            self.index -= 1
            return None
        if token.text not in self.functions:
            raise self.fail(token.position, f'function "{token.text}" not defined')
        return Function(token.text, token.position)

    def number(self, token: Token) -> int | float:
        try:
            return literals.character(token.text) if token.kind is Kind.CHAR else literals.number(token.text)
        except ValueError as error:
            raise self.fail(token.position, str(error)) from error

    def string(self, token: Token) -> str:
        if token.kind is Kind.RAW:
            return token.text[1:-1]
        try:
            return literals.unquoted(token.text)
        except ValueError as error:
            raise self.fail(token.position, str(error)) from error
