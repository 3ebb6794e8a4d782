"""Whether access control starts with what is set and stored."""

from pathlib import Path

import pytest

from service.access.control import StateError
from service.composition.access import open_control
from service.settings.environment import PREFIX, Settings, SettingsError, load


def settings(media: Path, **values: str) -> Settings:
    return load({f"{PREFIX}MEDIA": str(media)} | {PREFIX + name: values[name] for name in values})


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({"OIDC_ALLOWED": "*"}, "OIDC_ISSUER"),
        ({"OIDC_CLIENT_SECRET": "secret"}, "OIDC_ISSUER"),
        ({"OIDC_ISSUER": "https://login.example", "OIDC_ALLOWED": "*"}, "OIDC_CLIENT_ID"),
        ({"OIDC_ISSUER": "https://login.example", "OIDC_CLIENT_ID": "reelay"}, "OIDC_ALLOWED"),
    ],
)
def test_a_part_of_openid_connect_is_not_enough(
    tmp_path: Path, given: dict[str, str], missing: str
) -> None:
    with pytest.raises(SettingsError, match=f"^REELAY_{missing}: is needed with REELAY_OIDC_"):
        open_control(settings(tmp_path, **given))


@pytest.mark.parametrize("file", ["key", "generation"])
def test_a_damaged_state_stops_the_start(tmp_path: Path, file: str) -> None:
    (tmp_path / file).write_bytes(b"damaged")
    with pytest.raises(StateError, match=f"^REELAY_STATE=.*{file} is damaged"):
        open_control(settings(tmp_path, PASSWORD="sesame", STATE=str(tmp_path)))  # noqa: S106


def test_with_a_key_a_state_that_cannot_be_read_stops_the_start(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"")
    given = {"PASSWORD": "sesame", "STATE": str(file), "KEY": "0" * 64}
    with pytest.raises(StateError, match=r"^REELAY_STATE=.*Not a directory"):
        open_control(settings(tmp_path, **given))


def test_what_was_taken_back_is_known_from_the_start(tmp_path: Path) -> None:
    (tmp_path / "revoked").mkdir()
    (tmp_path / "revoked" / ("a" * 16)).write_bytes(b"0")
    control = open_control(settings(tmp_path, PASSWORD="sesame", STATE=str(tmp_path)))  # noqa: S106
    assert control
    assert control.revoked == {"a" * 16: 0}
