"""HTTP: who asks, what goes wrong on purpose, and how answers and watches go over the wire."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog

from emco_simcluster import discovery, errors
from emco_simcluster.errors import ApiError
from emco_simcluster.faults import Faults, Outage, Rule
from emco_simcluster.incoming import APPLY_PATCH
from emco_simcluster.kinds import KindTable
from emco_simcluster.messages import BODY_LIMIT, Answer, Asked
from emco_simcluster.reads import Watch, is_bookmark
from emco_simcluster.routes import Target, find, parts_of, verb_of
from emco_simcluster.storage import Store, encode
from emco_simcluster.tls import User, user_of
from emco_simcluster.verbs import Call, Reply, Verbs

log = structlog.get_logger()

_OPEN = frozenset({"healthz", "livez", "readyz", "version"})
_PAGE = b"<html><title>Welcome</title><body>simulated: please sign in to this network</body></html>"
_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})


@dataclass(slots=True, kw_only=True)
class ApiServer:
    """Answers the requests of one cluster."""

    name: str
    store: Store
    kinds: KindTable
    verbs: Verbs
    faults: Faults
    tokens: Mapping[str, User]
    revoked: set[str]
    bookmark_every: float
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    async def handle(self, asked: Asked, answer: Answer) -> None:
        """Answer one request; whatever goes wrong becomes a Status."""
        try:
            await self._answer(asked, answer)
        except ApiError as error:
            await self._refuse(answer, error)
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception:
            log.exception("simulated server failed", cluster=self.name, path=asked.path)
            await self._refuse(answer, errors.internal("the simulated server failed; see its log"))

    async def _answer(self, asked: Asked, answer: Answer) -> None:
        if self.faults.outage is Outage.HANG:
            await self.faults.resumed.wait()
            if answer.cut:
                await asyncio.Event().wait()  # the end of the connection cancels this request
        parts = parts_of(asked.path)
        if self.faults.outage is Outage.NONSENSE and parts[:1] != ["simulated"]:
            return await self._send(answer, Reply(200, _PAGE, "text/html; charset=utf-8"), [])
        if asked.method not in _METHODS:
            raise errors.method_not_allowed()
        if asked.too_large:
            raise errors.too_large(BODY_LIMIT)
        if parts and parts[0] in _OPEN:
            return await self._send(answer, self._open(parts), self._outage_rules())
        user = self._user(asked)
        if parts[:1] == ["simulated"]:
            return await self._send(answer, self._control(asked, parts[1:]), [])
        target = find(self.kinds, parts)
        if target is None:
            described = self._described(asked, parts)
            if described is None and self._serves_group(parts):
                raise errors.no_such_path()
            if described is None:
                return await self._send(answer, Reply(404, b"404 page not found\n", "text/plain; charset=utf-8"), [])
            return await self._send(answer, described, self._outage_rules())
        return await self._resource(asked, answer, target, user)

    def _outage_rules(self) -> list[Rule]:
        return [Rule(cut=True)] if self.faults.outage is Outage.CUT else []

    def _user(self, asked: Asked) -> User:
        """Who asks: by bearer token or client certificate; nobody is refused."""
        scheme, _, token = asked.headers.get("authorization", "").partition(" ")
        user = self.tokens.get(token.strip()) if scheme.lower() == "bearer" else None
        if not scheme:
            user = user_of(asked.peer)
        if user is None or user.name in self.revoked:
            raise errors.unauthorized()
        return User(user.name, (*user.groups, "system:authenticated"))

    async def _resource(self, asked: Asked, answer: Answer, target: Target, user: User) -> None:
        query = asked.query
        media = asked.headers.get("content-type", "").partition(";")[0].strip().lower()
        watching = query.get("watch", "") in ("true", "1")
        verb = verb_of(asked.method, target, watch=watching, apply=media == APPLY_PATCH)
        self.counts[verb, target.resource] += 1
        rules = self._outage_rules() + self.faults.hit(
            verb=verb, resource=target.resource, namespace=target.space, name=target.name
        )
        await self._suffer(rules)
        if verb == "watch":
            return await self._watch(answer, target, query, rules)
        call = Call(
            verb=verb,
            target=target,
            query=query,
            user=user,
            agent=asked.headers.get("user-agent", ""),
            media=media,
            body=asked.body,
        )
        reply = self.verbs.answer(call)
        for rule in rules:
            if rule.status and rule.after_write:
                raise rule.error()
        return await self._send(answer, reply, rules)

    async def _suffer(self, rules: list[Rule]) -> None:
        for rule in rules:
            seconds = self.faults.delay(rule)
            if seconds:
                await asyncio.sleep(seconds)
            if rule.hang:
                await asyncio.Event().wait()
            if rule.status and not rule.after_write:
                raise rule.error()

    async def _watch(self, answer: Answer, target: Target, query: Mapping[str, str], rules: list[Rule]) -> None:
        watch = Watch.read(self.store, target.kind, target.namespace, query)
        headers = {**self._headers("application/json"), "cache-control": "no-cache, private"}
        await answer.begin(200, headers, length=None)
        cut, mute = any(rule.cut for rule in rules), any(rule.mute for rule in rules)
        async for frame in watch.frames(self.store, bookmark_every=self.bookmark_every):
            if mute and not is_bookmark(frame):
                continue
            if cut:
                await answer.write(frame[: len(frame) // 2])
                answer.abort()
                break
            await answer.write(frame)

    async def _send(
        self, answer: Answer, reply: Reply, rules: list[Rule], *, more: Mapping[str, str] | None = None
    ) -> None:
        speed = min((r.bytes_per_second for r in rules if r.bytes_per_second), default=0)
        cut = any(rule.cut for rule in rules)
        headers = {**self._headers(reply.media), **(more or {})}
        if not speed and not cut:
            return await answer.whole(reply.status, headers, reply.body)
        await answer.begin(reply.status, headers, length=len(reply.body))
        step = max(1, speed // 20) if speed else len(reply.body) // 2 + 1
        for start in range(0, len(reply.body), step):
            await answer.write(reply.body[start : start + step])
            if cut:
                answer.abort()
                break
            await asyncio.sleep(0.05)
        return None

    def _headers(self, media: str) -> dict[str, str]:
        return {"content-type": media, "server": "emco-simulated-kube-apiserver", "emco-simulated": self.name}

    async def _refuse(self, answer: Answer, error: ApiError) -> None:
        if answer.begun:
            answer.abort()
            return
        more = {} if error.retry_after is None else {"retry-after": str(error.retry_after)}
        await self._send(answer, Reply(error.code, encode(error.body())), [], more=more)

    def _open(self, parts: list[str]) -> Reply:
        if parts == ["version"]:
            return Reply(200, encode(discovery.version()))
        return Reply(200, b"ok", "text/plain; charset=utf-8")

    def _described(self, asked: Asked, parts: list[str]) -> Reply | None:
        """Discovery and OpenAPI; None for a path that does not exist."""
        accept = asked.headers.get("accept", "")
        if parts in (["api"], ["apis"]) and "as=APIGroupDiscoveryList" in accept and "v=v2" in accept:
            body = discovery.aggregated(self.kinds, core=parts == ["api"])
            return Reply(200, encode(body), discovery.AGGREGATED)
        if parts == ["openapi", "v2"] and "protobuf" in accept:
            return Reply(200, discovery.openapi_v2_protobuf(), discovery.PROTOBUF_SCHEMA)
        body_of = self._document(parts)
        return None if body_of is None else Reply(200, encode(body_of))

    def _serves_group(self, parts: list[str]) -> bool:
        """Of a group version that is served, an unknown resource is a Status; any other path is not even that."""
        group, version = ("", parts[1:2]) if parts[:1] == ["api"] else ("".join(parts[1:2]), parts[2:3])
        return parts[0] in ("api", "apis") and version != [] and version[0] in self.kinds.groups().get(group, ())

    def _document(self, parts: list[str]) -> dict[str, Any] | None:
        groups = self.kinds.groups()
        match parts:
            case []:
                return {
                    "paths": [
                        "/api",
                        "/apis",
                        "/healthz",
                        "/livez",
                        "/openapi/v2",
                        "/openapi/v3",
                        "/readyz",
                        "/version",
                    ]
                }
            case ["api"]:
                return discovery.core_versions()
            case ["apis"]:
                return discovery.group_list(self.kinds)
            case ["api", version] if version in groups[""]:
                return discovery.resource_list(self.kinds, version)
            case ["apis", group] if group in groups:
                return {"kind": "APIGroup", "apiVersion": "v1", **discovery.group(group, groups[group])}
            case ["apis", group, version] if version in groups.get(group, ()):
                return discovery.resource_list(self.kinds, f"{group}/{version}")
            case ["openapi", "v2"]:
                return discovery.openapi_v2()
            case ["openapi", "v3"]:
                return discovery.openapi_v3_index(self.kinds)
            case ["openapi", "v3", "api", version] if version in groups[""]:
                return discovery.openapi_v3(self.kinds, version)
            case ["openapi", "v3", "apis", group, version] if version in groups.get(group, ()):
                return discovery.openapi_v3(self.kinds, f"{group}/{version}")
        return None

    def _control(self, asked: Asked, parts: list[str]) -> Reply:
        """``/simulated/faults`` and ``/simulated/restart``: faults from outside the process."""
        try:
            if parts == ["restart"] and asked.method == "POST":
                body = json.loads(asked.body or b"{}")
                self._soon(
                    lambda: self.faults.restart(
                        seconds=float(body.get("seconds", 0)),
                        lose_history=bool(body.get("loseHistory")),
                        lose_state=bool(body.get("loseState")),
                    )
                )
            elif parts == ["faults"] and asked.method == "PUT":
                self._set_faults(json.loads(asked.body))
            elif parts == ["faults"] and asked.method == "DELETE":
                self.faults.clear()
            elif parts != ["faults"] or asked.method != "GET":
                raise errors.no_such_path()
        except (ValueError, AttributeError, TypeError) as error:
            raise errors.bad_request(str(error)) from error
        return Reply(200, encode(self.faults.state()))

    def _set_faults(self, body: Any) -> None:
        rules = [Rule.read(r) for r in body.get("rules") or ()]
        outage = Outage(body["outage"]) if body.get("outage") else None
        seconds = body.get("seconds")
        if outage in (Outage.REFUSE, Outage.HANG) and not seconds:
            raise ValueError("this outage could not be ended from outside: name its seconds")
        self.faults.clear()
        for rule in rules:
            self.faults.add(rule)
        if outage is not None:
            self._soon(lambda: self.faults.begin_outage(outage, seconds=float(seconds) if seconds else None))

    def _soon(self, work: Callable[[], None]) -> None:
        """After the answer is out."""
        asyncio.get_running_loop().call_later(0.05, work)
