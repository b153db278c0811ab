from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class OutputType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SUMMARY: _ClassVar[OutputType]
    ALL: _ClassVar[OutputType]

class StatusValue(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STATUS_ERROR: _ClassVar[StatusValue]
    NOT_READY: _ClassVar[StatusValue]
    READY: _ClassVar[StatusValue]
    NOT_DEPLOYED: _ClassVar[StatusValue]
    DEPLOYED: _ClassVar[StatusValue]
SUMMARY: OutputType
ALL: OutputType
STATUS_ERROR: StatusValue
NOT_READY: StatusValue
READY: StatusValue
NOT_DEPLOYED: StatusValue
DEPLOYED: StatusValue

class DigKey(_message.Message):
    __slots__ = ("project", "compositeApp", "compositeAppVersion", "deploymentIntentGroup")
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    COMPOSITEAPP_FIELD_NUMBER: _ClassVar[int]
    COMPOSITEAPPVERSION_FIELD_NUMBER: _ClassVar[int]
    DEPLOYMENTINTENTGROUP_FIELD_NUMBER: _ClassVar[int]
    project: str
    compositeApp: str
    compositeAppVersion: str
    deploymentIntentGroup: str
    def __init__(self, project: _Optional[str] = ..., compositeApp: _Optional[str] = ..., compositeAppVersion: _Optional[str] = ..., deploymentIntentGroup: _Optional[str] = ...) -> None: ...

class LcKey(_message.Message):
    __slots__ = ("project", "logicalCloud")
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    LOGICALCLOUD_FIELD_NUMBER: _ClassVar[int]
    project: str
    logicalCloud: str
    def __init__(self, project: _Optional[str] = ..., logicalCloud: _Optional[str] = ...) -> None: ...

class ClusterKey(_message.Message):
    __slots__ = ("clusterProvider", "cluster")
    CLUSTERPROVIDER_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    clusterProvider: str
    cluster: str
    def __init__(self, clusterProvider: _Optional[str] = ..., cluster: _Optional[str] = ...) -> None: ...

class StatusRegistration(_message.Message):
    __slots__ = ("clientId", "digKey", "lcKey", "clusterKey", "statusType", "apps", "clusters", "resources", "output")
    CLIENTID_FIELD_NUMBER: _ClassVar[int]
    DIGKEY_FIELD_NUMBER: _ClassVar[int]
    LCKEY_FIELD_NUMBER: _ClassVar[int]
    CLUSTERKEY_FIELD_NUMBER: _ClassVar[int]
    STATUSTYPE_FIELD_NUMBER: _ClassVar[int]
    APPS_FIELD_NUMBER: _ClassVar[int]
    CLUSTERS_FIELD_NUMBER: _ClassVar[int]
    RESOURCES_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    clientId: str
    digKey: DigKey
    lcKey: LcKey
    clusterKey: ClusterKey
    statusType: StatusValue
    apps: _containers.RepeatedScalarFieldContainer[str]
    clusters: _containers.RepeatedScalarFieldContainer[str]
    resources: _containers.RepeatedScalarFieldContainer[str]
    output: OutputType
    def __init__(self, clientId: _Optional[str] = ..., digKey: _Optional[_Union[DigKey, _Mapping]] = ..., lcKey: _Optional[_Union[LcKey, _Mapping]] = ..., clusterKey: _Optional[_Union[ClusterKey, _Mapping]] = ..., statusType: _Optional[_Union[StatusValue, str]] = ..., apps: _Optional[_Iterable[str]] = ..., clusters: _Optional[_Iterable[str]] = ..., resources: _Optional[_Iterable[str]] = ..., output: _Optional[_Union[OutputType, str]] = ...) -> None: ...

class GVK(_message.Message):
    __slots__ = ("group", "version", "kind")
    GROUP_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    group: str
    version: str
    kind: str
    def __init__(self, group: _Optional[str] = ..., version: _Optional[str] = ..., kind: _Optional[str] = ...) -> None: ...

class ResourceStatus(_message.Message):
    __slots__ = ("name", "gvk", "statusValue")
    NAME_FIELD_NUMBER: _ClassVar[int]
    GVK_FIELD_NUMBER: _ClassVar[int]
    STATUSVALUE_FIELD_NUMBER: _ClassVar[int]
    name: str
    gvk: GVK
    statusValue: StatusValue
    def __init__(self, name: _Optional[str] = ..., gvk: _Optional[_Union[GVK, _Mapping]] = ..., statusValue: _Optional[_Union[StatusValue, str]] = ...) -> None: ...

class ClusterStatus(_message.Message):
    __slots__ = ("clusterProvider", "cluster", "statusValue", "resources")
    CLUSTERPROVIDER_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    STATUSVALUE_FIELD_NUMBER: _ClassVar[int]
    RESOURCES_FIELD_NUMBER: _ClassVar[int]
    clusterProvider: str
    cluster: str
    statusValue: StatusValue
    resources: _containers.RepeatedCompositeFieldContainer[ResourceStatus]
    def __init__(self, clusterProvider: _Optional[str] = ..., cluster: _Optional[str] = ..., statusValue: _Optional[_Union[StatusValue, str]] = ..., resources: _Optional[_Iterable[_Union[ResourceStatus, _Mapping]]] = ...) -> None: ...

class AppStatus(_message.Message):
    __slots__ = ("app", "statusValue", "clusters")
    APP_FIELD_NUMBER: _ClassVar[int]
    STATUSVALUE_FIELD_NUMBER: _ClassVar[int]
    CLUSTERS_FIELD_NUMBER: _ClassVar[int]
    app: str
    statusValue: StatusValue
    clusters: _containers.RepeatedCompositeFieldContainer[ClusterStatus]
    def __init__(self, app: _Optional[str] = ..., statusValue: _Optional[_Union[StatusValue, str]] = ..., clusters: _Optional[_Iterable[_Union[ClusterStatus, _Mapping]]] = ...) -> None: ...

class StatusDetail(_message.Message):
    __slots__ = ("app", "cluster")
    APP_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    app: AppStatus
    cluster: ClusterStatus
    def __init__(self, app: _Optional[_Union[AppStatus, _Mapping]] = ..., cluster: _Optional[_Union[ClusterStatus, _Mapping]] = ...) -> None: ...

class StatusNotification(_message.Message):
    __slots__ = ("statusValue", "details")
    STATUSVALUE_FIELD_NUMBER: _ClassVar[int]
    DETAILS_FIELD_NUMBER: _ClassVar[int]
    statusValue: StatusValue
    details: _containers.RepeatedCompositeFieldContainer[StatusDetail]
    def __init__(self, statusValue: _Optional[_Union[StatusValue, str]] = ..., details: _Optional[_Iterable[_Union[StatusDetail, _Mapping]]] = ...) -> None: ...

class StatusDeregistration(_message.Message):
    __slots__ = ("clientId",)
    CLIENTID_FIELD_NUMBER: _ClassVar[int]
    clientId: str
    def __init__(self, clientId: _Optional[str] = ...) -> None: ...

class StatusDeregistrationResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
