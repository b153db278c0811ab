"""Fixtures every test may use. Each real server has a module of its own in ``tests/support``."""

pytest_plugins = [
    "tests.support.realserver",
    "tests.support.conformance",
    "tests.support.etcd",
    "tests.support.buses",
    "tests.support.mongodb",
    "tests.support.stores",
    "tests.support.controlplane",
    "tests.support.simcluster",
]
