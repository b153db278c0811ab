from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ClmControllerEventType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CLUSTER_CREATED: _ClassVar[ClmControllerEventType]
    CLUSTER_UPDATED: _ClassVar[ClmControllerEventType]
    CLUSTER_DELETED: _ClassVar[ClmControllerEventType]
CLUSTER_CREATED: ClmControllerEventType
CLUSTER_UPDATED: ClmControllerEventType
CLUSTER_DELETED: ClmControllerEventType

class ClmControllerEventRequest(_message.Message):
    __slots__ = ("providerName", "clusterName", "event")
    PROVIDERNAME_FIELD_NUMBER: _ClassVar[int]
    CLUSTERNAME_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    providerName: str
    clusterName: str
    event: ClmControllerEventType
    def __init__(self, providerName: _Optional[str] = ..., clusterName: _Optional[str] = ..., event: _Optional[_Union[ClmControllerEventType, str]] = ...) -> None: ...

class ClmControllerEventResponse(_message.Message):
    __slots__ = ("providerName", "clusterName", "status", "message")
    PROVIDERNAME_FIELD_NUMBER: _ClassVar[int]
    CLUSTERNAME_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    providerName: str
    clusterName: str
    status: bool
    message: str
    def __init__(self, providerName: _Optional[str] = ..., clusterName: _Optional[str] = ..., status: _Optional[bool] = ..., message: _Optional[str] = ...) -> None: ...
