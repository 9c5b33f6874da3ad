"""A believable story for those who look at every page: people, services in every state, credentials that end, jobs at every stage.

What can happen for real happened: uploads were read, jobs went through the engine to a sandbox and back. What would take days is
written as rows; those jobs have no next step, so the engine leaves them as they stand.
"""

import asyncio
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import msgspec

from app.commands.demo_services import SERVICES as DEMO_SERVICES
from app.core.jobs import Stage, Status
from tests.support.world import Sandbox, World

SETTINGS: dict[str, Any] = {"registration": "open", "health_interval_s": 3600.0}
"""Under which it is told: each service is looked at once, and then stays as the story says."""
TOKEN = "a-link-of-the-story"
HELD: dict[Stage, tuple[Status, int, str | None]] = {
    Stage.REMOTE_RUNNING: (Status.RUNNING, 46, None),
    Stage.DOWNLOADING: (Status.RUNNING, 93, None),
    Stage.REMOTE_QUEUE: (Status.QUEUED, 10, None),
    Stage.SUBMITTING: (Status.RUNNING, 6, None),
    Stage.WAITING_FOR_SLOT: (Status.QUEUED, 0, "Three of your jobs are there already; it is the second in line."),
    Stage.CREDENTIAL_NEEDED: (Status.QUEUED, 0, "The service no longer takes your token."),
    Stage.DECISION_NEEDED: (Status.RUNNING, 10, "The service has no list that could be searched for it."),
    Stage.SERVICE_UNAVAILABLE: (Status.QUEUED, 0, "The service is under maintenance: storage is being moved until tonight."),
    Stage.CONFIRMING_SUBMISSION: (Status.RUNNING, 10, "The answer was lost; the service's list is searched."),
    Stage.RESULTS_BLOCKED: (Status.RUNNING, 90, "The service lets nobody download at the moment."),
    Stage.REMOTE_DEAD: (Status.QUEUED, 38, "The service restarted; an administrator there has to start it again."),
    Stage.WAITING_TOO_LONG: (Status.QUEUED, 10, "It has waited for eight days."),
    Stage.CANCELLING: (Status.RUNNING, 61, None),
}  # fmt: skip
CLONE = "insert into imputation_jobs select (jsonb_populate_record(j, $2::jsonb)).* from imputation_jobs j where j.id = $1"
COPY_INPUT = (
    "insert into job_files (job_id, file_id, role, name, position)"
    " select $2, file_id, role, name, position from job_files where job_id = $1 and role = 'input'"
)


@dataclass(slots=True)
class Story:
    """What there is, by name. `jobs` has one for each stage, and `done`, `failed`, `cancelled`."""

    world: World
    jobs: dict[str, str] = field(default_factory=dict)
    services: dict[str, int] = field(default_factory=dict)
    batches: dict[str, str] = field(default_factory=dict)
    users: dict[str, int] = field(default_factory=dict)
    report_id: int = 0
    file_id: int = 0
    panel_id: int = 0
    credential_id: int = 0
    notification_id: int = 0

    @property
    def pool(self) -> Any:
        return self.world.platform.deps.pool

    async def job_ids(self, batch: str) -> list[str]:
        """Give the jobs of a batch."""
        rows = await self.pool.fetch(
            "select id from imputation_jobs where batch_id = $1 order by batch_position",
            self.batches[batch],
        )
        return [str(row["id"]) for row in rows]


async def tell(world: World, file: Path, *, engine: str = "instant", crowd: int = 30) -> Story:
    """Let it all have happened. `file` is what alice submits, `crowd` how many old jobs she has besides."""
    story = Story(world)
    await _people(story)
    near, far = await _services(story, engine)
    await _real_jobs(story, near, file)
    await _stages(story)
    await _crowd(story, crowd)
    await _credentials(story, far)
    await _health(story)
    await _rest(story, file)
    # What tests cannot wait for, and people would wonder at.
    await story.pool.execute("update services set poll_interval_s = 30")
    await story.pool.execute("analyze")
    return story


