"""The words of the context bus in etcd's messages and back. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from emco_common.contextbus.api import Compare, Delete, Entry, Event, EventType, Put
from emco_common.contextbus.etcd import etcd_v3_pb2 as pb
from emco_common.contextbus.limits import key_bytes, prefix_bytes, prefix_end

_EVERYTHING = b"\0"
"""As the key the first of all, as the end of a range no end."""


def span_of(prefix: str) -> tuple[bytes, bytes]:
    """Key and end of the range of all keys that start with ``prefix``."""
    start = prefix_bytes(prefix)
    return start or _EVERYTHING, prefix_end(start) or _EVERYTHING


def txn_request(operations: Sequence[Put | Delete], when: Iterable[Compare]) -> pb.TxnRequest:
    return pb.TxnRequest(
        compare=[
            pb.Compare(
                result=pb.Compare.EQUAL,
                target=pb.Compare.MOD,
                key=key_bytes(compare.key),
                mod_revision=compare.mod_revision,
            )
            for compare in when
        ],
        success=[_operation(operation) for operation in operations],
    )


def read_request(keys: Iterable[str], prefixes: Iterable[str]) -> pb.TxnRequest:
    """A transaction that only reads, which costs the server no more than a range."""
    spans = [*((key_bytes(key), b"") for key in keys), *map(span_of, prefixes)]
    ranges = (pb.RangeRequest(key=key, range_end=end) for key, end in spans)
    return pb.TxnRequest(success=[pb.RequestOp(request_range=one) for one in ranges])


def entry_of(pair: pb.KeyValue) -> Entry:
    return Entry(pair.key.decode(errors="replace"), pair.value, pair.create_revision, pair.mod_revision, pair.lease)


def event_of(event: pb.Event) -> Event:
    kind = EventType.DELETE if event.type == pb.Event.DELETE else EventType.PUT
    return Event(kind, entry_of(event.kv))


def _operation(operation: Put | Delete) -> pb.RequestOp:
    if isinstance(operation, Put):
        put = pb.PutRequest(key=key_bytes(operation.key), value=operation.value, lease=operation.lease)
        return pb.RequestOp(request_put=put)
    key, end = span_of(operation.key) if operation.prefix else (key_bytes(operation.key), b"")
    return pb.RequestOp(request_delete_range=pb.DeleteRangeRequest(key=key, range_end=end))
