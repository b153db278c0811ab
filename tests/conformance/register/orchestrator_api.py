"""REST of the orchestrator."""

SPECIFICATION = "orchestrator-api"

_GROUP_STATES = (
    "Created",
    "Approved",
    "Instantiated",
    "InstantiateStopped",
    "Terminated",
    "TerminateStopped",
    "Updated",
)
TRANSITIONS = "\n".join(f"6: {what} of a group in {state}" for what in ("PUT", "DELETE") for state in _GROUP_STATES)

ERRORS = """
2: unknown path
2: known path with another method
2: an encoded slash in a segment
2.1: B1 empty body
2.1: B2 not JSON
2.1: B2 a value of the wrong JSON type
2.1: B3 a body that breaks its schema, one line a violation
2.1: B4 a schema file is missing left: there are no schema files; models are code
2.1: W1 the parent is missing
2.1: W2 the referential schema is not loaded left: there is none to load; declarations are code
2.1: W3 R1 D4 the store is away, answered 503 with Retry-After
2.1: D1 delete of what is not there
2.1: D2 delete of what has children
2.1: D3 delete of what is referred to
2.1: X an unexpected error hides its text
2.2: composite app missing is App not found
2.2: composite app exists is App already exists
2.2: placement intent or app intent missing is Intent not found
2.2: placement intent, app intent or group intent exists is Intent already exists
2.2: deployment intent group exists is Intent already exists
2.2: app dependency exists is a conflict
5.1: project exists
5.1: project PUT without a name
5.1: project PUT under another name
5.1: project GET of a missing one
5.1: project DELETE of a missing one
5.1: project DELETE with children
5.2: composite app POST under a missing project
5.2: composite app exists
5.2: composite app PUT under another name
5.2: composite app list of a missing project
5.2: composite app GET of a missing one
5.2: composite app DELETE of a missing one
5.2: composite app DELETE with children
5.2: composite app without a version
5.3: app body is not multipart
5.3: app without metadata
5.3: app with undecodable metadata
5.3: app with metadata that break their schema
5.3: app without a file
5.3: app with two files
5.3: app whose archive holds several charts and none of its name
5.3: app file cannot be read left: the form is read before it is used; a cut body is a form that is no multipart
5.3: app file larger than allowed
5.3: app file is no archive
5.3: app file with a link
5.3: app POST under a missing composite app
5.3: app exists
5.3: app PUT under another name
5.3: app DELETE of a missing one
5.3: app DELETE with children or references
5.3: app GET of a missing one
5.3: app GET without Accept
5.3: app GET with a list of types
5.3: app GET with a malformed Accept
5.3: app GET with another type
5.4: dependency undecodable
5.4: dependency POST under a missing app
5.4: dependency exists
5.4: dependency PUT under another name
5.4: dependency GET of a missing one
5.4: dependency DELETE of a missing one
5.4: dependency without app
5.4: dependency without opStatus
5.4: dependency waits too long
5.4: dependency closes a cycle
5.5: composite profile POST under a missing composite app
5.5: composite profile exists
5.5: composite profile PUT under another name
5.5: composite profile GET of a missing one
5.5: composite profile DELETE of a missing one
5.5: composite profile DELETE with profiles
5.5: composite profile DELETE while a group names it
5.6: app profile without a name
5.6: app profile exists
5.6: app profile for an app that has one
5.6: app profile POST under a missing composite profile
5.6: app profile PUT under a missing composite profile
5.6: app profile PUT under another name
5.6: app profile of an app that has none
5.6: app profile GET of a missing one
5.6: app profile by name and by app at once
5.6: app profile DELETE of a missing one
5.7: group POST under a missing composite app
5.7: group exists
5.7: group PUT under another name
5.7: group PUT after approve
5.7: group list of a missing project
5.7: group list of a missing composite app
5.7: group GET of a missing one
5.7: group DELETE of a missing one
5.7: group DELETE while instantiated
5.7: group DELETE while it still terminates
5.7: group DELETE with intents
5.7: group names a profile or a cloud that is not there
5.7: group override value that is no text
5.7: group override values for an app that is not there
5.7: group override values absent
5.8: group intent POST under a missing group
5.8: group intent exists
5.8: group intent PUT under another name
5.8: group intent by query, missing
5.8: group intent by query, empty
5.8: group intent GET of a missing one
5.8: group intent DELETE of a missing one
5.8: group intent without its map
5.8: group intent names a controller that is not there
5.9: placement intent POST under a missing group
5.9: placement intent exists
5.9: placement intent PUT under another name
5.9: placement intent list of a missing project
5.9: placement intent list of a missing composite app
5.9: placement intent GET of a missing one
5.9: placement intent DELETE of a missing one
5.9: placement intent DELETE with app intents
5.10: app intent POST under a missing placement intent
5.10: app intent exists
5.10: app intent PUT under another name
5.10: app intent by query without an app
5.10: app intent GET of a missing one
5.10: app intent DELETE of a missing one
5.10: app intent without clusterProvider
5.10: app intent without cluster and clusterLabel
5.10: app intent with cluster and clusterLabel
5.10: app intent without app
5.10: app intent without name
5.10: app intent with an empty choice
5.10: app intent with a cluster and a choice in one element
5.11: controller exists
5.11: controller PUT without a name
5.11: controller PUT under another name
5.11: controller of a type that is never called
5.11: controller GET of a missing one
5.11: controller DELETE of a missing one
5.11: controller DELETE while a group intent names it
5.11: controller number out of range
"""
