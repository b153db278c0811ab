"""Suites that take containers are skipped where nothing could make them run, in the CI as well, and say why."""

from __future__ import annotations

import os

import pytest

from tests.support.docker import running_engine
from tests.support.node import ready_or_skip
from tests.support.realserver import REQUIRED_VARIABLE


def test_who_is_not_root_is_told_so_and_nothing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(REQUIRED_VARIABLE, "1")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(pytest.skip.Exception, match="no Docker engine can run here: it takes the rights of root"):
        running_engine().__enter__()
    with pytest.raises(pytest.skip.Exception, match="no node can run here: it takes the rights of root"):
        ready_or_skip()
