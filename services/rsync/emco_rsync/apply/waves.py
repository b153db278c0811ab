"""Bringing resources to a cluster: in waves, each object on its own, so that what one meets is its own affair."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from time import perf_counter
from types import MappingProxyType

from emco_common.kube import KubeApi, KubeError, Ref, errors
from emco_rsync.apply.conflicts import Looked
from emco_rsync.apply.immutable import frozen_fields
from emco_rsync.apply.owned import carries
from emco_rsync.apply.replacing import make_way
from emco_rsync.apply.sending import Sent, send
from emco_rsync.apply.site import LOOK_AGAIN, Site
from emco_rsync.concurrent import concurrently, gradually
from emco_rsync.plan.plan import CRD_KIND, Item, Piece, Wave
from emco_rsync.reach.classify import classify, classify_removal, describe, is_refusal
from emco_rsync.watch.drift import MANAGER, digest_of, joined
from emco_rsync.watch.health import counts, established

NOTHING_SEEN: Mapping[Ref, Looked] = MappingProxyType({})
QUICK_ATTEMPTS = 3
"""Attempts on an object before what comes after it goes on without it."""
_PUT_OFF = "put_off"
IN_SIGHT = 2
"""Objects begun for each that may be sent at once: each weighs some kilobytes, a large deployment has a million."""


async def apply_waves(site: Site, waves: Iterable[Wave]) -> None:
    """One wave after the other. What the cluster cannot take right now does not hold up what follows for long."""
    late: list[Item] = []
    for wave in await site.gathered(waves):
        settled = await gradually(
            (partial(_apply_first, site, item) for item in wave), at_once=await _at_once(site) or len(wave) or 1
        )
        late += [item for item, done in zip(wave, settled, strict=True) if not done]
    await concurrently(apply_item(site, item, again=True) for item in late)


async def _apply_first(site: Site, item: Item, held_up: Callable[[], None]) -> bool:
    with site.telling(item, held_up):
        return await apply_item(site, item, attempts=QUICK_ATTEMPTS)


async def _at_once(site: Site) -> int:
    """Objects that are under way or next; what only waits for its turn behind them is not begun. 0 for any number,
    where what comes together is gathered."""
    return 0 if await site.indirect() else IN_SIGHT * site.link.width


async def install_crds(site: Site, items: Iterable[Item], *, change: bool = False) -> bool:
    """Create the definitions that are missing and wait until all are served. False if one is not.

    ``change``: a definition that this deployment made is brought to its new form (D28).
    """
    before = len(site.problems)
    await concurrently(_install_crd(site, item, change=change) for item in items)
    return len(site.problems) == before


async def apply_item(
    site: Site,
    item: Item,
    *,
    attempts: int | None = None,
    again: bool = False,
    looked: Mapping[Ref, Looked] = NOTHING_SEEN,
) -> bool:
    """True when it is settled, for good or ill; false if it did not succeed in ``attempts`` but still may.

    ``again``: it was tried before in this run, and what it waits for stays to be read. ``looked``: what was just seen
    of its objects.
    """
    if item.problem:
        site.failed(item, item.problem)
        return True
    if not again:
        site.starts(item)
    started = perf_counter()
    outcome = await _apply(site, item, attempts=attempts, looked=looked)
    site.link.measures.objects.series(outcome).observe(perf_counter() - started)
    return outcome != _PUT_OFF


async def _apply(site: Site, item: Item, *, attempts: int | None, looked: Mapping[Ref, Looked]) -> str:
    """What came of it."""
    digests, remarks = [], []
    try:
        for piece in item.pieces:
            sent, remark = await _bring(site, item, piece, attempts=attempts, looked=looked.get(piece.ref))
            digests.append(digest_of(sent.answer))
            remarks += [remark] if remark else []
            if piece.ref.kind.kind == CRD_KIND:
                await _until_established(site, item, piece.ref)
    except KubeError as error:
        if attempts is not None and classify(error).transient:
            return _PUT_OFF
        reason = describe(error, kind=item.kind)
        if site.leaving and is_refusal(error):
            site.pass_over(item, f"not run, as it was refused: {reason}")
        else:
            site.failed(item, reason)
        return "failed"
    site.applied(item, digest=joined(digests), remark="; ".join(remarks))
    return "applied"


async def _bring(
    site: Site, item: Item, piece: Piece, *, attempts: int | None, looked: Looked | None
) -> tuple[Sent, str]:
    """What the cluster acknowledged, and what there is to say of it. Any ``KubeError``."""
    try:
        sending = partial(send, site=site, item=item, piece=piece, looked=looked)
        sent = await site.persist(item, sending, attempts=attempts)
        why = ""
    except errors.Invalid as refused:
        if not frozen_fields(refused):
            raise
        why = await make_way(site, item, piece, refused)
        sent = await site.persist(item, partial(send, site=site, item=item, piece=piece))
    if counts(sent.answer):
        site.saw({**sent.answer, "apiVersion": piece.ref.kind.api_version})
    return sent, "; ".join(filter(None, (why, sent.remark)))


async def _install_crd(site: Site, item: Item, *, change: bool) -> None:
    """A definition of others that is there stays as it is: they may depend on it (rsync 8.2 step 3)."""
    if item.problem:
        site.failed(item, item.problem)
        return
    try:
        for piece in item.pieces:
            await site.persist(item, partial(_create, site=site, piece=piece, change=change))
            await _until_established(site, item, piece.ref)
    except KubeError as error:
        site.failed(item, describe(error, kind=item.kind))
    else:
        site.applied(item)


async def _create(client: KubeApi, *, site: Site, piece: Piece, change: bool) -> None:
    try:
        await client.create(piece.obj, manager=MANAGER)
    except errors.AlreadyExists:
        if change and carries(await client.get(piece.ref), site.plan.label):
            await client.apply(piece.obj, manager=MANAGER, force=site.settings.force, encoded=piece.encoded)


async def _until_established(site: Site, item: Item, ref: Ref) -> None:
    """Custom resources can only follow when the cluster serves their kind (D13)."""
    if await site.indirect():
        return
    deadline = site.pace.clock() + site.settings.crd_timeout
    looks = 0
    while not established(
        await site.persist(item, lambda client: client.get(ref), verdict=classify_removal, reading=True)
    ):
        if site.pace.clock() > deadline:
            raise errors.UnknownKind(f"the definition is not established after {site.settings.crd_timeout:g} s")
        looks += 1
        await site.pace.sleep(LOOK_AGAIN.delay(looks))
