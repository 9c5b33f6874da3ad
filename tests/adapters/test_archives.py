"""Unpacking on the fly: both ciphers, every kind of damage, every kind of malice, and threads that end."""

import asyncio
import hashlib
import os
import shutil
import subprocess
import threading
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.adapters.archives import Limits, UnsafeNameError, safe_name, store, unpack
from app.adapters.base import AdapterError, Rejected, ServiceUnavailable
from app.core.errors import StorageFull
from tests.adapters.sinks import MemorySink
from tests.fakes.zips import Entry, aes256, plain_zip, zipcrypto

PASSWORD = "fi-abcdefghijklmnopqrstu"
DOSE = os.urandom(200_000)
INFO = b"".join(b"20:%d:A:G\t0.1\t0.9\n" % n for n in range(5000))
ENTRIES = (Entry("chr20.dose.vcf.gz", DOSE), Entry("chr20.info.gz", INFO))
WANTED = {"chr20.dose.vcf.gz": DOSE, "chr20.info.gz": INFO}


async def _pieces(data: bytes, size: int = 5000) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]
        await asyncio.sleep(0)


@pytest.fixture(autouse=True)
def no_thread_is_left() -> object:
    """Every test must end with the threads that it began with."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        if thread.name == "unpack":
            thread.join(5)
            assert not thread.is_alive()


@pytest.mark.parametrize("pieces", [1, 999, 65536, 10_000_000])
@pytest.mark.parametrize(
    "make",
    [
        lambda: plain_zip(*ENTRIES),
        lambda: zipcrypto(PASSWORD, *ENTRIES),
        lambda: aes256(PASSWORD, *ENTRIES),
        lambda: plain_zip(*(Entry(e.name, e.data, deflate=False) for e in ENTRIES)),
    ],
)
async def test_unpack_when_archive_is_good_then_all_files_arrive(
    make: Callable[[], bytes], pieces: int
) -> None:
    archive = make()
    if pieces == 1:
        archive = aes256(PASSWORD, Entry("chr20.info.gz", INFO[:900]))
    sink = MemorySink()
    count = await unpack(_pieces(archive, pieces), sink, password=PASSWORD)
    files = sink.whole()
    assert count == len(files)
    assert files == ({"chr20.info.gz": INFO[:900]} if pieces == 1 else WANTED)
    assert len(sink.threads) == 1
    assert threading.get_ident() not in sink.threads


@pytest.mark.skipif(shutil.which("7zz") is None, reason="7zip is not installed")
@pytest.mark.parametrize("cipher", ["ZipCrypto", "AES256"])
async def test_unpack_when_made_as_the_servers_do_then_all_files_arrive(
    tmp_path: Path, cipher: str
) -> None:
    """`7z a -tzip -p"…"`: imputationserver2 compression_encryption_vcf.nf."""
    for name, content in WANTED.items():
        (tmp_path / name).write_bytes(content)
    command = ["7zz", "a", "-tzip", f"-mem={cipher}", f"-p{PASSWORD}", "chr_20.zip", *WANTED]
    subprocess.run(command, cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
    archive = (tmp_path / "chr_20.zip").read_bytes()
    sink = MemorySink()
    await unpack(_pieces(archive), sink, password=PASSWORD)
    assert sink.whole() == WANTED
    with pytest.raises(Rejected, match=r"password is wrong|damaged"):
        await unpack(_pieces(archive), MemorySink(), password="wrong-password")


async def test_unpack_when_it_has_folders_and_nothing_then_only_files_count() -> None:
    sink = MemorySink()
    archive = plain_zip(Entry("a/", b""), Entry("a/b.txt", b"x"), Entry("empty.txt", b""))
    assert await unpack(_pieces(archive), sink, password=None) == 2
    assert sink.whole() == {"a/b.txt": b"x", "empty.txt": b""}
    assert await unpack(_pieces(plain_zip()), MemorySink(), password=None) == 0


@pytest.mark.parametrize("make", [zipcrypto, aes256])
async def test_unpack_when_password_is_wrong_then_rejected_and_nothing_is_opened(
    make: Callable[..., bytes],
) -> None:
    archive = make("right", *ENTRIES)
    refused = 0
    for attempt in range(4):
        sink = MemorySink()
        with pytest.raises(Rejected) as caught:
            await unpack(_pieces(archive), sink, password=f"wrong-{attempt}")
        # ZipCrypto's check is one byte: one wrong password in 256 is found out by the content only.
        refused += "password is wrong" in caught.value.reason
        assert not any(file.finished for file in sink.files.values())
    assert refused >= 2


async def test_unpack_when_password_is_missing_then_rejected() -> None:
    with pytest.raises(Rejected, match="no password"):
        await unpack(_pieces(aes256("x", *ENTRIES)), MemorySink(), password=None)


@pytest.mark.parametrize(
    "make", [zipcrypto, aes256, lambda _password, *entries: plain_zip(*entries)]
)
@pytest.mark.parametrize("share", [0.02, 0.5, 0.95])
async def test_unpack_when_the_whole_body_is_a_cut_archive_then_rejected(
    make: Callable[..., bytes], share: float
) -> None:
    archive = make(PASSWORD, *ENTRIES)
    with pytest.raises(Rejected, match="cut short or damaged"):
        await unpack(_pieces(archive[: int(len(archive) * share)]), MemorySink(), password=PASSWORD)


async def test_unpack_when_a_checksum_differs_then_rejected() -> None:
    wrong = zlib.crc32(b"something else")
    for archive in (
        plain_zip(Entry("a", INFO, crc=wrong)),
        zipcrypto(PASSWORD, Entry("a", INFO, crc=wrong)),
    ):
        sink = MemorySink()
        with pytest.raises(Rejected, match="damaged"):
            await unpack(_pieces(archive), sink, password=PASSWORD)
        assert not any(file.finished for file in sink.files.values())


async def test_unpack_when_an_aes_archive_was_tampered_with_then_rejected() -> None:
    archive = bytearray(aes256(PASSWORD, *ENTRIES))
    archive[1000] ^= 1
    with pytest.raises(Rejected, match="damaged"):
        await unpack(_pieces(bytes(archive)), MemorySink(), password=PASSWORD)


@pytest.mark.parametrize(
    "body",
    [b"", b"PK", b"<html>Sign in</html>", b'{"message":"x"}', b"\x1f\x8b\x08\x00", b"\x00" * 9999],
)
async def test_unpack_when_it_is_no_archive_then_nothing_is_concluded(body: bytes) -> None:
    sink = MemorySink()
    with pytest.raises(ServiceUnavailable, match="not a result archive"):
        await unpack(_pieces(body), sink, password=PASSWORD)
    assert sink.files == {}


SLIPS: list[str | bytes] = [
    "../evil", "a/../../evil", "/etc/passwd", "a/./b", "a//b", "..", ".", "", "C:/x", "c:x", "a\\..\\b", "\\\\host\\x",
    "a\x00b", "a\nb", "a\x1bb", "a\u202eb", "x" * 300, "/".join(["d" * 100] * 20), " /a", ".. /a", b"../\xff", "//x", "/",
]  # fmt: skip


@pytest.mark.parametrize("name", SLIPS)
async def test_unpack_when_a_name_is_unsafe_then_rejected_and_nothing_is_opened(
    name: str | bytes,
) -> None:
    sink = MemorySink()
    with pytest.raises(Rejected, match="its name is") as caught:
        await unpack(_pieces(plain_zip(Entry(name, b"x"))), sink, password=None)
    assert sink.files == {}
    assert "evil" not in caught.value.reason


@pytest.mark.parametrize(
    "name", ["chr20.dose.vcf.gz", "statistics/snps-excluded.txt", "ä/ö.txt", "..a", "a..b", "a b"]
)
def test_safe_name_when_plain_then_given_back(name: str) -> None:
    assert safe_name(name) == name


@given(st.text(max_size=60))
def test_safe_name_when_given_anything_then_it_stays_below_its_folder(name: str) -> None:
    try:
        assert safe_name(name) == name
    except UnsafeNameError:
        return
    root = Path("/srv/store")
    assert os.path.normpath(root / name).startswith("/srv/store/")


@pytest.mark.parametrize(
    ("first", "second"), [("a.txt", "a.txt"), ("a.txt", "A.TXT"), ("\u00e9", "e\u0301")]
)
async def test_unpack_when_two_members_are_called_the_same_then_rejected(
    first: str, second: str
) -> None:
    archive = plain_zip(Entry(first, b"1"), Entry(second, b"2"))
    with pytest.raises(Rejected, match="same name"):
        await unpack(_pieces(archive), MemorySink(), password=None)


async def test_unpack_when_it_is_a_bomb_then_rejected_long_before_it_is_unpacked() -> None:
    bomb = plain_zip(Entry("zeros", b"\0" * (64 * 1024 * 1024)))
    limits = Limits(ratio_from_bytes=4 * 1024 * 1024)
    sink = MemorySink(keep=False)
    with pytest.raises(Rejected, match="bomb"):
        await unpack(_pieces(bomb, 1 << 20), sink, password=None, limits=limits)
    assert sink.received < 16 * 1024 * 1024


async def test_unpack_when_it_has_too_much_then_rejected() -> None:
    with pytest.raises(Rejected, match="more than this platform accepts"):
        await unpack(
            _pieces(plain_zip(*ENTRIES)),
            MemorySink(),
            password=None,
            limits=Limits(max_total_bytes=100_000),
        )
    many = plain_zip(*(Entry(f"f{n}", b"") for n in range(30)))
    with pytest.raises(Rejected, match="more files"):
        await unpack(_pieces(many), MemorySink(), password=None, limits=Limits(max_members=29))


async def test_unpack_when_the_published_checksum_differs_then_rejected() -> None:
    archive = plain_zip(*ENTRIES)
    right = hashlib.md5(archive, usedforsecurity=False).hexdigest()
    await unpack(_pieces(archive), MemorySink(), password=None, md5=right.upper())
    with pytest.raises(Rejected, match="checksum differs"):
        await unpack(_pieces(archive), MemorySink(), password=None, md5="0" * 32)


async def test_store_when_plain_then_one_file() -> None:
    sink = MemorySink()
    assert await store(_pieces(INFO), sink, "statistics/a.txt") == len(INFO)
    assert sink.whole() == {"statistics/a.txt": INFO}
    sink = MemorySink()
    assert await store(_pieces(b""), sink, "empty.txt") == 0
    assert sink.whole() == {"empty.txt": b""}


async def test_store_when_unsafe_or_too_large_or_damaged_then_rejected() -> None:
    with pytest.raises(Rejected, match="its name"):
        await store(_pieces(b"x"), MemorySink(), "../x")
    with pytest.raises(Rejected, match="larger"):
        await store(_pieces(INFO), MemorySink(), "x", limits=Limits(max_total_bytes=10))
    sink = MemorySink()
    with pytest.raises(Rejected, match="checksum"):
        await store(_pieces(INFO), sink, "x", md5="0" * 32)
    assert not sink.files["x"].finished


@pytest.mark.parametrize(
    "error", [StorageFull("no room"), OSError(28, "No space left"), ValueError("x"), KeyError("y")]
)
@pytest.mark.parametrize("archive", [True, False])
async def test_unpack_when_the_sink_fails_then_its_own_exception_passes(
    error: Exception, archive: bool
) -> None:
    sink = MemorySink(fail_after=50_000, error=error)
    work = (
        unpack(_pieces(aes256(PASSWORD, *ENTRIES)), sink, password=PASSWORD)
        if archive
        else store(_pieces(DOSE), sink, "x")
    )
    with pytest.raises(type(error)) as caught:
        await work
    assert caught.value is error


@pytest.mark.parametrize("error", [ServiceUnavailable("cut"), RuntimeError("x")])
async def test_unpack_when_the_source_fails_then_its_own_exception_passes(error: Exception) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield plain_zip(*ENTRIES)[:50_000]
        raise error

    sink = MemorySink()
    with pytest.raises(type(error)) as caught:
        await unpack(broken(), sink, password=None)
    assert caught.value is error
    received = sink.received
    await asyncio.sleep(0.01)
    assert sink.received == received


async def test_unpack_when_cancelled_while_waiting_for_bytes_then_the_thread_ends() -> None:
    started = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield plain_zip(*ENTRIES)[:50_000]
        started.set()
        await asyncio.sleep(60)

    work = asyncio.create_task(unpack(slow(), MemorySink(), password=None))
    await started.wait()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert not any(thread.name == "unpack" and thread.is_alive() for thread in _lately())


async def test_unpack_when_cancelled_in_the_midst_of_a_bomb_then_the_thread_ends() -> None:
    """One small piece that inflates for long: the thread must look up between the blocks it writes."""
    bomb = plain_zip(Entry("zeros", b"\0" * (64 * 1024 * 1024)))
    hold = threading.Event()
    sink = MemorySink(hold=hold, keep=False)
    work = asyncio.create_task(unpack(_pieces(bomb, len(bomb)), sink, password=None))
    while not sink.files:
        await asyncio.sleep(0.001)
    work.cancel()
    await asyncio.sleep(0.01)
    hold.set()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert sink.received < 1024 * 1024


async def test_unpack_when_cancelled_twice_then_it_still_waits_for_the_thread() -> None:
    hold = threading.Event()
    sink = MemorySink(hold=hold)
    work = asyncio.create_task(unpack(_pieces(plain_zip(*ENTRIES)), sink, password=None))
    while not sink.files:
        await asyncio.sleep(0.001)
    for _ in range(3):
        work.cancel()
        await asyncio.sleep(0.01)
    assert not work.done()
    hold.set()
    with pytest.raises(asyncio.CancelledError):
        await work


def _lately() -> list[threading.Thread]:
    for thread in threading.enumerate():
        if thread.name == "unpack":
            thread.join(5)
    return threading.enumerate()


async def test_unpack_when_the_sink_is_slow_then_the_source_has_to_wait() -> None:
    hold = threading.Event()
    taken = 0
    piece = os.urandom(1 << 20)

    async def source() -> AsyncIterator[bytes]:
        nonlocal taken
        for _ in range(64):
            taken += 1
            yield piece

    work = asyncio.create_task(store(source(), MemorySink(hold=hold, keep=False), "x"))
    for _ in range(200):
        await asyncio.sleep(0.001)
    assert taken < 10
    hold.set()
    assert await work == 64 << 20


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_unpack_when_bytes_are_changed_at_random_then_only_known_errors(
    data: st.DataObject,
) -> None:
    """Whatever a remote sends, the engine meets an AdapterError or files."""
    base = data.draw(st.sampled_from(_SAMPLES))
    broken = bytearray(base)
    for place in data.draw(st.lists(st.integers(0, len(base) - 1), min_size=1, max_size=6)):
        broken[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(base)))

    async def run() -> None:
        body = bytes(broken[:cut] if cut % 3 == 0 else broken)
        with suppress(AdapterError):
            await unpack(_pieces(body, 100), MemorySink(), password=PASSWORD)

    asyncio.run(run())


_SMALL = (Entry("a.txt", b"hello " * 20), Entry("b/c.txt", b"", deflate=False))
_SAMPLES = [plain_zip(*_SMALL), zipcrypto(PASSWORD, *_SMALL), aes256(PASSWORD, *_SMALL)]
