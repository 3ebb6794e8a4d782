"""What holds for every test."""

from hypothesis import settings

# No bound on time: these machines are shared.
settings.register_profile("reelay", deadline=None)
settings.load_profile("reelay")
