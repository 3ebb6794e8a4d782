"""How titles compare: what a search takes for the same, and the order that people expect.
Law: text in, text out; two texts compare as the strings that they are turned into here."""

import re
import unicodedata

# Letters that Unicode does not take apart (as CLDR's Latin-ASCII transliteration writes them), and
# katakana as hiragana, which UTS 10 tells apart by as little as case.
_TRANSLITERATION = str.maketrans(
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
_KANA_MARKS = "\u3099\u309a"  # kana's marks: a letter with one is another letter (ハン, パン)

MAX_SEARCH_TERMS = 10
"""Words of a query that are looked for."""

_DIGITS = re.compile(r"[0-9]+")
_OTHER_DIGIT = re.compile(r"(?![0-9])\d")
_MAX_NUMBER_LENGTH = 0xD7FF  # digits; the next characters are surrogates, which no cursor can hold

# A Roman numeral up to 89 (as in Rocky IV), with a word before it: `I, Robot` begins with none.
_ROMAN = re.compile(r"(?<=[\w:,.)] )(?=[IVXL])(XL|L?X{0,3})(IX|IV|V?I{0,3})(?![\w'’-])")  # noqa: RUF001
_TENS = {"": 0, "X": 10, "XX": 20, "XXX": 30, "XL": 40, "L": 50, "LX": 60, "LXX": 70, "LXXX": 80}
_ONES = {"": 0, "I": 1, "II": 2, "III": 3, "IV": 4, "V": 5, "VI": 6, "VII": 7, "VIII": 8, "IX": 9}


def fold(text: str) -> str:
    """Drop case, accents and styles; write digits of any script as ASCII's."""
    if text.isascii():
        return text.lower()
    # Decomposed twice: styled letters have no case before, and case folding composes some anew.
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    transliterated = "".join(
        char for char in decomposed if not unicodedata.combining(char) or char in _KANA_MARKS
    ).translate(_TRANSLITERATION)
    return (
        transliterated
        if transliterated.isascii()
        else _OTHER_DIGIT.sub(_ascii_digit, transliterated)
    )


def search_terms(query: str) -> list[str]:
    """Return the folded search words, the longest first, because the fewest texts contain them.

    What another word holds is left out, as it is found with that; and so are the shortest where
    there are more than MOST_WORDS, since each is looked for in all texts.
    """
    terms: list[str] = []
    for word in sorted(dict.fromkeys(fold(query).split()), key=len, reverse=True):
        if not any(word in longer for longer in terms):
            terms.append(word)
    return terms[:MAX_SEARCH_TERMS]


def natural_sort_key(text: str) -> str:
    """Sort `ep 2` before `ep 10`, `Part IX` before `Part X`, and text that ends before text that a
    number follows.
    """
    styled = text if text.isascii() else unicodedata.normalize("NFKC", text)
    return _DIGITS.sub(_number, fold(_ROMAN.sub(_roman_value, styled)))


def _ascii_digit(digit: re.Match[str]) -> str:
    return str(unicodedata.decimal(digit[0]))


def _roman_value(roman: re.Match[str]) -> str:
    return str(_TENS[roman[1]] + _ONES[roman[2]])


def _number(digits: re.Match[str]) -> str:
    """Put a number's length before its digits, and before both what stands before any text."""
    significant = digits[0].lstrip("0")
    return f"\0{chr(min(len(significant), _MAX_NUMBER_LENGTH))}{significant}"
