"""Credentials as people paste them: blanks, quotes, line breaks, too much of them; refused without being repeated, kept without being shown."""

from app.usecases.deps import Deps
from tests.adversarial.refusals import leaves_nothing, refused, rows
from tests.support.api import Api
from tests.support.jobs import make_desk
from tests.support.people import Person

PATH = "/users/me/service-credentials"
SECRET = "tok-PLANTED-secret-0123456789"

REFUSED = {
    "single quotes": f"'{SECRET}'",
    "double quotes": f'"{SECRET}"',
    "one quote": f'{SECRET}"',
    "back-quotes": f"`{SECRET}`",
    "typographic quotes": f"\u201c{SECRET}\u201d",
    "guillemets": f"\u00ab{SECRET}\u00bb",
    "a blank within": SECRET.replace("-", " ", 1),
    "a line break within": SECRET.replace("-", "\n", 1),
    "a carriage return within": SECRET.replace("-", "\r\n", 1),
    "a tab within": SECRET.replace("-", "\t", 1),
    "a no-break space within": SECRET.replace("-", "\u00a0", 1),
    "a zero-width space within": SECRET.replace("-", "\u200b", 1),
    "a soft hyphen within": SECRET.replace("-", "\u00ad", 1),
    "a direction mark": f"\u202e{SECRET}",
    "with its header's name": f"X-Auth-Token: {SECRET}",
    "with Bearer": f"Bearer {SECRET}",
    "two at once": f"{SECRET}\n{SECRET}",
    "letters beyond ASCII": f"{SECRET}é",
    "an emoji": f"{SECRET}🧬",
    "a bell": f"{SECRET}\x07",
    "an escape sequence": f"\x1b[31m{SECRET}",
    "a delete character": f"{SECRET}\x7f",
    "8 KiB and one": SECRET + "x" * (8192 - len(SECRET) + 1),
    "20 kB": SECRET + "x" * 19_000,
    "only blanks": " \n\t ",
    "nothing": "",
}
TAKEN = {
    "as it is": SECRET,
    "blanks around": f"  {SECRET} \n",
    "line breaks around": f"\r\n{SECRET}\r\n",
    "no-break spaces around": f"\u00a0{SECRET}\u200b\ufeff",
    "8 KiB": SECRET + "x" * (8192 - len(SECRET)),
    "one character": "x",
    "odd characters": "!#$%&()*+,-./:;<=>?@[]^_{|}~",
}


async def test_token_when_pasted_wrongly_then_refused_and_not_repeated_on_every_way_in(
    client: Api, deps: Deps, alice: Person, admin: Person
) -> None:
    desk = await make_desk(deps, alice)
    service = desk.service.id
    stored = (await client.get(PATH, as_=alice)).json()[0]["id"]
    ways = (
        (alice, "POST", PATH, lambda token: {"service_id": service, "api_token": token}),
        (alice, "PATCH", f"{PATH}/{stored}", lambda token: {"api_token": token}),
        (alice, "POST", f"{PATH}/test", lambda token: {"service_id": service, "api_token": token}),
        (
            admin,
            "PATCH",
            f"/services/{service}",
            lambda token: {"api_config": {"api_token": token}},
        ),
    )
    async with leaves_nothing(deps):
        for person, method, path, body in ways:
            for what, token in REFUSED.items():
                answer = await client.request(method, path, as_=person, json=body(token))
                if (
                    answer.status == 429
                ):  # the way that asks the service is slowed down, whatever it is asked with
                    break
                code = "invalid_credential"
                if len(token) > 18_000 or (not token and method == "PATCH"):
                    code = answer.json()["code"]
                told = refused(answer, 400, code, about=(method, path, what))
                assert "PLANTED" not in answer.text, what
                assert any("token" in item["field"] for item in told["errors"]), (what, told)


async def test_token_when_pasted_with_blanks_around_then_kept_without_them(
    client: Api, deps: Deps, alice: Person
) -> None:
    desk = await make_desk(deps, None)
    for what, token in TAKEN.items():
        body = {"service_id": desk.service.id, "api_token": token}
        answer = await client.post(PATH, as_=alice, json=body)
        assert answer.status in (200, 201), (what, answer.text)
        assert "PLANTED" not in answer.text
        assert (await client.get(PATH, as_=alice)).text.count("PLANTED") == 0
        row = await deps.pool.fetchrow("select * from user_service_credentials")
        assert b"PLANTED" not in row["secret"]
        context = ("credential", alice.id, desk.service.id, row["origin"])
        opened = deps.vault.open(row["secret"], row["secret_key_id"], *context)
        assert f'"{token.strip(chr(0xA0) + chr(0x200B) + chr(0xFEFF)).strip()}"' in opened, what


async def test_password_when_it_is_no_password_then_refused_and_not_repeated(
    client: Api, deps: Deps, alice: Person
) -> None:
    desk = await make_desk(deps, None, credential_kind="password")
    wrong = [
        {"username": "alice", "password": "PLANTED\nx"},
        {"username": "alice", "password": "PLANTED\x07"},
        {"username": "alice", "password": "PLANTED" + "x" * 8192},
        {"username": "alice", "password": ""},
        {"username": "alice"},
        {"username": "", "password": "PLANTED"},
        {"username": "a\nb", "password": "PLANTED"},
        {"username": "a" * 201, "password": "PLANTED"},
        {"password": "PLANTED"},
        {"api_token": "PLANTED"},
        {"username": "alice", "password": "PLANTED", "api_token": "PLANTED"},
        {},
    ]
    async with leaves_nothing(deps):
        for body in wrong:
            answer = await client.post(
                PATH, as_=alice, json={"service_id": desk.service.id, **body}
            )
            refused(answer, 400, "invalid_credential", about=body)
            assert "PLANTED" not in answer.text
    good = {
        "service_id": desk.service.id,
        "username": " alice ",
        "password": " with blanks 'and' \"quotes\" ",
    }
    assert (await client.post(PATH, as_=alice, json=good)).status == 201
    assert "quotes" not in str(await rows(deps.pool))
