"""Sealed values open only where and with what they were sealed."""

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from emco_common.secrets import SealBroken, Sealer


@given(plain=st.binary(max_size=200), record=st.text(max_size=40))
def test_what_was_sealed_opens(plain: bytes, record: str) -> None:
    sealer = Sealer("a data key")
    assert sealer.open(sealer.seal(plain, record=record), record=record) == plain


def test_the_same_bytes_never_look_the_same_twice() -> None:
    sealer = Sealer("a data key")
    assert len({sealer.seal(b"kubeconfig", record="r") for _ in range(100)}) == 100


def test_a_value_moved_to_another_record_does_not_open() -> None:
    sealer = Sealer("a data key")
    sealed = sealer.seal(b"kubeconfig", record="cluster a")
    with pytest.raises(SealBroken, match="cluster b"):
        sealer.open(sealed, record="cluster b")


def test_a_tampered_value_does_not_open() -> None:
    sealer = Sealer("a data key")
    sealed = sealer.seal(b"kubeconfig", record="r")
    with pytest.raises(SealBroken):
        sealer.open(sealed[:-6] + "AAAAAA", record="r")


def test_a_retired_key_opens_and_the_new_one_seals() -> None:
    old = Sealer("old").seal(b"secret", record="r")
    rotated = Sealer("new", retired=("old",))
    assert rotated.open(old, record="r") == b"secret"
    assert Sealer("new").open(rotated.seal(b"secret", record="r"), record="r") == b"secret"


def test_a_lost_key_is_named_as_the_reason_and_the_value_is_not() -> None:
    sealed = Sealer("lost").seal(b"canary-value", record="r")
    with pytest.raises(SealBroken, match="not configured") as caught:
        Sealer("other").open(sealed, record="r")
    assert "canary" not in str(caught.value)


def test_values_of_the_original_open() -> None:
    key = b"original key".ljust(32, b"\n")
    legacy = AESGCM(key).encrypt(b"emco nonce\n\n", b"kubeconfig", None).hex()
    assert Sealer("original key").open(legacy, record="r") == b"kubeconfig"


def test_plain_text_is_refused() -> None:
    with pytest.raises(SealBroken, match="is not sealed"):
        Sealer("k").open("apiVersion: v1", record="kubeconfig of a cluster")
