"""Bodies of ncm's resources and what their fields must satisfy (spec ncm 3 to 5, defects 2 to 5)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_serializer, model_validator
from pydantic_core import PydanticCustomError

from emco_common.errors import BadRequest
from emco_common.resources.model import Name, Named, Text128, Wire, given_array, section
from emco_ncm.addresses import BadAddress, Family, check_subnet
from emco_ncm.names import label_errors, value_errors

CNI_TYPE = "ovn4nfv"
VLAN = "VLAN"
DIRECT = "DIRECT"
SPECIFIC = "specific"
_SELECTORS = ("any", SPECIFIC)
_MAX_VLAN = 4095
_INT64 = 2**63

Address = Annotated[str, Field(max_length=128, pattern="[-_0-9a-zA-Z]+$")]
_Given = BeforeValidator(given_array)


class _LeavesOut(Wire):
    """Answers leave out what is empty."""

    @model_serializer(mode="wrap")
    def _without_empty(self, handler: Any) -> dict[str, Any]:
        return {key: value for key, value in handler(self).items() if value or key not in _OPTIONAL}


_OPTIONAL = frozenset({"ipv4Subnets", "ipv6Subnets", "gateway", "excludeIps", "vlan", "direct"})


class Subnet(_LeavesOut):
    """``gateway`` is ``address/length``; ``excludeIps`` are addresses and ranges ``a..b`` between blanks."""

    name: Name = ""
    subnet: Address = ""
    gateway: Text128 = ""
    exclude_ips: Annotated[str, Field(max_length=1024)] = ""


class ProviderSubnet(Subnet):
    exclude_ips: Text128 = ""


class NetworkSpec(_LeavesOut):
    cni_type: Name = ""
    ipv4_subnets: list[Subnet] = Field(default_factory=list, alias="ipv4Subnets")
    ipv6_subnets: list[Subnet] = Field(default_factory=list, alias="ipv6Subnets")

    @model_validator(mode="after")
    def _some_subnet(self) -> NetworkSpec:
        if not self.ipv4_subnets and not self.ipv6_subnets:
            text = "Must validate at least one schema (anyOf)\nipv4Subnets is required"
            raise PydanticCustomError("schema", text)
        return self


class Network(Named):
    """A virtual network."""

    spec: NetworkSpec = section()

    @model_validator(mode="after")
    def _fields(self) -> Network:
        errors = value_errors(self.metadata.name)
        if errors:
            raise BadRequest(f"Invalid network name - name=[{self.metadata.name}], errors: [{' '.join(errors)}]")
        _check_cni(self.spec)
        _check_subnets(self.spec)
        return self


class Vlan(Wire):
    vlan_id: Annotated[Text128, Field(alias="vlanID")] = ""
    provider_interface_name: Text128 = ""
    logical_interface_name: Text128 = ""
    vlan_node_selector: Text128 = ""
    node_label_list: Annotated[list[Text128], _Given] = Field(default=None, validate_default=True)


class Direct(Wire):
    """What a ``DIRECT`` network is made of; the original took it from ``vlan``."""

    provider_interface_name: Text128 = ""
    direct_node_selector: Text128 = ""
    node_label_list: Annotated[list[Text128], _Given] = Field(default=None, validate_default=True)


class ProviderNetworkSpec(NetworkSpec):
    ipv4_subnets: list[ProviderSubnet] = Field(default_factory=list, alias="ipv4Subnets")  # type: ignore[assignment]
    ipv6_subnets: list[ProviderSubnet] = Field(default_factory=list, alias="ipv6Subnets")  # type: ignore[assignment]
    provider_net_type: Name = ""
    vlan: Vlan | None = None
    direct: Direct | None = None

    @model_validator(mode="before")
    @classmethod
    def _vlan_unless_direct(cls, raw: Any) -> Any:
        """Without either, ``vlan`` counts as given empty, so that its own rules speak."""
        if isinstance(raw, Mapping) and not any(str(key).lower() in ("vlan", "direct") and raw[key] for key in raw):
            return {**raw, "vlan": {}}
        return raw


class ProviderNetwork(Named):
    spec: ProviderNetworkSpec = section()

    @model_validator(mode="after")
    def _fields(self) -> ProviderNetwork:
        errors = value_errors(self.metadata.name)
        if errors:
            raise BadRequest(f"Invalid provider network name=[{self.metadata.name}], errors: [{' '.join(errors)}]")
        spec = self.spec
        _check_cni(spec)
        kind = spec.provider_net_type.upper()
        if kind not in (VLAN, DIRECT):
            raise BadRequest(f"Invalid provider network type: {spec.provider_net_type}")
        _check_subnets(spec)
        if kind == VLAN and (spec.direct is not None or spec.vlan is None):
            raise BadRequest("Invalid provider network type: VLAN has spec.vlan, only DIRECT has spec.direct")
        if spec.vlan is not None:
            _check_vlan_id(spec.vlan.vlan_id)
            _check_nodes(spec.vlan.vlan_node_selector, spec.vlan.node_label_list, "VlAN")
        if spec.direct is not None:
            _check_nodes(spec.direct.direct_node_selector, spec.direct.node_label_list, "Direct")
        return self


def _check_cni(spec: NetworkSpec) -> None:
    if spec.cni_type != CNI_TYPE:
        raise BadRequest(f"Invalid cni type: {spec.cni_type}")


def _check_subnets(spec: NetworkSpec) -> None:
    families: tuple[tuple[Family, list[Subnet]], ...] = ((4, spec.ipv4_subnets), (6, spec.ipv6_subnets))
    for family, subnets in families:
        for subnet in subnets:
            errors = value_errors(subnet.name)
            try:
                check_subnet(family, subnet=subnet.subnet, gateway="", excluded="")
                if errors:
                    raise BadAddress(f"Invalid subnet name=[{subnet.name}], errors: [{' '.join(errors)}]")
                check_subnet(family, subnet=subnet.subnet, gateway=subnet.gateway, excluded=subnet.exclude_ips)
            except BadAddress as error:
                raise BadRequest(f"invalid subnet: {error}") from error


def _check_vlan_id(text: str) -> None:
    if not re.fullmatch("[-+]?[0-9]+", text):
        problem = f'strconv.Atoi: parsing "{text}": invalid syntax'
    elif not -_INT64 <= int(text) < _INT64:
        problem = f'strconv.Atoi: parsing "{text}": value out of range'
    elif int(text) < 0:
        problem = "value less than minimum"
    elif int(text) > _MAX_VLAN:
        problem = "value greater than maximum"
    else:
        return
    raise BadRequest(f"Invalid VlAN ID {text} - error: [{problem}]")


def _check_nodes(selector: str, labels: list[str], what: Literal["VlAN", "Direct"]) -> None:
    if selector.lower() not in _SELECTORS:
        raise BadRequest(f"Invalid {what} Node Selector {selector}")
    for label in labels:
        errors = label_errors(label)
        if errors:
            raise BadRequest(f"Invalid Label={label} - errors: [{' '.join(errors)}]")
    if selector.lower() == SPECIFIC and not labels:
        raise BadRequest(f'Node Labels required for {what} node selector "{SPECIFIC}"')


def _required(value: Any, name: str) -> Any:
    if not value:
        raise PydanticCustomError("schema", f"{name} is required")
    return value


class ControllerSpec(Wire):
    """Where a network controller listens. Lower priorities are called first, as with the orchestrator's."""

    host: Annotated[Text128, AfterValidator(lambda value: _required(value, "host"))] = ""
    port: Annotated[int, Field(ge=0, le=50000), AfterValidator(lambda value: _required(value, "port"))] = 0
    priority: Annotated[int, Field(ge=0, le=100)] = 0


class NcmController(Named):
    """Who changes the networks of a cluster before they are installed."""

    spec: ControllerSpec = section()
