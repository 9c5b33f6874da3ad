"""`e2e`: the whole way against a configured service, step by step with timings, through a running platform."""

import argparse
import getpass
from pathlib import Path

import aiohttp

from app.commands.journey import Journey, JourneyError, fail, size_text
from app.settings import Settings


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser("e2e", help="run one job the whole way", description=run.__doc__)
    parser.add_argument("--service", required=True, help="slug, name or id of the service")
    parser.add_argument("--file", required=True, type=Path, help="a bgzipped VCF")
    parser.add_argument("--url", help="the platform's address (default: from the settings)")
    parser.add_argument("--user", required=True, help="who signs in")
    parser.add_argument(
        "--password-file",
        type=Path,
        help="file with the password (default: ask)",
    )
    parser.add_argument("--panel", help="id, key or name of the panel (default: the first)")
    parser.add_argument("--build", default="hg19", choices=["hg19", "hg38"])
    parser.add_argument("--population", help="default: as the panel lists")
    parser.add_argument("--phasing", default="true", help="true, false, or an engine's name")
    parser.add_argument("--token-file", type=Path, help="file with a service token to store first")
    parser.add_argument(
        "--results", type=Path, default=Path("results.zip"), help="where results go"
    )
    parser.add_argument("--limit", type=float, default=86_400.0, help="seconds to wait for the end")
    parser.set_defaults(run=run)


async def run(args: argparse.Namespace, settings: Settings) -> int:
    """Sign in, submit a file to a service, follow the job, download and verify its results; print each step's time."""
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=600)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        journey = Journey((args.url or settings.base_url).rstrip("/"), session)
        try:
            await _go(journey, args)
        except JourneyError as error:
            return fail(error)
    return 0


async def _go(journey: Journey, args: argparse.Namespace) -> None:
    async with journey.step("The platform answers"):
        await journey.call("GET", "/health/live")
    async with journey.step(f"Signed in as {args.user}"):
        await journey.sign_in(args.user, _password(args))
    async with journey.step("Service and panel are known"):
        service = await journey.find_service(args.service)
        panel = await journey.pick_panel(service["id"], args.panel)
    if args.token_file is not None:
        async with journey.step("Credential stored and verified"):
            await journey.store_credential(service["id"], args.token_file.read_text().strip())
    fields = {
        "name": f"e2e {args.file.name}",
        "service_id": str(service["id"]),
        "reference_panel_id": str(panel["id"]),
        "input_format": "vcf",
        "build": args.build,
        "phasing": args.phasing,
    }
    if args.population:
        fields["population"] = args.population
    async with journey.step(
        f"Submitted {args.file.name} to {service['name']}, panel {panel['name']}"
    ):
        job = await journey.submit(args.file, fields)
    async with journey.step("The job has completed"):
        job = await journey.follow(job["id"], limit_s=args.limit)
    async with journey.step("Results downloaded and verified"):
        listing = await journey.download(job["id"], args.results)
    print(f"  remote id {job['external_job_id']}")
    for item in listing["files"]:
        print(f"  {item['sha256']}  {size_text(item['size']):>9}  {item['name']}")
    print(f"  all steps: {sum(took for _, took in journey.steps):.1f} s; results in {args.results}")


def _password(args: argparse.Namespace) -> str:
    if args.password_file is not None:
        return str(args.password_file.read_text().strip())
    return getpass.getpass(f"Password of {args.user}: ")
