"""Logical clouds."""

SPECIFICATION = "dcm"

SITUATIONS = (
    "no context",
    "Instantiating",
    "Instantiated",
    "InstantiateFailed",
    "Terminating",
    "Terminated",
    "TerminateFailed",
)
OPERATIONS = ("instantiate", "terminate", "update", "DELETE")
STOPPABLE = ("Created", "Instantiated", "Updated", "Terminated", "InstantiateStopped", "TerminateStopped")
TRANSITIONS = "\n".join(
    [f"5.1: {operation} at {situation}" for operation in OPERATIONS for situation in SITUATIONS]
    + [f"5.5: stop in {state}" for state in STOPPABLE]
    + [f"4.1: cluster reference {what} at {s}" for what in ("added", "removed") for s in SITUATIONS]
)

ERRORS = """
2: cloud of a missing project
2: cloud exists
2: cloud GET of a missing one
2: cloud PUT of a missing one
2: cloud PUT with an empty body
2: cloud PUT under another name
2: cloud DELETE of a missing one
3: cloud with a level that is a number
3: cloud with an unknown level
3: level-1 cloud without a namespace
3: level-1 cloud without a user
3: cloud PUT that changes level, namespace or user while instantiated
4: child with an empty body
4: child DELETE of a missing one
4.1: cluster reference of a missing cloud
4.1: cluster reference exists
4.1: cluster reference GET of a missing one
4.1: cluster reference to an unknown cluster
4.1: second cluster reference to one cluster
4.2: user permission exists
4.2: user permission of a missing cloud
4.2: user permission without its lists
4.2: user permission GET of a missing one
4.3: quota of a missing cloud
4.3: quota of a level-0 cloud
4.3: quota exists
4.3: quota GET of a missing one
4.3: quota without spec
4.3: quota with a value that is no text
4.4: kv-pairs exist
4.4: kv-pairs without a name
4.4: kv-pairs of a missing cloud
4.4: kv-pairs GET of a missing one
5.2: instantiate without cluster references
5.2: instantiate over a cluster that is not registered
5.2: instantiate over clusters of differing namespaces
5.2: instantiate level 1 without a permission for its namespace
5.3: terminate while a group uses the cloud
5.6: DELETE with children
5.6: DELETE while a group names the cloud
8.3: kubeconfig of an unknown cloud or reference
8.3: kubeconfig of a cloud never instantiated
8.3: kubeconfig without a cluster status
8.3: kubeconfig of a level-0 cloud
9: empty instance
9: unknown instance
9: wrong status
9: wrong output
9: wrong cluster
9: wrong resource
9: unknown cloud
10: registration with a key of another kind
10: registration for a cloud that is missing
12: rsync not registered
12: rsync refuses
12: store or bus is away left: answered 503 in place of the 500 texts; see orchestrator-api 2.1 W3
"""
