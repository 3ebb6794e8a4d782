"""Results of a prober, as tests expect them."""

from pathlib import Path

from service.models import Metadata
from service.probing.prober import ProbeFailure, Prober


async def metadata_of(prober: Prober, path: Path) -> Metadata:
    answer = await prober.probe(path)
    assert isinstance(answer, Metadata), answer
    return answer


async def problem_of(prober: Prober, path: Path) -> ProbeFailure:
    answer = await prober.probe(path)
    assert isinstance(answer, ProbeFailure), answer
    assert str(path.parent) not in answer.reason
    return answer
