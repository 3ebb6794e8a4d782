"""Connects findings to the settings, in the same way for the metrics and the doctor."""

from functools import partial

from service.playability.findings import Judge, findings_of_file
from service.settings.environment import Settings


def judge_of_files(settings: Settings) -> Judge:
    """Return what judges files as they are."""
    block, makes_sound = settings.max_partial_size, settings.sound == "on"
    return partial(findings_of_file, block=block, makes_sound=makes_sound)
