"""Decoding of text files. Other encodings than Unicode are detected by letter frequencies.

General detectors read fewer of the 30 sentences of the tests, on their non-ASCII lines alone:
charset-normalizer 3.5.3 reads 19, chardet 7.7.0 27, and 28 if limited to the encodings here."""

# ruff: noqa: RUF001 - letters of many scripts are meant

import codecs
import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import Final

_MAX_SAMPLE_BYTES: Final = 64 * 1024
"""Bytes of lines beyond ASCII to score: about 3,000 lines of subtitles."""

_BYTE_ORDER_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # begins with the mark of UTF-16 LE
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

# Removed: C0 and C1 except tab and line ends, byte order marks, noncharacters.
_CONTROLS: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufeff\ufffe\uffff]")


def decode_text(data: bytes, language: str | None = None) -> str:
    """Return the text of a file, with line feeds as line ends and without control characters.

    Unicode is recognised by its byte order mark or because it is valid; the `language` (BCP 47), if
    known, helps to choose another encoding. Undecodable bytes become U+FFFD. Never raises.
    """
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return normalize_text(data[len(mark) :].decode(encoding, errors="replace"))
    # The arrow of a cue reveals UTF-16 without a byte order mark.
    for encoding in ("utf-16-le", "utf-16-be"):
        if (
            data.find("-->".encode(encoding)) % 2 == 0
        ):  # at an odd offset it is the other byte order
            return normalize_text(data.decode(encoding, errors="replace"))
    return normalize_text(data.decode(_detect_encoding(data, language), errors="replace"))


def normalize_text(text: str) -> str:
    """Return a text with line feeds as line ends and without control characters."""
    return _CONTROLS.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def _detect_encoding(data: bytes, language: str | None) -> str:
    try:
        data.decode()
    except UnicodeDecodeError:
        pass
    else:
        return "utf-8"
    sample = _non_ascii_lines(data)
    text = sample.decode(errors="replace")
    # Other encodings form valid multi-byte UTF-8 characters only by accident.
    undecodable = text.count("\ufffd")
    if sum(char > "\x7f" for char in text) - undecodable > 10 * undecodable:
        return "utf-8"
    primary = (language or "").partition("-")[0]
    letters: dict[str, Counter[str]] = {}
    best, best_score = "cp1252", -math.inf
    for model in _MODELS:
        for encoding in model.encodings:
            if encoding not in letters:
                letters[encoding] = Counter(sample.decode(encoding, errors="replace"))
            score = model.score(letters[encoding])
            if primary in model.languages:
                score += _HINT_BONUS
            if score > best_score:
                best, best_score = encoding, score
    return best


def _non_ascii_lines(data: bytes) -> bytes:
    """Return the first lines that are not ASCII."""
    chosen, size = [], 0
    for line in data.splitlines():
        if not line.isascii():
            chosen.append(line[: _MAX_SAMPLE_BYTES - size])
            size += len(chosen[-1])
            if size >= _MAX_SAMPLE_BYTES:
                break
    return b"\n".join(chosen)


# Natural logarithms of probabilities.
_UNKNOWN: Final = -12.0
_PUNCTUATION: Final = -4.0
_HINT_BONUS: Final = 12.0
"""Score of a language in the file name: offsets one letter that the language does not have."""

_COMMON_PUNCTUATION: Final = frozenset(
    "\xa0«»‹›“”„‘’‚…–—·¿¡♪©®°№€£§×½、。「」『』！？，：；（）《》～・"
)


@dataclass(frozen=True, slots=True)
class _LanguageModel:
    """How frequent letters beyond ASCII are in a language, and its encodings."""

    languages: tuple[str, ...]
    encodings: tuple[str, ...]
    letter_scores: dict[str, float]
    """Log probabilities of lower-case letters."""
    ideograph_encoding: str = ""
    """An encoding of the language's thousands of letters, all of which may occur."""

    def score(self, letters: Counter[str]) -> float:
        """Return the log probability of the letters beyond ASCII."""
        return sum(count * self._score(char) for char, count in letters.items() if char > "\x7f")

    def _score(self, char: str) -> float:
        if char in _COMMON_PUNCTUATION:
            return _PUNCTUATION
        # Capitals are rarer, which distinguishes Cyrillic in KOI8-R from Windows-1251.
        capital = 0.0 if char == char.lower() else -1.5
        letter_score = self.letter_scores.get(char.lower()[:1])
        if letter_score is not None:
            return letter_score + capital
        if self.ideograph_encoding and char.isalpha():
            try:
                code = char.encode(self.ideograph_encoding)
            except UnicodeEncodeError:
                return _UNKNOWN
            if _is_common(self.ideograph_encoding, code):
                return -7.0  # one of a thousand
            return -10.0 if len(code) > 1 else _UNKNOWN
        return _UNKNOWN