async def _people(story: Story) -> None:
    world, pool = story.world, story.pool
    await world.client("bongani.dube")
    await world.client("charlie.adeyemi")
    for name, full, place, country, active in (
        ("alice", "Alice Wanjiru", "Institute of Human Genetics, Nairobi", "Kenya", True),
        ("admin", "Amina Rossi", "Computing Centre", "Italy", True),
        ("bongani.dube", "Bongani Dube", "University of Cape Town", "South Africa", True),
        ("charlie.adeyemi", "Charlie Adeyemi", "", "Nigeria", False),
    ):
        story.users[name] = await pool.fetchval(
            "update users set full_name = $2, institution = nullif($3, ''), country = $4, is_active = $5,"
            " email_verified_at = now(), created_at = now() - interval '90 days', last_login_at = now() - interval '2 hours'"
            " where username = $1 returning id",
            name, full, place, country, active,
        )  # fmt: skip
    for purpose, user in (("password_reset", "alice"), ("email_confirm", "alice"), ("setup", None)):
        await pool.execute(
            "insert into one_time_tokens (user_id, purpose, token_hash, data, expires_at)"
            " values ($1, $2, $3, $4, now() + interval '1 hour')",
            story.users[user] if user else None, purpose,
            hashlib.sha256(f"{TOKEN}-{purpose}".encode()).digest(), {"email": "alice@example.org"},
        )  # fmt: skip
    await pool.execute(
        "update users set pending_email = 'alice@example.org' where username = 'alice'"
    )


async def _services(story: Story, engine: str) -> tuple[Sandbox, Sandbox]:
    world = story.world
    near, far = await world.sandbox(engine=engine), await world.sandbox()
    places: dict[str, dict[str, Any]] = {
        "near": {
            "name": "Pan-African Imputation Server", "slug": "pan-african", "country": "ZA", "city": "Cape Town",
            "institution": "Centre for Genomics", "latitude": -33.9, "longitude": 18.4, "max_remote_jobs": 3,
            "description": "Panels of African populations, for genotypes of all arrays. Results stay for seven days.",
        },
        "far": {
            "name": "Northern Imputation Server", "slug": "northern", "country": "DE", "city": "Leipzig",
            "description": "European and mixed panels.",
        },
    }  # fmt: skip
    for name, sandbox in (("near", near), ("far", far)):
        story.services[name], _ = await world.add_service(sandbox, **places[name])
    wes = DEMO_SERVICES[1]
    story.services["wes"], _ = await world.add_service(
        near,
        **{
            **wes.fields,
            "slug": "ilima-wes",
            "name": "Ilima Node (GA4GH WES)",
            "base_url": near.base + wes.path,
            "country": "ZA",
            "city": "Johannesburg",
        },
    )
    down = await world.admin.call(
        "POST",
        "/services",
        expect=201,
        json={
            "name": "Lakeside Imputation Server", "slug": "lakeside", "api_type": "michigan", "country": "US",
            "base_url": "http://127.0.0.1:9", "allow_insecure": True, "credential_kind": "token",
        },
    )  # fmt: skip
    story.services["down"] = int(down["id"])
    await world.admin.call(
        "POST",
        f"/services/{down['id']}/reference-panels",
        expect=201,
        json={"key": "apps@lakes@1.0", "name": "Great Lakes 1.0", "builds": ["hg38"]},
    )
    return near, far


async def submit_batch(world: World, file: Path, name: str, services: Iterable[int]) -> Any:
    """Submit one upload to the first panels of several services."""
    targets = []
    for service_id in services:
        panels = await world.alice.call("GET", f"/services/{service_id}/reference-panels")
        targets.append({"service_id": service_id, "reference_panel_id": panels[0]["id"]})
    form = aiohttp.FormData()
    form.add_field("name", name)
    form.add_field("build", "hg19")
    form.add_field("targets", msgspec.json.encode(targets).decode())
    form.add_field("input_file", file.read_bytes(), filename=file.name)
    return await world.alice.call("POST", "/jobs", data=form, expect=201)


