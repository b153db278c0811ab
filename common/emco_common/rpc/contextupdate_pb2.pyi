from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EventType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    INSTANTIATE: _ClassVar[EventType]
    TERMINATE: _ClassVar[EventType]
    UPDATE: _ClassVar[EventType]
INSTANTIATE: EventType
TERMINATE: EventType
UPDATE: EventType

class ContextUpdateRequest(_message.Message):
    __slots__ = ("app_context", "intent_name", "update_from_appContext")
    APP_CONTEXT_FIELD_NUMBER: _ClassVar[int]
    INTENT_NAME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_FROM_APPCONTEXT_FIELD_NUMBER: _ClassVar[int]
    app_context: str
    intent_name: str
    update_from_appContext: str
    def __init__(self, app_context: _Optional[str] = ..., intent_name: _Optional[str] = ..., update_from_appContext: _Optional[str] = ...) -> None: ...

class ContextUpdateResponse(_message.Message):
    __slots__ = ("app_context_updated", "app_context_update_message")
    APP_CONTEXT_UPDATED_FIELD_NUMBER: _ClassVar[int]
    APP_CONTEXT_UPDATE_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    app_context_updated: bool
    app_context_update_message: str
    def __init__(self, app_context_updated: _Optional[bool] = ..., app_context_update_message: _Optional[str] = ...) -> None: ...

class TerminateRequest(_message.Message):
    __slots__ = ("app_context",)
    APP_CONTEXT_FIELD_NUMBER: _ClassVar[int]
    app_context: str
    def __init__(self, app_context: _Optional[str] = ...) -> None: ...

class TerminateResponse(_message.Message):
    __slots__ = ("app_context_terminated", "app_context_terminated_message")
    APP_CONTEXT_TERMINATED_FIELD_NUMBER: _ClassVar[int]
    APP_CONTEXT_TERMINATED_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    app_context_terminated: bool
    app_context_terminated_message: str
    def __init__(self, app_context_terminated: _Optional[bool] = ..., app_context_terminated_message: _Optional[str] = ...) -> None: ...

class PostEventRequest(_message.Message):
    __slots__ = ("app_context", "event_type")
    APP_CONTEXT_FIELD_NUMBER: _ClassVar[int]
    EVENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    app_context: str
    event_type: EventType
    def __init__(self, app_context: _Optional[str] = ..., event_type: _Optional[_Union[EventType, str]] = ...) -> None: ...

class PostEventResponse(_message.Message):
    __slots__ = ("success", "post_event_message")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    POST_EVENT_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    success: bool
    post_event_message: str
    def __init__(self, success: _Optional[bool] = ..., post_event_message: _Optional[str] = ...) -> None: ...
