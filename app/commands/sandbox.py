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
        "--dialect",
        choices=["cloudgene3", "topmed", "cloudgene2", "simple"],
        default="cloudgene3",
        help="which server of the Michigan family it is; topmed is Cloudgene 3 with checksums and object storage (default: cloudgene3)",
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
    """Run the sandbox: a server of the Michigan family and of GA4GH WES that really imputes where shapeit4 and minimac4 are installed."""
    await run(
        SandboxConfig(
            data_dir=Path(getattr(args, "data_dir", None) or settings.data_dir / "sandbox"),
            host=args.host,
            port=args.port,
            engine=args.engine,
            dialect="cloudgene3" if args.dialect == "topmed" else args.dialect,
            topmed=args.dialect == "topmed",
            max_jobs_per_user=args.max_jobs or None,
            wes_auth=not args.open_wes,
            demo_user=SandboxUser(args.demo_user, full_name="Demo Researcher"),
        )
    )
    return 0
