"""The plots of a job's results in a browser."""

import asyncio
from pathlib import Path

from playwright.async_api import expect

from tests.browser.conftest import Visit
from tests.support.browsing import PHONE
from tests.support.jobs import genotypes
from tests.support.people import PASSWORD
from tests.support.world import World


async def test_results_when_a_job_is_done_then_plots_and_slider_show_what_is_kept(
    visits: Visit, world: World, tmp_path: Path
) -> None:
    service, panel = await world.add_service(await world.sandbox())
    pool = world.platform.deps.pool
    file = tmp_path / "chr20.vcf.gz"
    file.write_bytes(genotypes(records=30, samples=tuple(f"S{n}" for n in range(25))))
    job = await world.alice.submit(service, panel, file)
    async with asyncio.timeout(12):
        while not await pool.fetchval("select count(*) from job_analyses where state = 'done'"):
            await asyncio.sleep(0.1)
    # The few sites of the sandbox are all typed: as many imputed ones as a real panel gives.
    spectrum = {"frequencies": [9000 // (n + 1) for n in range(20)], "mean_frequency": 0.21}
    await pool.execute("update job_analyses set result = result || $1", spectrum)
    for options in ({}, {"viewport": PHONE, "color_scheme": "dark"}):
        async with visits(**options) as visitor:
            await visitor.sign_in("alice", PASSWORD)
            page = await visitor.open(f"/ui/jobs/{job['id']}/results")
            await expect(page.locator(".plot canvas").first).to_be_visible()
            await expect(page.locator("[data-plot=frequencies] canvas")).to_be_visible()
            await page.get_by_label("R² at least").fill("0.8")
            await expect(page.locator("[data-kept]")).to_contain_text("variants kept")
            await visitor.ensure_accessible()
            await visitor.ensure_fits()
