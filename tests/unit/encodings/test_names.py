import pytest

from service.encodings.names import named_encoding

NAMES = [
    *(("cp850", "cp850"), ("CP437", "cp437"), ("dos866", "cp866"), ("ibm852", "cp852")),
    *(("win1251", "cp1251"), ("windows-1252", "cp1252"), ("utf8", "utf-8"), ("UTF-8", "utf-8")),
    *(("iso-8859-2", "iso8859-2"), ("iso8859-15", "iso8859-15"), ("latin1", "iso8859-1")),
    *(("koi8-r", "koi8-r"), ("sjis", "shift_jis"), ("Shift_JIS", "shift_jis"), ("gbk", "gbk")),
    *(("big5", "big5"), ("euc-kr", "euc_kr"), ("mac-roman", "mac-roman"), ("johab", "johab")),
]


@pytest.mark.parametrize(("word", "codec"), NAMES)
def test_an_encoding_is_recognised_by_its_common_names(word: str, codec: str) -> None:
    assert named_encoding(word) == codec


# Codecs of Python, too, but as words something else; hz is Herero in ISO 639.
@pytest.mark.parametrize(
    "word",
    ["greek", "hebrew", "latin", "us", "mac", "hz", "en", "850", "rot13", "hex", "cp9999", "idna"],
)
def test_other_words_are_no_encodings(word: str) -> None:
    assert named_encoding(word) is None
