# ruff: noqa: RUF001 - letters of many scripts are meant

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.encodings.tags import Tag, read_tag, shared_encoding

TEXTS = [
    *(("Танцевальный рай", "cp1251"), ("Группа крови", "koi8-r"), ("Нет", "cp1251")),
    *(("我的家乡", "gbk"), ("周杰伦 - 七里香", "gbk"), ("我的家鄉", "big5")),
    *(("夜に駆ける", "cp932"), ("私の故郷", "euc-jp"), ("내 고향", "euc-kr")),
    *(("Καλημέρα", "cp1253"), ("שלום עולם", "cp1255"), ("السلام عليكم", "cp1256")),
    ("Žluťoučký kůň", "cp1250"),
]


@pytest.mark.parametrize(("text", "encoding"), TEXTS)
def test_a_text_in_another_encoding_is_read_but_is_not_intact(text: str, encoding: str) -> None:
    raw = text.encode(encoding)
    assert read_tag(raw.decode("latin-1")) == Tag(text, intact=False)  # declared Latin-1
    assert read_tag(raw.decode(errors="surrogateescape")) == Tag(text, intact=False)  # and UTF-8


@pytest.mark.parametrize("read_as", ["latin-1", "cp1252", "cp1251", "mac-roman", "cp437"])
def test_utf_8_that_was_read_in_another_encoding_is_repaired(read_as: str) -> None:
    text = "Привет, мир"
    assert read_tag(text.encode().decode(read_as)) == Tag(text, intact=False)


INTACT = [
    *("", "The Third Man", "Ça ira", "ÉTÉ", "Été", "À la folie", "ÅÄÖ", "Ænima", "Þú og ég"),
    *("Ágætis byrjun", "Mötley Crüe", "Øjeblik på øen", "¿Qué?", "São João", "Über Größe", "Où"),
    *("Jäääär", "It’s a film", "“Heroes”", "Łódź", "Привет", "Танцевальный рай", "Нет", "Да"),
    *("我的家乡", "东京", "通", "夜に駆ける", "내 고향", "Καλημέρα", "שלום", "السلام عليكم"),
    *("20 °C", "½", "100 €", "What???", "Who? What? Why??", "♥", "Björk – Jóga"),
]


@pytest.mark.parametrize("text", INTACT)
def test_an_intact_text_is_left_alone(text: str) -> None:
    assert read_tag(text) == Tag(text, intact=True)


def test_latin_1_is_read_as_windows_1252() -> None:
    # As browsers do (WHATWG Encoding §4.2): the declared encoding has control characters there.
    assert read_tag("It\x92s a film") == Tag("It\N{RIGHT SINGLE QUOTATION MARK}s a film", True)  # noqa: FBT003


@pytest.mark.parametrize("text", ["????", "??? 01", "????? - ???"])
def test_a_text_without_its_letters_is_dropped(text: str) -> None:
    assert read_tag(text) == Tag("", intact=False)


def test_a_text_with_few_damaged_letters_stays_legible() -> None:
    assert read_tag("H\udcffllo") == Tag("H\ufffdllo", intact=False)


@given(
    st.text(
        st.characters(exclude_categories=[]) | st.sampled_from("\udc80\udcff\x92Ã"), max_size=40
    )
)
def test_an_arbitrary_tag_gives_a_text_without_surrogates_of_ffmpeg(tag: str) -> None:
    assert not any("\udc80" <= char <= "\udcff" for char in read_tag(tag).text)


@pytest.mark.parametrize(
    ("title", "name", "encoding"),
    [("Песня о главном", "ВЛАДИМИР", "cp1251"), ("사랑하는 사람", "김광석", "cp949")],
)
def test_a_name_is_read_in_the_encoding_of_the_other_tags(
    title: str, name: str, encoding: str
) -> None:
    tags = [text.encode(encoding).decode("latin-1") for text in (title, name)]
    assert read_tag(tags[1]).text != name  # alone, it may be of several languages
    assert read_tag(tags[1], shared_encoding(tags)) == Tag(name, intact=False)


def test_intact_tags_share_no_encoding() -> None:
    assert shared_encoding(["Jóga", "Björk Guðmundsdóttir", "Привет", "plain"]) is None
