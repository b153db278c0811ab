"""What is done to objects with a history: one recorded kind of operation for deployments, clouds and networks.

``record`` is what an operation looks like on its document, ``subjects`` reads and changes such documents by
compare-and-swap, ``driver`` takes an operation through its phases and brings to an end what was cut off.
"""

from emco_common.operations.driver import Operations, Procedure
from emco_common.operations.record import OPERATION_TAG, Begun, Operation, Phase, Subject
from emco_common.operations.subjects import SubjectMissing, Subjects
from emco_common.operations.unfinished import Unfinished

__all__ = [
    "OPERATION_TAG",
    "Begun",
    "Operation",
    "Operations",
    "Phase",
    "Procedure",
    "Subject",
    "SubjectMissing",
    "Subjects",
    "Unfinished",
]
