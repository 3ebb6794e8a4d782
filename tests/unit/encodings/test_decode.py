# ruff: noqa: RUF001 - letters of many scripts are meant

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.encodings.decode import DecodedText, decode_text

# Sentences of films, each with the encodings that subtitles in its language commonly have.
FRENCH = "Où est-ce que tu étais hier soir ? Je t'ai attendu toute la soirée.\nÀ bientôt, ça va."
GERMAN = "Ich weiß nicht, was du möchtest. Können wir später darüber reden?\nFür mich ist das klar."
SPANISH = "¿Dónde está el niño? ¡Qué día más extraño!"
PORTUGUESE = "Não sei o que você está fazendo, é tão difícil."
ITALIAN = "Perché non è più così? È già finita."
SWEDISH = "Jag förstår inte vad du säger. Är du på väg?"
ICELANDIC = "Ég veit ekki hvað þú ert að gera, það er góð spurning."
POLISH = "Nie wiem, gdzie jesteś. Proszę, przyjdź jak najszybciej.\nŻółta łódź płynie w ciemność."
CZECH = "Příliš dlouho jsem čekal. Nevím, co mám dělat, řekni mi to. Už běž."
HUNGARIAN = "Nem tudom, hol vagy. Kérlek, gyere gyorsan, mert félek. Őrült vagy, tűnj el innen!"
CROATIAN = "Ne znam što se događa. Želiš li još čaja? Kći, dođi."
ROMANIAN = "Nu ştiu ce să fac. Îmi pare rău că nu te-am aşteptat în faţa casei."
RUSSIAN = "Где ты был вчера вечером? Я ждал тебя весь вечер.\nНичего не понимаю, объясни."
UKRAINIAN = "Де ти був учора ввечері? Я чекав на тебе цілий вечір."
SERBIAN = "Не знам шта се дешава. Хоћеш ли још чаја? Кћери, дођи."
GREEK = "Πού ήσουν χθες το βράδυ; Σε περίμενα όλη τη νύχτα.\nΔεν καταλαβαίνω τίποτα."
TURKISH = "Dün gece neredeydin? Bütün akşam seni bekledim.\nHiçbir şey anlamıyorum. Işık çok güçlü."
HEBREW = "איפה היית אתמול בלילה? חיכיתי לך כל הערב.\nאני לא מבין כלום."
ARABIC = "أين كنت الليلة الماضية؟ انتظرتك طوال المساء.\nأنا لا أفهم شيئا، اشرح لي من فضلك."
PERSIAN = "من نميدانم کجا بودي. ديشب تمام شب منتظرت بودم."
LATVIAN = "Kur tu biji vakar vakarā? Es tevi gaidīju visu nakti. Lūdzu, paskaidro man šo lietu."
THAI = "เมื่อคืนคุณอยู่ที่ไหน ฉันรอคุณทั้งคืน"
JAPANESE = "昨日の夜、どこにいたの?ずっと待っていたのに。\nごめん、仕事が終わらなかったんだ。"
SIMPLIFIED = "昨天晚上你在哪里?我等了你整整一个晚上。\n对不起,我的工作没有做完。"
TRADITIONAL = "昨天晚上你在哪裡?我等了你整整一個晚上。\n對不起,我的工作沒有做完。"
KOREAN = "어젯밤에 어디 있었어? 밤새도록 기다렸어.\n미안해, 일이 끝나지 않았어."

