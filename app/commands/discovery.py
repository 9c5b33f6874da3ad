"""The part of `service add` that finds out what answers at an address, shows it, and asks for confirmation."""

import argparse
import asyncio
import sys
from pathlib import Path

import msgspec

from app.core.errors import InvalidInput
from app.usecases.deps import Deps
from app.usecases.discovery import Address, Proposal, discover
from app.usecases.service_fields import NewService

MAX_SHOWN = 12


async def choose(args: argparse.Namespace, deps: Deps) -> NewService | None:
    """Find out what answers at `--url`; give the service to add, None where the person does not want it.

    Raises InvalidInput where nothing is recognised, or several kinds are and `--type` does not choose.
    """
    token = given_token(args)
    address = Address(base_url=args.url, allow_insecure=args.allow_insecure, api_token=token)
    found = (await discover(deps, None, address)).proposals
    kinds = [item.found.api_type for item in found]
    chosen = [item for item in found if args.type in (None, item.found.api_type)]
    if len(chosen) != 1:
        raise InvalidInput(
            f"At this address answers: {', '.join(kinds)}", action="Choose one with --type."
        )
    body = dict(chosen[0].service)
    if args.slug:
        body["slug"] = args.slug
    if token is not None and body["credential_kind"] == "token":
        body |= {
            "credential_policy": "shared",
            "api_config": {**body["api_config"], "api_token": token},
        }
    _show(chosen[0], is_shared="credential_policy" in body)
    if not args.yes and not await asyncio.to_thread(_confirmed):
        return None
    return msgspec.convert(body, NewService)


def _confirmed() -> bool:
    print("Add it? [y/N] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _show(proposal: Proposal, *, is_shared: bool) -> None:
    found, service = proposal.found, proposal.service
    policy = "shared token" if is_shared else "everybody's own"
    lines = [
        ("name", service["name"]),
        ("slug", service["slug"]),
        ("kind", " ".join(filter(None, (found.api_type, f"({found.dialect})" * bool(found.dialect))))),
        ("address", found.base_url),
        ("credential", "none" if found.credential_kind == "none" else f"{found.credential_kind}, {policy}"),
        ("apps", _some([item.key for item in found.apps])),
        ("panels", _some([panel.key for panel in found.panels])),
        ("builds", _some(list(found.builds))),
    ]  # fmt: skip
    for title, text in lines:
        print(f"  {title:<11}{text or '-'}")
    for note in proposal.notes:
        print(f"  note: {note}")


def _some(words: list[str]) -> str:
    more = f" … and {len(words) - MAX_SHOWN} more" if len(words) > MAX_SHOWN else ""
    return ", ".join(words[:MAX_SHOWN]) + more


def given_token(args: argparse.Namespace) -> str | None:
    """Give the shared token of `service add`, which is read once: standard input is gone after that."""
    if args.api_token_file is not None and args.api_token is None:
        args.api_token = read_token(args.api_token_file)
    token: str | None = args.api_token
    return token


def read_token(path: Path) -> str:
    """Read a token from a file, `-` for standard input."""
    return sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
