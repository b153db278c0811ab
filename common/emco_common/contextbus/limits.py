"""What a transaction may hold: both adapters check it before they touch a disk or a wire, writers keep to it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from emco_common.contextbus.api import MAX_TRANSACTION_BYTES, MAX_TRANSACTION_OPERATIONS, Delete, Put
from emco_common.errors import BadRequest, TooLarge


def key_bytes(key: str) -> bytes:
    """The key as it is stored; ``BadRequest`` for an empty one and for text that is not Unicode."""
    if not key:
        raise BadRequest("a key of the context bus must not be empty")
    return prefix_bytes(key)


def prefix_bytes(prefix: str) -> bytes:
    """A prefix as it is stored; the empty one stands for every key."""
    try:
        return prefix.encode()
    except UnicodeEncodeError as error:
        raise BadRequest(f"key {prefix!r} is not valid Unicode") from error


def prefix_end(prefix: bytes) -> bytes:
    """The first key after all that start with ``prefix``, or nothing when there is no such key."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes((stripped[-1] + 1,)) if stripped else b""


def check_transaction(operations: Sequence[Put | Delete]) -> None:
    """Raise what an etcd server would: too many, too heavy, or one key written twice."""
    if len(operations) > MAX_TRANSACTION_OPERATIONS:
        raise TooLarge(
            f"a transaction has {len(operations)} operations, at most {MAX_TRANSACTION_OPERATIONS} are allowed"
        )
    weight = sum(weight_of(operation) for operation in operations)
    if weight > MAX_TRANSACTION_BYTES:
        raise TooLarge(f"a transaction weighs {weight} bytes, at most {MAX_TRANSACTION_BYTES} are allowed")
    _check_overlap(operations)


def weight_of(operation: Put | Delete) -> int:
    """Bytes of key and value."""
    return len(prefix_bytes(operation.key)) + (len(operation.value) if isinstance(operation, Put) else 0)


def batches(puts: Iterable[Put], *, weight: int) -> Iterator[list[Put]]:
    """Transactions that any server takes, each begun when the one before has reached ``weight`` bytes."""
    batch: list[Put] = []
    total = 0
    for put in puts:
        heavy = weight_of(put)
        if batch and (len(batch) == MAX_TRANSACTION_OPERATIONS or total + heavy > weight):
            yield batch
            batch, total = [], 0
        batch.append(put)
        total += heavy
    if batch:
        yield batch


def _check_overlap(operations: Sequence[Put | Delete]) -> None:
    puts = [operation.key for operation in operations if isinstance(operation, Put)]
    written = set(puts)
    if len(written) != len(puts):
        raise BadRequest("a transaction writes one key twice")
    for operation in operations:
        if isinstance(operation, Delete) and (
            operation.key in written or (operation.prefix and any(key.startswith(operation.key) for key in puts))
        ):
            raise BadRequest(f"a transaction writes and deletes {operation.key!r}")
