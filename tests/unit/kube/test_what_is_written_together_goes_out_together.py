"""A call to the system for each frame would cost more than the frame."""

from __future__ import annotations

import asyncio

from emco_common.kube.wire import GATHERED, Wire


class Told(asyncio.Transport):
    """The system: keeps what each call to it brings."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.calls.append(bytes(data))

    def close(self) -> None:
        self.calls.append(b"closed")

    def abort(self) -> None:
        self.calls.append(b"aborted")

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0


def opened() -> tuple[Wire, Told]:
    wire, system = Wire(bytearray(1024), None), Told()
    wire.connection_made(system)
    return wire, system


async def test_one_step_of_the_event_loop_is_one_call_in_the_order_of_the_writes() -> None:
    wire, system = opened()
    for number in range(3):
        wire.write(b"%d" % number)
    assert (system.calls, wire.unsent) == ([], 3)
    await asyncio.sleep(0)
    wire.write(b"later")
    await asyncio.sleep(0)
    assert (system.calls, wire.unsent) == ([b"012", b"later"], 0)


async def test_much_is_not_kept_for_long() -> None:
    wire, system = opened()
    wire.write(bytes(GATHERED))
    assert not system.calls
    wire.write(b"x")
    assert list(map(len, system.calls)) == [GATHERED + 1]


async def test_the_last_words_go_out_before_the_end() -> None:
    for end, last in ((Wire.close, b"closed"), (lambda wire: wire.fail(None), b"aborted")):
        wire, system = opened()
        wire.write(b"good-bye")
        end(wire)
        await asyncio.sleep(0)
        assert system.calls == [b"good-bye", last]


async def test_what_was_not_sent_when_the_connection_was_lost_is_dropped() -> None:
    wire, system = opened()
    wire.write(b"late")
    wire.connection_lost(None)
    await asyncio.sleep(0)
    assert (system.calls, wire.unsent) == ([], 0)
