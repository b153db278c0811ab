"""The tree of a parsed template. ``str(node)`` is the source form, used in messages."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Text:
    text: str
    position: int


@dataclass(frozen=True)
class Literal:
    """A constant: boolean, number, string, or ``nil``."""

    value: bool | int | float | str | None
    source: str
    position: int

    def __str__(self) -> str:
        return self.source


@dataclass(frozen=True)
class Dot:
    position: int

    def __str__(self) -> str:
        return "."


@dataclass(frozen=True)
class Function:
    name: str
    position: int

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Field:
    """``.a.b``"""

    path: tuple[str, ...]
    position: int

    def __str__(self) -> str:
        return "".join(f".{name}" for name in self.path)


@dataclass(frozen=True)
class Variable:
    """``$x.a.b``; ``name`` has the dollar sign."""

    name: str
    path: tuple[str, ...]
    position: int

    def __str__(self) -> str:
        return self.name + "".join(f".{name}" for name in self.path)


@dataclass(frozen=True)
class Chain:
    """``(pipeline).a.b``"""

    base: Operand
    path: tuple[str, ...]
    position: int

    def __str__(self) -> str:
        return str(self.base) + "".join(f".{name}" for name in self.path)


@dataclass(frozen=True)
class Command:
    args: tuple[Operand, ...]
    position: int

    def __str__(self) -> str:
        return " ".join(str(arg) for arg in self.args)


@dataclass(frozen=True)
class Pipe:
    """``$i, $x := first | second``; ``grouped`` says that it stood in parentheses."""

    variables: tuple[str, ...]
    assigns: bool
    commands: tuple[Command, ...]
    position: int
    grouped: bool = False

    def __str__(self) -> str:
        text = " | ".join(str(command) for command in self.commands)
        if self.variables:
            text = f"{', '.join(self.variables)} {'=' if self.assigns else ':='} {text}"
        return f"({text})" if self.grouped else text


Operand = Literal | Dot | Function | Field | Variable | Chain | Pipe


@dataclass(frozen=True)
class Action:
    pipe: Pipe
    position: int


@dataclass(frozen=True)
class Branch:
    """``if``, ``with`` or ``range``, by ``word``."""

    word: str
    pipe: Pipe
    body: Block
    otherwise: Block | None
    position: int


@dataclass(frozen=True)
class Jump:
    """``break`` or ``continue``, by ``word``."""

    word: str
    position: int


@dataclass(frozen=True)
class Invocation:
    """``{{template "name" pipeline}}``"""

    name: str
    pipe: Pipe | None
    position: int

    def __str__(self) -> str:
        return f'{{{{template "{self.name}"{f" {self.pipe}" if self.pipe else ""}}}}}'


Statement = Text | Action | Branch | Jump | Invocation


@dataclass(frozen=True)
class Block:
    statements: tuple[Statement, ...] = field(default=())

    @property
    def is_empty(self) -> bool:
        """Whether it prints nothing but blanks."""
        return all(isinstance(one, Text) and not one.text.strip() for one in self.statements)
