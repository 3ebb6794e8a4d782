"""One FFmpeg command that fixes all problems of a file."""

from collections.abc import Sequence

from service.browsers.issue import Issue
from service.browsers.transcode_options import TranscodeOptions, merged
from service.models import Finding, Metadata
from service.playability import ffmpeg_fix


def with_command(issues: Sequence[Issue], path: str, metadata: Metadata) -> list[Finding]:
    """Return the findings, and the one command that fixes all of them."""
    options = _merge([issue for issue in issues if issue.fix is not None])
    command = None if options is None else ffmpeg_fix.command(path, metadata, options)
    return [
        Finding(
            code=issue.code,
            severity=issue.severity,
            sentence=issue.sentence,
            viewer_sentence=issue.viewer_sentence,
            command=command if options and _is_fixed(issue, options) else None,
        )
        for issue in issues
    ]


def _merge(issues: Sequence[Issue]) -> TranscodeOptions | None:
    """Return the options of the command; None if there is nothing to fix.

    A picture is encoded anew for a hint only if there is nothing else to fix.
    """
    if not issues:
        return None
    serious = [issue for issue in issues if issue.severity != "hint"]
    copies = [issue for issue in issues if issue.fix and not issue.fix.streams]
    options = merged(issue.fix for issue in serious or copies or issues if issue.fix)
    return merged(
        [options, *(issue.fix for issue in issues if issue.fix and _is_fixed(issue, options))]
    )


def _is_fixed(issue: Issue, options: TranscodeOptions) -> bool:
    """Return whether a command that encodes these streams anew fixes an issue, too."""
    return issue.fix is not None and issue.fix.streams <= options.streams
