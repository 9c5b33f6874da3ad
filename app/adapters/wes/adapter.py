"""`WesAdapter`: the parts of this dialect behind the common interface. Facts: docs/adapters.md."""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar

import structlog

from app.adapters.answers import error_of, off_loop
from app.adapters.base import (
    AdapterError,
    Capabilities,
    Credential,
    CredentialRejected,
    CredentialReport,
    Health,
    Progress,
    Rejected,
    RemoteJob,
    RemoteOutput,
    RemoteStatus,
    ServiceDescription,
    ServiceUnavailable,
    Sink,
    Submission,
)
from app.adapters.endpoint import Endpoint
from app.adapters.transport import Transport
from app.adapters.wes import downloading, listing, looking, submitting, verifying
from app.adapters.wes.client import Client, json_object
from app.adapters.wes.config import WesConfig
from app.adapters.wes.describing import description_of
from app.adapters.wes.dialects import TRAITS, Traits
from app.adapters.wes.info import read_info
from app.adapters.wes.locating import Located, locate
from app.adapters.wes.outputs import chosen, flatten, last_part
from app.adapters.wes.parsing import parse_config
from app.adapters.wes.reasons import addresses_in
from app.adapters.wes.statuses import FINAL
from app.adapters.wes.template import names_in

log = structlog.get_logger(__name__)

CANCEL_WAIT_S = 600.0
SEARCHES = 3


class WesAdapter:
    """An `app.adapters.base.Adapter` for one WES server and one credential; made for one step of a job."""

    kind: ClassVar[str] = "ga4gh_wes"

    def __init__(
        self,
        transport: Transport,
        endpoint: Endpoint,
        config: WesConfig,
        credential: Credential | None,
    ) -> None:
        self._client = Client(transport, endpoint, config, credential)
        self._config = config

    @property
    def capabilities(self) -> Capabilities:
        """What follows from the configuration, and from the dialect where it is known."""
        config = self._config
        pushes = "upload_url" in names_in([config.params, config.workflow.engine_parameters])
        search = TRAITS[self._client.dialect_known() or "generic"].search
        return Capabilities(
            list_jobs=search not in {"listed", "none"},
            restart=False,
            archive_password=False,
            input_links=config.input_mode != "attachment",
            upload_links=pushes,
            needs_results=not pushes and config.outputs.mode != "none",
            searches=SEARCHES,
            lost_after_s=config.poll.lost_after_s,
            cancel_wait_s=CANCEL_WAIT_S,
        )

    async def verify_credential(self) -> CredentialReport:
        """Try the credential on the list of runs."""
        return await verifying.verify(self._client)

    async def describe(self) -> ServiceDescription:
        """Read `/service-info`; panels, builds and phasings are those of the configuration."""
        return description_of(self._config, await self._client.service_info())

    async def health(self) -> Health:
        """Look at `/service-info`, without the credential. A refusal for want of one shows a living server too."""
        client = self._client
        began = time.perf_counter()
        answer = await client.call("GET", "service-info", auth=False)
        latency_s = time.perf_counter() - began
        if answer.status in {401, 403} and json_object(answer) is not None:
            return Health(maintenance=False, latency_s=latency_s)
        try:
            info = read_info(client.info_object(answer))
        except ServiceUnavailable as error:
            if not error.maintenance:
                raise
            return Health(maintenance=True, latency_s=latency_s, message=error.reason)
        except AdapterError as error:
            raise ServiceUnavailable(error.reason) from error
        return Health(maintenance=False, latency_s=latency_s, queue_length=info.waiting)

    async def count_active(self) -> int | None:
        """Not told: WES knows no quotas."""
        return None

    async def submit(self, submission: Submission, progress: Progress) -> str:
        """Fill the configured fields and send the run."""
        return await submitting.send(self._client, submission, progress)

    async def find_by_name(self, name: str, since: datetime) -> Sequence[RemoteJob]:
        """Search as far as this server can be searched."""
        return await listing.find_named(self._client, name, since)

    async def status(self, remote_id: str) -> RemoteStatus:
        """Look at one run; of a failed one, also for the reason."""
        return await looking.look(self._client, remote_id)

    async def status_many(self, remote_ids: Sequence[str]) -> Mapping[str, RemoteStatus]:
        """Look at many runs: WES has no call for more than one, and its lists may lag or leave runs out."""
        return await looking.look_at_many(self._client, remote_ids)

    async def cancel(self, remote_id: str) -> None:
        """Ask for cancellation. Some servers take the request and do nothing, and some answer nothing at all."""
        client = self._client
        await looking.ensure_known(client, remote_id)
        answer = await client.call("POST", "runs", remote_id, "cancel", once=True)
        if 200 <= answer.status < 300:
            if answer.body.strip() and json_object(answer) is None:
                raise ServiceUnavailable(f"{client.host} gave no clear answer.")
            return
        error = error_of(answer, client.secrets)
        if answer.status in {404, 410} and json_object(answer) is None:
            raise ServiceUnavailable(error.reason)
        if answer.status == 500 and TRAITS[await client.dialect()].unknown_is_500:
            raise Rejected("The service cannot cancel: the run goes on to its end.")
        if isinstance(error, Rejected | CredentialRejected) and await self._has_ended(remote_id):
            return
        raise error

    async def _has_ended(self, remote_id: str) -> bool:
        """Say whether a run has ended: some servers refuse to cancel it then, toil with 403."""
        try:
            return (await self.status(remote_id)).state in FINAL
        except AdapterError:
            return False

    async def restart(self, remote_id: str) -> None:
        """Refuse: WES has no such call."""
        raise Rejected(f"A WES service cannot start the run {remote_id} again.")

    async def outputs(self, remote_id: str) -> Sequence[RemoteOutput]:
        """Read what the run names as its outputs."""
        client, config = self._client, self._config.outputs
        if config.mode == "none":
            return ()
        await looking.ensure_known(client, remote_id)
        run = await looking.run_with_outputs(client, remote_id)
        traits = TRAITS[await client.dialect()]
        located = await off_loop(len(str(run)), lambda: self._located(run, remote_id, traits))
        if located.refused or located.left_out:
            log.warning(
                "adapter.outputs_refused",
                host=client.host,
                count=located.refused,
                left_out=located.left_out,
            )
        return located.outputs

    def _located(self, run: Mapping[str, object], run_id: str, traits: Traits) -> Located:
        tree = traits.whole_tree
        config = self._config.outputs
        inputs = (
            frozenset(last_part(address) for address in addresses_in(run)) if tree else frozenset()
        )
        found = chosen(
            flatten(run.get("outputs")),
            include=config.include,
            exclude=config.exclude,
            whole_tree=tree,
            inputs=inputs,
        )
        endpoint = self._client.endpoint
        return locate(found, config, endpoint, run_id, own_outputs=traits.own_outputs)

    async def download(
        self,
        output: RemoteOutput,
        sink: Sink,
        archive_password: str | None,  # noqa: ARG002 - results of WES runs are stored as they are
        progress: Progress,
    ) -> None:
        """Fetch one output as it is."""
        await downloading.fetch(self._client, output, sink, progress)


def open_adapter(
    transport: Transport,
    base_url: str,
    config: Mapping[str, object],
    credential: Credential | None,
) -> WesAdapter:
    """Make the adapter for a service. Raises `ValueError` for a base URL or configuration that cannot be used."""
    parsed = parse_config(config)
    endpoint = Endpoint.parse(base_url, allow_insecure=parsed.allow_insecure)
    return WesAdapter(transport, endpoint, parsed, credential)
