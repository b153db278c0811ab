"""What a bearer token must be to be believed: signed by a key of its issuer, meant for us, and of this hour. Pure.

The signature is joserfc's affair; which algorithms, keys and claims are accepted is decided here, and never by what the
token says of itself (RFC 8725).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from joserfc import jwk, jws
from joserfc.errors import ExpiredTokenError, JoseError
from joserfc.jwt import JWTClaimsRegistry

from emco_common.access.roles import claimed
from emco_common.errors import EmcoError

Json = Mapping[str, Any]
LONGEST = 16 << 10
"""Bytes of a token; Keycloak's are one or two thousand."""
KINDS = {"RS": "RSA", "PS": "RSA", "ES": "EC"}
"""The kind of key that goes with an algorithm, by its first two letters. Shared secrets and ``none`` are not here."""
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
_SMALLEST_RSA = 2048


class Unauthenticated(EmcoError):
    """Who asks did not prove who they are. The text says why, and nothing of what the token holds."""

    status: ClassVar[int] = 401


class NoSuchKey(Unauthenticated):
    """The issuer's keys, as we know them, have none that the token could be signed with."""


class _Registry(jws.JWSRegistry):
    max_header_length = 4096
    """Bytes; some issuers put a certificate in."""


@dataclass(frozen=True, slots=True)
class Demands:
    """What is demanded of every token; ``leeway`` in seconds, for clocks that differ."""

    audience: str
    claim: str
    algorithms: Sequence[str]
    leeway: int = 30


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks. ``name`` is for people and logs; ``issuer`` and ``subject`` together are who it is."""

    issuer: str
    subject: str
    name: str
    grants: tuple[str, ...]
    expires: float
    """Seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Presented:
    """A token taken apart, nothing of it believed yet."""

    text: str
    algorithm: str
    kid: str
    issuer: str


def taken_apart(text: str, demands: Demands) -> Presented:
    """Raises ``Unauthenticated`` for what is no signed token, or is signed in a way that is not accepted."""
    if len(text) > LONGEST:
        raise Unauthenticated(f"The token is longer than {LONGEST} bytes")
    try:
        parts = jws.extract_compact(text.encode(), registry=_Registry())
        header, claims = parts.headers(), json.loads(parts.payload or b"")
    except (JoseError, ValueError, RecursionError) as error:
        raise Unauthenticated("The token is no signed JSON Web Token") from error
    algorithm, kid = header.get("alg"), header.get("kid", "")
    if algorithm not in demands.algorithms or algorithm not in ALGORITHMS:
        raise Unauthenticated("The token is signed with an algorithm that is not accepted here")
    if not isinstance(claims, dict) or not isinstance(kid, str) or "crit" in header:
        raise Unauthenticated("The token is no JSON Web Token that is understood here")
    issuer = claims.get("iss")
    return Presented(text, str(algorithm), kid, issuer if isinstance(issuer, str) else "")


def usable_keys(document: Json) -> list[jwk.Key]:
    """The keys of a JSON Web Key Set that verify signatures; those of another purpose or kind are left out."""
    found: list[jwk.Key] = []
    for entry in document.get("keys") or ():
        if not isinstance(entry, dict) or entry.get("use", "sig") != "sig" or entry.get("kty") not in KINDS.values():
            continue
        try:
            key = jwk.import_key({name: value for name, value in entry.items() if name not in _PRIVATE})
        except (JoseError, ValueError, TypeError, KeyError):
            continue
        if not isinstance(key, jwk.RSAKey) or key.public_key.key_size >= _SMALLEST_RSA:
            found.append(key)
    return found


_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


def chosen_key(presented: Presented, keys: Iterable[jwk.Key]) -> jwk.Key:
    """The one key that the token names, or the only one that fits. Raises ``NoSuchKey``."""
    kind = KINDS[presented.algorithm[:2]]
    fit = [
        key
        for key in keys
        if key.key_type == kind
        and key.get("alg", presented.algorithm) == presented.algorithm
        and (not presented.kid or key.kid == presented.kid)
    ]
    if len(fit) != 1:
        raise NoSuchKey("The token is signed with a key that its issuer does not have")
    return fit[0]


def verified(presented: Presented, key: jwk.Key, demands: Demands, *, issuer: str, now: float) -> Identity:
    """Who the token is for. Raises ``Unauthenticated``, with what is wrong in words."""
    registry = _Registry(algorithms=[presented.algorithm], strict_check_header=False)
    try:
        signed = jws.deserialize_compact(presented.text, key, registry=registry)
        claims = json.loads(signed.payload or b"")
        _expectations(demands, issuer=issuer, now=now).validate(claims)
    except ExpiredTokenError as error:
        raise Unauthenticated("The token has expired; log in again") from error
    except (JoseError, ValueError, TypeError) as error:
        raise Unauthenticated(_REASONS.get(_claim_of(error), "The token's signature does not hold")) from error
    return Identity(
        issuer,
        str(claims["sub"]),
        str(claims.get("preferred_username") or claims.get("email") or claims["sub"]),
        claimed(claims, demands.claim),
        float(claims["exp"]),
    )


def _expectations(demands: Demands, *, issuer: str, now: float) -> JWTClaimsRegistry:
    return JWTClaimsRegistry(
        now=int(now),
        leeway=demands.leeway,
        iss={"essential": True, "value": issuer},
        aud={"essential": True, "value": demands.audience},
        exp={"essential": True},
        sub={"essential": True},
    )


def _claim_of(error: Exception) -> str:
    return str(getattr(error, "claim", "") or "").partition(",")[0]


_REASONS = {
    "iss": "The token is of another issuer",
    "aud": "The token is not meant for EMCO: its audience is another",
    "exp": "The token does not say until when it holds",
    "nbf": "The token does not hold yet",
    "iat": "The token was issued in the future",
    "sub": "The token does not say whose it is",
}
