"""The files that pages load: kept for ever, sent small, and nothing else."""

import gzip

import pytest

from app.web.assets import load
from tests.support.api import Api

ASSETS = load()
GZIP = {"Accept-Encoding": "gzip, deflate, br"}


def test_url_when_asked_then_it_holds_the_version_and_a_wrong_name_is_told() -> None:
    assert ASSETS.url("css/app.css") == f"/static/{ASSETS.version}/css/app.css"
    with pytest.raises(KeyError):
        ASSETS.url("css/nothing.css")


async def test_assets_when_asked_then_each_is_kept_for_ever_and_says_what_it_is(
    client: Api,
) -> None:
    for name, asset in ASSETS.files.items():
        # The client takes gzip by default and unpacks it.
        answer = await client.get(ASSETS.url(name))
        assert answer.status == 200, name
        assert answer.body == asset.body, name
        assert answer.headers["Content-Type"] == asset.content_type
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Vary"] == "Accept-Encoding"


async def test_assets_when_gzip_is_taken_then_text_is_sent_so_and_the_rest_is_not(
    client: Api,
) -> None:
    for name, asset in ASSETS.files.items():
        answer = await client.head(ASSETS.url(name), headers=GZIP)
        plain = await client.head(ASSETS.url(name), headers={"Accept-Encoding": "identity"})
        assert "Content-Encoding" not in plain.headers
        assert int(plain.headers["Content-Length"]) == len(asset.body)
        if name.endswith((".woff2", ".png")):
            assert "Content-Encoding" not in answer.headers, name
        else:
            assert answer.headers["Content-Encoding"] == "gzip", name
            assert int(answer.headers["Content-Length"]) < len(asset.body), name


async def test_asset_when_packed_then_it_unpacks_to_itself() -> None:
    asset = ASSETS.files["css/app.css"]
    packed = await asset.packed()

    assert packed is not None
    assert gzip.decompress(packed) == asset.body
    assert await asset.packed() is packed
    assert await ASSETS.files["vendor/inter-5.3.0-latin.woff2"].packed() is None


@pytest.mark.parametrize(
    "name",
    [
        "../app/main.py", "%2e%2e/app/main.py", "..%2fapp%2fmain.py", "vendor/VENDOR.md", "css", "", "css/app.css/",
        "vendor/lucide-1.62.0/bell.svg", "css/app.css%00", "/etc/passwd",
    ],
)  # fmt: skip
async def test_static_when_it_is_none_of_the_files_then_404(client: Api, name: str) -> None:
    answer = await client.get(f"/static/{ASSETS.version}/{name}")

    assert answer.status in (400, 404)
    assert b"import" not in answer.body
