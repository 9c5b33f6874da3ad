"""Every page of the route table in a real browser, wide in the light and on a phone in the dark: it fits, everybody can use it, nothing is amiss."""

import asyncio
from pathlib import Path

import pytest
from playwright.async_api import Browser

from app.genotypes.testdata import write_test_files
from app.settings import Settings
from tests.browser.conftest import free_port
from tests.support.story import SETTINGS, tell
from tests.support.walk import Stop, arrive, faults_of, find_stops, walker
from tests.support.world import open_world

AT_ONCE = 2


@pytest.mark.timeout(420)  # a minute where nothing else runs
async def test_every_page_when_looked_at_then_it_fits_and_everybody_can_use_it(
    settings: Settings, database_url: str, redis_url: str, tmp_path: Path, browser: Browser
) -> None:
    file = (await asyncio.to_thread(write_test_files, tmp_path / "input", None))[0].path
    port = free_port()
    changes = {**SETTINGS, "public_url": f"http://127.0.0.1:{port}"}
    faults: list[str] = []
    async with open_world(
        settings, database_url, redis_url, tmp_path, port=port, **changes
    ) as world:
        story = await tell(world, file)
        left = await find_stops(story, every_job=False)
        assert len(left) >= 5

        async def look(who: str, stops: list[Stop]) -> None:
            async with walker(browser, story, who) as visitor:
                while stops:
                    stop = stops.pop()
                    page = await arrive(visitor, stop)
                    found = [*await faults_of(page, each_in_both=False), *visitor.faults]
                    visitor.faults.clear()
                    faults.extend(f"{stop.name} ({stop.path}): {fault}" for fault in found)

        for who in {stop.who for stop in left}:
            stops = [stop for stop in left if stop.who == who]
            await asyncio.gather(*(look(who, stops) for _ in range(AT_ONCE)))
    assert not faults, "\n".join(faults)
