"""Encodings by the names that people write in file names."""

import codecs
import re
from typing import Final

_MICROSOFT: Final = re.compile(r"(?:cp|dos|oem|ibm|win|windows|ms)-?([0-9]{3,4})")
# Other names of Python's codecs are numbers, or common words (latin, greek, us, mac, hz).
_NAME: Final = re.compile(
    r"utf-?(?:8|7|16|32)(?:-?[lb]e)?|iso-?8859-?[0-9]{1,2}|iso-?2022-?(?:jp|kr)"
    r"|latin-?[0-9]{1,2}|koi8-?[rut]|mac-?(?:roman|latin2|cyrillic|greek|turkish|iceland|croatian"
    r"|romanian)|big5(?:-?hkscs)?|gbk|gb2312|gb18030|hz-gb-2312|s(?:hift)?-?jis|euc-?(?:jp|kr)"
    r"|johab|uhc|tis-?620"
)


def named_encoding(word: str) -> str | None:
    """Return the name of Python's codec for an encoding, or None if it is none: cp850, dos850."""
    name = word.lower().replace("_", "-")
    if microsoft := _MICROSOFT.fullmatch(name):
        name = f"cp{microsoft[1]}"
    elif not _NAME.fullmatch(name):
        return None
    name = re.sub(r"^mac-?", "mac-", name)
    try:
        return codecs.lookup(re.sub(r"^latin-", "latin", name)).name
    except LookupError:
        return None
