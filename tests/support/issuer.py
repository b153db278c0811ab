"""An OpenID provider for tests: a real one as far as tokens and keys go, by HTTP, with keys that can be changed.

It signs whatever it is told to, so that every wrong token can be had; a real one is in ``tests.support.keycloak``.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from joserfc import jwk, jwt
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from emco_common.web.serving import HttpServer

AUDIENCE = "emco"


def generated(kid: str, algorithm: str = "RS256") -> jwk.Key:
    """A signing key."""
    parameters: Any = {"kid": kid, "use": "sig", "alg": algorithm}
    if algorithm.startswith("ES"):
        return jwk.ECKey.generate_key("P-256", parameters)
    return jwk.RSAKey.generate_key(2048, parameters)


class Provider:
    """``asked`` counts how often the keys were fetched; ``away`` makes it answer 503."""

    def __init__(self) -> None:
        self.url = ""
        self.keys = [generated("first"), generated("curve", "ES256")]
        self.asked = 0
        self.away = False
        self.calls_itself = ""

    def claims(self, *grants: str, **changes: Any) -> dict[str, Any]:
        """Good claims with changes; ``None`` takes one out."""
        now = int(time.time())
        good = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "1234",
            "preferred_username": "ada",
            "role": list(grants),
            "iat": now,
            "nbf": now,
            "exp": now + 300,
        }
        return {name: value for name, value in (good | changes).items() if value is not None}

    def token(self, *grants: str, key: jwk.Key | None = None, header: Any = None, **changes: Any) -> str:
        signing = key or self.keys[0]
        algorithm = str(signing.get("alg"))
        return jwt.encode(
            {"alg": algorithm, "kid": signing.kid, **(header or {})},
            self.claims(*grants, **changes),
            signing,
            algorithms=[algorithm],
        )

    def forged(self, *grants: str, algorithm: str, secret: bytes = b"") -> str:
        """Signed with nothing (``none``) or with something that everybody knows (``HS256``)."""
        head = _encoded({"alg": algorithm, "typ": "JWT", "kid": self.keys[0].kid})
        signed = f"{head}.{_encoded(self.claims(*grants))}"
        signature = hmac.digest(secret, signed.encode(), hashlib.sha256) if secret else b""
        return f"{signed}.{_base64(signature)}"

    def public(self) -> dict[str, Any]:
        return {"keys": [dict(key.as_dict(private=False)) for key in self.keys]}

    async def _described(self, _request: Request) -> Response:
        if self.away:
            return Response(status_code=503)
        return JSONResponse({"issuer": self.calls_itself or self.url, "jwks_uri": f"{self.url}/keys"})

    async def _keys(self, _request: Request) -> Response:
        self.asked += 1
        return Response(status_code=503) if self.away else JSONResponse(self.public())

    def app(self) -> Starlette:
        return Starlette(
            routes=[Route("/.well-known/openid-configuration", self._described), Route("/keys", self._keys)]
        )


@asynccontextmanager
async def provider() -> AsyncIterator[Provider]:
    made = Provider()
    server = HttpServer(made.app(), "127.0.0.1", 0, name="issuer")
    await server.start()
    made.url = f"http://127.0.0.1:{server.port}"
    try:
        yield made
    finally:
        await server.stop()


def _encoded(value: Any) -> str:
    return _base64(json.dumps(value).encode())


def _base64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
