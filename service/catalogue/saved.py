"""Keeps an arrangement in the database, so that the next start need not sort all videos."""

import json
import sqlite3
from array import array
from collections import Counter

from service.catalogue.arrangement import ORDERS, Arrangement
from service.database.database import Database
from service.listing.search import Vocabulary
from service.listing.texts import Texts
from service.listing.word_index import WordIndex


def save_arrangement(database: Database, arrangement: Arrangement, generation: int) -> None:
    """Store the arrangement of a generation. Blocks. Raises sqlite3.Error."""
    words, lengths, numbers = arrangement.index.save()
    small = json.dumps(
        {
            "folders": arrangement.folder_names,
            "kinds": dict(arrangement.kinds),
            "counts": [[*key, count] for key, count in arrangement.counts.items()],
        }
    )
    parts = {
        **{order: one.tobytes() for order, one in arrangement.orders.items()},
        "folder of": arrangement.folder_of.tobytes(),
        "small": small.encode(),
        "words": words,
        "lengths": lengths,
        "numbers": numbers,
        "texts": arrangement.texts.data,
        "starts": arrangement.texts.starts.tobytes(),
        "ends": arrangement.texts.ends.tobytes(),
    }
    with database.transaction():
        database.writer.executemany("INSERT OR REPLACE INTO part VALUES (?, ?)", parts.items())
        database.set_meta("arranged", str(generation))


def load_arrangement(database: Database, generation: int) -> Arrangement | None:
    """Return the stored arrangement; None if there is none of this generation. Blocks.

    Raises sqlite3.Error, also if it is damaged.
    """
    if database.get_meta("arranged") != str(generation):
        return None

    def part(name: str) -> bytes:  # one at a time: each is in memory twice while it is loaded
        data: bytes
        ((data,),) = database.rows("SELECT data FROM part WHERE name = ?", name)
        return data

    try:
        index = WordIndex.load(part("words"), part("lengths"), part("numbers"))
        small = json.loads(part("small"))
        return Arrangement(
            {order: array("I", part(order)) for order in ("path", *ORDERS)},
            tuple(small["folders"]),
            array("I", part("folder of")),
            small["kinds"],
            Counter({(state, form): count for state, form, count in small["counts"]}),
            index,
            Texts.of(part("texts"), array("I", part("starts")), array("I", part("ends"))),
            Vocabulary(index.words),
        )
    except (KeyError, ValueError) as error:
        raise sqlite3.DatabaseError("a damaged arrangement") from error
