"""`sandbox`: the local imputation server, to try the platform without an account anywhere."""

import argparse
from pathlib import Path

from app.sandbox.config import SandboxConfig, SandboxUser
from app.sandbox.server import run
from app.settings import Settings


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "sandbox", help="run the local imputation server", description=sandbox.__doc__
    )
    parser.add_argument("--port", type=int, default=8082, help="port to listen on (default 8082)")
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)"
    )
    parser.add_argument(
        "--engine",
        choices=["auto", "real", "instant"],
        default="auto",
        help="real imputes with shapeit4 and minimac4, instant gives the input back (default: auto)",
    )
    parser.add_argument(
        "--max-jobs",
        type=int,
        default=3,
        help="open jobs for each account, 0 for no limit (default 3)",
    )
    parser.add_argument(
        "--open-wes",
        action="store_true",
        help="ask no token of callers by GA4GH WES; everybody then sees every run",
    )
    parser.add_argument(
        "--demo-user",
        default="researcher",
        help="account made at the start; its token stands in demo-account.json of the data directory",
    )
    parser.set_defaults(run=sandbox)


async def sandbox(args: argparse.Namespace, settings: Settings) -> int:
    """Run the sandbox: a Cloudgene 3 and GA4GH WES server that really imputes where shapeit4 and minimac4 are installed."""
    await run(
        SandboxConfig(
            data_dir=Path(getattr(args, "data_dir", None) or settings.data_dir / "sandbox"),
            host=args.host,
            port=args.port,
            engine=args.engine,
            max_jobs_per_user=args.max_jobs or None,
            wes_auth=not args.open_wes,
            demo_user=SandboxUser(args.demo_user, full_name="Demo Researcher"),
        )
    )
    return 0
