"""The own credentials for services. No answer ever holds a secret."""

from datetime import datetime
from typing import Annotated

import msgspec

from app.core.addresses import origin_of
from app.usecases import own_credentials as usecase
from app.usecases.own_credentials import GivenCredential, Held, Verified
from app.usecases.syncing import read_beside
from app.web.endpoint import INT, Call, Endpoint, Id, Page, Paging, json_response

Secret = Annotated[str, msgspec.Meta(max_length=20_000)]
Name = Annotated[str, msgspec.Meta(max_length=1000)]

_PATH = "/users/me/service-credentials"


class CredentialOut(msgspec.Struct, frozen=True, kw_only=True):
    """A stored credential: what is known about it, never the secret itself."""

    id: int
    service_id: int
    service_name: str
    label: str
    credential_type: str
    is_active: bool
    is_verified: bool
    has_api_token: bool
    verified_at: datetime | None
    rejected_at: datetime | None
    account_name: str | None
    expires_at: datetime | None
    origin: str
    """Where it may be sent."""
    service_origin: str
    """Where the service is now."""
    needs_confirmation: bool
    """The two differ: it is not used until `confirm_origin` says that it may go there."""
    warnings: tuple[str, ...]
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, held: Held) -> "CredentialOut":
        stored = held.stored
        return cls(
            id=stored.id,
            service_id=stored.service_id,
            service_name=held.service.name,
            label=stored.label,
            credential_type=stored.credential_type,
            is_active=stored.is_active,
            is_verified=stored.is_verified,
            has_api_token=True,
            verified_at=stored.verified_at,
            rejected_at=stored.rejected_at,
            account_name=stored.account_name,
            expires_at=stored.expires_at,
            origin=stored.origin,
            service_origin=origin_of(held.service.base_url),
            needs_confirmation=held.needs_confirmation,
            warnings=held.warnings,
            created_at=stored.created_at,
            updated_at=stored.updated_at,
        )


class CredentialIn(msgspec.Struct, frozen=True, kw_only=True):
    """A credential for a service: a token, or a user name and a password, as the service's `credential_kind` asks."""

    service_id: Id
    api_token: Secret | None = None
    username: Name | None = None
    password: Secret | None = None
    label: Name = ""


class CredentialPatch(msgspec.Struct, frozen=True, kw_only=True):
    """What is to change; absent fields stay."""

    label: Name | None = None
    is_active: bool | None = None
    api_token: Secret | None = None
    username: Name | None = None
    password: Secret | None = None
    confirm_origin: Name | None = None
    """The service's present origin: the credential may be sent there from now on."""


class VerifiedOut(msgspec.Struct, frozen=True, kw_only=True):
    """The service's word about a credential."""

    is_valid: bool
    account_name: str | None
    expires_at: datetime | None
    message: str
    warnings: tuple[str, ...] = ()
    credential: CredentialOut | None = None


def _given(body: CredentialIn | CredentialPatch) -> GivenCredential:
    return GivenCredential(body.api_token, body.username, body.password)


def _verified(result: Verified, warnings: tuple[str, ...] = ()) -> VerifiedOut:
    report = result.report
    words = "The service accepts it" if report.valid else "The service does not accept it"
    return VerifiedOut(
        is_valid=report.valid,
        account_name=report.account_name,
        expires_at=report.expires_at,
        message=report.message or words,
        warnings=warnings,
        credential=CredentialOut.of(result.held) if result.held else None,
    )


async def list_all(call: Call) -> Page:
    query: Paging = call.query
    held, total = await usecase.list_credentials(
        call.deps, call.actor, limit=query.limit, offset=query.offset
    )
    return Page([CredentialOut.of(item) for item in held], total)


async def store(call: Call) -> object:
    body: CredentialIn = call.body
    held = await usecase.store_credential(
        call.deps,
        call.actor,
        body.service_id,
        _given(body),
        body.label,
        once=call.once(CredentialOut.of),
    )
    return json_response(CredentialOut.of(held), 201 if held.is_new else 200)


async def change(call: Call) -> CredentialOut:
    body: CredentialPatch = call.body
    held = await usecase.change_credential(
        call.deps,
        call.actor,
        call.path_int("id"),
        given=_given(body),
        label=body.label,
        is_active=body.is_active,
        confirm_origin=body.confirm_origin,
    )
    return CredentialOut.of(held)


async def delete(call: Call) -> None:
    await usecase.delete_credential(call.deps, call.actor, call.path_int("id"))


async def verify(call: Call) -> VerifiedOut:
    verified = await usecase.verify_credential(call.deps, call.actor, call.path_int("id"))
    if verified.report.valid and verified.held is not None:
        await read_beside(call.deps, call.actor, verified.held.service.id)
    return _verified(verified)


async def test(call: Call) -> VerifiedOut:
    body: CredentialIn = call.body
    return _verified(
        *await usecase.test_credential(call.deps, call.actor, body.service_id, _given(body))
    )


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        _PATH,
        list_all,
        "credentials.list",
        "The own credentials for services",
        query=Paging,
        response=list[CredentialOut],
        tag="credentials",
    ),
    Endpoint(
        "POST",
        _PATH,
        store,
        "credentials.store",
        "Store the credential for a service, in the place of any former one (then 200)",
        body=CredentialIn,
        response=CredentialOut,
        status=201,
        creates=True,
        tag="credentials",
        openapi={"responses": {"200": {"description": "The former one was replaced"}}},
    ),
    Endpoint(
        "POST",
        f"{_PATH}/test",
        test,
        "credentials.test",
        "Ask the service about a credential without storing it",
        body=CredentialIn,
        response=VerifiedOut,
        per_minute=10,
        tag="credentials",
    ),
    Endpoint(
        "PATCH",
        f"{_PATH}/{{id:{INT}}}",
        change,
        "credentials.change",
        "Change label, use, address or secret of a credential",
        body=CredentialPatch,
        response=CredentialOut,
        tag="credentials",
    ),
    Endpoint(
        "DELETE",
        f"{_PATH}/{{id:{INT}}}",
        delete,
        "credentials.delete",
        "Forget a credential",
        status=204,
        tag="credentials",
    ),
    Endpoint(
        "POST",
        f"{_PATH}/{{id:{INT}}}/verify",
        verify,
        "credentials.verify",
        "Ask the service about a stored credential",
        response=VerifiedOut,
        per_minute=10,
        tag="credentials",
    ),
)
