"""Cancels the request of a client that has disconnected."""

import asyncio

from service.http.instrumentation import Receive, RequestContext


class DisconnectWatcher:
    """Discards what a client sends, and cancels its request's task when it disconnects.

    A request that never waits, as most short ones do, does not pay for a second task.
    """

    def __init__(self, context: RequestContext, receive: Receive) -> None:
        self._context = context
        self._receive = receive
        self._answering = asyncio.current_task()
        self._task: asyncio.Task[None] | None = None
        # The loop runs it when the request waits for the first time.
        self._start = asyncio.get_running_loop().call_soon(self._start_task)

    def stop(self) -> None:
        """Stop watching."""
        self._start.cancel()
        if self._task is not None:
            self._task.cancel()

    def _start_task(self) -> None:
        self._task = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        # Servers send the same message after a complete response.
        if self._answering is not None and not self._context.sending_final_chunk:
            self._answering.cancel()
