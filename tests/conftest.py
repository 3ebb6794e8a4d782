"""What holds for every test."""

from hypothesis import settings
from object_store import bucket, swift

# No bound on time: these machines are shared.
settings.register_profile("reelay", deadline=None)
settings.load_profile("reelay")

__all__ = ["bucket", "swift"]  # fixtures for all
