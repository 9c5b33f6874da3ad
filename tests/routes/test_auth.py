"""Signing in and out over HTTP."""

from tests.support.api import Api
from tests.support.people import PASSWORD, Person


async def test_login_when_password_fits_then_token_signs_in(client: Api, alice: Person) -> None:
    answer = await client.post(
        "/api/auth/login", json={"username": "alice", "password": PASSWORD}
    )

    assert answer.status == 200
    given = answer.json()
    assert given["token_type"] == "bearer"
    assert given["expires_in"] == 86_400
    assert given["user"]["username"] == "alice"
    token = given["access_token"]
    me = await client.get("/api/auth/me", headers={"Authorization": f"Bearer {token}"})
    assert me.status == 200
    assert me.json()["last_login"].endswith("Z")