SENTENCES = [
    *(("cp1252", text) for text in (FRENCH, GERMAN, SPANISH, PORTUGUESE, ITALIAN)),
    *(("cp1252", text) for text in (SWEDISH, ICELANDIC)),
    *(("cp1250", text) for text in (POLISH, CZECH, HUNGARIAN, CROATIAN, ROMANIAN)),
    *(("cp1251", text) for text in (RUSSIAN, UKRAINIAN, SERBIAN)),
    ("iso8859-2", POLISH),
    ("koi8-r", RUSSIAN),
    ("cp1253", GREEK),
    ("cp1254", TURKISH),
    ("cp1255", HEBREW),
    ("cp1256", ARABIC),
    ("cp1256", PERSIAN),
    ("cp1257", LATVIAN),
    ("cp874", THAI),
    ("shift-jis", JAPANESE),
    ("euc-jp", JAPANESE),
    ("gb18030", SIMPLIFIED),
    ("big5", TRADITIONAL),
    ("euc-kr", KOREAN),
    ("cp949", KOREAN),
]
# Encodings of DOS and classic Mac OS, and others that are rare.
OLD = [
    *(
        (encoding, text)
        for text in (FRENCH, GERMAN, SPANISH)
        for encoding in ("cp850", "mac-roman")
    ),
    *(
        (encoding, text)
        for text in (POLISH, CZECH, HUNGARIAN)
        for encoding in ("cp852", "mac-latin2")
    ),
    *((encoding, RUSSIAN) for encoding in ("cp866", "iso8859-5", "mac-cyrillic", "cp855")),
    *((encoding, GREEK) for encoding in ("cp737", "mac-greek")),
    *((encoding, TURKISH) for encoding in ("cp857", "mac-turkish")),
    *(("cp862", HEBREW), ("iso8859-6", ARABIC), ("cp775", LATVIAN), ("johab", KOREAN)),
    *(("cp863", FRENCH), ("iso8859-4", LATVIAN)),
    # Encodings of seven bits
    *(("iso2022-jp", JAPANESE), ("utf-7", JAPANESE), ("utf-7", RUSSIAN), ("iso2022-kr", KOREAN)),
    ("hz", SIMPLIFIED),
]
SUBTITLE = "1\n00:00:01,000 --> 00:00:02,000\n{}\n\n2\n00:00:03,000 --> 00:00:04,000\nOK, John!\n"


@pytest.mark.parametrize(("encoding", "sentence"), SENTENCES + OLD)
def test_a_sentence_is_decoded_from_each_encoding_of_its_language(
    encoding: str, sentence: str
) -> None:
    text = SUBTITLE.format(sentence)
    assert decode_text(text.encode(encoding)).text == text


@pytest.mark.parametrize("sentence", sorted({sentence for _, sentence in SENTENCES}))
@pytest.mark.parametrize(
    "encoding",
    [
        *("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"),
        *("utf-32", "utf-32-le", "utf-32-be"),
    ],
)
def test_unicode_is_decoded_with_and_without_a_byte_order_mark(
    encoding: str, sentence: str
) -> None:
    text = SUBTITLE.format(sentence)
    assert decode_text(text.encode(encoding)).text == text


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_a_byte_order_mark_alone_reveals_the_byte_order(encoding: str) -> None:
    assert decode_text(f"\ufeff{RUSSIAN}".encode(encoding)) == (RUSSIAN, None)


@pytest.mark.parametrize(("encoding", "sentence"), SENTENCES + OLD)
def test_an_encoding_is_certain_in_a_long_text_with_its_language(
    encoding: str, sentence: str
) -> None:
    text = SUBTITLE.format("\n".join([sentence] * 20))
    assert decode_text(text.encode(encoding)) == (text, None)


ENGLISH = ["It’s late, isn’t it?", "Wait… what?", "— Yes.\n— No.", "“Hello,” he said… and left."]


@pytest.mark.parametrize("sentence", ENGLISH)
def test_quotation_marks_and_dashes_are_those_of_windows(sentence: str) -> None:
    for text in (sentence, "\n".join([sentence] * 200)):
        assert decode_text(text.encode("cp1252")).text == text


def test_what_cannot_be_told_apart_is_a_problem_that_names_the_encodings() -> None:
    # Such short words are possible in the encodings of several systems.
    text, problem = decode_text(b"1\n00:00:01,000 --> 00:00:02,000\n\x82a \x8a?\n")
    assert problem is not None
    assert "Its encoding is not" in problem
    assert "film.de.cp850.srt" in problem  # what helps
    assert "-->" in text


