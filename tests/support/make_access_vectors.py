"""Write `access_vectors.json`: tokens and scopes that service and edge have to judge alike.

    .venv/bin/python tests/support/make_access_vectors.py

Imports nothing of the code under test. The grammar is in docs/architecture.md, "Access".
"""

import base64
import hashlib
import hmac
import json
import string
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("access_vectors.json")

MASTER = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
OTHER_MASTER = "ff" * 32
GENERATION = 3
NOW = 1_800_000_000
LATER = NOW + 3600
ID = "AAECAwQFBgcICQoL"  # the bytes 0 to 11
REVOKED = "revoked-revoked_"
ALPHABET = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"

DECOMPOSED = "Mu\u0308ller"  # the umlaut as two code points, as macOS writes it


def derived(label: str, master: str = MASTER) -> bytes:
    """Return the key that is derived from the master key for a purpose."""
    return hmac.digest(bytes.fromhex(master), label.encode(), hashlib.sha256)


def text64(data: bytes) -> str:
    """Return base64url without padding (RFC 4648 section 5)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(head: str, key: bytes) -> str:
    """Append the MAC of everything before it."""
    return f"{head}.{text64(hmac.digest(key, head.encode(), hashlib.sha256))}"


LINKS = derived("links")
SESSIONS = derived(f"sessions {GENERATION}")


def token(subject: str | bytes, key: bytes = LINKS, **parts: object) -> str:
    """Return a signed token of these fields, whether they keep to the grammar or not."""
    data = subject.encode() if isinstance(subject, str) else subject
    fields = {
        "version": "1",
        "expiry": LATER,
        "identity": ID,
        "flags": "-",
        "encoded": text64(data),
    }
    assert parts.keys() <= fields.keys()
    return signed(".".join(map(str, (fields | parts).values())), key)


def same_bits(text: str) -> str:
    """Return another text whose last character only differs in bits that decoders ignore."""
    return text[:-1] + ALPHABET[ALPHABET.index(text[-1]) ^ 1]


def vector(name: str, text: str, result: str, kind: str = "links", **fields: Any) -> dict[str, Any]:
    """Return one entry of "tokens"."""
    return {"name": name, "kind": kind, "token": text, "result": result} | fields


def valid(name: str, subject: str, kind: str = "links", **parts: Any) -> dict[str, Any]:
    """Return an entry for a valid token, with the fields that it is read to."""
    key = LINKS if kind == "links" else SESSIONS
    fields = {
        "expiry": parts.get("expiry", LATER),
        "id": parts.get("identity", ID),
        "flags": parts.get("flags", "-"),
        "subject": subject,
    }
    return vector(name, token(subject, key, **parts), "valid", kind, **fields)


def valid_tokens() -> list[dict[str, Any]]:
    return [
        valid("a video", "vFilms/A.mp4"),
        valid("a video with spaces", "vfilm 2.mp4"),
        valid("a video with an umlaut", "vFilme/M\u00fcller.mkv"),
        valid("a video with a decomposed umlaut", f"vFilme/{DECOMPOSED}.mkv"),
        valid("a video with an emoji", "vClips/\U0001f3ac take.mp4"),
        valid("a video whose name has a percent sign", "v100%25.mp4"),
        valid("a folder", "fFilms"),
        valid("a folder in a folder", "fFilms/2024"),
        valid("the whole library", "f"),
        valid("until taken back", "vFilms/A.mp4", expiry=0),
        valid("expires this very second", "vFilms/A.mp4", expiry=NOW),
        valid("eleven digits", "vFilms/A.mp4", expiry=99_999_999_999),
        valid("no downloads", "vFilms/A.mp4", flags="d"),
        valid("another identity", "vFilms/A.mp4", identity="-_09azAZ-_09azAZ"),
        valid("a subject of one remaining byte", "va.mp"),
        valid("a subject of two remaining bytes", "va.mp4"),
        valid("a subject of 4096 bytes", "v" + "a" * 4095),
        valid("a household session", "s", "sessions"),
        valid("a session with a name", "sanna@example.org", "sessions"),
        valid("a session with a name of other letters", "s\u0410\u043d\u043d\u0430", "sessions"),
        valid("a session that expires this very second", "s", "sessions", expiry=NOW),
    ]


def refused_by_time() -> list[dict[str, Any]]:
    video = "vFilms/A.mp4"
    return [
        vector("a second ago", token(video, expiry=NOW - 1), "expired"),
        vector("long ago", token(video, expiry=1), "expired"),
        vector("taken back", token(video, identity=REVOKED), "revoked"),
        vector("taken back, without end", token(video, identity=REVOKED, expiry=0), "revoked"),
        vector("expired and taken back", token(video, identity=REVOKED, expiry=1), "expired"),
        vector("expired, by another key", token(video, key=SESSIONS, expiry=1), "invalid"),
        vector("session of yesterday", token("s", SESSIONS, expiry=NOW - 86400), "expired",
               "sessions"),
        vector("session taken back", token("s", SESSIONS, identity=REVOKED), "revoked",
               "sessions"),
    ]  # fmt: skip


def forged() -> list[dict[str, Any]]:
    good = token("vFilms/A.mp4")
    head, _, mac = good.rpartition(".")
    fields = head.split(".")
    flipped = ALPHABET[ALPHABET.index(mac[0]) ^ 32] + mac[1:]

    def changed(number: int, value: str) -> str:
        return ".".join([*fields[:number], value, *fields[number + 1 :], mac])

    texts = {
        "a bit of the MAC": f"{head}.{flipped}",
        "the last bits of the MAC, which decoders ignore": f"{head}.{same_bits(mac)}",
        "a MAC that is cut": f"{head}.{mac[:-1]}",
        "MAC with padding": f"{head}.{mac}=",
        "MAC with a character more": f"{head}.{mac}A",
        "MAC in hexadecimal": f"{head}.{hmac.new(LINKS, head.encode(), 'sha256').hexdigest()}",
        "no MAC": head,
        "an empty MAC": f"{head}.",
        "another subject": changed(4, text64(b"vFilms/B.mp4")),
        "the whole library instead": changed(4, text64(b"f")),
        "a longer life": changed(1, str(LATER + 1)),
        "no end": changed(1, "0"),
        "another identity": changed(2, "-_09azAZ-_09azAZ"),
        "downloads forbidden, then allowed": token("vFilms/A.mp4", flags="d").replace(".d.", ".-."),
        "by the key of another library": token("vA.mp4", key=derived("links", OTHER_MASTER)),
        "by the master key": token("vA.mp4", key=bytes.fromhex(MASTER)),
        "by the master key's text": token("vA.mp4", key=MASTER.encode()),
        "by the key of the edge": token("vA.mp4", key=derived("edge")),
        "by the key of sessions": token("vA.mp4", key=SESSIONS),
        "by an empty key": token("vA.mp4", key=b""),
    }
    sessions = {
        "by the key of links": token("s"),
        "by the key of the generation before": token("s", key=derived("sessions 2")),
        "by the key of the next generation": token("s", key=derived("sessions 4")),
        "by a key without a generation": token("s", key=derived("sessions ")),
        "by the key of another library": token("s", key=derived("sessions 3", OTHER_MASTER)),
    }
    return [
        *(vector(f"forged: {name}", text, "invalid") for name, text in texts.items()),
        *(
            vector(f"forged: {name}", text, "invalid", "sessions")
            for name, text in sessions.items()
        ),
    ]


def ungrammatical() -> list[dict[str, Any]]:
    """Return tokens that are signed with the right key, so that only the grammar refuses them."""
    video = "vFilms/A.mp4"
    good = token(video)
    odd = text64(b"va.mp")  # its last character has two bits that decoders ignore
    texts = {
        "empty": "",
        "dots": ".....",
        "a word": "token",
        "version 2": token(video, version="2"),
        "version 01": token(video, version="01"),
        "no version": good.partition(".")[2],
        "no expiry": token(video, expiry=""),
        "a leading zero": token(video, expiry=f"0{LATER}"),
        "two zeros": token(video, expiry="00"),
        "twelve digits": token(video, expiry=100_000_000_000),
        "a plus sign": token(video, expiry=f"+{LATER}"),
        "a minus sign": token(video, expiry="-1"),
        "an exponent": token(video, expiry="9e9"),
        "a fraction": token(video, expiry=f"{LATER},5"),
        "a blank": token(video, expiry=f" {LATER}"),
        "an underscore": token(video, expiry="1_800_003_600"),
        "digits of another script": token(video, expiry="\u0661\u0668\u0660"),
        "an identity of 15 characters": token(video, identity=ID[:15]),
        "an identity of 17 characters": token(video, identity=f"{ID}A"),
        "an identity with a slash": token(video, identity=f"{ID[:15]}/"),
        "an identity with a plus sign": token(video, identity=f"{ID[:15]}+"),
        "no flag": token(video, flags=""),
        "an unknown flag": token(video, flags="x"),
        "two flags": token(video, flags="d-"),
        "an upper-case flag": token(video, flags="D"),
        "no subject": token("", encoded=""),
        "a subject of 4097 bytes": token("v" + "a" * 4096),
        "a padded subject": token("", encoded=f"{odd}="),
        "a subject in the other alphabet": token("", encoded=text64(b"v???>>>").replace("_", "/")),
        "a subject with ignored bits": token("", encoded=same_bits(odd)),
        "a subject of impossible length": token("", encoded="dmFiY"),
        "a subject that is no UTF-8": token(b"v\xff.mp4"),
        "a byte order mark": token("\ufeffvFilms/A.mp4"),
        "a subject in overlong UTF-8": token(b"v\xc0\xae.mp4"),
        "a subject with a surrogate": token(b"v\xed\xa0\x80.mp4"),
        "a subject that is cut within a character": token("v\u00fc".encode()[:2]),
        "a subject of an unknown kind": token("xFilms/A.mp4"),
        "a session's subject": token("s"),
        "another field": signed(f"{good.rpartition('.')[0]}.x", LINKS),
        "a line feed at the end": f"{good}\n",
        "a blank at the end": f"{good} ",
        "a blank in front": f" {good}",
        "a zero byte at the end": f"{good}\0",
        "an escaped dot": good.replace(".", "%2E"),
        "twice": good + good,
    }
    sessions = {
        "a video's subject": token("vA.mp4", key=SESSIONS),
        "the library's subject": token("f", key=SESSIONS),
        "a line feed at the end": token("s", key=SESSIONS) + "\n",
    }
    return [
        *(vector(f"grammar: {name}", text, "invalid") for name, text in texts.items()),
        *(
            vector(f"grammar: {name}", text, "invalid", "sessions")
            for name, text in sessions.items()
        ),
    ]


def scopes() -> list[dict[str, Any]]:
    """Return which decoded paths of the library a link opens, by its subject."""
    opened = {
        "vfilm.mp4": ["film.mp4"],
        "vFilms/A.mp4": ["Films/A.mp4"],
        "vfilm 2.mp4": ["film 2.mp4"],
        "vFilme/M\u00fcller.mkv": ["Filme/M\u00fcller.mkv"],
        "v100%25.mp4": ["100%25.mp4"],
        "vClips/\U0001f3ac take.mp4": ["Clips/\U0001f3ac take.mp4"],
        "ffilm": ["film/a.mp4", "film/2/b.mp4", "film/ .mp4", "film/..a.mp4", "film/a..mp4"],
        "ffilm 2": ["film 2/a.mp4"],
        "fFilme/M\u00fcller": ["Filme/M\u00fcller/a.mp4"],
        "f": ["a.mp4", "film/a.mp4", "film 2/a.mp4", "..a/b.mp4"],
    }
    closed = {
        "vfilm.mp4": ["film", "film.mp", "film.mp4 ", "film.mp4/", "film.mp4/a.mp4", "Film.mp4",
                      "film.mp45", "x/film.mp4", "/film.mp4", "./film.mp4", "x/../film.mp4", "",
                      "film.mp4\n", "film.mp4\0"],
        "vfilm 2.mp4": ["film%202.mp4", "film+2.mp4", "film2.mp4", "film.mp4"],
        "v100%25.mp4": ["100%.mp4", "100%2525.mp4"],
        "vFilme/M\u00fcller.mkv": [f"Filme/{DECOMPOSED}.mkv", "Filme/Muller.mkv"],
        "v": ["", "/", "a.mp4"],
        "v..": ["..", "../a.mp4"],
        "ffilm": ["film", "film/", "film 2/a.mp4", "films/a.mp4", "film.mp4", "fil/a.mp4",
                  "Film/a.mp4", "x/film/a.mp4", "/film/a.mp4", "film/../a.mp4",
                  "film/../film 2/a.mp4", "film/./a.mp4", "film//a.mp4", "film/..", "film/a.mp4/..",
                  "film/a/../b.mp4", "./film/a.mp4", "film\\a.mp4", ""],
        "ffilm/": ["film/a.mp4", "film//a.mp4"],
        "f/film": ["film/a.mp4", "/film/a.mp4"],
        "f": ["", "/", "/a.mp4", "..", "../a.mp4", "a/../b.mp4", "a//b.mp4", "./a.mp4"],
        "f..": ["../a.mp4"],
        "f.": ["./a.mp4"],
    }  # fmt: skip
    return [
        {"subject": subject, "path": path, "opens": opens}
        for table, opens in ((opened, True), (closed, False))
        for subject, paths in table.items()
        for path in paths
    ]


def main() -> None:
    """Write the file."""
    vectors = {
        "master": MASTER,
        "generation": GENERATION,
        "now": NOW,
        "revoked": {REVOKED: LATER},
        "derived": {
            label: derived(label).hex() for label in ("links", "sessions 3", "sessions 4", "edge")
        },
        "tokens": [*valid_tokens(), *refused_by_time(), *forged(), *ungrammatical()],
        "scopes": scopes(),
    }
    FILE.write_text(json.dumps(vectors, indent=1, ensure_ascii=True) + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
