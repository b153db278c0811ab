"""Networks of a cluster."""

SPECIFICATION = "ncm"

STATES = ("Created", "Applied", "InstantiateStopped", "Terminated", "TerminateStopped")
OPERATIONS = ("create", "delete", "apply", "terminate", "stop")
TRANSITIONS = "\n".join(f"5: {operation} in {state}" for operation in OPERATIONS for state in STATES)

ERRORS = """
2: network GET of a missing one
2: network DELETE of a missing one
2: provider network GET of a missing one
2: provider network DELETE of a missing one
3: network without subnets
3: network without cniType
4: provider network without vlan
5: bad network name
5: bad provider network name
5: unknown cniType
5: unknown providerNetType
5: bad subnet
5: bad subnet name
5: bad gateway
5: bad excludeIps
5: bad VLAN id
5: bad VLAN node selector
5: bad node label
5: specific selector without labels
5: PUT without a name
5: PUT under another name
5: network exists
5: provider network exists
5: unknown cluster
6.1: rsync not registered
6.1: rsync refuses
7: wrong type
7: wrong status
7: wrong output
7: wrong app
7: wrong cluster
7: wrong resource
7: unknown cluster
7: unknown instance
8: registration with a key of another kind
8: registration without a client id
8: registration of a client id in use
8: registration for a cluster that is missing
10: store or bus is away left: answered 503 in place of the 500 texts; see orchestrator-api 2.1 W3
"""
