from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class ResourceRequest(_message.Message):
    __slots__ = ("appContext",)
    APPCONTEXT_FIELD_NUMBER: _ClassVar[int]
    appContext: str
    def __init__(self, appContext: _Optional[str] = ...) -> None: ...

class ResourceResponse(_message.Message):
    __slots__ = ("appContext", "status", "message")
    APPCONTEXT_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    appContext: str
    status: bool
    message: str
    def __init__(self, appContext: _Optional[str] = ..., status: _Optional[bool] = ..., message: _Optional[str] = ...) -> None: ...
