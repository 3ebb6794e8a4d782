"""Which letters beyond ASCII the languages have, how often, and in which encodings."""

# ruff: noqa: RUF001 - letters of many scripts are meant

import math
from collections import Counter
from dataclasses import dataclass
from typing import Final

# Natural logarithms of probabilities.
UNKNOWN: Final = -12.0
_PUNCTUATION: Final[dict[str, float]] = {
    **dict.fromkeys("\xa0‹›‚·©®№€§×½•™、。「」『』！？，：；（）《》～・", -4.0),
    **dict.fromkeys("«»„‘¿¡♪£°", -2.0),
    # The only characters beyond ASCII of many English texts; no letter may be more likely.
    **dict.fromkeys("’“”…–—", -1.0),
}


@dataclass(frozen=True, slots=True)
class LanguageModel:
    """How frequent letters beyond ASCII are in a language, and its encodings."""

    languages: tuple[str, ...]
    encodings: tuple[str, ...]
    """Those of Windows and Unix, the most common one first."""
    old_encodings: tuple[str, ...]
    """Those of DOS and classic Mac OS, and others that are rare in subtitles."""
    letter_scores: dict[str, float]
    """Log probabilities of lower-case letters."""
    ideograph_encoding: str = ""
    """An encoding of the language's thousands of letters, all of which may occur."""

    @property
    def is_latin(self) -> bool:
        """Whether most letters of a text are ASCII."""
        return next(iter(self.letter_scores)) < "\u0370"  # the first after Latin

    @property
    def min_average(self) -> float:
        """The least average score of a text's letters beyond ASCII.

        In the sentences of the tests, the averages are -1.6 to -2.8 in Latin script, -2.9 to -4.1
        in other alphabets, and -5.1 to -5.7 in East Asia.
        """
        if self.ideograph_encoding:
            return -6.3
        return -3.6 if self.is_latin else -4.6

    def score(self, letters: Counter[str]) -> float:
        """Return the log probability of the letters beyond ASCII."""
        return sum(count * self._score(char) for char, count in letters.items() if char > "\x7f")

    def _score(self, char: str) -> float:
        if char in _PUNCTUATION:
            return _PUNCTUATION[char]
        # Capitals are rarer, which distinguishes Cyrillic in KOI8-R from Windows-1251.
        capital = 0.0 if char == char.lower() else -1.5
        letter_score = self.letter_scores.get(char.lower()[:1])
        if letter_score is not None:
            return letter_score + capital
        if self.ideograph_encoding and char.isalpha():
            try:
                code = char.encode(self.ideograph_encoding)
            except UnicodeEncodeError:
                return UNKNOWN
            if _is_common(self.ideograph_encoding, code):
                return -7.0  # one of a thousand
            return -10.0 if len(code) > 1 else UNKNOWN
        return UNKNOWN


def _is_common(encoding: str, code: bytes) -> bool:
    # GB 2312 and Big5 put common Han characters first; EUC-KR puts Hangul first; level 1 of
    # JIS X 0208 is rows 16 to 47.
    rows = {"gb2312": (0xB0, 0xD7), "big5": (0xA4, 0xC6), "euc_kr": (0xB0, 0xC8)}
    first, last = rows.get(encoding, (0xB0, 0xCF))
    return len(code) > 1 and first <= code[0] <= last


def _model(
    languages: str, encodings: str, letters: str, old: str = "", ideograph_encoding: str = ""
) -> LanguageModel:
    """Return a model of letters in order of frequency: the nth has 1/n of the first."""
    total = sum(1 / rank for rank in range(1, len(letters) + 1)) + (3 if ideograph_encoding else 0)
    return LanguageModel(
        tuple(languages.split()),
        tuple(encodings.split()),
        tuple(old.split()),
        {char: -math.log(rank * total) for rank, char in enumerate(letters, 1)},
        ideograph_encoding,
    )


_WEST: Final = "iso8859-15 cp850 mac-roman"
_EAST: Final = "cp852 mac-latin2"
_TURKISH: Final = "cp857 mac-turkish"
_BALTIC: Final = "cp775 iso8859-4"
_ARABIC: Final = "اليمنوتهربكسعدفقحجشطخصذأضثةزءغظىإئآؤ،؟ًَُِّْ"

