"""A library as a family has it: films with posters, series, an album, clips, and odd names."""

from io import BytesIO
from pathlib import Path

from PIL import Image, ImageDraw

from support.ffmpeg_fixtures import AAC, H264, SOUND, TINY_PICTURE, ffmpeg
from support.server import write

ODD_NAMES = (
    "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft" * 2,
    "a" * 200,
    "千と千尋の神隠しのとても長い題名の映画でありまして折り返しが必要になるほどです",
    "ليلة طويلة جدا في المدينة القديمة على شاطئ البحر الأبيض المتوسط مع الأصدقاء",
    "👨‍👩‍👧‍👦🎬🎉 Party 👨‍👩‍👧‍👦🎬🎉👨‍👩‍👧‍👦🎬🎉👨‍👩‍👧‍👦🎬🎉👨‍👩‍👧‍👦🎬🎉👨‍👩‍👧‍👦🎬🎉",
    "سفر 2019 - Deutsch, English العربية",
    "The Fantastically Long And Winding Story Of A Film Whose Title Does Not Want To End At All",
)
FILMS = ("Harbor Lights", "The Lamp", "Northern Wind", "Alone", "A Quiet Year", "Copper", "Seven")
SERIES = ("Lighthouse", "The Orchard", "Night Trains")


def picture(hue: int, size: tuple[int, int], text: str = "") -> bytes:
    """Return a PNG of a colour, as 0 to 255 around the circle of hues."""
    file = BytesIO()
    image = Image.new("HSV", size, (hue % 256, 150, 150)).convert("RGB")
    ImageDraw.Draw(image).text((size[0] // 10, size[1] // 2), text, "white", font_size=size[0] // 9)
    image.save(file, "PNG")
    return file.getvalue()


def family_library(media: Path) -> Path:
    """Write the library; return its folder."""
    sources = media.parent / "sources"
    sources.mkdir(parents=True)
    film = ffmpeg(sources / "film.mp4", *TINY_PICTURE, *SOUND, *H264, *AAC).read_bytes()
    moving = ("-f", "lavfi", "-i", "testsrc2=size=320x180:rate=5:duration=30")
    clip = ffmpeg(sources / "clip.mp4", *moving, *H264, "-g", "5").read_bytes()
    song = ffmpeg(sources / "song.m4a", *SOUND, *AAC).read_bytes()
    for number, title in enumerate(FILMS):
        name = f"{title} ({1990 + number})"
        write(media, f"Films/{name}/{name}.mp4", film)
        write(media, f"Films/{name}/poster.png", picture(37 * number, (400, 600), title))
    for number, title in enumerate(SERIES):
        write(media, f"Series/{title}/poster.png", picture(80 + 37 * number, (400, 600), title))
        for season in (1, 2):
            for episode in range(1, 5):
                name = f"{title} S{season:02}E{episode:02}"
                write(media, f"Series/{title}/Season {season:02}/{name}.mp4", film)
    for number in range(1, 6):
        write(media, f"Music/Evening/{number:02} Song {number}.m4a", song)
    write(media, "Music/Evening/cover.png", picture(200, (500, 500), "Evening"))
    for number in range(1, 7):
        write(media, f"Holidays/2021-07-{number:02} Beach.mp4", clip)
    for name in ODD_NAMES:
        write(media, f"Odd names/{name}.mp4", film)
        write(media, f"{name[:60]}/{name[:60]}.mp4", film)
    write(media, "At the top.mp4", film)
    return media
