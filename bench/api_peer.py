"""What the API is compared with: FastAPI and asyncpg, tuned, for the same question over the same table. It needs the bench venv.

A bearer token (HS256) that is verified with each request, one query, orjson, an async dependency, no response model, no log;
uvicorn with uvloop and httptools; as many connections to the database as there are clients. It does not ask whether the token
was revoked, counts and limits nothing, and leaves out the job's input files.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any
from uuid import UUID

import asyncpg
import jwt
import orjson
from fastapi import Depends, FastAPI, Header, HTTPException, Response

SECRET = os.environ["PEER_SECRET"]
CONNECTIONS = 32
_COLUMNS = (
    "id, user_id, name, description, status, stage, hold_reason, progress_percentage, service_id, reference_panel_id, panel_key,"
    " panel_name, panel_version, input_format, build, phasing, phasing_engine, population, input_file_id, results_file_id,"
    " external_job_id, error_code, error_message, error_action, queue_position, retry_of, batch_id, created_at, updated_at,"
    " started_at, completed_at"
)
_QUERY = f"select {_COLUMNS} from imputation_jobs where id = $1 and user_id = $2"  # noqa: S608 - constants


@asynccontextmanager
async def _open(app: FastAPI) -> AsyncIterator[None]:
    async with asyncpg.create_pool(
        os.environ["PEER_DATABASE"], min_size=CONNECTIONS, max_size=CONNECTIONS
    ) as pool:
        app.state.pool = pool
        yield


app = FastAPI(lifespan=_open)


async def _read_user(authorization: Annotated[str, Header()] = "") -> int:
    try:
        claims = jwt.decode(authorization.removeprefix("Bearer "), SECRET, algorithms=["HS256"])
    except jwt.PyJWTError:
        raise HTTPException(401) from None
    return int(claims["user_id"])


@app.get("/jobs/{job_id}")
async def get_job(job_id: UUID, user_id: Annotated[int, Depends(_read_user)]) -> Any:
    """Give a job of the user's."""
    row = await app.state.pool.fetchrow(_QUERY, job_id, user_id)
    if row is None:
        raise HTTPException(404)
    return Response(orjson.dumps(dict(row), default=str), media_type="application/json")
