"""Names are data: of files, jobs, labels, people; in headers, archives, lists and on the disk."""

import io
import re
import zipfile
from email.message import Message
from urllib.parse import unquote
from uuid import UUID

from app.db.jobs import find_own_job
from app.usecases.deps import Deps
from app.web.reading import is_text
from tests.adversarial.forms import fields, send
from tests.adversarial.wire import END, file
from tests.support.api import Answer, Api
from tests.support.jobs import Desk, complete, genotypes, stored_paths
from tests.support.people import Person

NAMES = [
    "../../../../etc/passwd.vcf.gz", "..\\..\\windows\\system32\\x.vcf.gz", "/etc/cron.d/x.vcf.gz", "C:\\x.vcf.gz", "....//....//x.vcf.gz",
    "%2e%2e%2fx.vcf.gz", "a\0b.vcf.gz", "a%0D%0ASet-Cookie: x=1.vcf.gz", "a%0aX-Evil: 1.vcf.gz", 'a".vcf.gz', 'a\\".vcf.gz', "a;b=c.vcf.gz",
    "a, b.vcf.gz", "a%22; filename=%22evil.exe", "🧬🧬🧬.vcf.gz", "\u202egz.fcv.exe", "e\u0301.vcf.gz", "\u200b\u200b", ".", "..", "...", " ",
    "CON", "con.vcf.gz", "-rf.vcf.gz", "--help", "$(touch x).vcf.gz", "`id`.vcf.gz", "a|b&c>d.vcf.gz", "~root.vcf.gz", "*.vcf.gz",
    "n" * 10_000 + ".vcf.gz", "é" * 5_000 + ".vcf.gz", ".vcf.gz", ".htaccess", "a" * 300, "\x7f\x1b[31mred.vcf.gz", "\uff41\uff0f\uff42.vcf.gz", "\ufeffx.vcf.gz",
    "=cmd|' /C calc'!A0.vcf.gz", "\udcff\udcfe.vcf.gz", "utf-8''%41.vcf.gz", "..%00.vcf.gz", "x.vcf.gz/", "x.vcf.gz\\", "\n",
]  # fmt: skip
TRAVELLING = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\.vcf\.gz")


def is_safe(name: str) -> bool:
    return (
        0 < len(name) <= 180
        and name.isprintable()
        and not re.search(r"[/\\\x00-\x1f\x7f\u202a-\u202e\u2066-\u2069]", name)
        and name not in (".", "..")
        and name == name.strip()
    )


def disposition(answer: Answer) -> str:
    """Read the name that a download would be saved under, as a browser does."""
    assert len(answer.headers.getall("Content-Disposition")) == 1
    header = answer.headers["Content-Disposition"]
    assert header.isascii()
    assert header.isprintable()
    message = Message()
    message["Content-Disposition"] = header
    assert message.get_content_disposition() == "attachment"
    extended = re.search(r"filename\*=UTF-8''([^;]+)", header)
    name = unquote(extended[1]) if extended else message.get_filename()
    assert name is not None
    return name


async def test_file_when_its_name_is_hostile_then_it_is_a_harmless_name_everywhere(
    base: str, client: Api, deps: Deps, alice: Person, desk: Desk
) -> None:
    for raw in NAMES:
        await check_file(base, client, deps, alice, desk, raw)
    assert all(re.fullmatch(r"[0-9a-f]{2}/[0-9a-f]{32}", item) for item in await stored_paths(deps))
    assert not (deps.settings.data_dir.parent / "x.vcf.gz").exists()


async def check_file(
    base: str, client: Api, deps: Deps, alice: Person, desk: Desk, raw: str
) -> None:
    body = fields(desk) + file(genotypes(), name=raw) + END
    answer = await send(base, alice, body)
    assert answer.status == 201, answer.body
    job = answer.json()
    shown = job["input_file_name"]
    assert is_safe(shown), repr(shown)
    assert is_safe(job["name"]), repr(job["name"])
    stored = await deps.pool.fetchval(
        "select name from job_files where job_id = $1", UUID(job["id"])
    )
    assert TRAVELLING.fullmatch(stored), stored

    got = await client.get(f"/files/{job['input_file_id']}/download", as_=alice)
    assert got.body == genotypes()
    saved = disposition(got)
    assert is_safe(saved), repr(saved)
    assert saved == shown or not shown.isascii() or '"' in shown or "\\" in shown
    assert not {"Set-Cookie", "X-Evil"} & set(got.headers)

    signed = await client.get(
        f"/files/{job['input_file_id']}/download", as_=alice, headers={"Accept": "application/json"}
    )
    path = signed.json()["download_url"].removeprefix("http://platform.test")
    assert path.isascii()
    assert path.count("/") == 4
    assert (await client.get(path)).body == genotypes()


async def test_job_when_its_name_is_hostile_then_the_archive_is_saved_under_a_harmless_one(
    base: str, client: Api, deps: Deps, alice: Person, desk: Desk
) -> None:
    for raw in NAMES:
        if len(raw) > 200 or not is_text(raw):
            continue  # refused, as is said elsewhere
        answer = await send(base, alice, fields(desk, name=raw) + file(genotypes()) + END)
        assert answer.status == 201, answer.body
        shown = answer.json()
        assert shown["name"].isprintable()
        assert shown["name"] == shown["name"].strip() != ""
        job = await find_own_job(deps.pool, UUID(shown["id"]), alice.id)
        assert job is not None
        await complete(deps, job, {"chr20.dose.vcf.gz": b"dosages"})
        got = await client.get(f"/jobs/{job.id}/results", as_=alice)
        assert is_safe(disposition(got)), disposition(got)
        with zipfile.ZipFile(io.BytesIO(got.body)) as archive:
            assert archive.namelist() == ["chr20.dose.vcf.gz"]


HOSTILE_TEXT = "a\r\nBcc: evil@example.org\u202e\x07<script>alert(1)</script>"


async def test_texts_when_hostile_then_they_become_one_harmless_line(
    client: Api, alice: Person, admin: Person, desk: Desk
) -> None:
    credential = {"service_id": desk.service.id, "api_token": "tok", "label": HOSTILE_TEXT}
    answers = [
        (await client.post("/users/me/service-credentials", as_=alice, json=credential), "label"),
        (await client.patch("/users/me", as_=alice, json={"full_name": HOSTILE_TEXT}), "full_name"),
        (
            await client.patch("/users/me", as_=alice, json={"institution": HOSTILE_TEXT}),
            "institution",
        ),
        (
            await client.patch(
                f"/services/{desk.service.id}", as_=admin, json={"name": HOSTILE_TEXT}
            ),
            "name",
        ),
        (
            await client.patch(
                f"/services/{desk.service.id}", as_=admin, json={"location": HOSTILE_TEXT}
            ),
            "location",
        ),
    ]
    for answer, field in answers:
        assert answer.status == 200, answer.text
        assert answer.json()[field] == "a Bcc: evil@example.org<script>alert(1)</script>", field
        assert answer.headers["Content-Type"] == "application/json"
