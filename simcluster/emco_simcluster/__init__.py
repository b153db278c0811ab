"""Simulated Kubernetes clusters: an API server as far as EMCO, kubectl and Helm need one, with faults on demand.

Whatever it shows, it says that it is simulated.
"""

from emco_simcluster.cluster import SimCluster, SimFleet
from emco_simcluster.faults import Faults, Outage, Rule
from emco_simcluster.tls import Pair, User

__all__ = ["Faults", "Outage", "Pair", "Rule", "SimCluster", "SimFleet", "User"]
