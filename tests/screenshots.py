"""Pictures of every page, wide and on a phone, light and dark: `python -m tests.screenshots`, for those who draw the pages.

It starts the platform and sandboxes, tells the story of `tests.support.story` (with a real imputation, where Debian's packages are
there), walks past every page of the route table, and writes PNG files and an `index.html` into a folder. It fails when a page does
what none may do: errors in the console, a violated policy, another host, a page wider than the screen, serious findings of axe.
`--readme` takes the few pictures of the README again, into `docs/images/`.
"""

import argparse
import asyncio
import dataclasses
import html
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import msgspec
import redis.asyncio

from app.genotypes.example import ExamplePaths
from app.genotypes.testdata import make_masked, write_test_files
from app.logs import configure_logging
from app.sandbox.engine.tools import Tools
from app.sandbox.reference import find_example
from app.settings import Settings
from tests.browser.conftest import free_port
from tests.support.browsing import Visitor, connect, find_chromium, run_chromium
from tests.support.servers import Postgres, Valkey
from tests.support.story import SETTINGS, Story, tell
from tests.support.walk import SCHEMES, Stop, arrive, faults_of, find_stops, walker
from tests.support.world import open_world

ROOT = Path(__file__).resolve().parents[1]
SIZES = {"wide": {"width": 1280, "height": 800}, "phone": {"width": 390, "height": 844}}
IMAGES = ROOT / "docs" / "images"
README = ROOT / "tests" / "screenshots.json"
"""The pictures of the README: the stop, its size and scheme, and the name of the file in `docs/images/`."""
MAX_BYTES = 300_000
AT_ONCE = 2


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """A picture of the README. `height` cuts it off there, in pixels."""

    stop: str
    file: str
    size: str = "wide"
    scheme: Literal["light", "dark"] = "light"
    height: int = 800


@asynccontextmanager
async def open_story(folder: Path, *, instant: bool) -> AsyncIterator[Story]:
    """Start everything, and tell the story."""
    async with AsyncExitStack() as stack:
        postgres = await asyncio.to_thread(Postgres, folder / "pg")
        stack.push_async_callback(asyncio.to_thread, postgres.stop)
        valkey = await asyncio.to_thread(Valkey, folder / "vk")
        stack.push_async_callback(asyncio.to_thread, valkey.stop)
        async with redis.asyncio.Redis.from_url(valkey.url) as connection:
            await connection.flushall()
        port = free_port()
        settings = Settings(
            data_dir=folder / "data",
            jwt_secret="j" * 32,
            link_secret="l" * 32,
            bcrypt_cost=4,
            rate_limit_per_minute=100_000,
            min_free_bytes=1024 * 1024,
        )
        example = None
        if not instant and not Tools.find().missing:
            example = await asyncio.to_thread(find_example, folder / "example")
        if example is None:
            file = (await asyncio.to_thread(write_test_files, folder / "input", None))[1].path
        else:
            paths = ExamplePaths(
                reference=example.reference,
                unphased=example.unphased,
                genetic_map=example.genetic_map,
            )
            file = (await asyncio.to_thread(make_masked, paths, folder / "input")).target_vcf
        url = await postgres.create_database()
        changes = {**SETTINGS, "port": port, "public_url": f"http://127.0.0.1:{port}"}
        world = await stack.enter_async_context(
            open_world(settings, url, valkey.url, folder, **changes)
        )
        yield await tell(world, file, engine="instant" if example is None else "real")


