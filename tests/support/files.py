"""What tests of files need: one to upload, and the upload."""

from typing import Any

import aiohttp

from tests.support.api import Answer, Api
from tests.support.jobs import genotypes
from tests.support.people import Person

GENOTYPES = genotypes()


async def upload(
    client: Api, person: Person, content: bytes = GENOTYPES, field: str = "file", **options: Any
) -> Answer:
    """Upload a file over HTTP, without a job."""
    form = aiohttp.FormData()
    form.add_field(field, content, filename="chr20.vcf.gz")
    return await client.post("/files/upload", as_=person, data=form, **options)
