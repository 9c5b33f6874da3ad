"""The own files."""

from datetime import datetime
from typing import Any, Literal

import msgspec
from aiohttp import web

from app.core.models import File
from app.routes.api.transfer import UPLOAD, deliver, is_gone
from app.usecases import files
from app.usecases.files import Link, UploadForm
from app.usecases.intake import Intake
from app.web.accept import wants_json
from app.web.endpoint import INT, Call, Endpoint, Page, Paging, json_response
from app.web.upload import UploadLimits, read_form


class FileOut(msgspec.Struct, frozen=True, kw_only=True):
    """A file. `facts` is what the structure check found in a genotype file; sizes are bytes.

    An `archive` is the ZIP of a job's results; it has no digest of its own.
    """

    id: int
    kind: Literal["input", "result", "archive"]
    name: str
    size: int
    sha256: str | None
    content_type: str
    facts: dict[str, Any] | None
    created_at: datetime
    expires_at: datetime | None

    @classmethod
    def of(cls, file: File) -> "FileOut":
        """Show a file."""
        return msgspec.convert(
            {
                "id": file.id,
                "kind": file.kind,
                "name": file.name,
                "size": file.size_bytes,
                "sha256": file.sha256,
                "content_type": file.content_type,
                "facts": file.facts,
                "created_at": file.created_at,
                "expires_at": file.expires_at,
            },
            cls,
        )


class LinkOut(msgspec.Struct, frozen=True, kw_only=True):
    """An address that needs no sign-in until `expires_at`."""

    download_url: str
    expires_at: datetime


class RevokedOut(msgspec.Struct, frozen=True, kw_only=True):
    """How many links were ended."""

    revoked: int


class FilesQuery(Paging, frozen=True, kw_only=True):
    kind: Literal["input", "result", "archive"] | None = None


async def upload(call: Call) -> Any:
    async with Intake(call.deps, call.actor) as intake:
        form = UploadForm(call.deps, call.actor, intake)
        await read_form(call.request, form, UploadLimits.of(call.deps.settings))
        if (replayed := await call.replay(form.content())) is not None:
            return replayed
        return FileOut.of(await form.keep(call.once(FileOut.of), lambda: is_gone(call)))


async def list_files(call: Call) -> Page:
    query: FilesQuery = call.query
    found, total = await files.list_files(
        call.deps, call.actor, query.kind, limit=query.limit, offset=query.offset
    )
    return Page([FileOut.of(file) for file in found], total)


async def get_file(call: Call) -> FileOut:
    return FileOut.of(await files.get_file(call.deps, call.actor, call.path_int("id")))


async def delete_file(call: Call) -> None:
    await files.delete_file(call.deps, call.actor, call.path_int("id"))


async def download(call: Call) -> web.StreamResponse:
    file = await files.get_file(call.deps, call.actor, call.path_int("id"))
    if wants_json(call.request.headers.get("Accept")):
        link: Link = await files.sign_link(call.deps, call.actor, file)
        return json_response(LinkOut(download_url=link.url, expires_at=link.expires_at))
    return await deliver(call, file, call.actor)


async def revoke_links(call: Call) -> RevokedOut:
    count = await files.revoke_links(call.deps, call.actor, call.path_int("id"))
    return RevokedOut(revoked=count)


_FILE_BODY = {
    "requestBody": {
        "content": {
            UPLOAD: {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "string", "contentMediaType": "application/octet-stream"}
                    },
                }
            }
        }
    }
}
# What kind of file it is, is known only when it is there.
_BYTES: dict[str, Any] = {"responses": {"200": {"content": {"*/*": {}}}}}

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "POST",
        "/files/upload",
        upload,
        "files.upload",
        "Upload a bgzipped VCF of one chromosome for later jobs; it is checked and stays until it is deleted",
        response=FileOut,
        status=201,
        tag="files",
        raw_body=UPLOAD,
        creates=True,
        openapi=_FILE_BODY,
    ),
    Endpoint(
        "GET",
        "/files",
        list_files,
        "files.list",
        "The own files, newest first",
        query=FilesQuery,
        response=list[FileOut],
        tag="files",
    ),
    Endpoint(
        "GET",
        f"/files/{{id:{INT}}}",
        get_file,
        "files.get",
        "One of the own files",
        response=FileOut,
        tag="files",
    ),
    Endpoint(
        "DELETE",
        f"/files/{{id:{INT}}}",
        delete_file,
        "files.delete",
        "Delete an input file that no open job uses",
        status=204,
        tag="files",
    ),
    Endpoint(
        "GET",
        f"/files/{{id:{INT}}}/download",
        download,
        "files.download",
        "The bytes, with ranges; asked for application/json, a signed link that needs no sign-in",
        response=LinkOut,
        tag="files",
        openapi=_BYTES,
    ),
    Endpoint(
        "DELETE",
        f"/files/{{id:{INT}}}/links",
        revoke_links,
        "files.revoke_links",
        "End all signed links to a file, those in e-mails too",
        response=RevokedOut,
        tag="files",
    ),
)
