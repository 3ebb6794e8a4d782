"""Tokens of share links and sessions: the vectors that the edge is tested by as well."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.access.control import AccessControl
from service.access.grants import Grant, Scope
from service.access.state import FolderState
from service.access.tokens import MAX_SUBJECT, Token, TokenState, derived_key, new_id, redact

VECTORS = json.loads(
    (Path(__file__).parents[2] / "support/access_vectors.json").read_text(encoding="utf-8")
)
MASTER = bytes.fromhex(VECTORS["master"])
KEY = b"k" * 32


@pytest.fixture
def control(tmp_path: Path) -> AccessControl:
    """Return the access control in the state of the vectors."""
    state = FolderState(tmp_path)
    state.write("generation", str(VECTORS["generation"]).encode())
    control = AccessControl(state, MASTER)
    control.load()
    control.revoked = VECTORS["revoked"]
    return control


@pytest.mark.parametrize(("label", "key"), VECTORS["derived"].items())
def test_derived_keys(label: str, key: str) -> None:
    assert derived_key(MASTER, label).hex() == key


@pytest.mark.parametrize("vector", VECTORS["tokens"], ids=lambda vector: vector["name"])
def test_tokens(control: AccessControl, vector: dict[str, Any]) -> None:
    now = VECTORS["now"]
    if vector["kind"] == "sessions":
        session = control.session(vector["token"], now)
        assert (session is not None) == (vector["result"] == "valid")
        return
    grant = control.link_grant(vector["token"], now)
    if vector["result"] != "valid":
        assert grant == TokenState(vector["result"])
        return
    assert isinstance(grant, Grant)
    assert grant.scope == Scope.of_subject(vector["subject"])
    assert grant.link_id == vector["id"]
    assert grant.downloads == (vector["flags"] == "-")
    assert grant.prefix == f"/s/{vector['token']}"


@pytest.mark.parametrize(
    "vector", VECTORS["scopes"], ids=lambda vector: f"{vector['subject']}-{vector['path']}"
)
def test_scopes(vector: dict[str, Any]) -> None:
    scope = Scope.of_subject(vector["subject"])
    assert (scope is not None and scope.contains(vector["path"])) == vector["opens"]


subjects = st.text(min_size=1, max_size=200).filter(
    lambda text: not any("\ud800" <= letter <= "\udfff" for letter in text)
)


@given(subjects, st.integers(0, 99_999_999_999), st.booleans())
def test_what_is_signed_is_read_again(subject: str, expiry: int, downloads: bool) -> None:  # noqa: FBT001
    token = Token(expiry, new_id(), subject, downloads)
    assert Token.verify(token.sign(KEY), KEY) == token
    assert Token.verify(token.sign(KEY), b"K" * 32) is None


@given(st.data())
def test_a_changed_token_is_refused(data: st.DataObject) -> None:
    text = Token(1_800_000_000, new_id(), "vFilms/film.mp4").sign(KEY)
    at = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.characters(codec="utf-8"))
    changed = text[:at] + letter + text[at + 1 :]
    assert changed == text or Token.verify(changed, KEY) is None
    assert Token.verify(text[:at], KEY) is None


@given(st.text(max_size=200))
def test_any_text_is_read_without_an_error(text: str) -> None:
    assert Token.verify(text, KEY) is None


@pytest.mark.parametrize("subject", ["", "v" + "ä" * (MAX_SUBJECT // 2)], ids=["none", "long"])
def test_a_subject_must_fit(subject: str) -> None:
    with pytest.raises(ValueError, match="1 to 4096 bytes"):
        Token(0, new_id(), subject).sign(KEY)


def test_a_token_is_valid_up_to_its_last_second() -> None:
    token = Token(1000, new_id(), "f")
    assert token.state_at(1000.999) is TokenState.VALID
    assert token.state_at(1001) is TokenState.EXPIRED
    assert Token(0, new_id(), "f").state_at(1e12) is TokenState.VALID


def test_logs_have_the_identity_instead_of_the_token() -> None:
    token = Token(0, "AAECAwQFBgcICQoL", "f").sign(KEY)
    assert redact(f"/s/{token}/watch/a.mp4") == "/s/AAECAwQFBgcICQoL/watch/a.mp4"
    assert redact(f"/s/{token}") == "/s/AAECAwQFBgcICQoL"
    assert redact(f"/s/{token}x/a") == "/s/…/a"
    assert redact("/s/guess/a") == "/s/…/a"
    assert redact("/static/a.css") == "/static/a.css"
    assert redact(f"/S/{token}/a") == "/S/AAECAwQFBgcICQoL/a"
    assert redact(f"/s%2f{token}/a") == "/s%2fAAECAwQFBgcICQoL/a"
    assert redact(f"//s/{token}/a") == "//s/AAECAwQFBgcICQoL/a"
    assert redact(f"/x/../s/{token}/a") == "/x/../s/AAECAwQFBgcICQoL/a"
    assert redact(f"/s/{token}/s/{token}/a") == "/s/AAECAwQFBgcICQoL/s/AAECAwQFBgcICQoL/a"