# Common languages first: of equal scores the first wins.
MODELS: Final = (
    _model("fr", "cp1252", "éèàêçùâîôûœïëü", f"{_WEST} cp863"),
    _model("de", "cp1252", "üäößéè", _WEST),
    _model("es ca gl", "cp1252", "óíáéñúüèàçòï", _WEST),
    _model("pt", "cp1252", "ãçáéíóêõâúàô", f"{_WEST} cp860"),
    _model("it", "cp1252", "èàòùéìî", _WEST),
    _model("da nb no nn", "cp1252", "åøæéèüö", f"{_WEST} cp865"),
    _model("sv fi", "cp1252", "äåöéüà", _WEST),
    _model("nl en", "cp1252", "éëïèöüáóêç", _WEST),
    _model("is fo", "cp1252", "áðíþöúýéæó", "cp850 cp861 mac-iceland"),
    _model("pl", "cp1250 iso8859-2", "łęążśćóńź", f"{_EAST} cp1257 cp775"),
    _model("cs sk", "cp1250 iso8859-2", "áíěéčřžýšůúňťďóľôäĺŕ", _EAST),
    _model("hu", "cp1250 iso8859-2", "áéöóőüíúű", _EAST),
    _model("hr bs sl sr", "cp1250 iso8859-2", "čšžćđ", f"{_EAST} mac-croatian"),
    _model("ro", "cp1250 iso8859-2", "ăşîâţ", f"{_EAST} iso8859-16 mac-romanian"),
    _model("sq", "cp1252", "ëç", _WEST),
    _model("tr az", "cp1254", "ıüşğçöİâîû", _TURKISH),
    _model("lt", "cp1257", "ėšųžįąūčę", _BALTIC),
    _model("lv", "cp1257", "āīēšūņļžģķč", _BALTIC),
    _model("et", "cp1257 cp1252", "äõüöšž", f"{_BALTIC} cp850"),
    _model(
        "ru",
        "cp1251 koi8-r iso8859-5",
        "оеаинтсрвлкмдпуяыьгзбчйхжшюцщэфъё",
        "cp866 mac-cyrillic cp855",
    ),
    _model(
        "uk be",
        "cp1251 koi8-u",
        "оаинвіетрсклудмпяьзгбчийхжюєшїцщфґў",
        "iso8859-5 cp866 cp1125 mac-cyrillic",
    ),
    _model(
        "bg sr mk",
        "cp1251",
        "аиоентрсвлкдпмзгуъчбцщяйжшхюьфјљњћџђѓѕќ",
        "iso8859-5 cp866 cp855 mac-cyrillic",
    ),
    _model("el", "cp1253 iso8859-7", "αοιετσνηυρπκμλςγάδόίωήθέφβχύξώζψϊϋ", "cp737 cp869 mac-greek"),
    _model("he yi", "cp1255", "יולאהמתרבשנדחכקםפעסטגזצןךץףְִַָּׁ", "iso8859-8 cp862"),
    _model("ar", "cp1256", _ARABIC, "iso8859-6 cp720"),
    _model("fa ur", "cp1256", "اينردهمتوسبشکكزگلفخقعجپحچآغطصژضثذظ،؟ےھہ"),
    _model(
        "ja",
        "cp932 euc-jp",
        "いのたなてんるしにとかはっれをでがだりらもよこすおっあくどそま",
        ideograph_encoding="euc_jp",
    ),
    _model("ko", "cp949", "이다는아가어지고나요해하을은그", "johab", ideograph_encoding="euc_kr"),
    _model("zh", "gb18030", "的我你不了是一他在这有们么来好说", ideograph_encoding="gb2312"),
    _model("zh", "big5", "的我你不了是一他在這有們麼來好說", ideograph_encoding="big5"),
    _model("th", "cp874", "านรอกเงมยลวดทสตัะ่้ปบคีหิแใ็จขไพชผูโซุำืึศ์ถธณฟษญภฉฮฝ"),
    _model("vi", "cp1258", "àáâãèéêìíòóôõùúýăđĩũơư\u0300\u0301\u0303\u0309\u0323"),
)
