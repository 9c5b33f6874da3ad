"""`demo`: the platform and the sandbox together, one upload to two services from sign-in to verified results, then it keeps serving."""

import argparse
import asyncio
import ipaddress
import tempfile
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from aiohttp import web

from app.commands.demo_services import (
    PASSWORD,
    SERVICES,
    USERNAME,
    ensure_services,
    ensure_users,
)
from app.commands.journey import Journey, JourneyError, fail, size_text
from app.commands.listening import start_web
from app.commands.serve import stop_event
from app.commands.testdata import example_paths
from app.genotypes.accuracy import MafBin, r2_by_maf
from app.genotypes.testdata import make_masked, write_test_files
from app.lifespan import Platform, open_platform
from app.logs import configure_logging
from app.sandbox.config import SandboxConfig, SandboxUser
from app.sandbox.reference import find_example
from app.sandbox.server import DEMO_ACCOUNT_FILE, write_demo_account
from app.sandbox.server import create_app as create_sandbox
from app.settings import Settings, SettingsError

LIMIT_S = 600.0


@dataclass(frozen=True, slots=True)
class Genotypes:
    """What the demo submits; without the example data there is no truth to compare with."""

    target: Path
    truth: Path | None
    about: str


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "demo", help="see the platform run one real upload at two services", description=run.__doc__
    )
    parser.add_argument("--port", type=int, help="port to listen on (default 8000)")
    parser.add_argument("--host", help="a loopback address (default 127.0.0.1)")
    parser.add_argument(
        "--exit",
        action="store_true",
        help="end after the jobs (DEMO_EXIT=1 make demo)",
    )
    parser.set_defaults(run=run)


async def run(args: argparse.Namespace, settings: Settings) -> int:
    """Start the platform and the sandbox, make test_user, send one upload of real genotypes to two services, and keep serving."""
    settings = _demo_settings(settings)
    configure_logging(settings.log_format, settings.log_level)
    stop = stop_event()
    async with open_sandbox(settings) as account, open_platform(settings) as platform:
        runner = await start_web(platform)
        try:
            status = await _show(platform, account)
            if not args.exit:
                _say_where(settings)
                await stop.wait()
        finally:
            await runner.cleanup()
    return status


def _demo_settings(settings: Settings) -> Settings:
    """Loopback only, since everybody knows the password; and an impatient engine."""
    try:
        loopback = ipaddress.ip_address(settings.host).is_loopback
    except ValueError:
        loopback = settings.host == "localhost"
    if not loopback or settings.public_url:
        raise SettingsError("the demo runs on a loopback address only: its password is published")
    return replace(
        settings,
        data_dir=settings.data_dir.resolve() / "demo",
        allowed_networks=(ip_network("127.0.0.0/8"),),
        poll_interval_s=0.5,
        settle_wait_s=1.0,
        dispatch_interval_s=0.5,
        log_level="warning",
    )


@asynccontextmanager
async def open_sandbox(settings: Settings) -> AsyncIterator[dict[str, str]]:
    """Run the sandbox on a free port of its own; give its address and the demo account's token."""
    config = SandboxConfig(
        data_dir=settings.data_dir / "sandbox",
        demo_user=SandboxUser("researcher", full_name="Demo Researcher"),
    )
    app = await asyncio.to_thread(create_sandbox, config)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=2)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        await asyncio.to_thread(write_demo_account, config, url)
        account = msgspec.json.decode((config.data_dir / DEMO_ACCOUNT_FILE).read_bytes())
        yield {"url": url, "token": account["token"]}
    finally:
        await runner.cleanup()


async def _show(platform: Platform, account: dict[str, str]) -> int:
    settings = platform.deps.settings
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=60)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        journey = Journey(settings.base_url, session)
        try:
            await _go(journey, platform, account)
        except JourneyError as error:
            return fail(error)
    return 0


