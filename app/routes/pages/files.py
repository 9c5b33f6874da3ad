"""The own uploads: what they are, what uses them, how much room is left."""

from aiohttp import web

from app.core.errors import Conflict
from app.usecases import files
from app.usecases.shelf import list_shelf
from app.web.endpoint import INT, Call, Endpoint, Paging
from app.web.pages import action, page, render, see_other

LIST = "/ui/files"
_DELETE = f"{LIST}/{{id:{INT}}}/delete"


async def show_list(call: Call) -> web.Response:
    paging: Paging = call.query
    shelf = await list_shelf(call.deps, call.actor, limit=paging.limit, offset=paging.offset)
    return await render(call, "pages/files.html", shelf=shelf, paging=paging, refusal=None)


async def ask_to_delete(call: Call) -> web.Response:
    file = await files.get_file(call.deps, call.actor, call.path_int("id"))
    return await render(call, "pages/file_delete.html", file=file, refusal=None)


async def delete(call: Call) -> web.Response:
    try:
        await files.delete_file(call.deps, call.actor, call.path_int("id"))
    except Conflict as error:
        file = await files.get_file(call.deps, call.actor, call.path_int("id"))
        return await render(call, "pages/file_delete.html", status=409, file=file, refusal=error)
    return see_other(LIST, "file-deleted")


PAGES: tuple[Endpoint, ...] = (
    page(LIST, show_list, "files", "The own uploads", query=Paging),
    page(_DELETE, ask_to_delete, "file_delete", "Whether to delete an upload"),
    action(_DELETE, delete, "file_delete_post", "Delete an upload"),
)
