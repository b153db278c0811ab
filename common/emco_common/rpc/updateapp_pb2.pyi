from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class UpdateAppRequest(_message.Message):
    __slots__ = ("update_from_appContext", "update_to_appContext")
    UPDATE_FROM_APPCONTEXT_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TO_APPCONTEXT_FIELD_NUMBER: _ClassVar[int]
    update_from_appContext: str
    update_to_appContext: str
    def __init__(self, update_from_appContext: _Optional[str] = ..., update_to_appContext: _Optional[str] = ...) -> None: ...

class UpdateAppResponse(_message.Message):
    __slots__ = ("app_context_updated", "app_context_update_message")
    APP_CONTEXT_UPDATED_FIELD_NUMBER: _ClassVar[int]
    APP_CONTEXT_UPDATE_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    app_context_updated: bool
    app_context_update_message: str
    def __init__(self, app_context_updated: _Optional[bool] = ..., app_context_update_message: _Optional[str] = ...) -> None: ...

class RollbackAppRequest(_message.Message):
    __slots__ = ("rollback_from_appContext", "rollback_to_appContext")
    ROLLBACK_FROM_APPCONTEXT_FIELD_NUMBER: _ClassVar[int]
    ROLLBACK_TO_APPCONTEXT_FIELD_NUMBER: _ClassVar[int]
    rollback_from_appContext: str
    rollback_to_appContext: str
    def __init__(self, rollback_from_appContext: _Optional[str] = ..., rollback_to_appContext: _Optional[str] = ...) -> None: ...

class RollbackAppResponse(_message.Message):
    __slots__ = ("app_context_rolledback", "app_context_rollback_message")
    APP_CONTEXT_ROLLEDBACK_FIELD_NUMBER: _ClassVar[int]
    APP_CONTEXT_ROLLBACK_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    app_context_rolledback: bool
    app_context_rollback_message: str
    def __init__(self, app_context_rolledback: _Optional[bool] = ..., app_context_rollback_message: _Optional[str] = ...) -> None: ...
