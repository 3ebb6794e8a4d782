"""The tables of the catalogue's database, and the version of all that its rows depend on."""

import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path

# Increase it when a column gets another meaning. What computes the columns is part of the version
# anyway, as a digest of its source.
_FORMAT = 1

_COMPUTED_BY = (
    *("models.py", "database", "listing", "naming", "playability", "browsers"),
    *("artefacts/source.py", "artefact_store/keys.py", "library/files.py", "mp4/moov.py"),
    *("probing/dates.py", "protocol/media_types.py"),
)

TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE part (name TEXT PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE folder (
  path TEXT PRIMARY KEY,
  digest BLOB NOT NULL,
  entries TEXT NOT NULL,
  image TEXT
) WITHOUT ROWID;
CREATE TABLE video (
  id INTEGER PRIMARY KEY,
  removed INTEGER,
  path TEXT NOT NULL,
  folder TEXT NOT NULL,
  size INTEGER NOT NULL,
  revision TEXT NOT NULL,
  modified REAL NOT NULL,
  changed_at REAL NOT NULL,
  sidecars TEXT,
  state TEXT NOT NULL,
  is_settled INTEGER NOT NULL,
  is_listed INTEGER NOT NULL,
  title TEXT NOT NULL,
  content_type TEXT NOT NULL,
  form TEXT NOT NULL,
  name TEXT NOT NULL,
  date REAL NOT NULL,
  duration REAL NOT NULL,
  episode TEXT,
  disc INTEGER,
  track INTEGER,
  is_named INTEGER NOT NULL,
  is_clip INTEGER NOT NULL,
  artist TEXT,
  year TEXT,
  text TEXT NOT NULL,
  failure TEXT,
  artefacts TEXT NOT NULL,
  metadata TEXT,
  findings TEXT
);
CREATE INDEX video_by_folder ON video (folder, path);
CREATE INDEX video_by_change ON video (changed_at, path) WHERE is_listed AND removed IS NULL;
CREATE INDEX video_by_time ON video (modified, id);
CREATE INDEX video_unsettled ON video (folder) WHERE NOT is_settled AND removed IS NULL;
CREATE INDEX video_episodes ON video (id) WHERE episode IS NOT NULL;
CREATE INDEX video_removed ON video (removed) WHERE removed IS NOT NULL;
CREATE INDEX video_by_findings ON video (findings) WHERE is_listed AND removed IS NULL;
CREATE INDEX video_made ON video (id) WHERE form = 'made' AND is_listed AND removed IS NULL;
"""
"""`removed` is the generation that no longer has a version of a video; NULL: the latest has it."""


@cache
def schema_version() -> str:
    """Return a text that changes with everything that the rows depend on."""
    digest = hashlib.blake2b(f"{_FORMAT} {TABLES}".encode(), digest_size=16)
    package = Path(__file__).parent.parent
    for name in _COMPUTED_BY:
        at = package / name
        for module in sorted(at.glob("*.py")) if at.is_dir() else [at]:
            digest.update(module.read_bytes())
    return f"{digest.hexdigest()} av {version('av')}"
