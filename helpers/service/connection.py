"""HTTP connections with the limits that uvicorn lacks, so that nobody can clog it.

A client may take its time for a body (the middleware measures that), but not for a
head, and it must fetch its answer. uvicorn would wait, and read a head of any size.
Between two requests, a connection is kept longer than clients and proxies keep theirs:
who closes first should be the one who knows that nothing is on its way.
"""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

PATIENCE = 10.0  # seconds between two looks at a connection
KEEP_ALIVE = 75  # seconds between two requests
MAX_IDLE = 1000  # connections; if more are open, none is kept idle
MAX_OVERHEAD = 65_536  # bytes of one request that are not its body


class Connection(HttpToolsProtocol):
    """One connection: broken off after one to two times PATIENCE without progress."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Begin to watch."""
        super().connection_made(transport)
        self._overhead, self._between = 0, False
        self._timer = self.loop.call_later(PATIENCE, self._look, None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop watching."""
        self._timer.cancel()
        super().connection_lost(exc)

    def _look(self, before: object) -> None:
        """Break off a connection that has no request at work, nor a new one."""
        cycle = self.cycle  # another object for each request
        at_work = cycle is not None and not cycle.response_complete
        idle = self._between and len(self.connections) <= MAX_IDLE  # uvicorn's timer
        waits = not self.transport.is_closing() and (at_work or idle)
        if cycle is before and not waits:
            self.transport.abort()
        else:
            self._timer = self.loop.call_later(PATIENCE, self._look, cycle)

    def on_message_begin(self) -> None:
        """The first byte of a request has come: the rest must follow soon."""
        self._between = False
        super().on_message_begin()

    def data_received(self, data: bytes) -> None:
        """Read, and count what is not body: heads, chunk sizes, trailers."""
        self._overhead += len(data)
        super().data_received(data)
        if self._overhead > MAX_OVERHEAD and not self.transport.is_closing():
            self.send_400_response("The head of the request is too large.")

    def on_body(self, body: bytes) -> None:
        """Do not count the body."""
        self._overhead = max(0, self._overhead - len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Count anew for the next request."""
        self._overhead, self._between = 0, True
        super().on_message_complete()
