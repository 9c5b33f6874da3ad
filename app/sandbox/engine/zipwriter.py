"""Encrypted zip archives without another program: classic ZipCrypto and WinZip AES-256 (AE-2).

For the instant engine, which must not need 7-Zip and is in a hurry: members are stored, not compressed
(VCFs are compressed already). ZipCrypto in Python does about 1.5 MB/s, AES some 100 MB/s.
Formats: PKWARE APPNOTE 6.3 section 6.1; WinZip "AES Encryption Information", AE-2.
"""

import hashlib
import hmac
import os
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

_CHUNK = 64 * 1024
_STORED, _AES = 0, 99
_DOS_DATE = (1980 - 1980) << 9 | 1 << 5 | 1
_AES_OVERHEAD = 16 + 2 + 10  # salt, password check, authentication code
_AES_ROUNDS = 1000
_LIMIT_BYTES = 2**32 - 1  # no ZIP64 here


@dataclass(frozen=True, slots=True)
class Member:
    """A member as it goes into the archive: ``chunks`` gives its ``packed`` bytes, afresh each time."""

    name: str
    chunks: Callable[[], Iterable[bytes]]
    packed: int
    size: int
    crc: int
    method: int = _STORED


def from_file(path: Path) -> Member:
    """A file, stored."""
    crc = 0
    for chunk in _read(path):
        crc = zlib.crc32(chunk, crc)
    size = path.stat().st_size
    return Member(path.name, lambda: _read(path), size, size, crc)


def write_zip(target: Path, members: Iterable[Member], password: str, *, aes: bool) -> None:
    """Write an archive; an empty password makes an open one.

    Raises:
        ValueError: a member of 4 GiB or more.
    """
    directory = []
    with target.open("wb") as file:
        for member in members:
            if member.size > _LIMIT_BYTES:
                raise ValueError(f"{member.name} is too large for this writer")
            local, central = _headers(member, file.tell(), bool(password), aes=aes)
            directory.append(central)
            file.write(local)
            for chunk in _encrypted(member, password.encode(), aes=aes):
                file.write(chunk)
        start = file.tell()
        file.write(b"".join(directory))
        length = file.tell() - start
        count = len(directory)
        file.write(struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, length, start, 0))


def _headers(member: Member, at: int, encrypted: bool, *, aes: bool) -> tuple[bytes, bytes]:
    """The local header of a member that begins at ``at``, and its entry in the central directory."""
    name = member.name.encode()
    method, crc, size, extra = member.method, member.crc, member.packed, b""
    if encrypted and aes:
        extra = struct.pack("<2HH2sBH", 0x9901, 7, 2, b"AE", 3, method)
        method, crc, size = _AES, 0, size + _AES_OVERHEAD
    elif encrypted:
        size += 12
    flags = 0x800 | (1 if encrypted else 0)  # UTF-8 names
    common = struct.pack(
        "<5H3I2H",
        51 if aes else 20,
        flags,
        method,
        0,
        _DOS_DATE,
        crc,
        size,
        member.size,
        len(name),
        len(extra),
    )
    local = b"PK\3\4" + common + name + extra
    tail = struct.pack("<3H2I", 0, 0, 0, 0, at)
    return local, b"PK\1\2" + struct.pack("<H", 63) + common + tail + name + extra


def _encrypted(member: Member, password: bytes, *, aes: bool) -> Iterable[bytes]:
    if not password:
        return member.chunks()
    return _aes(member, password) if aes else _zipcrypto(member, password)


def _aes(member: Member, password: bytes) -> Iterator[bytes]:
    """AES-256 in the counter mode of WinZip, whose counter is little-endian and begins with 1."""
    salt = os.urandom(16)
    keys = hashlib.pbkdf2_hmac("sha1", password, salt, _AES_ROUNDS, 66)
    block = Cipher(algorithms.AES(keys[:32]), modes.ECB()).encryptor()  # noqa: S305 - the counters are ours
    mac = hmac.new(keys[32:64], digestmod=hashlib.sha1)
    yield salt + keys[64:]
    counter = 1
    for chunk in _even(member.chunks()):
        blocks = -(-len(chunk) // 16)
        counters = b"".join(n.to_bytes(16, "little") for n in range(counter, counter + blocks))
        counter += blocks
        stream = block.update(counters)[: len(chunk)]
        mixed = int.from_bytes(chunk, "little") ^ int.from_bytes(stream, "little")
        sealed = mixed.to_bytes(len(chunk), "little")
        mac.update(sealed)
        yield sealed
    yield mac.digest()[:10]


def _even(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of which all but the last are whole cipher blocks."""
    rest = b""
    for chunk in chunks:
        text = rest + chunk
        cut = len(text) - len(text) % 16
        if cut:
            yield text[:cut]
        rest = text[cut:]
    if rest:
        yield rest


@cache
def _crc_table() -> tuple[int, ...]:
    table = []
    for n in range(256):
        value = n
        for _ in range(8):
            value = (value >> 1) ^ (0xEDB88320 if value & 1 else 0)
        table.append(value)
    return tuple(table)


def _zipcrypto(member: Member, password: bytes) -> Iterator[bytes]:
    """The stream cipher of PKZIP; its header ends with the high byte of the CRC, by which it is checked."""
    table = _crc_table()
    keys = (0x12345678, 0x23456789, 0x34567890)
    _, keys = _scramble(password, keys, table)
    header = os.urandom(11) + bytes([member.crc >> 24])
    sealed, keys = _scramble(header, keys, table)
    yield sealed
    for chunk in member.chunks():
        sealed, keys = _scramble(chunk, keys, table)
        yield sealed


_Keys = tuple[int, int, int]


def _scramble(text: bytes, keys: _Keys, table: tuple[int, ...]) -> tuple[bytes, _Keys]:
    k0, k1, k2 = keys
    out = bytearray(len(text))
    for i, byte in enumerate(text):
        t = (k2 & 0xFFFF) | 2
        out[i] = byte ^ ((t * (t ^ 1)) >> 8 & 0xFF)
        k0 = (k0 >> 8) ^ table[(k0 ^ byte) & 0xFF]
        k1 = ((k1 + (k0 & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
        k2 = (k2 >> 8) ^ table[(k2 ^ (k1 >> 24)) & 0xFF]
    return bytes(out), (k0, k1, k2)


def _read(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk
