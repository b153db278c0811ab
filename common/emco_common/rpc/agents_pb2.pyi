from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AgentHello(_message.Message):
    __slots__ = ("cluster", "token", "version")
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    cluster: str
    token: str
    version: str
    def __init__(self, cluster: _Optional[str] = ..., token: _Optional[str] = ..., version: _Optional[str] = ...) -> None: ...

class AgentWelcome(_message.Message):
    __slots__ = ("window", "charge", "silence")
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    CHARGE_FIELD_NUMBER: _ClassVar[int]
    SILENCE_FIELD_NUMBER: _ClassVar[int]
    window: int
    charge: int
    silence: int
    def __init__(self, window: _Optional[int] = ..., charge: _Optional[int] = ..., silence: _Optional[int] = ...) -> None: ...

class AgentRequest(_message.Message):
    __slots__ = ("method", "target", "body", "content_type", "accept", "user", "lasting", "cluster")
    METHOD_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    CONTENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    ACCEPT_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    LASTING_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    method: str
    target: str
    body: bytes
    content_type: str
    accept: str
    user: str
    lasting: bool
    cluster: str
    def __init__(self, method: _Optional[str] = ..., target: _Optional[str] = ..., body: _Optional[bytes] = ..., content_type: _Optional[str] = ..., accept: _Optional[str] = ..., user: _Optional[str] = ..., lasting: _Optional[bool] = ..., cluster: _Optional[str] = ...) -> None: ...

class AgentOrder(_message.Message):
    __slots__ = ("call", "welcome", "request", "cancel", "credit", "ping")
    CALL_FIELD_NUMBER: _ClassVar[int]
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    CANCEL_FIELD_NUMBER: _ClassVar[int]
    CREDIT_FIELD_NUMBER: _ClassVar[int]
    PING_FIELD_NUMBER: _ClassVar[int]
    call: int
    welcome: AgentWelcome
    request: AgentRequest
    cancel: bool
    credit: int
    ping: bool
    def __init__(self, call: _Optional[int] = ..., welcome: _Optional[_Union[AgentWelcome, _Mapping]] = ..., request: _Optional[_Union[AgentRequest, _Mapping]] = ..., cancel: _Optional[bool] = ..., credit: _Optional[int] = ..., ping: _Optional[bool] = ...) -> None: ...

class AgentOrders(_message.Message):
    __slots__ = ("orders", "proof")
    ORDERS_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    orders: _containers.RepeatedCompositeFieldContainer[AgentOrder]
    proof: str
    def __init__(self, orders: _Optional[_Iterable[_Union[AgentOrder, _Mapping]]] = ..., proof: _Optional[str] = ...) -> None: ...

class AgentAnswer(_message.Message):
    __slots__ = ("call", "status", "retry_after", "body", "last", "failure", "pong")
    CALL_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    PONG_FIELD_NUMBER: _ClassVar[int]
    call: int
    status: int
    retry_after: str
    body: bytes
    last: bool
    failure: str
    pong: bool
    def __init__(self, call: _Optional[int] = ..., status: _Optional[int] = ..., retry_after: _Optional[str] = ..., body: _Optional[bytes] = ..., last: _Optional[bool] = ..., failure: _Optional[str] = ..., pong: _Optional[bool] = ...) -> None: ...

class AgentAnswers(_message.Message):
    __slots__ = ("answers", "hello", "challenge")
    ANSWERS_FIELD_NUMBER: _ClassVar[int]
    HELLO_FIELD_NUMBER: _ClassVar[int]
    CHALLENGE_FIELD_NUMBER: _ClassVar[int]
    answers: _containers.RepeatedCompositeFieldContainer[AgentAnswer]
    hello: AgentHello
    challenge: bytes
    def __init__(self, answers: _Optional[_Iterable[_Union[AgentAnswer, _Mapping]]] = ..., hello: _Optional[_Union[AgentHello, _Mapping]] = ..., challenge: _Optional[bytes] = ...) -> None: ...
