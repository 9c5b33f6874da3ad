"""Forged, mangled and ended sign-ins, over the wire, at routes of each kind."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from app.usecases.deps import Deps
from tests.adversarial.refusals import leaves_nothing, refused
from tests.adversarial.wire import connect, head
from tests.support.api import Api
from tests.support.jobs import Desk, job_form
from tests.support.people import PASSWORD, Person

ROUTES = ("/users/me", "/api/jobs", "/files", "/services/1/health", "/audit")


def claims(person: Person, **changes: object) -> dict[str, Any]:
    good = jwt.decode(person.token, options={"verify_signature": False})
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def encoded(part: object) -> str:
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def signed(header: dict[str, Any], body: object, key: bytes) -> str:
    """Sign with HMAC-SHA256 whatever the header says."""
    text = f"{encoded(header)}.{encoded(body)}"
    return f"{text}.{encoded(hmac.new(key, text.encode(), hashlib.sha256).digest())}"


def _public_pem() -> bytes:
    key = rsa.generate_private_key(65537, 2048).public_key()
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def forged(person: Person, secret: str) -> Iterator[tuple[str, str]]:
    """Give tokens that are not ours, by what is wrong with them."""
    good, key = claims(person), secret.encode()
    body = person.token.split(".")[1]
    name: Any
    for name in ("none", "None", "NONE", "nOnE", ""):
        yield f"algorithm {name!r}, no signature", f"{encoded({'alg': name, 'typ': 'JWT'})}.{body}."
        yield f"algorithm {name!r}, our signature", signed({"alg": name}, good, key)
    for name in ("HS384", "HS512", "RS256", "ES256", "PS256", "EdDSA", "HS1", ["HS256"], None, 5):
        yield f"algorithm {name!r} signed as HS256", signed({"alg": name}, good, key)
    yield "HS512 in truth", jwt.encode(good, secret * 2, algorithm="HS512")
    yield "HS512 with our key", _quietly(good, secret, "HS512")
    yield "RS256", jwt.encode(good, rsa.generate_private_key(65537, 2048), algorithm="RS256")
    yield "ES256", jwt.encode(good, ec.generate_private_key(ec.SECP256R1()), algorithm="ES256")
    yield "HMAC with a public key", signed({"alg": "HS256"}, good, _public_pem())
    yield "HMAC with an empty key", signed({"alg": "HS256"}, good, b"")
    yield (
        "key in the header",
        signed({"alg": "HS256", "jwk": {"kty": "oct", "k": "eA"}}, good, b"x"),
    )
    yield "key id that is a path", signed({"alg": "HS256", "kid": "/dev/null"}, good, b"")
    yield "critical extension", signed({"alg": "HS256", "crit": ["x"], "x": 1}, good, key)
    yield "detached content", signed({"alg": "HS256", "b64": False, "crit": ["b64"]}, good, key)
    yield (
        "another's body",
        f"{person.token.split('.')[0]}.{encoded(claims(person, user_id=1))}.{person.token.split('.')[2]}",
    )
    yield "not yet", signed({"alg": "HS256"}, claims(person, nbf=time.time() + 1000), key)
    yield "from the future", signed({"alg": "HS256"}, claims(person, iat=time.time() + 1000), key)
    yield "for somebody else", signed({"alg": "HS256"}, claims(person, aud="other"), key)
    yield "end in words", signed({"alg": "HS256"}, claims(person, exp="never"), key)
    yield "infinite end", signed({"alg": "HS256"}, claims(person, exp=float("inf")), key)
    yield "user in words", signed({"alg": "HS256"}, claims(person, user_id=str(person.id)), key)
    yield "user as a fraction", signed({"alg": "HS256"}, claims(person, user_id=1.0), key)
    yield "user 0", signed({"alg": "HS256"}, claims(person, user_id=0), key)
    yield "body is a list", signed({"alg": "HS256"}, [good], key)
    yield "body is nothing", signed({"alg": "HS256"}, b"", key)
    yield "deep body", signed({"alg": "HS256"}, b"[" * 2000, key)
    yield "header is a number", f"{encoded(5)}.{body}.{person.token.split('.')[2]}"
    yield "header is no text", f"{encoded(bytes([255]) * 9)}.{body}.x"
    for name, text in (
        ("dots", "." * 500), ("two dots", ".."), ("one part", "x"), ("four parts", person.token + ".x"),
        ("quoted", f'"{person.token}"'), ("spaced", person.token[:50] + " " + person.token[50:]),
        ("8 kB", "x" * 7000), ("percent", person.token.replace(".", "%2e")),
    ):  # fmt: skip
        yield name, text


def _quietly(body: dict[str, Any], secret: str, algorithm: str) -> str:
    key = secret.encode()
    text = f"{encoded({'alg': algorithm, 'typ': 'JWT'})}.{encoded(body)}"
    return f"{text}.{encoded(hmac.new(key, text.encode(), hashlib.sha512).digest())}"


async def test_token_when_forged_then_is_refused_and_never_repeated(
    client: Api, deps: Deps, admin: Person, alice: Person
) -> None:
    async with leaves_nothing(deps):
        for number, (what, token) in enumerate(forged(alice, deps.settings.jwt_secret)):
            path = ROUTES[number % len(ROUTES)]
            answer = await client.get(path, headers={"Authorization": f"Bearer {token}"})
            told = refused(answer, 401, "invalid_token", about=what)
            assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"', what
            assert len(token) < 10 or token not in answer.text, what
            assert "/api/auth/login" in told["action"]


async def test_token_when_good_then_the_same_making_is_taken(
    client: Api, deps: Deps, alice: Person
) -> None:
    token = signed({"alg": "HS256"}, claims(alice), deps.settings.jwt_secret.encode())
    answer = await client.get("/users/me", headers={"Authorization": f"Bearer {token}"})
    assert answer.json()["username"] == "alice"


NO_TEXT = (b"\xff\xfe\xfd", b"\xc3\xa4", b"a\xf0\x9f\xa7\xacb.c.d", b"\xed\xa0\x80.x.y", b"a\x7fb")


async def test_token_when_its_bytes_are_no_token_then_401_or_malformed(
    base: str, deps: Deps
) -> None:
    for raw, path in product(NO_TEXT, ("/users/me", "/metrics")):
        start = head("GET", path)[:-2]
        async with connect(base) as wire:
            await wire.send(start + b"Authorization: Bearer " + raw + b"\r\n\r\n")
            answer = await wire.answer()
        # Bytes that no header may hold end the connection; metrics are this machine's to read anyway.
        assert answer.status in (400, 200 if path == "/metrics" else 401), answer
        assert raw not in answer.body


async def test_token_when_sent_twice_then_a_good_second_one_does_not_count(
    base: str, alice: Person
) -> None:
    async with connect(base) as wire:
        lines = f"Authorization: Bearer x\r\nAuthorization: Bearer {alice.token}\r\n\r\n"
        await wire.send(head("GET", "/users/me")[:-2] + lines.encode())
        refused(await wire.answer(), 401, "invalid_token")


async def sign_out(client: Api, person: Person) -> None:
    assert (await client.post("/api/auth/logout", as_=person)).status == 200


async def change_password(client: Api, person: Person) -> None:
    body = {"current_password": PASSWORD, "new_password": "another horse 8"}
    assert (await client.post("/api/auth/password", as_=person, json=body)).status == 200


async def disable(client: Api, person: Person) -> None:
    """There is no route for it: administrators do it by a command, which writes this."""


ENDS: dict[str, Callable[[Api, Person], Any]] = {
    "signed out": sign_out,
    "password changed": change_password,
    "disabled": disable,
}


@pytest.mark.parametrize("how", ENDS)
async def test_token_when_the_sign_in_has_ended_then_nothing_works_any_longer(
    client: Api, deps: Deps, alice: Person, desk: Desk, how: str
) -> None:
    await ENDS[how](client, alice)
    if how == "disabled":
        await deps.pool.execute("update users set is_active = false where id = $1", alice.id)
    async with leaves_nothing(deps):
        for path in ROUTES:
            refused(await client.get(path, as_=alice), 401, "token_revoked", about=path)
        answer = await client.post("/jobs", as_=alice, data=job_form(desk))
        refused(answer, 401, "token_revoked")
        answer = await client.post("/api/auth/logout", as_=alice)
        refused(answer, 401, "token_revoked")
    if how == "disabled":
        body = {"username": "alice", "password": PASSWORD}
        refused(await client.post("/api/auth/login", json=body), 401, "invalid_credentials")


async def test_token_when_expired_then_says_so_on_every_kind_of_route(
    client: Api, deps: Deps, alice: Person, desk: Desk
) -> None:
    key = deps.settings.jwt_secret.encode()
    late = signed({"alg": "HS256"}, claims(alice, exp=int(time.time()) - 1), key)
    headers = {"Authorization": f"Bearer {late}"}
    async with leaves_nothing(deps):
        for path in ROUTES:
            refused(await client.get(path, headers=headers), 401, "token_expired")
        answer = await client.post("/jobs", headers=headers, data=job_form(desk))
        refused(answer, 401, "token_expired")
