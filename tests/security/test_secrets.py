"""The vault, passwords and signed links by themselves."""

from uuid import uuid4

import pytest

from app.core.errors import RateLimited
from app.security.links import LinkSigner
from app.security.passwords import Passwords
from app.security.tokens import TokenSigner
from app.security.vault import Vault, VaultError, parse_keys

KEYS = {"new": b"n" * 32, "old": b"o" * 32}


def test_vault_when_sealed_twice_then_the_bytes_differ_and_both_open() -> None:
    vault = Vault(KEYS)

    (one, key_id), (two, _) = vault.seal("secret", 1, "a"), vault.seal("secret", 1, "a")

    assert one != two
    assert b"secret" not in one
    assert key_id == "new"
    assert vault.open(one, key_id, 1, "a") == vault.open(two, key_id, 1, "a") == "secret"


@pytest.mark.parametrize("context", [(2, "a"), (1, "b"), (1,), (), ("1a",), (1, "a", "")])
def test_vault_when_context_differs_then_it_does_not_open(context: tuple[object, ...]) -> None:
    vault = Vault(KEYS)
    sealed, key_id = vault.seal("secret", 1, "a")

    with pytest.raises(VaultError):
        vault.open(sealed, key_id, *context)


def test_vault_when_any_bit_is_changed_then_it_does_not_open() -> None:
    vault = Vault(KEYS)
    sealed, key_id = vault.seal("secret")

    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1
        with pytest.raises(VaultError):
            vault.open(bytes(changed), key_id)
    for length in range(len(sealed)):
        with pytest.raises(VaultError):
            vault.open(sealed[:length], key_id)


def test_vault_when_the_key_is_gone_then_it_says_which() -> None:
    sealed, key_id = Vault({"lost": b"l" * 32}).seal("secret")

    with pytest.raises(VaultError, match="lost"):
        Vault(KEYS).open(sealed, key_id)


def test_fingerprint_when_keys_were_rotated_then_it_still_fits_its_own_data_alone() -> None:
    fingerprint = Vault({"old": KEYS["old"]}).fingerprint(b"data")
    rotated = Vault(KEYS)

    assert rotated.is_fingerprint(fingerprint, b"data")
    assert not rotated.is_fingerprint(fingerprint, b"other")
    assert not Vault({"new": KEYS["new"]}).is_fingerprint(fingerprint, b"data")
    assert fingerprint != rotated.fingerprint(b"data")
    assert not rotated.is_fingerprint("nonsense", b"data")


@pytest.mark.parametrize(
    "text", ["", "a", "a:", "a:short", ":" + "x" * 43, "a:!!!", f"a:{'A' * 44}"]
)
def test_keys_when_they_cannot_be_read_then_the_vault_refuses(text: str) -> None:
    with pytest.raises(VaultError) as caught:
        Vault(parse_keys(text))
    assert "short" not in str(caught.value)


async def test_password_when_it_fits_then_only_itself_does() -> None:
    passwords = Passwords(4)
    stored = await passwords.hash("pässword 1")

    assert await passwords.check("pässword 1", stored)
    assert not await passwords.check("pässword 2", stored)
    assert not await passwords.check("pässword 1", None)
    assert not await passwords.check("", None)


async def test_password_when_longer_than_bcrypt_looks_then_it_does_not_fit() -> None:
    passwords = Passwords(4)
    stored = await passwords.hash("x" * 72)

    assert await passwords.check("x" * 72, stored)
    assert not await passwords.check("x" * 73, stored)


def test_attempts_when_addresses_differ_then_they_do_not_slow_each_other() -> None:
    passwords = Passwords(4, attempts_per_minute=1)
    passwords.begin_attempt("alice", "192.0.2.1")

    with pytest.raises(RateLimited):
        passwords.begin_attempt(" ALICE ", "192.0.2.1")
    passwords.begin_attempt("alice", "192.0.2.2")
    passwords.begin_attempt("bob", "192.0.2.1")


def test_attempts_when_one_network_uses_many_addresses_then_they_count_as_one() -> None:
    passwords = Passwords(4, attempts_per_minute=1)
    passwords.begin_attempt("alice", "2001:db8::1")

    with pytest.raises(RateLimited):
        passwords.begin_attempt("alice", "2001:db8::2")


def test_link_when_signed_then_only_itself_is_read() -> None:
    signer = LinkSigner("l" * 32)
    link = uuid4()
    token = signer.sign(link, 7)

    assert signer.read(token) == (link, 7)
    assert LinkSigner("m" * 32).read(token) is None
    for place in range(len(token)):
        changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        assert signer.read(changed) is None, place
    for odd in ("", "x", token + "A", token[:-1], token + "=", "\u00e9" * 56, "../" * 10):
        assert signer.read(odd) is None


@pytest.mark.parametrize("make", [LinkSigner, lambda secret: TokenSigner(secret, 60)])
def test_signer_when_its_secret_is_short_then_it_refuses_to_start(make: type) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        make("short")
