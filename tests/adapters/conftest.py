"""Fixtures of the adapter tests: a fake server, a transport that may reach it, adapters and submissions."""

import ssl
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from app.adapters.base import Credential, InputFile, Submission
from app.adapters.endpoint import Endpoint
from app.adapters.michigan.adapter import MichiganAdapter
from app.adapters.michigan.config import parse_config
from app.adapters.michigan.discovery import Form, read_form
from app.adapters.transport import Timeouts, Transport
from tests.fakes.cloudgene import GOOD_TOKEN, FakeCloudgene
from tests.fakes.cloudgene_form import APP, PANEL, default_params
from tests.fakes.recording import never_read, silent

QUICK = Timeouts(
    connect_s=2.0,
    call_s=0.5,
    upload_stall_s=0.3,
    upload_answer_s=0.3,
    upload_least_bytes_s=1024 * 1024,
    download_read_s=0.3,
)
PASSWORD = "fi-abcdefghijklmnopqrstu"

OpenAdapter = Callable[..., MichiganAdapter]


@pytest.fixture
async def cloudgene() -> AsyncIterator[FakeCloudgene]:
    """A healthy fake server."""
    async with FakeCloudgene() as server:
        yield server


@pytest.fixture
async def transport() -> AsyncIterator[Transport]:
    """A transport that may talk to loopback, with the usual timeouts."""
    async with Transport(user_agent="fip/test", allowed_networks=["127.0.0.0/8"]) as made:
        yield made


@pytest.fixture
async def hasty() -> AsyncIterator[Transport]:
    """A transport that soon loses patience."""
    async with Transport(
        user_agent="fip/test", allowed_networks=["127.0.0.0/8"], timeouts=QUICK
    ) as made:
        yield made


@pytest.fixture
def adapter(transport: Transport, cloudgene: FakeCloudgene) -> MichiganAdapter:
    """An adapter for the fake server with a good token."""
    return michigan(transport, cloudgene.url)


def patient(behaviour: object, transport: Transport, hasty: Transport) -> Transport:
    """Choose the hasty transport only where the end is waited for: under load it would give up on good answers too."""
    return hasty if behaviour in {silent, never_read} else transport


def michigan(
    transport: Transport, url: str, token: str | None = GOOD_TOKEN, **config: object
) -> MichiganAdapter:
    """Open an adapter over plain http."""
    credential = Credential(token=token) if token is not None else None
    endpoint = Endpoint.parse(url, allow_insecure=config.get("allow_insecure") is not False)
    return MichiganAdapter(transport, endpoint, parse_config(config), credential)


@pytest.fixture
def submission(tmp_path: Path) -> Submission:
    """A job of two small files."""
    return make_submission(tmp_path)


def make_submission(folder: Path, name: str = "fi-3f0c", **changes: object) -> Submission:
    """Make a job of two small files that the fake server accepts."""
    files = []
    for chromosome in ("20", "21"):
        path = folder / f"stored-{chromosome}"
        path.write_bytes(b"\x1f\x8b" + chromosome.encode() * 1000)
        files.append(InputFile(path, f"chr{chromosome}.vcf.gz", path.stat().st_size))
    values: dict[str, object] = {
        "name": name,
        "files": tuple(files),
        "panel_key": PANEL,
        "build": "hg19",
        "phasing": True,
        "population": "afr",
        "mode": "imputation",
        "archive_password": PASSWORD,
    }
    return Submission(**{**values, **changes})  # type: ignore[arg-type] # a bag of keyword arguments


def make_form(**changed: dict[str, Any] | None) -> Form:
    """The usual form; a parameter given as None is left out, others are replaced or added."""
    params = [param for param in default_params() if param["id"] not in changed]
    params += [{"id": name, **param} for name, param in changed.items() if param is not None]
    return read_form({"id": "imputationserver2", "version": "2.0.12", "params": params}, APP)


def ignore(_count: int) -> None:
    """Hear of progress, and do nothing."""


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Contexts of a server called localhost and of a client that trusts it alone."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    pem = certificate.public_bytes(Encoding.PEM)
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "both.pem").write_bytes(secret + pem)
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(folder / "both.pem")
    return server_side, ssl.create_default_context(cadata=pem.decode())
