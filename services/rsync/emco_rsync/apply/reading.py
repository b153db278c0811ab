"""Reading objects from a cluster into a context: what a Read event asks for (rsync 8.2)."""

from __future__ import annotations

import json
from operator import methodcaller

from emco_common.appcontext.values import folded
from emco_common.kube import Kind, KubeError, Ref
from emco_rsync.apply.site import Site
from emco_rsync.plan.plan import DEFAULT_NAMESPACE, Item
from emco_rsync.reach.classify import classify_removal, describe


async def read_item(site: Site, item: Item, *, namespace: str) -> None:
    """Fetch the object that the resource's text names and keep its JSON beside it."""
    try:
        ref = requested(item.text, namespace=namespace)
    except ValueError as error:
        site.failed(item, str(error))
        return
    try:
        found = await site.persist(item, methodcaller("get", ref), verdict=classify_removal, reading=True)
    except KubeError as error:
        site.failed(item, describe(error, kind=item.kind))
        return
    text = json.dumps(found, separators=(",", ":"))
    site.recorder.definition(site.plan.app, site.plan.cluster, item.resource, text)
    site.applied(item)


def requested(text: str, *, namespace: str) -> Ref:
    """``{"GVK":{"Group","Version","Kind"},"name","namespace"}``; keys in any case. ``ValueError`` if it is not that.

    The context's namespace counts, unless that is ``default`` and the request names one.
    """
    try:
        fields = folded(json.loads(text))
        gvk = folded(fields["gvk"])
        group, version, kind = (str(gvk.get(name) or "") for name in ("group", "version", "kind"))
        name, own = str(fields["name"]), str(fields.get("namespace") or "")
    except (ValueError, KeyError, AttributeError, TypeError):
        raise ValueError('not a request to read: {"GVK":{"Group","Version","Kind"},"name","namespace"}') from None
    chosen = own if own and namespace == DEFAULT_NAMESPACE else namespace
    return Ref(Kind(f"{group}/{version}" if group else version, kind), name, chosen)
