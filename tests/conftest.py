"""Fixtures every test may use. Each real server has a module of its own in ``tests/support``."""

import signal

import pytest

pytest_plugins = [
    "tests.support.realserver",
    "tests.support.conformance",
    "tests.support.etcd",
    "tests.support.buses",
    "tests.support.mongodb",
    "tests.support.stores",
    "tests.support.controlplane",
    "tests.support.simcluster",
    "tests.support.keycloak",
]


def pytest_configure(config: pytest.Config) -> None:
    """A shell has what it runs in the background ignore interrupts, and each program a test starts inherits that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "robustness(*lines): shows these lines of the specification's robustness list")
