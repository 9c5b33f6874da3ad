"""Archives as the servers make them, and as nobody should: written byte by byte, so that every lie is possible."""

import os
import struct
import zlib
from dataclasses import dataclass

from Crypto.Cipher import AES
from Crypto.Hash import HMAC, SHA1
from Crypto.Protocol.KDF import PBKDF2
from Crypto.Util import Counter

_CRC = [0] * 256
for _n in range(256):
    _c = _n
    for _ in range(8):
        _c = (_c >> 1) ^ 0xEDB88320 if _c & 1 else _c >> 1
    _CRC[_n] = _c


@dataclass
class Entry:
    """One member. `name` goes into the header as it is; `crc` overrides the true checksum."""

    name: bytes | str
    data: bytes
    crc: int | None = None
    deflate: bool = True

    @property
    def raw_name(self) -> bytes:
        return self.name if isinstance(self.name, bytes) else self.name.encode()


def plain_zip(*entries: Entry) -> bytes:
    """Give an archive without encryption."""
    return _archive([_member(entry, *_packed(entry)) for entry in entries])


def zipcrypto(password: str, *entries: Entry) -> bytes:
    """Give an archive in the classic encryption, the servers' default (APPNOTE.TXT §6.1)."""
    members = []
    for entry in entries:
        method, packed = _packed(entry)
        crc = zlib.crc32(entry.data) if entry.crc is None else entry.crc
        clear = os.urandom(11) + bytes([crc >> 24]) + packed
        members.append(_member(entry, method, _scramble(password.encode(), clear), flags=1))
    return _archive(members)


def aes256(password: str, *entries: Entry) -> bytes:
    """Give an archive in AES-256, as AE-2 (WinZip's specification, which 7-Zip follows)."""
    members = []
    for entry in entries:
        method, packed = _packed(entry)
        salt = os.urandom(16)
        keys = PBKDF2(password.encode(), salt, 66, 1000, hmac_hash_module=SHA1)
        counter = Counter.new(nbits=128, little_endian=True)
        secret = AES.new(keys[:32], AES.MODE_CTR, counter=counter).encrypt(packed)
        mac = HMAC.new(keys[32:64], secret, digestmod=SHA1).digest()[:10]
        extra = struct.pack("<HHHHBH", 0x9901, 7, 2, 0x4541, 3, method)
        body = salt + keys[64:66] + secret + mac
        members.append(_member(entry, 99, body, flags=1, extra=extra, crc=0))
    return _archive(members)


def _packed(entry: Entry) -> tuple[int, bytes]:
    if not entry.deflate:
        return 0, entry.data
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    return 8, packer.compress(entry.data) + packer.flush()


def _member(
    entry: Entry,
    method: int,
    body: bytes,
    *,
    flags: int = 0,
    extra: bytes = b"",
    crc: int | None = None,
) -> tuple[bytes, bytes]:
    """Give the local part and the central header without its offset."""
    if crc is None:
        crc = zlib.crc32(entry.data) if entry.crc is None else entry.crc
    name = entry.raw_name
    common = struct.pack(
        "<HHHHHIIIHH",
        51,
        flags,
        method,
        0,
        0x21,
        crc,
        len(body),
        len(entry.data),
        len(name),
        len(extra),
    )
    local = b"PK\x03\x04" + common + name + extra + body
    central = b"PK\x01\x02" + struct.pack("<H", 51) + common + struct.pack("<HHHI", 0, 0, 0, 0)
    return local, central + b"OFFS" + name + extra


def _archive(members: list[tuple[bytes, bytes]]) -> bytes:
    body, directory = b"", b""
    for local, central in members:
        directory += central.replace(b"OFFS", struct.pack("<I", len(body)), 1)
        body += local
    end = struct.pack("<HHHHIIH", 0, 0, len(members), len(members), len(directory), len(body), 0)
    return body + directory + b"PK\x05\x06" + end


def _scramble(password: bytes, clear: bytes) -> bytes:
    a, b, c = 0x12345678, 0x23456789, 0x34567890

    def turn(byte: int) -> None:
        nonlocal a, b, c
        a = _CRC[(a ^ byte) & 0xFF] ^ (a >> 8)
        b = (b + (a & 0xFF)) & 0xFFFFFFFF
        b = (b * 134775813 + 1) & 0xFFFFFFFF
        c = _CRC[(c ^ (b >> 24)) & 0xFF] ^ (c >> 8)

    for byte in password:
        turn(byte)
    out = bytearray()
    for byte in clear:
        k = (c | 2) & 0xFFFF
        out.append(byte ^ (((k * (k ^ 1)) >> 8) & 0xFF))
        turn(byte)
    return bytes(out)
