"""`service add|list|check|panels`: the services that jobs can be sent to."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from app.adapters.base import Credential
from app.adapters.presets import PRESETS
from app.commands.discovery import choose, given_token, read_token
from app.core.credentials import clean_token
from app.core.errors import AppError, InvalidInput
from app.core.models import Panel, Service
from app.lifespan import open_platform
from app.settings import Settings
from app.usecases import catalogue, monitoring, panels
from app.usecases.deps import Deps
from app.usecases.service_fields import NewService
from app.usecases.syncing import sync_panels

PAGE = 500
_SHARED = (
    "The token is shared: the credential policy of this service is now «shared», so the jobs of every permitted user\n"
    "who has stored no token of their own are sent with it, and count against its account at the service."
)


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "service", help="add, list and check imputation services", description=__doc__
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    _register_add(actions)
    list_parser = actions.add_parser("list", help="list the services", description=show.__doc__)
    list_parser.set_defaults(run=show)
    check_parser = actions.add_parser(
        "check", help="look at a service's health now", description=check.__doc__
    )
    check_parser.add_argument("slug", help="short name of the service")
    check_parser.set_defaults(run=check)
    panels_parser = actions.add_parser(
        "panels", help="list a service's reference panels", description=show_panels.__doc__
    )
    panels_parser.add_argument("slug", help="short name of the service")
    panels_parser.add_argument(
        "--sync", action="store_true", help="read them from the service first"
    )
    panels_parser.add_argument(
        "--api-token-file",
        type=Path,
        help="file with a token («-»: standard input) for this call alone; it is not stored",
    )
    panels_parser.set_defaults(run=show_panels)
    for command in actions.choices.values():
        command.add_argument(
            "--data-dir", type=Path, default=argparse.SUPPRESS, help=argparse.SUPPRESS
        )


def _register_add(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = actions.add_parser(
        "add",
        help="add a service",
        description=add.__doc__,
        epilog="A token given here is shared by all permitted users (credential policy «shared»). Without one, everybody"
        " stores their own, which is the usual way.",
    )
    parser.add_argument("--preset", choices=list(PRESETS), help="a public service that is known")
    parser.add_argument(
        "--url", help="address of the service; without --name, what answers there is found out"
    )
    parser.add_argument("--name", help="what people call it")
    parser.add_argument("--slug", help="short name for addresses and commands (default: from name)")
    parser.add_argument(
        "--type", help="its dialect (default: michigan; with --url alone: what answers there)"
    )
    parser.add_argument(
        "--yes", action="store_true", help="add what was found out without asking for confirmation"
    )
    token = parser.add_mutually_exclusive_group()
    token.add_argument(
        "--api-token-file", type=Path, help="file with the shared token («-»: standard input)"
    )
    token.add_argument(
        "--api-token",
        help="the shared token itself; it is visible to everybody who lists processes",
    )
    parser.add_argument(
        "--allow-insecure",
        action="store_true",
        help="accept plain http: tokens and genotypes can then be read on the way",
    )
    parser.set_defaults(run=add)


async def add(args: argparse.Namespace, settings: Settings) -> int:
    """Add a service: from a preset, or by its address, at which its kind is found out and shown for confirmation."""
    async with open_platform(settings, work=False, join=True) as platform:
        new = await choose(args, platform.deps) if _is_bare(args) else _new_service(args)
        if new is None:
            print("Nothing was added.")
            return 1
        written = await catalogue.add_service(platform.deps, None, new)
        if _is_bare(args):
            await _read_first(platform.deps, written.service)
    service = written.service
    print(f"Added {service.name}: id {service.id}, slug {service.slug}, {service.base_url}")
    if service.shared_secret is not None:
        print(_SHARED)
    for warning in written.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    print(f"Next: python -m app service check {service.slug}")
    return 0


def _is_bare(args: argparse.Namespace) -> bool:
    """Tell whether an address is all there is: what answers there has to be found out."""
    return bool(args.url) and args.preset is None and args.name is None


async def _read_first(deps: Deps, service: Service) -> None:
    """Read the panels of a new service where that needs nobody's own credential."""
    if service.credential_kind != "none" and service.shared_secret is None:
        print(f"Its panels: python -m app service panels {service.slug} --sync --api-token-file …")
        return
    try:
        synced = await sync_panels(deps, None, service.id)
    except AppError as error:
        print(f"warning: its panels were not read: {error.message}", file=sys.stderr)
    else:
        print(f"Read {len(synced.panels)} panels")


