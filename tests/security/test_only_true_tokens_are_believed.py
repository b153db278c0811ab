"""OpenID Connect validation against a provider that signs whatever it is told to, attacks among it."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import AsyncIterator

import pytest
from cryptography.hazmat.primitives import serialization
from joserfc import jwk

from emco_common.access.fetching import JsonFetcher
from emco_common.access.issuers import FRESH, PAUSE, STALE, Authenticator, Issuer
from emco_common.access.tokens import Demands, Unauthenticated
from emco_common.errors import Unavailable
from tests.support.issuer import AUDIENCE, Provider, generated, provider

DEMANDS = Demands(AUDIENCE, "role", ("RS256", "ES256"), leeway=30)


class Clocks:
    """``away`` is how far the clock has been put on."""

    def __init__(self) -> None:
        self.on = 0.0

    def monotonic(self) -> float:
        return 1000.0 + self.on

    def now(self) -> float:
        return time.time() + self.on


@pytest.fixture
async def issuer() -> AsyncIterator[Provider]:
    async with provider() as made:
        yield made


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
async def believed(issuer: Provider, clocks: Clocks) -> AsyncIterator[Authenticator]:
    fetch = JsonFetcher()
    yield Authenticator([Issuer(issuer.url, fetch, clock=clocks.monotonic)], DEMANDS, now=clocks.now)
    await fetch.close()


async def test_a_good_token_says_who_and_what(issuer: Provider, believed: Authenticator) -> None:
    for key in issuer.keys:
        identity = await believed.identify(issuer.token("alpha:User", key=key))
        assert (identity.name, identity.subject, identity.issuer) == ("ada", "1234", issuer.url)
        assert identity.grants == ("alpha:User",)
    assert issuer.asked == 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"exp": 1_000_000_000}, "expired"),
        ({"exp": None}, "until when"),
        ({"exp": "never"}, "until when"),
        ({"nbf": 4_000_000_000}, "not hold yet"),
        ({"iat": 4_000_000_000}, "in the future"),
        ({"aud": "other"}, "audience"),
        ({"aud": ["other", "account"]}, "audience"),
        ({"aud": {"emco": True}}, "audience"),
        ({"aud": None}, "audience"),
        ({"iss": "https://elsewhere.example"}, "issuer"),
        ({"iss": None}, "issuer"),
        ({"sub": None}, "whose"),
    ],
)
async def test_a_token_that_does_not_hold_is_refused_with_the_reason(
    issuer: Provider, believed: Authenticator, changes: dict[str, object], reason: str
) -> None:
    with pytest.raises(Unauthenticated, match=reason):
        await believed.identify(issuer.token("Admin", **changes))


async def test_several_audiences_may_be_named(issuer: Provider, believed: Authenticator) -> None:
    assert (await believed.identify(issuer.token("Admin", aud=["account", AUDIENCE]))).grants == ("Admin",)


async def test_clocks_may_differ_a_little(issuer: Provider, believed: Authenticator) -> None:
    now = int(time.time())
    assert await believed.identify(issuer.token("Admin", exp=now - 20, nbf=now + 20))
    with pytest.raises(Unauthenticated):
        await believed.identify(issuer.token("Admin", exp=now - 40))


async def test_no_signature_is_no_signature(issuer: Provider, believed: Authenticator) -> None:
    for algorithm in ("none", "None", "NONE", "nOnE", ""):
        with pytest.raises(Unauthenticated):
            await believed.identify(issuer.forged("Admin", algorithm=algorithm))


async def test_the_public_key_is_no_shared_secret(issuer: Provider, believed: Authenticator) -> None:
    """Key confusion: HMAC with what the issuer publishes, in any form that it might be read in."""
    raw = issuer.keys[0].as_dict(private=False)
    key = issuer.keys[0].public_key
    pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    for secret in (pem, pem.strip(), json.dumps(raw).encode(), str(raw["n"]).encode()):
        with pytest.raises(Unauthenticated):
            await believed.identify(issuer.forged("Admin", algorithm="HS256", secret=secret))


async def test_keys_swapped_for_ones_of_the_caller_do_not_count(issuer: Provider, believed: Authenticator) -> None:
    own = generated("first")
    for header in ({}, {"jwk": own.as_dict(private=False)}, {"jku": "https://attacker.example/keys"}):
        with pytest.raises(Unauthenticated):
            await believed.identify(issuer.token("Admin", key=own, header=header))


async def test_another_kind_of_key_under_the_same_id_does_not_count(issuer: Provider, believed: Authenticator) -> None:
    with pytest.raises(Unauthenticated):
        await believed.identify(issuer.token("Admin", key=generated("first", "ES256")))


async def test_what_was_changed_after_signing_is_refused(issuer: Provider, believed: Authenticator) -> None:
    head, _, signature = issuer.token("alpha:Viewer").split(".")
    claims = base64.urlsafe_b64encode(json.dumps(issuer.claims("Admin")).encode()).rstrip(b"=").decode()
    for wrong in (f"{head}.{claims}.{signature}", f"{head}.{claims}.", f"{head}.{claims}"):
        with pytest.raises(Unauthenticated):
            await believed.identify(wrong)


@pytest.mark.parametrize(
    "text", ["", "a", "a.b.c", "a.b.c.d.e", "…", "e30.e30.", "." * 100, "x" * 20_000, "\x00.\x00.a"]
)
async def test_what_is_no_token_is_refused(believed: Authenticator, text: str) -> None:
    with pytest.raises(Unauthenticated):
        await believed.identify(text)


async def test_a_shared_secret_among_the_published_keys_is_left_alone(
    issuer: Provider, believed: Authenticator
) -> None:
    published = issuer.public()
    published["keys"].append({"kty": "oct", "kid": "first", "k": base64.urlsafe_b64encode(b"s" * 32).decode()})
    issuer.public = lambda: published  # type: ignore[method-assign]
    assert await believed.identify(issuer.token("Admin"))
    with pytest.raises(Unauthenticated):
        await believed.identify(issuer.forged("Admin", algorithm="HS256", secret=b"s" * 32))


async def test_new_keys_are_noticed_at_once_and_old_ones_forgotten(
    issuer: Provider, believed: Authenticator, clocks: Clocks
) -> None:
    old = issuer.token("Admin")
    assert await believed.identify(old)
    issuer.keys = [generated("second")]
    clocks.on += PAUSE + 1
    assert await believed.identify(issuer.token("Admin"))
    with pytest.raises(Unauthenticated):
        await believed.identify(old)


async def test_made_up_key_ids_do_not_make_us_ask_again_and_again(issuer: Provider, believed: Authenticator) -> None:
    assert await believed.identify(issuer.token("Admin"))
    stranger = generated("x")
    for number in range(20):
        with pytest.raises(Unauthenticated):
            await believed.identify(issuer.token("Admin", key=stranger, header={"kid": f"made-up-{number}"}))
    assert issuer.asked == 1


async def test_keys_are_believed_for_a_while_when_the_issuer_is_away(
    issuer: Provider, believed: Authenticator, clocks: Clocks
) -> None:
    far = int(time.time()) + 10 * int(STALE)
    token = issuer.token("Admin", exp=far)
    assert await believed.identify(token)
    issuer.away = True
    clocks.on += FRESH + 1
    assert await believed.identify(token)
    clocks.on += STALE
    with pytest.raises(Unavailable, match="cannot be asked for its keys"):
        await believed.identify(token)
    issuer.away = False
    clocks.on += PAUSE + 1
    assert await believed.identify(token)


async def test_an_issuer_that_calls_itself_something_else_is_not_believed(
    issuer: Provider, believed: Authenticator
) -> None:
    issuer.calls_itself = "https://other.example"
    with pytest.raises(Unavailable, match="calls itself"):
        await believed.identify(issuer.token("Admin"))


async def test_a_key_without_a_name_counts_where_it_is_the_only_one(issuer: Provider, believed: Authenticator) -> None:
    key = jwk.RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"})
    issuer.keys = [key]
    from joserfc import jwt

    token = jwt.encode({"alg": "RS256"}, issuer.claims("Admin"), key)
    assert await believed.identify(token)


async def test_keys_are_not_read_without_tls_from_elsewhere() -> None:
    with pytest.raises(Unavailable, match="without TLS"):
        await JsonFetcher()("http://192.0.2.1/keys")
