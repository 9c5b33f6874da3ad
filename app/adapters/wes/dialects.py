"""How the known servers differ, as one table. Facts: docs/adapters.md. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Search = Literal["tags", "extension", "details", "listed", "none"]


@dataclass(frozen=True, slots=True)
class Traits:
    """What the adapter has to mind of a server.

    search: how a lost run is found. `tags`: the list takes a tag as a filter. `extension`: a list of its own shows requests.
        `details`: the list and then each run. `listed`: likewise, but the list does not show all runs. `none`: it cannot.
    strings_only: each parameter must be a string.
    attachments: whether files that are sent along are kept.
    whole_tree: outputs list the whole run folder, inputs and scratch included.
    unknown_is_500: a run that it does not know is answered with 500.
    phantoms: a run that it does not know is answered as RUNNING, and exists from then on.
    engine: whether `workflow_engine` must be sent (`needed`), must not (`refused`), or is as one likes.
    """

    search: Search = "details"
    strings_only: bool = False
    attachments: bool = True
    whole_tree: bool = False
    unknown_is_500: bool = False
    phantoms: bool = False
    engine: Literal["needed", "refused", "free"] = "free"


TRAITS: Mapping[str, Traits] = {
    "generic": Traits(),
    "starter-kit": Traits(search="listed", attachments=False, whole_tree=True),
    "weskit": Traits(
        search="extension",
        strings_only=True,
        whole_tree=True,
        unknown_is_500=True,
        engine="refused",
    ),
    "sapporo": Traits(search="tags", engine="needed"),
    "toil": Traits(),
    "wes-service": Traits(phantoms=True),
    "galaxy": Traits(search="none", attachments=False),
}
