"""The README's walk-through, run as it stands: by bash, curl and jq against a live platform with the sandbox behind it."""

import asyncio
import re
import shutil
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator
from pathlib import Path

import bcrypt
import pytest

from app.genotypes.testdata import write_test_files
from app.settings import Settings
from tests.support.docs import ROOT
from tests.support.world import INSERT_USER, World, open_world

TOOLS = ("bash", "curl", "jq", "sed", "sha256sum")
LIMIT_S = 60.0

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, TOOLS)), reason=f"needs {', '.join(TOOLS)}"
)


@pytest.fixture
async def world(
    settings: Settings, database_url: str, redis_url: str, tmp_path: Path
) -> AsyncIterator[World]:
    async with open_world(settings, database_url, redis_url, tmp_path) as opened:
        yield opened


def walk_through() -> tuple[list[str], str]:
    """Give the walk-through's shell blocks, and what the README says that the last lines print."""
    text = (ROOT / "README.md").read_text()
    walk, _, rest = text.partition("<!-- walk-through")[2].partition("<!-- end of the walk-through")
    shell = re.findall(r"^```bash\n(.*?)^```$", walk, re.MULTILINE | re.DOTALL)
    printed = re.search(r"^```\n(.*?)^```$", rest, re.MULTILINE | re.DOTALL)
    assert printed is not None
    return shell, printed[1]


async def run(script: str, folder: Path) -> tuple[int | None, str]:
    """Run a script as one shell would; give its status and what it printed."""
    command = ("bash", "-euo", "pipefail", "-c", script)
    process = await asyncio.create_subprocess_exec(*command, cwd=folder, stdout=PIPE, stderr=STDOUT)
    try:
        async with asyncio.timeout(LIMIT_S):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    return process.returncode, output.decode()


async def test_walk_through_when_run_against_a_platform_then_it_prints_what_readme_says(
    world: World, tmp_path: Path
) -> None:
    password = bcrypt.hashpw(b"test123", bcrypt.gensalt(4)).decode()
    await world.platform.deps.pool.execute(INSERT_USER, "test_user", None, "user", password)
    sandbox = await world.sandbox()
    await world.add_service(sandbox)
    vcf = write_test_files(tmp_path / "input", None)[0].path
    (first, *steps), printed = walk_through()
    assert re.findall(r"^(\w+)=", first, re.MULTILINE) == ["URL", "VCF", "SERVICE_TOKEN"]
    variables = f"URL={world.base}\nVCF={vcf}\nSERVICE_TOKEN={sandbox.token}\n"

    status, output = await run(variables + "".join(steps), tmp_path)

    assert status == 0, output
    assert output.endswith(printed), output
    assert '"is_valid":true' in output
    (job,) = sandbox.jobs()
    assert job.name.startswith("fi-")
