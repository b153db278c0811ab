"""In which order apps may start: the graph of app dependencies (spec orchestrator-lifecycle 7). Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from emco_common.errors import Conflict


def check_dependencies(composite_app: str, needs: Mapping[str, Sequence[str]]) -> None:
    """``needs`` maps every app to those it waits for. Raises ``Conflict`` naming the unknown app or the cycle."""
    for app, others in needs.items():
        for other in others:
            if other not in needs:
                raise unknown_app(composite_app, app, other)
    cycle = find_cycle(needs)
    if cycle:
        raise cyclic(composite_app, cycle)


def cyclic(composite_app: str, cycle: Iterable[str]) -> Conflict:
    return Conflict(f"Cyclic Dependency between apps found in composite app:{composite_app}: {' → '.join(cycle)}")


def unknown_app(composite_app: str, app: str, other: str) -> Conflict:
    text = f"{app} waits for {other}, which is no app of it"
    return Conflict(f"Unknown app in the dependencies of composite app {composite_app}: {text}")


def find_cycle(needs: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """One cycle, its first app repeated at the end; empty if there is none."""
    done: set[str] = set()
    for start in needs:
        path: list[str] = []
        stack: list[tuple[str, bool]] = [(start, False)]
        while stack:
            app, leaving = stack.pop()
            if leaving:
                done.add(path.pop())
                continue
            if app in path:
                return (*path[path.index(app) :], app)
            if app in done:
                continue
            path.append(app)
            stack.append((app, True))
            stack.extend((other, False) for other in needs.get(app, ()))
    return ()
