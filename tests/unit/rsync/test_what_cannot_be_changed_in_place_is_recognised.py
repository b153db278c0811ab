"""Refusals in the words of a real API server: which say that a field cannot be changed in place, and which do not."""

from __future__ import annotations

import json

import pytest

from emco_common.kube.errors import Invalid, error_from_answer
from emco_rsync.apply.immutable import frozen_fields

_STS = (
    "Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy',"
    " 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)
_POD = (
    "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`"
)
_PVC = (
    "Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound "
    'claims\n@@ -10,7 +10,7 @@\n   }\n  },\n- "StorageClassName": "one",\n+ "StorageClassName": "two"'
)
_JOB = f'Invalid value: {{"labels":{{"job-name":"j"}},"Spec":{{"Volumes":{"x" * 9000}}}}}: field is immutable'


def refusal(*causes: tuple[str, str], name: str = "x") -> Invalid:
    """As it comes from the server: the message repeats the causes."""
    words = [f"{field}: {text}" for field, text in causes]
    body = {
        "kind": "Status",
        "reason": "Invalid",
        "message": f"{name} is invalid: {words[0] if len(words) == 1 else '[' + ', '.join(words) + ']'}",
        "details": {
            "causes": [{"reason": "FieldValueInvalid", "field": field, "message": text} for field, text in causes]
        },
    }
    error = error_from_answer(422, json.dumps(body).encode())
    assert isinstance(error, Invalid)
    return error


@pytest.mark.robustness(52)
@pytest.mark.parametrize(
    ("field", "message"),
    [
        pytest.param("spec.template", _JOB, id="the template of a Job, quoted at length"),
        ("spec.completionMode", 'Invalid value: "Indexed": field is immutable'),
        ("spec.clusterIPs[0]", 'Invalid value: ["None"]: may not change once set'),
        ("spec", _STS),
        ("spec.selector", 'Invalid value: {"matchLabels":{"a":"c"}}: field is immutable'),
        ("spec", _PVC),
        ("spec.persistentvolumesource", "Forbidden: spec.persistentvolumesource is immutable after creation"),
        ("roleRef", 'Invalid value: {"Kind":"ClusterRole","Name":"edit"}: cannot change roleRef'),
        ("data", "Forbidden: field is immutable when `immutable` is set"),
        ("immutable", "Forbidden: field is immutable when `immutable` is set"),
        ("type", 'Invalid value: "two/x": field is immutable'),
        ("parameters", "Forbidden: updates to parameters are forbidden."),
        ("provisioner", 'Invalid value: "p.x/z": field is immutable'),
        ("value", "Forbidden: may not be changed in an update."),
        ("spec", _POD),
        ("handler", 'Invalid value: "two": field is immutable'),
        ("spec.attachedRequired", "Invalid value: false: field is immutable"),
        ("addressType", 'Invalid value: "IPv6": field is immutable'),
        ("spec.a", 'Invalid value: "two": Value is immutable'),
        ("spec.b", 'Invalid value: "two": failed rule: self == oldSelf'),
    ],
)
def test_a_field_that_cannot_be_changed_is_named(field: str, message: str) -> None:
    assert frozen_fields(refusal((field, message))) == (field,)


@pytest.mark.parametrize(
    "causes",
    [
        [("spec.ports[0].port", "Invalid value: 99999: must be between 1 and 65535, inclusive")],
        [("spec.ipFamilies[1]", 'Invalid value: "IPv6": not configured on this cluster')],
        [("spec.template.spec.containers[0].image", "Required value")],
        [
            ("spec.selector", 'Invalid value: {"matchLabels":{"a":"c"}}: field is immutable'),
            ("spec.replicas", "Invalid value: -1: must be greater than or equal to 0"),
        ],
    ],
)
def test_what_would_be_refused_anew_is_no_reason_to_replace(causes: list[tuple[str, str]]) -> None:
    assert frozen_fields(refusal(*causes)) == ()


def test_several_such_fields_are_all_named() -> None:
    frozen = [("reclaimPolicy", "field is immutable"), ("provisioner", "field is immutable")]
    assert frozen_fields(refusal(*frozen)) == ("reclaimPolicy", "provisioner")


def test_a_webhook_that_names_no_field_is_believed_by_its_words() -> None:
    assert frozen_fields(Invalid('admission webhook "x" denied the request: spec is immutable')) == ("the object",)
    assert frozen_fields(Invalid('admission webhook "x" denied the request: no')) == ()
