"""What goes to a worker and back is what was sent."""

from emco_common.helm.api import Manifest, RenderedApp
from emco_common.helm.limits import ArchiveLimits, RenderLimits
from emco_common.helm.wire import (
    LENGTH_BYTES,
    Answer,
    WorkerSetup,
    decode_answer,
    decode_request,
    encode_answer,
    encode_request,
)
from tests.unit.helm.builders import request


def body(frame: bytes) -> bytes:
    assert int.from_bytes(frame[:LENGTH_BYTES]) == len(frame) - LENGTH_BYTES
    return frame[LENGTH_BYTES:]


def test_a_request_arrives_as_it_was() -> None:
    for sent in (
        request(b"\x1f\x8b\n\n", profile=b"\n\x00", overrides=(("a", "ü\n"),)),
        request(b"chart"),
        request(b"", profile=b""),
    ):
        assert decode_request(body(encode_request(sent))) == sent


def test_an_answer_arrives_as_it_was() -> None:
    item = Manifest("a+Job", "kind: Job\n", api_group="batch", namespace="n")
    app = RenderedApp(regular=(item,), crds=(), hooks={"pre-install": (item,)})
    for sent in (Answer(cpu_seconds=1.5, app=app), Answer(cpu_seconds=0.1, error="boom")):
        assert decode_answer(body(encode_answer(sent))) == sent


def test_a_setup_arrives_as_it_was() -> None:
    limits = RenderLimits(seconds=1.0, archive=ArchiveLimits(entries=3))
    sent = WorkerSetup(engine="sdk", kube_version="1.31.0", work="w", limits=limits)
    assert WorkerSetup.decode(sent.encode()) == sent
