"""What is refused before the file is read: a missing credential, and every field that cannot be right."""

import asyncio
import os
import shutil
import time
from pathlib import Path

import msgspec
import pytest

from app.usecases.deps import Deps
from tests.adversarial.conftest import MIB
from tests.adversarial.forms import fields, start
from tests.adversarial.refusals import leaves_nothing, refused
from tests.adversarial.wire import END, connect, file
from tests.support.jobs import genotypes, make_desk
from tests.support.people import Person

# The missing credential


@pytest.mark.parametrize("begun", [b"", b"\x1f\x8b"], ids=["not a byte", "two bytes"])
async def test_no_credential_when_the_file_has_not_been_sent_then_the_exact_answer_is_there(
    base: str, deps: Deps, alice: Person, begun: bytes
) -> None:
    desk = await make_desk(deps, None, name="H3Africa Imputation Service")
    body = fields(desk) + file(begun)[:-2]
    async with leaves_nothing(deps), connect(base) as wire:
        await wire.send(start(alice, len(body) + 50 * MIB) + body)
        # Well before the upload counts as stalled.
        told = refused(await wire.answer(limit_s=0.9), 400, "no_credentials")
    assert {name: told[name] for name in ("error", "message", "action", "service_id")} == {
        "error": "no_credentials",
        "message": "You must configure your H3Africa Imputation Service API credentials before submitting jobs",
        "action": "Go to Settings → Service Credentials",
        "service_id": desk.service.id,
    }


WRONG_FIELDS: dict[str, tuple[dict[str, str], int, str, str]] = {
    "an unknown service": ({"service_id": "999"}, 404, "service_not_found", "GET /services"),
    "a panel of another service": (
        {"reference_panel_id": "OTHER"},
        400,
        "unknown_panel",
        "its panels",
    ),
    "an unknown panel": ({"reference_panel_id": "999"}, 400, "unknown_panel", "its panels"),
    "an unknown build": ({"build": "hg17"}, 400, "unknown_build", "hg19, hg38"),
    "a build not taken": ({"build": "hg38"}, 400, "unknown_build", "hg19"),
    "an unknown population": ({"population": "martian"}, 400, "unknown_population", "eur, mixed"),
    "an unknown phasing": ({"phasing": "shapeit9"}, 400, "unknown_phasing", "eagle"),
    "an unknown option": ({"options": '{"martian": 1}'}, 400, "unknown_option", "r2Filter"),
    "an unknown value of an option": (
        {"options": '{"r2Filter": "7"}'},
        400,
        "unknown_option",
        "0.3",
    ),
    "an unknown mode": ({"options": '{"mode": "martian"}'}, 400, "unknown_option", "imputation"),
    "an unknown format": ({"input_format": "plink"}, 400, "unknown_format", "plink2"),
    "options that are no JSON": ({"options": "{r2: 1}"}, 400, "invalid_options", "r2Filter"),
    "infinite options": ({"options": '{"r2Filter": 1e999}'}, 400, "invalid_options", "r2Filter"),
    "a service in words": ({"service_id": "michigan"}, 400, "invalid_field", "GET /services"),
    "a service beyond 64 bits": ({"service_id": "9" * 30}, 400, "invalid_field", "GET /services"),
    "a negative panel": ({"reference_panel_id": "-1"}, 400, "invalid_field", "panels"),
    "a long name": ({"name": "x" * 300}, 400, "invalid_field", "shorter"),
    "a long description": ({"description": "x" * 20_000}, 400, "invalid_field", "shorter"),
}
LIVE_FORM = {
    "phasings": ["eagle", "no_phasing"],
    "modes": ["imputation", "qc_only"],
    "options": [{"id": "r2Filter", "kind": "choice", "choices": [{"key": "0"}, {"key": "0.3"}]}],
}


@pytest.mark.parametrize("order", ["before the file", "after the file"])
async def test_field_when_it_cannot_be_right_then_says_what_can_be_as_early_as_it_is_known(
    base: str, deps: Deps, alice: Person, order: str
) -> None:
    desk = await make_desk(deps, alice, live_form=LIVE_FORM, supported_builds=["hg19"])
    other = await make_desk(deps, alice)
    for what, (wrong, status, code, way_out) in WRONG_FIELDS.items():
        values = {
            name: value.replace("OTHER", str(other.panel.id)) for name, value in wrong.items()
        }
        async with leaves_nothing(deps), connect(base) as wire:
            if order == "before the file":  # of which not a byte is sent
                body = fields(desk, **values) + file(b"")[:-2]
                await wire.send(start(alice, len(body) + 50 * MIB) + body)
            else:
                body = file(genotypes()) + fields(desk, **values) + END
                await wire.send(start(alice, len(body)) + body)
            told = refused(await wire.answer(limit_s=0.9), status, code, about=what)
        assert way_out in told["action"], (what, told["action"])
        assert "martian" not in str(told)
        assert "x" * 100 not in str(told)


needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


@needs_curl
@pytest.mark.parametrize("expect", ["Expect: 100-continue", "Expect:"])
@pytest.mark.parametrize("pace", [(), ("--limit-rate", "2M")], ids=["fast", "slow"])
async def test_no_credential_when_curl_sends_50_megabytes_then_it_shows_the_answer(
    base: str, deps: Deps, alice: Person, tmp_path: Path, expect: str, pace: tuple[str, ...]
) -> None:
    desk = await make_desk(deps, None)
    large = tmp_path / "large.vcf.gz"
    large.write_bytes(genotypes())
    os.truncate(large, 50 * MIB)
    began = time.monotonic()
    async with leaves_nothing(deps):
        process = await asyncio.create_subprocess_exec(
            *("curl", "-sS", "-m", "20", "-H", f"Authorization: Bearer {alice.token}", *pace),
            *("-H", expect, "-w", "\n%{http_code}", "-F", f"service_id={desk.service.id}"),
            *("-F", f"reference_panel_id={desk.panel.id}", "-F", f"input_file=@{large}"),
            f"{base}/jobs",
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    body, _, status = out.rpartition(b"\n")
    assert (status, msgspec.json.decode(body)["code"]) == (b"400", "no_credentials")
    if pace:
        assert time.monotonic() - began < 15, "at this pace, all of it would take 25 seconds"
