"""Requests made up from the description of the API: whatever is sent, nothing crashes, and answers are as described."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance

from app.core.models import Job, build
from app.routes.table import ENDPOINTS, openapi_document
from app.usecases.deps import Deps
from tests.fakes.cloudgene import FakeCloudgene
from tests.support.api import Api
from tests.support.jobs import complete, make_desk
from tests.support.notices import add_job
from tests.support.people import Person

EXAMPLES = 6
SKIPPED = {"text/event-stream"}
OPERATIONS = [item for item in ENDPOINTS if item.content not in SKIPPED]
SCHEMA = schemathesis.openapi.from_dict(msgspec.json.decode(openapi_document()))


@pytest.fixture
async def known(deps: Deps, admin: Person) -> AsyncIterator[dict[str, dict[str, object]]]:
    """What the paths of some operations can name that is there, by their beginning."""
    async with FakeCloudgene() as remote:
        desk = await make_desk(deps, admin, base_url=remote.url, allow_insecure=True)
        account = await deps.pool.fetchval(
            "insert into service_accounts (service_id, user_id) values ($1, $2) returning id",
            desk.service.id,
            admin.id,
        )
        job_id = await add_job(deps.pool, admin.id, (desk.service.id, account))
        row = await deps.pool.fetchrow("select * from imputation_jobs where id = $1", job_id)
        job = await complete(deps, build(Job, row))
        credential = await deps.pool.fetchval("select id from user_service_credentials")
        yield {
            "/services": {"service_id": desk.service.id, "panel_id": desk.panel.id},
            "/jobs": {"id": str(job.id)},
            "/files": {"id": job.results_file_id},
            "/users/me/service-credentials": {"id": credential},
        }


@pytest.mark.parametrize("name", [item.name for item in OPERATIONS])
async def test_api_when_sent_made_up_requests_then_nothing_crashes(
    client: Api, admin: Person, known: dict[str, dict[str, object]], name: str
) -> None:
    headers = client.headers(admin)
    operation = SCHEMA.find_operation_by_id(name)
    there = next((ids for path, ids in known.items() if operation.path.startswith(path)), {})

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(), is_there=st.booleans())
    def run(case: Any, is_there: bool) -> None:
        if is_there:
            kept = case.path_parameters or {}
            case.path_parameters = {**kept, **{key: there[key] for key in kept if key in there}}
        response = case.call(base_url=client.base, headers=headers, timeout=20)
        case.validate_response(response, checks=[not_a_server_error, response_schema_conformance])

    await asyncio.to_thread(run)