def test_the_encoding_in_the_file_name_decides() -> None:
    text = SUBTITLE.format("Où êtes-vous allé ?")
    for encoding in ("cp850", "mac-roman", "cp1252"):
        assert decode_text(text.encode(encoding), None, encoding) == (text, None)
    # But not against a byte order mark.
    assert decode_text(text.encode("utf-8-sig"), None, "cp850") == (text, None)


def test_bytes_that_the_named_encoding_does_not_have_are_a_problem() -> None:
    text, problem = decode_text(b"caf\xe9", None, "utf-8")
    assert text == "caf\ufffd"
    assert problem == "Parts of it are not valid in its encoding (utf-8); they are shown as \ufffd."


def test_a_text_that_lost_its_letters_is_a_problem() -> None:
    text = SUBTITLE.format("?????? ??? ????? ???????.").replace("OK, John!", "???")
    problem = "Most of its letters are question marks: they were lost when it was saved."
    assert decode_text(text.encode()) == (text, problem)
    assert decode_text(b"What??? Really???").problem is None


@pytest.mark.parametrize("text", ["1+1=2, C++ and A+B", "+abc-", "~{ } ~ {}", "a+b-c+d-"])
def test_ascii_is_ascii(text: str) -> None:
    assert decode_text(text.encode()) == (text, None)


# The bytes of a single word may be another word in another encoding; the language decides.
@pytest.mark.parametrize(
    ("language", "encoding", "word"),
    [
        ("el", "cp1253", "Ναι"),
        ("ko", "euc-kr", "안녕"),
        ("ru", "cp1251", "Да"),
        ("is", "cp1252", "Ég"),
        ("tr", "cp1254", "Işık"),
    ],
)
def test_the_language_in_the_file_name_helps_to_choose_the_encoding(
    language: str, encoding: str, word: str
) -> None:
    assert decode_text(word.encode(encoding), language).text == word


def test_a_wrong_language_in_the_file_name_does_not_outweigh_the_text() -> None:
    assert decode_text(RUSSIAN.encode("cp1251"), "de").text == RUSSIAN
    assert decode_text(FRENCH.encode("cp1252"), "pl").text == FRENCH


def test_utf_8_with_a_damaged_character_is_utf_8() -> None:
    data = (RUSSIAN + "!").encode()
    assert decode_text(data[:-3] + b"!").text == RUSSIAN[:-2] + "\ufffd!"


def test_line_endings_are_normalised_and_control_characters_dropped() -> None:
    assert decode_text(b"a\r\nb\rc\n\n\x00d\x1b\x0b\x0c\x7f\te").text == "a\nb\nc\n\nd\te"
    assert (
        decode_text("a\u0085\ufeffb".encode()).text == "ab"
    )  # a C1 control, and a byte order mark in the middle


@given(st.binary(max_size=300), st.sampled_from([None, "en", "ja", "zh-Hant", "ru", ""]))
def test_arbitrary_bytes_are_text_without_control_characters(
    data: bytes, language: str | None
) -> None:
    text = decode_text(data, language).text
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufeff]", text)
    text.encode()  # no surrogates
    assert decode_text(data, language).text == text


def test_text_far_into_a_large_file_decides_the_encoding() -> None:
    text = "OK\n" * 400_000 + RUSSIAN
    assert decode_text(text.encode("cp1251")).text == text


def test_a_mark_of_utf_8_before_bytes_of_another_encoding_is_not_believed() -> None:
    text = "Ты где была вчера вечером? Мы тебя ждали."
    assert decode_text(b"\xef\xbb\xbf" + text.encode("cp1251"), "ru").text == text


def test_a_file_that_is_utf_8_by_now_is_read_as_such_whatever_its_name_says() -> None:
    text = "Ты где была вчера вечером? Мы тебя ждали."
    assert decode_text(text.encode(), "ru", "cp866") == DecodedText(text)
