"""A prober with a pool of processes of its own."""

from collections.abc import Sequence

from service.probing.prober import Prober
from service.workers.pool import Executor, WorkerPool


class OwnProber(Prober):
    """A prober whose processes no one else uses."""

    def __init__(
        self,
        workers: int = 1,
        timeout: float = 60.0,
        files_per_worker: int = 200,
        command: Sequence[str] | None = None,
    ) -> None:
        """Probe up to `workers` files at a time; `timeout` is in seconds."""
        pool = WorkerPool(files_per_worker, command)
        super().__init__(Executor(pool, workers), timeout)
        self.close = pool.close
        self._pool = pool

    @property
    def pids(self) -> frozenset[int]:
        """The identifiers of the running processes."""
        return self._pool.pids
