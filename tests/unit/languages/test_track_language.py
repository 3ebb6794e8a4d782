import pytest

from service.languages.track_language import TrackLanguage, parse_track_language

FROM_ENGLISH = ("translated from English",)
WORDS = [
    # Names as yt-dlp writes them (yt_dlp/extractor/youtube: translations are target-source).
    ("en", TrackLanguage("en")),
    ("en-orig", TrackLanguage("en", ("original",))),
    ("pt-BR-orig", TrackLanguage("pt-BR", ("original",))),
    ("de-en", TrackLanguage("de", FROM_ENGLISH)),
    ("zh-Hans", TrackLanguage("zh-Hans")),
    ("zh-Hans-en", TrackLanguage("zh-Hans", FROM_ENGLISH)),
    ("iw-en", TrackLanguage("he", FROM_ENGLISH)),
    ("de-en-GB", TrackLanguage("de", ("translated from English (United Kingdom)",))),
    ("en-de", TrackLanguage("en", ("translated from German",))),
    ("en-es-419", TrackLanguage("en", ("translated from Spanish (Latin America)",))),
    ("zh-Hans-zh-Hant", TrackLanguage("zh-Hans", ("translated from Chinese (Traditional)",))),
    ("de-a-en", TrackLanguage("de", FROM_ENGLISH)),
    ("en-nP7-2PuUl7o", TrackLanguage("en", (), "nP7-2PuUl7o")),
    ("en-eEY6OEpapPo", TrackLanguage("en", (), "eEY6OEpapPo")),
    ("en-US-eEY6OEpapPo", TrackLanguage("en-US", (), "eEY6OEpapPo")),
    ("de-en-nP7-2PuUl7o", TrackLanguage("de", FROM_ENGLISH, "nP7-2PuUl7o")),
    # Variants (RFC 5646 §2.1), registered or not.
    ("en-US-xyz123", TrackLanguage("en-US", ("xyz123",))),
    ("de-1996", TrackLanguage("de", ("1996",))),
    ("cmn-Hans", TrackLanguage("zh-Hans")),
    ("cmn-TW", TrackLanguage("zh-TW")),
    ("iw", TrackLanguage("he")),
    ("es-419", TrackLanguage("es-419")),
    ("sr-Latn", TrackLanguage("sr-Latn")),
    # Regions in small letters, as people write them.
    ("pt-br", TrackLanguage("pt-BR")),
    ("zh-tw", TrackLanguage("zh-TW")),
    ("fr-ca", TrackLanguage("fr-CA")),
    ("de-at", TrackLanguage("de-AT")),
    ("de-ch", TrackLanguage("de-CH")),
    ("es-es", TrackLanguage("es-ES")),
    ("es-ar", TrackLanguage("es-AR")),
    ("ca-es", TrackLanguage("ca-ES")),
    ("en-in", TrackLanguage("en-IN")),
    ("en-DE", TrackLanguage("en-DE")),
]


@pytest.mark.parametrize(("word", "expected"), WORDS)
def test_a_language_has_its_origin_and_its_identifier(word: str, expected: TrackLanguage) -> None:
    assert parse_track_language(word) == expected


@pytest.mark.parametrize(
    "word",
    ["it-works", "my-translation", "my-Translation", "en-", "-en", "orig", "de-luxe", "en-orig-x"],
)
def test_other_words_with_hyphens_are_no_languages(word: str) -> None:
    assert parse_track_language(word) is None
