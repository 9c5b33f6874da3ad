"""What pushed results may be called, and how their checksums are read."""

import base64
import hashlib

import pytest

from app.core.errors import BrokenUpload, InvalidInput
from app.core.pushes import Checksums, role_of

BODY = b"dosages"
SHA = hashlib.sha256(BODY)
MD5 = hashlib.md5(BODY, usedforsecurity=False)


def b64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("chr20.dose.vcf.gz", "result"),
        ("chr20.dose.vcf.gz.tbi", "result"),
        ("chr20.info.gz", "result"),
        ("RESULTS.ZIP", "result"),
        ("chr20.vcf.gz.csi", "result"),
        ("results.md5", "result"),
        ("report.html", "qc"),
        ("trace.txt", "qc"),
        ("nextflow.log", "qc"),
    ],
)
def test_role_when_a_name_is_allowed_then_its_ending_says_it(name: str, role: str) -> None:
    assert role_of(name) == role


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", ".vcf.gz", "-x.zip", "a/b.zip", "a\\b.zip", "a b.zip", "x.exe", "x.sh", "x.gz", "é.zip", "a\n.zip", "a..zip",
     "x" * 147 + ".zip", "x.zip\0", "x.zip/", "%2e%2e.zip"],
)  # fmt: skip
def test_role_when_a_name_is_not_allowed_then_refuses(name: str) -> None:
    with pytest.raises(InvalidInput):
        role_of(name)


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Checksum-SHA256": SHA.hexdigest().upper()},
        {"Digest": f"SHA-256={b64(SHA.digest())}"},
        {"Digest": f"unixsum=1, sha-256={b64(SHA.digest())},md5={b64(MD5.digest())}"},
        {"Content-Digest": f"sha-256=:{b64(SHA.digest())}:"},
        {"Content-MD5": b64(MD5.digest())},
        {"X-Checksum-SHA256": SHA.hexdigest(), "Digest": f"sha-256={b64(SHA.digest())}"},
        {},
    ],
)
def test_checksums_when_they_fit_then_nothing_is_said_and_else_refused(
    headers: dict[str, str],
) -> None:
    told = Checksums.of(headers)
    told.check(SHA.hexdigest(), MD5.hexdigest())
    if headers:
        with pytest.raises(BrokenUpload):
            told.check("0" * 64, "0" * 32)


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Checksum-SHA256": "abc"},
        {"X-Checksum-SHA256": ""},
        {"Digest": "sha-256=abc"},
        {"Digest": f"sha-256={b64(MD5.digest())}"},
        {"Content-MD5": SHA.hexdigest()},
        {"Content-MD5": "ü"},
        {"X-Checksum-SHA256": "0" * 64, "Digest": f"sha-256={b64(SHA.digest())}"},
    ],
)
def test_checksums_when_they_can_be_none_then_refuses(headers: dict[str, str]) -> None:
    with pytest.raises(InvalidInput):
        Checksums.of(headers)