def _is_common(encoding: str, code: bytes) -> bool:
    # GB 2312 and Big5 put common Han characters first; EUC-KR puts Hangul first; level 1 of
    # JIS X 0208 is rows 16 to 47.
    rows = {"gb2312": (0xB0, 0xD7), "big5": (0xA4, 0xC6), "euc_kr": (0xB0, 0xC8)}
    first, last = rows.get(encoding, (0xB0, 0xCF))
    return len(code) > 1 and first <= code[0] <= last


def _model(
    languages: str, encodings: str, letters: str, ideograph_encoding: str = ""
) -> _LanguageModel:
    """Return a model of letters in order of frequency: the nth has 1/n of the first."""
    total = sum(1 / rank for rank in range(1, len(letters) + 1)) + (3 if ideograph_encoding else 0)
    letter_scores = {char: -math.log(rank * total) for rank, char in enumerate(letters, 1)}
    return _LanguageModel(
        tuple(languages.split()), tuple(encodings.split()), letter_scores, ideograph_encoding
    )


# Common languages first: of equal scores the first wins.
_MODELS: Final = (
    _model("fr", "cp1252", "éèàêçùâîôûœïëü"),
    _model("de", "cp1252", "üäößéè"),
    _model("es ca gl", "cp1252", "óíáéñúüèàçòï"),
    _model("pt", "cp1252", "ãçáéíóêõâúàô"),
    _model("it", "cp1252", "èàòùéìî"),
    _model("da nb no nn", "cp1252", "åøæéèüö"),
    _model("sv fi", "cp1252", "äåöéüà"),
    _model("nl en", "cp1252", "éëïèöüáóêç"),
    _model("is fo", "cp1252", "áðíþöúýéæó"),
    _model("pl", "cp1250 iso8859-2", "łęążśćóńź"),
    _model("cs sk", "cp1250 iso8859-2", "áíěéčřžýšůúňťďóľôäĺŕ"),
    _model("hu", "cp1250 iso8859-2", "áéöóőüíúű"),
    _model("hr bs sl sr", "cp1250 iso8859-2", "čšžćđ"),
    _model("ro", "cp1250 iso8859-2", "ăşîâţ"),
    _model("sq", "cp1252", "ëç"),
    _model("tr az", "cp1254", "ıüşğçöİâîû"),
    _model("lt", "cp1257", "ėšųžįąūčę"),
    _model("lv", "cp1257", "āīēšūņļžģķč"),
    _model("et", "cp1257 cp1252", "äõüöšž"),
    _model("ru", "cp1251 koi8-r iso8859-5", "оеаинтсрвлкмдпуяыьгзбчйхжшюцщэфъё"),
    _model("uk be", "cp1251 koi8-u", "оаинвіетрсклудмпяьзгбчийхжюєшїцщфґў"),
    _model("bg sr mk", "cp1251", "аиоентрсвлкдпмзгуъчбцщяйжшхюьфјљњћџђѓѕќ"),
    _model("el", "cp1253 iso8859-7", "αοιετσνηυρπκμλςγάδόίωήθέφβχύξώζψϊϋ"),
    _model("he yi", "cp1255", "יולאהמתרבשנדחכקםפעסטגזצןךץףְִַָּׁ"),
    _model("ar", "cp1256", "اليمنوتهربكسعدفقحجشطخصذأضثةزءغظىإئآؤ،؟ًَُِّْ"),
    _model("fa ur", "cp1256", "اينردهمتوسبشکكزگلفخقعجپحچآغطصژضثذظ،؟ےھہ"),
    _model(
        "ja",
        "cp932 euc-jp",
        "いのたなてんるしにとかはっれをでがだりらもよこすおっあくどそま",
        "euc_jp",
    ),
    _model("ko", "cp949", "이다는아가어지고나요해하을은그", "euc_kr"),
    _model("zh", "gb18030", "的我你不了是一他在这有们么来好说", "gb2312"),
    _model("zh", "big5", "的我你不了是一他在這有們麼來好說", "big5"),
    _model("th", "cp874", "านรอกเงมยลวดทสตัะ่้ปบคีหิแใ็จขไพชผูโซุำืึศ์ถธณฟษญภฉฮฝ"),
    _model("vi", "cp1258", "àáâãèéêìíòóôõùúýăđĩũơư\u0300\u0301\u0303\u0309\u0323"),
)
