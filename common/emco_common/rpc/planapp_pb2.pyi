from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PlanAppRequest(_message.Message):
    __slots__ = ("app_context", "replaces_app_context", "values", "entries")
    APP_CONTEXT_FIELD_NUMBER: _ClassVar[int]
    REPLACES_APP_CONTEXT_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    app_context: str
    replaces_app_context: str
    values: _containers.RepeatedScalarFieldContainer[bytes]
    entries: _containers.RepeatedCompositeFieldContainer[PlanAppEntry]
    def __init__(self, app_context: _Optional[str] = ..., replaces_app_context: _Optional[str] = ..., values: _Optional[_Iterable[bytes]] = ..., entries: _Optional[_Iterable[_Union[PlanAppEntry, _Mapping]]] = ...) -> None: ...

class PlanAppEntry(_message.Message):
    __slots__ = ("key", "value")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    key: str
    value: int
    def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...

class PlanAppPlace(_message.Message):
    __slots__ = ("app", "cluster", "reason", "objects", "leaves")
    APP_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    OBJECTS_FIELD_NUMBER: _ClassVar[int]
    LEAVES_FIELD_NUMBER: _ClassVar[int]
    app: str
    cluster: str
    reason: str
    objects: _containers.RepeatedCompositeFieldContainer[PlanAppObject]
    leaves: bool
    def __init__(self, app: _Optional[str] = ..., cluster: _Optional[str] = ..., reason: _Optional[str] = ..., objects: _Optional[_Iterable[_Union[PlanAppObject, _Mapping]]] = ..., leaves: _Optional[bool] = ...) -> None: ...

class PlanAppObject(_message.Message):
    __slots__ = ("resource", "api_version", "kind", "namespace", "name", "action", "reason", "fields")
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    API_VERSION_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    resource: str
    api_version: str
    kind: str
    namespace: str
    name: str
    action: str
    reason: str
    fields: _containers.RepeatedCompositeFieldContainer[PlanAppField]
    def __init__(self, resource: _Optional[str] = ..., api_version: _Optional[str] = ..., kind: _Optional[str] = ..., namespace: _Optional[str] = ..., name: _Optional[str] = ..., action: _Optional[str] = ..., reason: _Optional[str] = ..., fields: _Optional[_Iterable[_Union[PlanAppField, _Mapping]]] = ...) -> None: ...

class PlanAppField(_message.Message):
    __slots__ = ("path", "before", "after", "hidden")
    PATH_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    HIDDEN_FIELD_NUMBER: _ClassVar[int]
    path: str
    before: str
    after: str
    hidden: bool
    def __init__(self, path: _Optional[str] = ..., before: _Optional[str] = ..., after: _Optional[str] = ..., hidden: _Optional[bool] = ...) -> None: ...
