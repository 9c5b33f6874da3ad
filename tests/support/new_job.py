"""What tests of the page of a new job need to be there: files to choose, and hands that choose."""

import re
from typing import Any

from playwright.async_api import Page, expect

from tests.genotypes.vcf_files import bgzf, header, record
from tests.support.browsing import Visitor
from tests.support.people import PASSWORD
from tests.support.world import World

SAMPLES = tuple(f"S{number:02}" for number in range(25))
CONTIG = {"20": "##contig=<ID=20,length=63025520>", "chr20": "##contig=<ID=chr20,length=64444167>"}
JOB = re.compile(r"/ui/jobs/[0-9a-f-]{36}$")
BATCH = re.compile(r"/ui/batches/[0-9a-f-]{36}$")


def text_of(chromosome: str = "20", records: int = 40, samples: tuple[str, ...] = SAMPLES) -> str:
    lines = [
        record(1_000_000 + 1000 * place, chromosome=chromosome, genotypes=["0/1"] * len(samples))
        for place in range(records)
    ]
    contig = (CONTIG[chromosome],) if chromosome in CONTIG else ()
    return header(samples, *contig) + "".join(lines)


def upload(name: str, content: bytes) -> Any:
    return {"name": name, "mimeType": "application/gzip", "buffer": content}


GOOD = upload("chr20.vcf.gz", bgzf(text_of()))


async def begin(visitor: Visitor, path: str = "/ui/jobs/new") -> Page:
    visitor.expected.append("404")  # the pages that this one leads to have tests of their own
    await visitor.sign_in("alice", PASSWORD)
    return await visitor.open(path)


async def choose_panel(page: Page, service_id: int, panel_id: int) -> None:
    card = page.locator(f"#service-{service_id}")
    await card.locator("input[name=service]").check()
    await card.locator(f"#panel-{service_id}-{panel_id}").check()
    await expect(card.get_by_label("Phasing")).to_be_visible()
    await expect(page.locator("#sending .receiver")).not_to_contain_text(["still to be chosen"])


async def jobs_of_alice(world: World) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = await world.alice.call("GET", "/jobs", expect=200)
    return found


def files_of(page: Page) -> Any:
    return page.locator("#f-input_file")