async def _real_jobs(story: Story, near: Sandbox, file: Path) -> None:
    """What went the whole way: a batch at two services, and a failure with the service's own reason."""
    world = story.world
    batch = await submit_batch(
        world, file, "Nairobi cohort, chr20", (story.services["near"], story.services["wes"])
    )
    story.batches["done"] = batch["id"]
    await asyncio.gather(
        *(world.alice.until_end(job["id"], "completed", limit_s=240) for job in batch["jobs"])
    )
    story.jobs["done"] = batch["jobs"][0]["id"]
    panels = await world.alice.call("GET", f"/services/{story.services['near']}/reference-panels")
    near.set_faults(job_error="strand_flips")
    failed = await world.alice.submit(
        story.services["near"], panels[0]["id"], file, name="Kisumu pilot, chr20"
    )
    await world.alice.until_end(failed["id"], "failed", limit_s=60)
    near.set_faults()
    story.jobs["failed"] = failed["id"]
    for back_h, job_id in (
        (3, batch["jobs"][0]["id"]),
        (3, batch["jobs"][1]["id"]),
        (26, failed["id"]),
    ):
        await _stretch(story, job_id, back_h)
    story.report_id = (
        await story.pool.fetchval(
            "select f.id from job_files j join files f on f.id = j.file_id"
            " where j.job_id = $1 and f.content_type like 'text/html%' limit 1",
            story.jobs["done"],
        )
        or 0
    )


async def _stretch(story: Story, job_id: str, back_h: int) -> None:
    """Let what took seconds have taken an hour, some time ago."""
    ended: datetime = await story.pool.fetchval(
        "select completed_at from imputation_jobs where id = $1", job_id
    )
    begun: datetime = await story.pool.fetchval(
        "select created_at from imputation_jobs where id = $1", job_id
    )
    factor = 4000 / max(0.1, (ended - begun).total_seconds())
    moved = "$2::timestamptz - ($2::timestamptz - {0}) * $3 - make_interval(hours => $4)"
    columns = ("created_at", "started_at", "submitted_at", "completed_at")
    sets = ", ".join(f"{name} = {moved.format(name)}" for name in columns)
    given = (job_id, ended, factor, back_h)
    await story.pool.execute(f"update imputation_jobs set {sets} where id = $1", *given)
    await story.pool.execute(
        f"update job_status_updates set timestamp = {moved.format('timestamp')} where job_id = $1",
        *given,
    )


async def _clone(story: Story, name: str, changes: dict[str, Any], told: list[str]) -> str:
    """Add a job like the one that is done, which stands as `changes` say."""
    job_id = str(uuid4())
    begun = datetime.now(UTC) - timedelta(hours=1, minutes=13 * len(story.jobs))
    values = {
        "id": job_id, "name": name, "remote_name": f"fi-{job_id}", "batch_id": None, "batch_position": None,
        "next_action": None, "next_action_at": None, "results_file_id": None, "completed_at": None, "outcome": None,
        "results_expire_at": None, "created_at": begun.isoformat(),
        "started_at": (begun + timedelta(minutes=14)).isoformat(), "submitted_at": (begun + timedelta(minutes=21)).isoformat(),
        **changes,
    }  # fmt: skip
    await story.pool.execute(CLONE, story.jobs["done"], values)
    await story.pool.execute(COPY_INPUT, story.jobs["done"], job_id)
    words = ["Job created", "Job queued for processing", *told]
    for place, message in enumerate(words):
        is_last = place == len(words) - 1
        await story.pool.execute(
            "insert into job_status_updates (job_id, user_id, status, stage, progress_percentage, message, timestamp)"
            " values ($1, $2, $3, $4, $5, $6, $7)",
            job_id, story.users["alice"], values["status"] if is_last else "queued", values.get("stage") if is_last else None,
            values["progress_percentage"] if is_last else min(place * 5, 10), message,
            begun + timedelta(minutes=7 * place),
        )  # fmt: skip
    return job_id


async def _stages(story: Story) -> None:
    for number, (stage, (status, progress, reason)) in enumerate(HELD.items(), start=1):
        told = (
            [] if progress == 0 else ["Job processing started", "Job submitted to external service"]
        )
        changes: dict[str, Any] = {
            "status": status, "stage": stage, "progress_percentage": progress, "hold_reason": reason,
            "queue_position": 4 if stage is Stage.REMOTE_QUEUE else None,
            "remote_step": "Imputation, chunk 6 of 13" if stage is Stage.REMOTE_RUNNING else None,
            "external_job_id": f"job-20261128-{number:06}" if progress >= 10 else None,
        }  # fmt: skip
        if stage is Stage.SERVICE_UNAVAILABLE:
            changes["service_id"] = story.services["far"]
        message = reason or (
            f"Job in progress: {changes['remote_step']}" if changes["remote_step"] else ""
        )
        story.jobs[stage] = await _clone(
            story,
            f"Mombasa array {number}, chr{number}",
            changes,
            [*told, message or "Job in progress"],
        )
    ended = {"stage": None, "hold_reason": None, "completed_at": datetime.now(UTC).isoformat()}
    story.jobs["cancelled"] = await _clone(
        story, "Wrong file", {**ended, "status": "cancelled", "progress_percentage": 12}, ["Job cancelled"]
    )  # fmt: skip
    story.batches["open"] = str(
        await story.pool.fetchval(
            "insert into batches (user_id, name, description) values ($1, 'Coast cohort', 'Two panels to compare') returning id",
            story.users["alice"],
        )
    )
    for place, name in enumerate((Stage.REMOTE_RUNNING, Stage.REMOTE_QUEUE)):
        await story.pool.execute(
            "update imputation_jobs set batch_id = $2, batch_position = $3 where id = $1",
            story.jobs[name], story.batches["open"], place,
        )  # fmt: skip


