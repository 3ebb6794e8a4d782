"""The names of a realistic library: 60 films, episodes and clips in several folders."""

_FILMS = (
    ("The Long Winter Harbour", 1998, "1080p.BluRay.x264"),
    ("Copper", 2003, "720p.BluRay.x264"),
    ("A Quiet Year in Northern Provence", 2011, "1080p.WEB-DL.DD5.1.H264"),
    ("Nachtzug nach Königsberg", 1987, "1080p.BluRay.x264"),
    ("Los años de la lluvia", 2016, "1080p.WEBRip.AAC2.0.H264"),
    ("Seven Bridges", 2019, "2160p.WEB-DL.H265"),
    ("The Clockmaker's Daughters", 2007, "1080p.BluRay.x264"),
    ("Le Dernier Été à Saint-Malo", 1994, "DVDRip.x264"),
    ("Paper Lanterns", 2021, "1080p.WEB-DL.H264"),
    ("Alone on the Ice", 2014, "1080p.BluRay.x264"),
    ("The Man Who Sold the Lighthouse", 1976, "1080p.BluRay.x264"),
    ("Under the Orchard", 2009, "720p.HDTV.x264"),
)
_DOCUMENTARIES = (
    "Rivers of the World - The Danube",
    "Rivers of the World - The Mekong",
    "How Bridges Are Built",
    "The Secret Life of Beavers",
    "Voyage to the Bottom of the Baltic",
    "A History of the Railway, Part 1",
    "A History of the Railway, Part 2",
    "Glaciers - A Farewell",
    "Bread",
    "The Last Watchmakers of the Jura",
)
_SERIES = (
    "Harbor.Lights",
    "The.Orchard",
    "Night.Trains",
    "Die.Brücke.am.Fluss",
    "Small.Hours",
    "The.Cartographers",
    "Gone.Sailing",
    "Les.Voisins.du.Dessus",
    "North.of.Here",
)
_CARTOONS = (
    "Pim and the Moon",
    "Der kleine Wassermann",
    "The Snow Hare",
    "Kater Mikesch",
    "Ronja und der Wald",
    "Tilda's Boat",
    "The Elephant Who Was Cold",
    "Zwei Pinguine",
)
_CLIPS = (
    "2019-07-04 Beach with Grandma.mp4",
    "2019-07-06 Sandcastle.mp4",
    "2020-12-24 Christmas Eve.mp4",
    "2021-05-15 Emma learns to ride.mp4",
    "2022-08-19 Camping at the lake.mp4",
    "2023-02-11 Skiing, first slope.mp4",
    "2023-09-02 First day of school.mp4",
    "IMG_2034.mov",
    "VID_20240511_174233.mp4",
)


def _names() -> list[str]:
    names = []
    for title, year, release in _FILMS:
        names.append(f"Films/{title} ({year})/{title.replace(' ', '.')}.{year}.{release}.mp4")
    names += [f"Documentaries/{title}.mp4" for title in _DOCUMENTARIES]
    for series in _SERIES:
        folder = f"Series/{series.replace('.', ' ')}/Season 1"
        for episode in (1, 2):
            names.append(f"{folder}/{series}.S01E{episode:02}.1080p.WEB-DL.x264.mp4")
    names += [f"Children/{title}.mp4" for title in _CARTOONS]
    names += [f"Children/Der Maulwurf/Folge {number:02}.mp4" for number in (1, 2)]
    names += [f"Family clips/{name}" for name in _CLIPS]
    return [*names, "Wedding of Lena and Tom.mp4"]


NAMES = _names()
