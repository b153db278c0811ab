from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class Topic(_message.Message):
    __slots__ = ("clientName", "appContext")
    CLIENTNAME_FIELD_NUMBER: _ClassVar[int]
    APPCONTEXT_FIELD_NUMBER: _ClassVar[int]
    clientName: str
    appContext: str
    def __init__(self, clientName: _Optional[str] = ..., appContext: _Optional[str] = ...) -> None: ...

class Notification(_message.Message):
    __slots__ = ("clientName", "serverName", "appContext", "app", "cluster")
    CLIENTNAME_FIELD_NUMBER: _ClassVar[int]
    SERVERNAME_FIELD_NUMBER: _ClassVar[int]
    APPCONTEXT_FIELD_NUMBER: _ClassVar[int]
    APP_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    clientName: str
    serverName: str
    appContext: str
    app: str
    cluster: str
    def __init__(self, clientName: _Optional[str] = ..., serverName: _Optional[str] = ..., appContext: _Optional[str] = ..., app: _Optional[str] = ..., cluster: _Optional[str] = ...) -> None: ...

class UnsubscribeResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