async def _go(journey: Journey, platform: Platform, account: dict[str, str]) -> None:
    settings = platform.deps.settings
    print(
        "\nThe Federated Imputation Platform: one upload, two services, from sign-in to verified results\n",
        flush=True,
    )
    async with journey.step("The platform answers"):
        await journey.call("GET", "/health/ready")
    async with journey.step("Genotypes are ready"):
        data = await asyncio.to_thread(_genotypes, settings.data_dir)
    print(f"    {data.about}", flush=True)
    async with journey.step(f"User {USERNAME} and the sandbox's two services exist"):
        await ensure_users(platform)
        service_ids = await ensure_services(journey, platform, account)
    async with journey.step(f"Signed in as {USERNAME}"):
        await journey.sign_in(USERNAME, PASSWORD)
    async with journey.step("The services' token is stored and verified at each"):
        for service_id in service_ids:
            await journey.store_credential(service_id, account["token"])
    targets: list[dict[str, Any]] = []
    wanted = None  # the first panel of the first service, and its namesake at the second
    for service, service_id in zip(SERVICES, service_ids, strict=True):
        panel = await journey.pick_panel(service_id, wanted)
        wanted = panel["name"]
        targets.append({"service_id": service_id, "reference_panel_id": panel["id"]})
        print(f"    target: {service.name}, panel {panel['name']}", flush=True)
    fields = {
        "name": "Demo: chromosome 20, 203 samples",
        "targets": msgspec.json.encode(targets).decode(),
        "input_format": "vcf",
        "build": "hg19",
        "phasing": "true",
    }
    async with journey.step(f"Submitted {data.target.name} once, to both services"):
        batch = await journey.submit(data.target, fields)
    names = [service.name for service in SERVICES]
    jobs = await asyncio.gather(
        *(
            _complete(journey, job["id"], name)
            for job, name in zip(batch["jobs"], names, strict=True)
        )
    )
    for job, name in zip(jobs, names, strict=True):
        await _results(journey, settings.data_dir, job, name, data)


async def _complete(journey: Journey, job_id: str, name: str) -> dict[str, Any]:
    async with journey.step(f"The job has completed at {name}"):
        return await journey.follow(job_id, limit_s=LIMIT_S, label=name)


async def _results(
    journey: Journey, data_dir: Path, job: dict[str, Any], name: str, data: Genotypes
) -> None:
    """Fetch and show the results of one job, and compare them with the truth where there is one."""
    with tempfile.TemporaryDirectory(prefix="results-", dir=data_dir) as folder:
        archive = Path(folder) / "results.zip"
        async with journey.step(f"Results of {name} downloaded and verified"):
            listing = await journey.download(job["id"], archive)
        print(f"\n  Remote id: {job['external_job_id']}\n  Result files:")
        for item in listing["files"]:
            print(f"    {size_text(item['size']):>9}  {item['sha256']}  {item['name']}")
        if data.truth is not None:
            async with journey.step(f"Accuracy at {name} computed from the held-back genotypes"):
                bins = await asyncio.to_thread(_accuracy, archive, data)
            _print_accuracy(bins)


def _genotypes(data_dir: Path) -> Genotypes:
    """Make the input once; a second run uses it again."""
    folder = data_dir / "genotypes"
    example = find_example(data_dir / "example")
    if example is None:
        file = write_test_files(folder, None)[1]
        return Genotypes(
            file.path,
            None,
            "simulated: Debian's shapeit4-example is not here, so there is no truth to compare with",
        )
    masked = make_masked(example_paths(example), folder)
    about = (
        f"real: 1000 Genomes chr20:1-4 Mb, {masked.n_samples} samples, {masked.n_target_sites} array-like sites;"
        f" {masked.n_truth_sites} sites held back as truth"
    )
    return Genotypes(masked.target_vcf, masked.truth_vcf, about)


def _accuracy(archive: Path, data: Genotypes) -> list[MafBin]:
    assert data.truth is not None  # noqa: S101 - the caller asked only where there is a truth
    with (
        zipfile.ZipFile(archive) as results,
        tempfile.TemporaryDirectory(dir=archive.parent) as folder,
    ):
        dose = results.extract("chr20.dose.vcf.gz", folder)
        return r2_by_maf(data.truth, Path(dose), data.target)


def _print_accuracy(bins: list[MafBin]) -> None:
    print("\n  Imputed genotypes against the held-back truth (squared correlation of dosages):")
    print(f"    {'MAF':>14}  {'sites':>7}  {'true r²':>8}  {'estimated R²':>12}")
    for item in bins:
        if item.n_sites:
            estimated = "-" if item.mean_estimated_r2 is None else f"{item.mean_estimated_r2:.2f}"
            span = f"{item.low:.1%} to {item.high:.1%}"
            print(
                f"    {span:>14}  {item.n_sites:>7}  {item.mean_r2 or 0.0:>8.2f}  {estimated:>12}"
            )
    print(flush=True)


def _say_where(settings: Settings) -> None:
    print(f"  Pages    {settings.base_url}/ui/")
    print(f"  API      {settings.base_url}/docs")
    print(f"  User     {USERNAME}")
    print(f"  Password {PASSWORD}")
    print("\n  It keeps serving; Ctrl-C ends it.", flush=True)