def _new_service(args: argparse.Namespace) -> NewService:
    if args.preset is None and not (args.url and args.name):
        raise InvalidInput(
            "A service needs --preset or --url",
            action=f"Presets: {', '.join(PRESETS)}.",
        )
    fields: dict[str, Any] = {
        "preset": args.preset,
        "base_url": args.url,
        "name": args.name,
        "slug": args.slug,
        "api_type": args.type,
        "allow_insecure": args.allow_insecure or None,
    }
    token = given_token(args)
    if token is not None:
        fields |= {"credential_policy": "shared", "api_config": {"api_token": token}}
    return NewService(**{name: value for name, value in fields.items() if value is not None})


async def show(_args: argparse.Namespace, settings: Settings) -> int:
    """List the services with their state as last seen."""
    async with open_platform(settings, work=False, join=True) as platform:
        services, total = await catalogue.list_services(
            platform.deps, is_active=None, api_type=None, limit=PAGE, offset=0
        )
    rows = [("ID", "SLUG", "STATE", "TOKENS", "NAME", "ADDRESS")]
    for service in services:
        state = service.health if service.is_active else "switched off"
        rows.append(
            (
                str(service.id),
                service.slug,
                state,
                _whose(service),
                service.name,
                service.base_url,
            )
        )
    _print_table(rows)
    if not services:
        print("No service yet. Add one: python -m app service add --preset h3africa")
    elif total > len(services):
        print(f"… and {total - len(services)} more")
    return 0


def _whose(service: Service) -> str:
    if service.credential_kind == "none":
        return "none"
    return "shared" if service.credential_policy == "shared" else "per user"


async def check(args: argparse.Namespace, settings: Settings) -> int:
    """Look once whether a service answers; the exit status is 1 when it is down."""
    async with open_platform(settings, work=False, join=True) as platform:
        service = await catalogue.get_service_by_slug(platform.deps, args.slug)
        service = await monitoring.check_health(platform.deps, service)
    latency = "" if service.latency_ms is None else f" ({service.latency_ms:.0f} ms)"
    said = f": {service.health_message}" if service.health_message else ""
    print(f"{service.slug} is {service.health}{latency}{said}")
    return 1 if service.health == "down" else 0


async def show_panels(args: argparse.Namespace, settings: Settings) -> int:
    """List a service's reference panels; with --sync, read them from the service first."""
    async with open_platform(settings, work=False, join=True) as platform:
        service = await catalogue.get_service_by_slug(platform.deps, args.slug)
        if args.sync:
            await _sync(args, platform.deps, service)
        found, _ = await panels.list_panels(
            platform.deps, service.id, inactive_too=False, limit=PAGE, offset=0
        )
    _print_table([("ID", "KEY", "BUILDS", "POPULATIONS", "FROM", "NAME"), *map(_panel_row, found)])
    if not found:
        print(f"No panel yet. Read them: python -m app service panels {service.slug} --sync")
    return 0


async def _sync(args: argparse.Namespace, deps: Deps, service: Service) -> None:
    credential = None
    if args.api_token_file is not None:
        credential = Credential(token=clean_token(read_token(args.api_token_file)))
    synced = await sync_panels(deps, None, service.id, credential)
    app = f" ({synced.app_id}, version {synced.app_version})" if synced.app_id else ""
    print(
        f"Read {service.name}{app}: {len(synced.added)} new, {len(synced.retired)} vanished,"
        f" {len(synced.unlisted)} entered by hand that it does not list"
    )
    for warning in synced.warnings:
        print(f"warning: {warning}", file=sys.stderr)


def _panel_row(panel: Panel) -> tuple[str, ...]:
    populations = ",".join(item["key"] for item in panel.populations)
    return (
        str(panel.id),
        panel.key,
        ",".join(panel.builds) or "-",
        populations or "-",
        panel.source,
        panel.name,
    )


def _print_table(rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )
