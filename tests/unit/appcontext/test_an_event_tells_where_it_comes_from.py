"""The record of an event keeps who asked for it, and is read by versions that know nothing of that."""

import json

from emco_common.appcontext.status import QueueElement, decode_queue, encode_queue

KEY = "/context/1/rsync/AppContextEventQueue/"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ASKED = QueueElement("Update", "Pending", "7", request="r-1", trace=TRACE)
AS_BEFORE = {"event": "Update", "uCID": "7", "status": "Pending"}


def test_what_is_written_is_read_again() -> None:
    (read,) = decode_queue(KEY, encode_queue([ASKED]))
    assert (read, read.request, read.trace) == (ASKED, "r-1", TRACE)


def test_what_others_read_of_it_is_as_before() -> None:
    (written,) = json.loads(encode_queue([ASKED]))["AcQueue"]
    assert {name: written[name] for name in AS_BEFORE} == AS_BEFORE
    assert json.loads(encode_queue([QueueElement("Update", "Pending", "7")])) == {"AcQueue": [AS_BEFORE]}


def test_an_element_that_another_version_has_written_anew_is_the_same_element() -> None:
    (read,) = decode_queue(KEY, json.dumps({"AcQueue": [AS_BEFORE]}).encode())
    assert read == ASKED
    assert (read.request, read.trace) == ("", "")


def test_what_makes_no_sense_of_it_is_as_if_it_were_not_there() -> None:
    (read,) = decode_queue(KEY, json.dumps({"AcQueue": [AS_BEFORE | {"requestID": 7, "traceparent": ["x"]}]}).encode())
    assert (read, read.request, read.trace) == (ASKED, "", "")
