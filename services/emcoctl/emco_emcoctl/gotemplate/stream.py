"""Reading tokens one by one, with a look ahead, and the errors that name where a wrong one stands."""

from __future__ import annotations

from emco_emcoctl.gotemplate.errors import TemplateError
from emco_emcoctl.gotemplate.lexer import Kind, Token, tokens

MAX_NESTING = 50
"""Levels of blocks and parentheses. The examples use three; a limit keeps a hostile file from the stack."""

KEYWORDS = frozenset({"block", "break", "continue", "define", "else", "end", "if", "nil", "range", "template", "with"})


class Stream:
    """The tokens of ``text``, cut only as far as they are asked for, so that the first mistake is the one reported."""

    def __init__(self, text: str, *, name: str) -> None:
        self._text = text
        self._name = name
        self._source = tokens(text, fail=self.fail)
        self._seen: list[Token] = []
        self._depth = 0
        self.index = 0

    @property
    def length(self) -> int:
        return len(self._text)

    def fail(self, position: int, reason: str) -> TemplateError:
        line = self._text.count("\n", 0, position) + 1
        return TemplateError(f"template: {self._name}:{line}: {reason}")

    def enter(self, position: int) -> None:
        """One level deeper; raises ``TemplateError`` if that is too deep."""
        self._depth += 1
        if self._depth > MAX_NESTING:
            raise self.fail(position, f"nested deeper than {MAX_NESTING} levels")

    def leave(self) -> None:
        self._depth -= 1

    def next(self) -> Token:
        token = self.peek()
        self.index += token.kind is not Kind.END
        return token

    def peek(self) -> Token:
        if self.index == len(self._seen):
            self._seen.append(next(self._source))
        return self._seen[self.index]

    def next_solid(self) -> Token:
        """The next token that is not white space."""
        while (token := self.next()).kind is Kind.SPACE:
            pass
        return token

    def peek_solid(self) -> Token:
        token = self.next_solid()
        self.index -= token.kind is not Kind.END
        return token

    def peek_word(self) -> str:
        """The next word, or ``""`` if something else comes."""
        token = self.peek_solid()
        return token.text if token.kind is Kind.WORD else ""

    def expect(self, kind: Kind, *, context: str) -> Token:
        token = self.next_solid()
        if token.kind is not kind:
            raise self.unexpected(token, context)
        return token

    def unexpected(self, token: Token, context: str) -> TemplateError:
        shown = "EOF" if token.kind is Kind.END else f'"{token.text}"'
        if token.kind is Kind.WORD and token.text in KEYWORDS:
            shown = f"<{token.text}>"
        return self.fail(token.position, f"unexpected {shown} in {context}")
