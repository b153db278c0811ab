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
    """``asked`` counts how often the keys were fetched; ``away`` makes it answer 503.

    ``answers`` are what is said to the next requests for a token, the name of an error or an answer; ``forms`` what was
    sent with them and with all others.
    """

    def __init__(self) -> None:
        self.url = ""
        self.keys = [generated("first"), generated("curve", "ES256")]
        self.asked = 0
        self.away = False
        self.calls_itself = ""
        self.answers: list[Any] = []
        self.forms: list[dict[str, str]] = []

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
        own = {"issuer": self.calls_itself or self.url, "jwks_uri": f"{self.url}/keys"}
        names = ("device_authorization_endpoint", "token_endpoint", "revocation_endpoint")
        return JSONResponse(own | {name: f"{self.url}/{name.partition('_')[0]}" for name in names})

    async def _device(self, request: Request) -> Response:
        await self._noted(request)
        where = f"{self.url}/agree"
        answer = {"device_code": "secret", "user_code": "WDJB-MJHT", "verification_uri": where, "expires_in": 60}
        return JSONResponse(answer | {"verification_uri_complete": f"{where}?user_code=WDJB-MJHT", "interval": 2})

    async def _token(self, request: Request) -> Response:
        await self._noted(request)
        answer = self.answers.pop(0)
        return JSONResponse({"error": answer}, 400) if isinstance(answer, str) else JSONResponse(answer)

    async def _revocation(self, request: Request) -> Response:
        await self._noted(request)
        return Response()

    async def _noted(self, request: Request) -> None:
        async with request.form() as form:
            self.forms.append({name: str(value) for name, value in form.items()})

    async def _keys(self, _request: Request) -> Response:
        self.asked += 1
        return Response(status_code=503) if self.away else JSONResponse(self.public())

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._described),
                Route("/keys", self._keys),
                Route("/device", self._device, methods=["POST"]),
                Route("/token", self._token, methods=["POST"]),
                Route("/revocation", self._revocation, methods=["POST"]),
            ]
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
