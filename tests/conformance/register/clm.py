"""Cluster registration."""

SPECIFICATION = "clm"

TRANSITIONS = """
4.3: DELETE of a cluster in Created
4.3: DELETE of a cluster in Applied
4.3: DELETE of a cluster in InstantiateStopped
4.3: DELETE of a cluster in Terminated
4.3: DELETE of a cluster in TerminateStopped
"""

ERRORS = """
2: unknown path
2: known path with another method
3: provider with an empty body
3: provider that breaks its schema
3: provider exists
3: provider GET of a missing one
3: provider PUT under another name
3: provider DELETE of a missing one
3: provider DELETE with children
4: cluster list of a missing provider
4.1: cluster body is not multipart
4.1: cluster without metadata
4.1: cluster that breaks its schema
4.1: direct cluster without a file
4.1: kubeconfig that cannot be used
4.1: GitOps type that is unknown
4.1: GitOps without one of its objects
4.1: cluster exists
4.1: cluster under a missing provider
4.1: controller refuses the cluster
4.1: controller fails
4.1: access record cannot be written left: only a store that is away refuses it; see orchestrator-api 2.1 W3
4.2: cluster GET of a missing one
4.2: cluster GET with a malformed Accept
4.2: cluster GET with another type
4.3: cluster DELETE of a missing one
4.3: cluster DELETE while networks are applied
4.3: cluster DELETE while networks still terminate
4.3: cluster DELETE with children
4.3: cluster DELETE while referred to
5: label exists
5: label that breaks its schema
5: label under a missing cluster
5: label list of a missing cluster
5: label GET of a missing one
5: label PUT under another name
5: label DELETE of a missing one
6: kv-pairs exist
6: kv-pairs without kv
6: kv-pairs with a value that is no text
6: kv-pairs under a missing cluster
6: kv-pairs list of a missing cluster
6: kv-pairs GET of a missing one
6: kv-pairs GET of a missing key
6: kv-pairs PUT under another name
6: kv-pairs DELETE of a missing one
7: sync object exists
7: sync object of a missing provider
7: sync object GET of a missing one
7: sync object GET of a missing key
7: sync object PUT under another name
7: sync object DELETE of a missing one
7: sync object DELETE while a cluster uses it
8: clm-controller exists
8: clm-controller without host
8: clm-controller without port
8: clm-controller with a port out of range
8: clm-controller GET of a missing one
8: clm-controller PUT under another name
8: clm-controller DELETE of a missing one
12: Cluster StateInfo not found left: a cluster is created with its state, in one write
12: context of a deleted cluster cannot be deleted left: the bus is away, answered 503; see orchestrator-api 2.1 W3
"""
