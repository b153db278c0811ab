"""Lifecycle of deployment intent groups, their status and its notification."""

SPECIFICATION = "orchestrator-lifecycle"

_STATES = ("Created", "Approved", "Instantiated", "InstantiateStopped", "Terminated", "TerminateStopped", "Updated")
VERBS = ("approve", "instantiate", "terminate", "stop", "update", "migrate as source", "migrate as target", "rollback")
TRANSITIONS = "\n".join(f"1.1: {verb} in {state}" for verb in VERBS for state in _STATES)

ERRORS = """
2: migrate or rollback without a body
2: migrate to a target that is not named
2.2: approve, group missing
2.2: approve while instantiated
2.2: approve while stopped
2.2: instantiate, group missing
2.2: instantiate before approve
2.2: instantiate while instantiated
2.2: instantiate while stopped
2.2: instantiate while Applied left: no group is ever Applied; that state belongs to cluster networks
2.2: terminate, group missing
2.2: stop, group missing
2.2: terminate in a wrong state
2.2: terminate, a controller refuses
2.2: terminate, context lost
2.2: stop while approved
2.2: stop while created
2.2: stop while stopped
2.2: stop in another state
2.2: stop while nothing is under way
2.2: update, group missing
2.2: migrate, group missing
2.2: update or migrate while not instantiated
2.2: migrate, target missing
2.2: migrate, target not approved
2.2: rollback, group missing
2.2: rollback to what is no number
2.2: rollback to revision 0
2.2: rollback to an unknown revision
2.2: rsync not registered
2.2: rsync unreachable
2.2: rsync refuses
3.1: logical cloud missing left: the reference is enforced, a group cannot outlive its cloud
3.1: logical cloud without a state left: a cloud is created with its state, in one write
3.1: logical cloud never instantiated
3.1: no placement intent in any group intent
3.1: cycle or unknown app in dependencies
3.1: app without a profile
3.1: chart that does not render
3.1: chart that renders to nothing
3.1: app without placement
3.1: labels that match no cluster
3.1: cloud lacks a mandatory cluster
3.1: unknown controller left: the reference is enforced, an intent cannot outlive its controller
3.1: placement controller unreachable
3.1: placement controller refuses
3.1: action controller unreachable
3.1: action controller refuses
3.1: no cluster is left after placement
4: cloud terminated
4: cloud instantiating
4: cloud terminating
4: cloud failed instantiating
4: cloud failed terminating
4: cloud in another situation
12.1: empty instance
12.1: unknown instance
12.1: wrong status
12.1: wrong type
12.1: wrong output
12.1: wrong app
12.1: wrong cluster
12.1: wrong resource
12.1: app that is not in the application
12.1: group missing
12.1: context lost
13: registration without a client id
13: registration of a client id in use
13: registration with a key of another kind
13: registration for a group that is missing
"""
