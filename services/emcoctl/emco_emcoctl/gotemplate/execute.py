"""Walks the tree of a template and writes its output, within bounds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from emco_emcoctl.gotemplate import values
from emco_emcoctl.gotemplate.errors import TemplateError
from emco_emcoctl.gotemplate.functions import FUNCTIONS, SHORT_CIRCUIT, CallError
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
from emco_emcoctl.gotemplate.values import MISSING


@dataclass(frozen=True)
class Limits:
    """``depth`` counts blocks and invocations inside each other, ``steps`` statements and commands, ``output``
    characters."""

    depth: int = 100
    steps: int = 2_000_000
    output: int = 64 * 1024 * 1024


class _Break(Exception):
    pass


class _Continue(Exception):
    pass


_NOTHING_PIPED: Any = object()


@dataclass
class Execution:
    """One run of a template. ``missing_as_text`` prints ``<no value>`` where the values have nothing; otherwise that
    is an error."""

    templates: Mapping[str, Block]
    source: str
    name: str
    root: Any
    missing_as_text: bool
    limits: Limits
    out: list[str] = field(default_factory=list)
    size: int = 0
    steps: int = 0
    depth: int = 0
    running: str = ""
    scope: list[tuple[str, Any]] = field(default_factory=list)

    def run(self) -> str:
        self.running = self.name
        root = MISSING if self.root is None else self.root
        self.scope = [("$", root)]
        self.block(self.templates[self.name], root, at=0)
        return "".join(self.out)

    def fail(self, node: Operand | Pipe | Command | Invocation | Text, reason: str) -> TemplateError:
        shown = "" if isinstance(node, Text) else str(node)
        return self._fail(node.position, shown, reason)

    def _fail(self, position: int, shown: str, reason: str) -> TemplateError:
        before = self.source[:position]
        line = before.count("\n") + 1
        column = len(before.rpartition("\n")[2].encode("utf-8", "replace"))
        at = f" at <{shown}>" if shown else ""
        return TemplateError(f'template: {self.name}:{line}:{column}: executing "{self.running}"{at}: {reason}')

    # Statements

    def block(self, block: Block, dot: Any, *, at: int) -> None:
        self.depth += 1
        if self.depth > self.limits.depth:
            raise self._fail(at, "", f"nested deeper than {self.limits.depth} levels")
        for statement in block.statements:
            self.step(statement.position)
            self.statement(statement, dot)
        self.depth -= 1

    def step(self, position: int) -> None:
        self.steps += 1
        if self.steps > self.limits.steps:
            raise self._fail(position, "", f"takes more than {self.limits.steps} steps")

    def write(self, text: str, *, position: int) -> None:
        self.size += len(text)
        if self.size > self.limits.output:
            raise self._fail(position, "", f"writes more than {self.limits.output} characters")
        self.out.append(text)

    def statement(self, statement: Statement, dot: Any) -> None:
        match statement:
            case Text():
                self.write(statement.text, position=statement.position)
            case Action():
                value = self.pipeline(statement.pipe, dot)
                if not statement.pipe.variables:
                    self.print(value, statement.pipe)
            case Jump():
                raise _Break if statement.word == "break" else _Continue
            case Invocation():
                self.invoke(statement, dot)
            case Branch():
                with self.scoped():
                    self.branch(statement, dot)

    def print(self, value: Any, pipe: Pipe) -> None:
        if not values.is_nothing(value):
            self.write(values.text(value), position=pipe.position)
        elif self.missing_as_text:
            self.write("<no value>", position=pipe.position)
        else:
            raise self.missing(pipe)

    def missing(self, node: Operand | Pipe) -> TemplateError:
        return self.fail(node, "the values have nothing there: the key is missing or null")

    @contextmanager
    def scoped(self) -> Iterator[None]:
        mark, depth = len(self.scope), self.depth
        try:
            yield
        finally:
            del self.scope[mark:]
            self.depth = depth

    def branch(self, branch: Branch, dot: Any) -> None:
        value = self.pipeline(branch.pipe, dot)
        if branch.word == "range":
            self.range(branch, value, dot)
        elif values.truth(value):
            self.block(branch.body, value if branch.word == "with" else dot, at=branch.position)
        elif branch.otherwise:
            self.block(branch.otherwise, dot, at=branch.position)

    def range(self, branch: Branch, value: Any, dot: Any) -> None:
        items = self.items(value, branch.pipe)
        if not items and branch.otherwise:
            self.block(branch.otherwise, dot, at=branch.position)
        names = branch.pipe.variables
        for key, item in items:
            with self.scoped():
                try:
                    bound = zip(names, (item,) if len(names) == 1 else (key, item), strict=False)
                    self.bind(bound, assigns=branch.pipe.assigns)
                    self.block(branch.body, item, at=branch.position)
                except _Break:
                    break
                except _Continue:
                    continue

    def items(self, value: Any, pipe: Pipe) -> Sequence[tuple[Any, Any]]:
        if values.is_nothing(value):
            return ()
        if isinstance(value, list):
            return list(enumerate(value))
        if isinstance(value, Mapping):
            return [(key, value[key]) for key in values.sorted_keys(value)]
        raise self.fail(pipe, f"range can't iterate over {values.text(value)}")

    def invoke(self, statement: Invocation, dot: Any) -> None:
        block = self.templates.get(statement.name)
        if block is None:
            raise self.fail(statement, f'template "{statement.name}" not defined')
        value = self.pipeline(statement.pipe, dot) if statement.pipe else MISSING
        running, scope = self.running, self.scope
        self.running, self.scope = statement.name, [("$", value)]
        with self.scoped():
            self.block(block, value, at=statement.position)
        self.running, self.scope = running, scope

    # Variables

    def bind(self, bound: Iterable[tuple[str, Any]], *, assigns: bool) -> None:
        for name, value in bound:
            if assigns:
                position = next(i for i in range(len(self.scope) - 1, -1, -1) if self.scope[i][0] == name)
                self.scope[position] = (name, value)
            else:
                self.scope.append((name, value))

    def variable(self, name: str) -> Any:
        return next(value for own, value in reversed(self.scope) if own == name)

    # Pipelines

    def pipeline(self, pipe: Pipe, dot: Any) -> Any:
        value = _NOTHING_PIPED
        for command in pipe.commands:
            self.step(command.position)
            value = self.command(command, dot, value)
        value = MISSING if value is None else value
        self.bind(((name, value) for name in pipe.variables), assigns=pipe.assigns)
        return value

    def command(self, command: Command, dot: Any, piped: Any) -> Any:
        first = command.args[0]
        given = command.args[1:]
        match first:
            case Function():
                return self.function(first, given, dot, piped, node=command)
            case Field() | Variable() | Chain():
                return self.path_value(first, dot, has_arguments=bool(given) or piped is not _NOTHING_PIPED)
        if given or piped is not _NOTHING_PIPED:
            raise self.fail(first, f"can't give argument to non-function {first}")
        if isinstance(first, Literal) and first.value is None:
            raise self.fail(first, "nil is not a command")
        return self.operand(first, dot)

    def operand(self, operand: Operand, dot: Any) -> Any:
        match operand:
            case Literal():
                return operand.value
            case Dot():
                return dot
            case Pipe():
                return self.pipeline(operand, dot)
            case Function():
                return self.function(operand, (), dot, _NOTHING_PIPED, node=operand)
        return self.path_value(operand, dot, has_arguments=False)

    def path_value(self, node: Field | Variable | Chain, dot: Any, *, has_arguments: bool) -> Any:
        match node:
            case Field():
                value = dot
            case Variable():
                value = self.variable(node.name)
            case Chain():
                value = self.operand(node.base, dot)
        if has_arguments and not node.path:
            raise self.fail(node, f"can't give argument to non-function {node}")
        for position, name in enumerate(node.path):
            if has_arguments and position == len(node.path) - 1:
                raise self.fail(node, f"{name} is not a method but has arguments")
            value = self.field(value, name, node)
        return value

    def field(self, value: Any, name: str, node: Field | Variable | Chain) -> Any:
        if value is MISSING:
            return MISSING
        if value is None:
            raise self.fail(node, f"nil pointer evaluating interface {{}}.{name}")
        if isinstance(value, Mapping):
            return value.get(name, MISSING)
        raise self.fail(node, f"can't evaluate field {name} in type {values.type_name(value)}")

    def function(
        self, function: Function, given: Sequence[Operand], dot: Any, piped: Any, *, node: Command | Function
    ) -> Any:
        builtin = FUNCTIONS[function.name]
        count = len(given) + (piped is not _NOTHING_PIPED)
        if count < builtin.least or (builtin.most is not None and count > builtin.most):
            want = f"{builtin.least}" if builtin.least == builtin.most else f"at least {builtin.least}"
            raise self.fail(node, f"wrong number of args for {function.name}: want {want} got {count}")
        arguments: list[Any] = []
        for operand in given:
            arguments.append(self.operand(operand, dot))
            if builtin.prints and not self.missing_as_text and values.is_nothing(arguments[-1]):
                raise self.missing(operand)
            if SHORT_CIRCUIT.get(function.name) is values.truth(arguments[-1]):
                return arguments[-1]
        if piped is not _NOTHING_PIPED:
            arguments.append(piped)
            if builtin.prints and not self.missing_as_text and values.is_nothing(piped):
                raise self.fail(node, "a value piped to it is missing")
        try:
            return builtin.call(*arguments)
        except CallError as error:
            raise self.fail(node, f"error calling {function.name}: {error}") from error