@dataclasses.dataclass(slots=True)
class Shooting:
    """Takes pictures into a folder, and notes what is wrong."""

    folder: Path
    readme: list[Picture] = dataclasses.field(default_factory=list)
    faults: list[str] = dataclasses.field(default_factory=list)
    taken: int = 0

    async def take(self, visitor: Visitor, stop: Stop) -> None:
        """Take all pictures of one stop."""
        try:
            page = await arrive(visitor, stop)
            for scheme in SCHEMES:
                await page.emulate_media(color_scheme=scheme)
                for size, viewport in SIZES.items():
                    await page.set_viewport_size(viewport)  # type: ignore[arg-type] # its own TypedDict
                    await page.wait_for_timeout(150)
                    # A dialog or a menu is seen where the screen is, and not on the whole page.
                    whole = stop.act not in ("menu", "dialog")
                    path = self.folder / f"{stop.name}-{size}-{scheme}.png"
                    await page.screenshot(path=path, full_page=whole)
                    self.taken += 1
            for picture in [item for item in self.readme if item.stop == stop.name]:
                await self._choose(visitor, picture)
            found = [*await faults_of(page), *visitor.faults]
        except Exception as error:  # noqa: BLE001 - the other pages are wanted all the same
            found = [f"{type(error).__name__}: {error}"]
        visitor.faults.clear()
        self.faults += [f"{stop.name} ({stop.path}): {fault}" for fault in found]

    async def _choose(self, visitor: Visitor, picture: Picture) -> None:
        """Take a picture of the README, as high as it shall be."""
        viewport = {**SIZES[picture.size], "height": picture.height}
        await visitor.page.emulate_media(color_scheme=picture.scheme)
        await visitor.page.set_viewport_size(viewport)  # type: ignore[arg-type] # its own TypedDict
        await visitor.page.wait_for_timeout(300)
        target = IMAGES / picture.file
        taken = await visitor.page.screenshot(path=target)
        print(f"{target.relative_to(ROOT)}  {len(taken) / 1000:.0f} kB", flush=True)
        if len(taken) >= MAX_BYTES:
            self.faults.append(f"{picture.file} has {len(taken)} bytes")


async def shoot(shooting: Shooting, only: str, *, instant: bool) -> None:
    """Take the pictures of all stops whose name holds `only`; of those of the README alone where these are wanted."""
    chosen = {item.stop for item in shooting.readme}
    folder = shooting.folder
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fip-shots-") as place:
        root = Path(place)
        root.chmod(0o711)  # servers that root starts run as another account
        with run_chromium(root / "chromium") as endpoint:
            async with open_story(root, instant=instant) as story, connect(endpoint) as browser:
                every = await find_stops(story)
                stops = [
                    stop for stop in every if (stop.name in chosen if chosen else only in stop.name)
                ]
                for who in sorted({stop.who for stop in stops}):
                    left = [stop for stop in stops if stop.who == who]

                    async def work(who: str = who, left: list[Stop] = left) -> None:
                        async with walker(browser, story, who) as visitor:
                            while left:
                                await shooting.take(visitor, left.pop(0))

                    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    write_index(folder, stops)
    missing = {item.stop for item in shooting.readme} - {stop.name for stop in stops}
    shooting.faults += [f"there is no stop {name}" for name in sorted(missing)]


def write_index(folder: Path, stops: list[Stop]) -> None:
    """Write a page that shows all pictures, one row a stop."""
    rows = []
    for stop in stops:
        pictures = "".join(
            f'<a href="{stop.name}-{size}-{scheme}.png"><img loading="lazy" alt="{size}, {scheme}" height="420" src="{stop.name}-{size}-{scheme}.png"></a>'
            for scheme in ("light", "dark")
            for size in SIZES
        )
        where = html.escape(urlsplit(stop.path)._replace(query="").geturl())
        rows.append(f"<h2>{html.escape(stop.name)}</h2><p>{where}</p><div>{pictures}</div>")
    head = "<!doctype html><meta charset=utf-8><title>Every page</title><style>body{font:16px sans-serif;background:#ccc} img{margin:4px}</style>"
    (folder / "index.html").write_text(head + "\n".join(rows) + "\n")


def main() -> None:
    """Take pictures, and say what is wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "screenshots")
    parser.add_argument("--only", default="", help="pages whose name holds this")
    parser.add_argument("--instant", action="store_true", help="no real imputation")
    parser.add_argument(
        "--readme", action="store_true", help="take those of the README again, into docs/images/"
    )
    arguments = parser.parse_args()
    if find_chromium() is None:
        sys.exit("chromium is not installed: apt-get install chromium")
    configure_logging(level="error")
    began = time.monotonic()
    shooting = Shooting(arguments.folder)
    if arguments.readme:
        IMAGES.mkdir(exist_ok=True)
        shooting.readme = msgspec.json.decode(README.read_bytes(), type=list[Picture])
    asyncio.run(shoot(shooting, arguments.only, instant=arguments.instant))
    print(f"{shooting.taken} pictures in {time.monotonic() - began:.0f} s: {arguments.folder / 'index.html'}")  # fmt: skip
    for fault in shooting.faults:
        print(fault, file=sys.stderr)
    sys.exit(1 if shooting.faults else 0)


if __name__ == "__main__":
    main()
