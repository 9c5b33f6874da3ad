"""As whom the servers run, and who can reach them."""

import asyncio
import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest
import redis.asyncio

from app.embedded import EmbeddedPostgres, EmbeddedServerError, EmbeddedValkey, privileges, process
from app.embedded.privileges import Identity, choose_identity, ensure_private_dir
from app.embedded.programs import postgres_bin
from tests.embedded.conftest import REPOSITORY, StartChild

NOBODY = pwd.getpwnam("nobody")
STRANGER = 54321

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="what root does: run the tests as root")
unprivileged = pytest.mark.skipif(os.geteuid() == 0, reason="run the tests as an ordinary user")


def _closed_to_others(path: Path) -> bool:
    return any(not parent.stat().st_mode & 0o001 for parent in (path, *path.parents))


programs_reachable = pytest.mark.skipif(
    _closed_to_others(postgres_bin()),
    reason=f"other accounts cannot reach {postgres_bin()}, so root never drops to one",
)

namespaces_allowed = pytest.mark.skipif(
    subprocess.run(["unshare", "--user", "true"], check=False, capture_output=True).returncode != 0,
    reason="user namespaces are not allowed here",
)


async def _connect_as(uid: int, socket: Path) -> str:
    """What somebody else gets who connects to `socket`; he needs nothing but Perl, which Debian always has."""
    script = (
        "use Socket; $( = $) = $ARGV[0]; $< = $> = $ARGV[0]; die 'still root' unless $> == $ARGV[0];"
        "socket(S, AF_UNIX, SOCK_STREAM, 0); connect(S, pack_sockaddr_un($ARGV[1])) or print $!+0;"
    )
    perl = await asyncio.create_subprocess_exec(
        *("perl", "-e", script, str(uid), str(socket)), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await perl.communicate()
    assert perl.returncode == 0
    return os.strerror(int(out)) if out else "connected"


def _account_of(pid: int | None) -> int:
    return Path(f"/proc/{pid}").stat().st_uid


@as_root
@programs_reachable
async def test_root_when_an_account_can_reach_everything_then_drops_to_it_and_stays_alone(
    open_dir: Path,
) -> None:
    async with (
        EmbeddedPostgres(open_dir / "pg") as pg,
        EmbeddedValkey(open_dir / "valkey") as valkey,
    ):
        account = _account_of(pg.pid)
        assert account in {pwd.getpwnam(name).pw_uid for name in _existing(privileges.ACCOUNTS)}
        assert _account_of(valkey.pid) == account
        connection = await asyncpg.connect(pg.url)
        assert await connection.fetchval("select 1") == 1
        await connection.close()
        async with redis.asyncio.Redis.from_url(valkey.url) as client:
            assert await client.ping()
        for socket in (open_dir / "pg" / "run" / ".s.PGSQL.5432", valkey.socket):
            assert socket.parent.stat().st_mode & 0o777 == 0o700
            assert await _connect_as(account, socket) == "connected", "the check itself works"
            assert await _connect_as(STRANGER, socket) == "Permission denied"


def _existing(names: tuple[str, ...]) -> set[str]:
    return set(names) & {entry.pw_name for entry in pwd.getpwall()}


@as_root
@namespaces_allowed
async def test_root_when_no_account_can_pass_then_uses_a_namespace_and_stays_alone(
    open_dir: Path,
) -> None:
    closed = open_dir / "home"
    closed.mkdir(mode=0o700)
    async with EmbeddedPostgres(closed / "pg") as pg, EmbeddedValkey(closed / "valkey") as valkey:
        for pid in (pg.pid, valkey.pid):
            namespaces = [Path(f"/proc/{who}/ns/user").readlink() for who in (pid, "self")]
            assert namespaces[0] != namespaces[1]
            assert "CapEff:\t0000000000000000" in Path(f"/proc/{pid}/status").read_text()
        connection = await asyncpg.connect(pg.url)
        assert await connection.fetchval("select 1") == 1
        await connection.close()
        for socket in (closed / "pg" / "run" / ".s.PGSQL.5432", valkey.socket):
            closed.chmod(0o711)  # even if its parents were opened later
            assert await _connect_as(STRANGER, socket) == "Permission denied"
            assert await _connect_as(NOBODY.pw_uid, socket) == "Permission denied"
        assert closed.stat().st_mode & 0o777 == 0o711, "nobody opened the parents but this test"


@as_root
@programs_reachable
@namespaces_allowed
async def test_root_when_the_home_is_opened_or_closed_later_then_the_data_go_along(
    data_dir: Path,
) -> None:
    home = data_dir
    for mode, owners in ((0o700, {0}), (0o711, None), (0o700, {0})):
        home.chmod(mode)
        async with EmbeddedPostgres(home / "postgres") as pg:
            connection = await asyncpg.connect(pg.url)
            await connection.execute("create table if not exists kept (id int)")
            await connection.close()
            owner = (home / "postgres" / "data" / "base").stat().st_uid
            assert owner == _account_of(pg.pid)
            assert owner in owners if owners else owner != 0
        assert home.stat().st_mode & 0o777 == mode


@as_root
@programs_reachable
async def test_root_when_the_data_have_an_owner_then_he_stays_it(pg_root: Path) -> None:
    for path in (pg_root, *pg_root.rglob("*")):
        os.chown(path, STRANGER, STRANGER)
    async with EmbeddedPostgres(pg_root) as pg:
        assert _account_of(pg.pid) == STRANGER


@as_root
def test_ownership_when_changed_then_never_through_a_link(open_dir: Path) -> None:
    precious = open_dir / "precious"
    precious.write_text("")
    data = open_dir / "data"
    (data / "folder").mkdir(parents=True)
    (data / "folder" / "link").symlink_to(precious)
    ensure_private_dir(data, Identity("account", STRANGER, STRANGER))
    assert (data / "folder").stat().st_uid == STRANGER
    assert (data / "folder" / "link").lstat().st_uid == STRANGER
    assert precious.stat().st_uid == 0


@as_root
async def test_ordinary_user_when_he_runs_it_then_both_servers_are_his(
    open_dir: Path, start_child: StartChild
) -> None:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    found = (shutil.which(version, path=path) for path in (os.defpath, "/usr/local/bin"))
    pythons = [sys.executable, *(python for python in found if python)]
    python = next((p for p in pythons if not _closed_to_others(Path(p).resolve())), None)
    packages = next(path for path in sys.path if path.endswith("site-packages"))
    if python is None:
        pytest.skip(f"other accounts cannot reach any {version}")
    for place in (Path(packages), REPOSITORY):
        if _closed_to_others(place.resolve()):
            pytest.skip(f"other accounts cannot reach {place}")
    data_dir = open_dir / "data"
    data_dir.mkdir()
    os.chown(data_dir, NOBODY.pw_uid, NOBODY.pw_gid)
    child = await start_child(
        data_dir,
        python=python,
        prefix=(
            *("setpriv", f"--reuid={NOBODY.pw_uid}", f"--regid={NOBODY.pw_gid}"),
            "--clear-groups",
        ),
        environment={"PYTHONPATH": packages, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert _account_of(child.postgres_pid) == NOBODY.pw_uid
    assert _account_of(child.valkey_pid) == NOBODY.pw_uid
    sockets = (
        data_dir / "postgres" / "run" / ".s.PGSQL.5432",
        data_dir / "valkey" / "run" / "valkey.sock",
    )
    for socket in sockets:
        assert await _connect_as(NOBODY.pw_uid, socket) == "connected"
        assert await _connect_as(STRANGER, socket) == "Permission denied"


@unprivileged
async def test_ordinary_user_when_the_data_belong_to_another_then_says_to_whom(
    tmp_path: Path,
) -> None:
    with pytest.raises(EmbeddedServerError, match="belongs to the account root"):
        ensure_private_dir(Path("/etc"), Identity("self", os.geteuid(), os.getegid()))
    assert choose_identity(tmp_path, tmp_path, []).mode == "self"


@as_root
@pytest.mark.parametrize(("allowed", "mode"), [(True, "namespace"), (False, "passer")])
def test_identity_when_a_needed_file_is_closed_then_no_account_is_chosen(
    open_dir: Path, monkeypatch: pytest.MonkeyPatch, allowed: bool, mode: str
) -> None:
    monkeypatch.setattr(privileges, "allows_user_namespaces", lambda: allowed)
    program = open_dir / "program"
    program.write_text("")
    root = open_dir / "root"
    program.chmod(0o755)
    assert choose_identity(root, root / "data", [program]).mode == "account"
    program.chmod(0o750)
    assert choose_identity(root, root / "data", [program]).mode == mode
    assert choose_identity(root, root / "data", [open_dir / "absent"]).mode == mode


@as_root
async def test_namespace_when_the_system_forbids_it_then_says_what_to_do(
    open_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container whose seccomp profile blocks it; here because a process with threads may not (unshare(2))."""
    monkeypatch.setattr(privileges, "allows_user_namespaces", lambda: True)
    threaded = open_dir / "launcher.py"
    threaded.write_text(
        "import sys, threading\n"
        f"sys.path.insert(0, {str(process.LAUNCHER.parent)!r})\n"
        "import launcher\n"
        "threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
        "launcher.main(sys.argv[1:])\n"
    )
    monkeypatch.setattr(process, "LAUNCHER", threaded)
    closed = open_dir / "home"
    closed.mkdir(mode=0o700)
    for server in (EmbeddedPostgres(closed / "pg"), EmbeddedValkey(closed / "valkey")):
        with pytest.raises(
            EmbeddedServerError, match=r"as an ordinary user(.|\n)*FIP_DATABASE_URL"
        ):
            await server.start()


@as_root
async def test_passer_when_no_account_can_reach_the_files_then_servers_run_as_one_that_may_pass(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As in a chroot under root's home: no way for others, and no user namespaces."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    monkeypatch.setattr(privileges, "allows_user_namespaces", lambda: False)
    async with EmbeddedPostgres(home / "postgres") as server, EmbeddedValkey(home / "valkey"):
        connection = await asyncpg.connect(server.url)
        assert await connection.fetchval("select 1") == 1
        await connection.close()
        assert server.pid is not None
        assert Path(f"/proc/{server.pid}").stat().st_uid != 0
