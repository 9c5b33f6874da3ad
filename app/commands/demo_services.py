"""The services and users of the demo: the sandbox twice, once in each language it speaks."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.commands.journey import Journey, JourneyError
from app.db import accounts
from app.lifespan import Platform
from app.sandbox.panels import DEFAULT_PANELS

USERNAME, PASSWORD = (
    "test_user",
    "test123",
)  # published on purpose: the demo listens on loopback only
_ADMIN = "demo_admin"
_WES_PATH = "/ga4gh/wes/v1"


@dataclass(frozen=True, slots=True)
class DemoService:
    """One way to the sandbox: `path` goes behind its address."""

    slug: str
    name: str
    path: str
    fields: Mapping[str, Any]


def _wes_config() -> dict[str, Any]:
    """The sandbox fetches the input by links; its workflow takes flat strings."""
    return {
        "workflow": {"url": "imputation.nf", "type": "NFL", "type_version": "DSL2"},
        "params": {
            "input": "{input_urls}",
            "panel": "{panel.value}",
            "build": "{build}",
            "phasing": "{phasing}",
            "population": "{population}",
            "job_id": "{job_id}",
        },
        "params_as_strings": True,
        "maps": {
            "build": {"hg19": "hg19"},
            "phasing": {"eagle": "eagle", "none": "no_phasing"},
        },
        "panels": {
            panel.id: {
                "value": panel.id,
                "name": panel.title,
                "populations": panel.populations or {},
                "builds": [panel.build],
            }
            for panel in DEFAULT_PANELS
        },
        "auth": {"kind": "bearer"},
    }


SERVICES = (
    DemoService(
        slug="sandbox",
        name="Sandbox",
        path="",
        fields={
            "description": "A local imputation server to try the platform with",
            "api_type": "michigan",
        },
    ),
    DemoService(
        slug="sandbox-wes",
        name="Sandbox (GA4GH WES)",
        path=_WES_PATH,
        fields={
            "description": "The same server by GA4GH WES: it fetches its input by signed links",
            "api_type": "ga4gh_wes",
            "api_config": _wes_config(),
        },
    ),
)


async def ensure_users(platform: Platform) -> None:
    """Make the two users, if they are missing. Nobody knows the administrator's password."""
    deps = platform.deps
    for username, role in ((USERNAME, "user"), (_ADMIN, "admin")):
        if await accounts.find_user_by_username(deps.pool, username) is None:
            password = PASSWORD if role == "user" else os.urandom(24).hex()
            new = accounts.NewUser(
                username=username,
                password_hash=await deps.passwords.hash(password),
                role=role,
                email=f"{username}@localhost",
            )
            async with deps.pool.acquire() as connection:
                await accounts.insert_user(connection, new)


async def ensure_services(
    journey: Journey, platform: Platform, account: dict[str, str]
) -> list[int]:
    """Add the sandbox's services, as an administrator would; a second run only tells their new addresses."""
    deps = platform.deps
    admin = await accounts.find_user_by_username(deps.pool, _ADMIN)
    if admin is None:
        raise JourneyError("the demo's administrator is missing")
    journey.token = deps.tokens.issue(admin.id, admin.username, admin.token_version, deps.now())
    known = {item["slug"]: item for item in await journey.call("GET", "/services")}
    ids = []
    for service in SERVICES:
        body: dict[str, Any] = {"base_url": account["url"] + service.path}
        if service.slug in known:
            service_id = int(known[service.slug]["id"])
            await journey.call("PATCH", f"/services/{service_id}", json=body)
        else:
            body |= {
                "slug": service.slug,
                "name": service.name,
                "location": "This machine",
                "credential_kind": "token",
                "allow_insecure": True,
                "max_remote_jobs": 3,
                "poll_interval_s": 2.0,
                **service.fields,
            }
            added = await journey.call("POST", "/services", expect=201, json=body)
            service_id = int(added["id"])
        await journey.store_credential(service_id, account["token"])
        await journey.call("POST", f"/services/{service_id}/reference-panels/sync")
        ids.append(service_id)
    return ids
