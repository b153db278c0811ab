"""Laws of subnets: what lies inside is accepted, what lies outside is not, for both families."""

from __future__ import annotations

import ipaddress
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emco_ncm.addresses import BadAddress, Family, Network, check_subnet


@st.composite
def networks(draw: st.DrawFn) -> tuple[Family, Network]:
    if draw(st.booleans()):
        v4 = draw(st.ip_addresses(v=4))
        return 4, ipaddress.ip_network((v4, draw(st.integers(8, 30))), strict=False)
    v6 = draw(st.ip_addresses(v=6))
    return 6, ipaddress.ip_network((v6, draw(st.integers(16, 126))), strict=False)


@given(networks(), st.data())
def test_a_gateway_and_a_range_inside_are_accepted(found: tuple[Family, Network], data: st.DataObject) -> None:
    family, network = found
    indices = st.integers(0, min(network.num_addresses - 1, 2**32))
    low, high = sorted((data.draw(indices), data.draw(indices)))
    gateway = f"{network[low]}/{network.prefixlen}"
    check_subnet(family, subnet=str(network), gateway=gateway, excluded=f"{network[low]}..{network[high]}")
    if low != high:
        with pytest.raises(BadAddress):
            check_subnet(family, subnet=str(network), gateway=gateway, excluded=f"{network[high]}..{network[low]}")


@given(networks(), networks())
def test_what_lies_outside_is_refused(found: tuple[Family, Network], other: tuple[Family, Network]) -> None:
    family, network = found
    address = other[1][0]
    if address in network:
        return
    with pytest.raises(BadAddress):
        check_subnet(family, subnet=str(network), gateway=f"{address}/{network.prefixlen}", excluded="")
    with pytest.raises(BadAddress):
        check_subnet(family, subnet=str(network), gateway="", excluded=str(address))


@given(st.sampled_from((4, 6)), st.text(max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_any_text_is_accepted_or_refused(family: Family, subnet: str, gateway: str, excluded: str) -> None:
    with suppress(BadAddress):
        check_subnet(family, subnet=subnet, gateway=gateway, excluded=excluded)