async def _crowd(story: Story, count: int) -> None:
    """Older jobs, so that lists have pages."""
    await story.pool.execute(
        "insert into imputation_jobs select (jsonb_populate_record(j, jsonb_build_object('id', gen_random_uuid(),"
        " 'remote_name', 'crowd-' || n, 'name', 'Archive ' || n, 'batch_id', null, 'batch_position', null,"
        " 'created_at', now() - n * interval '2 days', 'results_file_id', null,"
        " 'completed_at', now() - n * interval '2 days' + interval '3 hours'))).*"
        " from imputation_jobs j, generate_series(1, $2::int) n where j.id = $1",
        story.jobs["done"],
        count,
    )


async def _credentials(story: Story, far: Sandbox) -> None:
    """One verified, one that ends soon, one that the service refuses."""
    pool, alice = story.pool, story.users["alice"]
    await pool.execute(
        "update user_service_credentials c set is_verified = s.slug <> 'northern', label = 'My account',"
        " verified_at = case when s.slug <> 'northern' then now() - interval '6 hours' end,"
        " account_name = case when s.slug <> 'northern' then 'a.wanjiru' end,"
        " rejected_at = case when s.slug = 'northern' then now() - interval '1 hour' end,"
        " expires_at = now() + case s.slug when 'ilima-wes' then interval '4 days' else interval '27 days' end"
        " from services s where s.id = c.service_id and c.user_id = $1",
        alice,
    )
    story.panel_id = await pool.fetchval(
        "select id from reference_panels where service_id = $1 order by id limit 1",
        story.services["near"],
    )
    story.credential_id = await pool.fetchval(
        "select id from user_service_credentials where user_id = $1 and service_id = $2",
        alice,
        story.services["near"],
    )
    far.set_faults(maintenance=True)


async def _health(story: Story) -> None:
    pool = story.pool
    for name, since_h, state in (("near", 0, "up"), ("wes", 0, "up"), ("far", 3, "maintenance"), ("down", 5, "down")):  # fmt: skip
        await pool.execute(
            "insert into service_health (service_id, checked_at, state, latency_ms)"
            " select $1, now() - n * interval '10 minutes', case when n < $2 * 6 then $3 when n between 140 and 144 then 'down' else 'up' end,"
            " case when n < $2 * 6 then null else 60 + 40 * sin(n / 9.0) + n % 7 * 5 end from generate_series(1, 420) n",
            story.services[name], since_h, state,
        )  # fmt: skip
        await pool.execute(
            "update services set health = $2, health_checked_at = now() - interval '2 minutes', latency_ms = case when $2 = 'up' then 84 end,"
            " health_message = case $2 when 'maintenance' then 'Storage is being moved until tonight' when 'down' then 'No answer within 10 seconds' end"
            " where id = $1",
            story.services[name], state,
        )  # fmt: skip


async def _rest(story: Story, file: Path) -> None:
    """A stored file, and notices of which some were read."""
    form = aiohttp.FormData()
    form.add_field("file", file.read_bytes(), filename="stored_" + file.name)
    uploaded = await story.world.alice.call("POST", "/files/upload", data=form, expect=201)
    story.file_id = int(uploaded["id"])
    await story.pool.execute(
        "update notifications set is_read = true where user_id = $1 and id % 2 = 0",
        story.users["alice"],
    )
    story.notification_id = await story.pool.fetchval(
        "select id from notifications where user_id = $1 and not is_read order by id desc limit 1",
        story.users["alice"],
    )
