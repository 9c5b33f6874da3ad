"""`openapi`: the description of the API, as `/openapi.json` gives it."""

import argparse
import sys

import msgspec

from app.routes.table import openapi_document
from app.settings import Settings


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "openapi", help="print the API's OpenAPI description", description=openapi.__doc__
    )
    parser.set_defaults(run=openapi)


async def openapi(_args: argparse.Namespace, _settings: Settings) -> int:
    """Print the OpenAPI description of the REST API as JSON."""
    sys.stdout.write(msgspec.json.format(openapi_document(), indent=2).decode() + "\n")
    return 0
