"""Search keys and sort keys of titles."""

import re
import unicodedata

# Letters that Unicode does not decompose (as in CLDR's Latin-ASCII transliteration), and katakana
# as hiragana, which UTS 10 distinguishes only at the level of case.
_LETTERS = str.maketrans(
    {
        "\N{LATIN SMALL LETTER DOTLESS I}": "i",
        "ø": "o",
        "đ": "d",
        "ð": "d",
        "ħ": "h",
        "ł": "l",
        "ŧ": "t",
        "æ": "ae",
        "œ": "oe",
        "þ": "th",
        **{chr(code): chr(code - 0x60) for code in range(0x30A1, 0x30F7)},
    }
)
_KANA_MARKS = "\u3099\u309a"  # a kana with such a mark is another letter (ハン, パン)


# Characters that are remembered. Queries may have all of Unicode, which would take 100 MB.
_MAX_REMEMBERED = 10_000


class _Transliteration(dict[int, int | str | None]):
    """What str.translate() puts in the place of a character; None of accents and other marks."""

    def __missing__(self, code: int) -> int | None:
        is_mark = unicodedata.combining(chr(code)) and chr(code) not in _KANA_MARKS
        found = None if is_mark else code
        if len(self) < _MAX_REMEMBERED:
            self[code] = found
        return found


_TRANSLITERATION = _Transliteration(_LETTERS)

MAX_SEARCH_TERMS = 10
"""Words of a query that are searched."""

_DIGITS = re.compile(r"[0-9]+")
_OTHER_DIGIT = re.compile(r"(?![0-9])\d")
_MAX_NUMBER_LENGTH = 0xD7FF  # digits; the next characters are surrogates, which no cursor can hold

# A Roman numeral up to 89 (as in Rocky IV), with a word before it: `I, Robot` begins with none.
_ROMAN = re.compile(r"(?<=[\w:,.)] )(?=[IVXL])(XL|L?X{0,3})(IX|IV|V?I{0,3})(?![\w'’-])")  # noqa: RUF001
_TENS = {"": 0, "X": 10, "XX": 20, "XXX": 30, "XL": 40, "L": 50, "LX": 60, "LXX": 70, "LXXX": 80}
_ONES = {"": 0, "I": 1, "II": 2, "III": 3, "IV": 4, "V": 5, "VI": 6, "VII": 7, "VIII": 8, "IX": 9}


def fold(text: str) -> str:
    """Remove case, accents and styles; replace digits of any script by ASCII digits."""
    if text.isascii():
        return text.lower()
    # Decomposed twice: styled letters get a case only then, and case folding composes some again.
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    transliterated = decomposed.translate(_TRANSLITERATION)
    return (
        transliterated
        if transliterated.isascii()
        else _OTHER_DIGIT.sub(_ascii_digit, transliterated)
    )


def search_terms(query: str) -> list[str]:
    """Return the folded search words, the longest first, because the fewest texts contain them.

    A word within another one is left out, because it is found with it. Of more than
    MAX_SEARCH_TERMS words the shortest are left out, because each is searched in all texts.
    """
    terms: list[str] = []
    for word in sorted(dict.fromkeys(fold(query).split()), key=len, reverse=True):
        if not any(word in longer for longer in terms):
            terms.append(word)
    return terms[:MAX_SEARCH_TERMS]


def natural_sort_key(text: str) -> str:
    """Return a key that sorts `ep 2` before `ep 10`, and `Part IX` before `Part X`.

    Text that ends sorts before text that continues with a number.
    """
    styled = text if text.isascii() else unicodedata.normalize("NFKC", text)
    return _DIGITS.sub(_number, fold(_ROMAN.sub(_roman_value, styled)))


def _ascii_digit(digit: re.Match[str]) -> str:
    return str(unicodedata.decimal(digit[0]))


def _roman_value(roman: re.Match[str]) -> str:
    return str(_TENS[roman[1]] + _ONES[roman[2]])


def _number(digits: re.Match[str]) -> str:
    """Write a null character and the length before the digits, to sort by value before text."""
    significant = digits[0].lstrip("0")
    return f"\0{chr(min(len(significant), _MAX_NUMBER_LENGTH))}{significant}"
