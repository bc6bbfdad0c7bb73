"""How a connection is read: uvicorn's protocol, with h11, where two readers could disagree about where a request ends.

h11 refuses most of what is no HTTP. What it lets pass, as RFC 9112 allows, another reader in front of this one may read
otherwise, and so take for a body what is a request here. That is refused too. It travels inside the package.
"""

import asyncio
import re
import socket
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

EXCHANGE_SECONDS = 20.0  # from the end of one answer to the end of the next: to wait, to receive, to answer
HEAD_BYTES = 16_384  # of a request's line and headers
HEAD_END = re.compile(rb"\n\r?\n")  # as h11 finds it
BARE_LINE_FEED = re.compile(rb"(?<!\r)\n")
FOLDED_LINE = re.compile(rb"\n[ \t]")
BOTH_LENGTHS = {b"content-length", b"transfer-encoding"}


class StrictConnection(h11.Connection):
    """h11's side of a server that also refuses bare line feeds, folded lines, two lengths, and HTTP other than 1.x."""

    def next_event(self) -> Any:
        if self.their_state is h11.IDLE:
            received = self.trailing_data[0]
            end = HEAD_END.search(received)
            head = received[: end.end()] if end else received
            if BARE_LINE_FEED.search(head) or FOLDED_LINE.search(head):
                raise h11.RemoteProtocolError("a line of the head is folded, or ends without a carriage return")
        event = super().next_event()
        if isinstance(event, h11.Request):
            if {name for name, _ in event.headers} >= BOTH_LENGTHS:
                raise h11.RemoteProtocolError("the request has a Content-Length and a Transfer-Encoding")
            if not event.http_version.startswith(b"1."):
                raise h11.RemoteProtocolError("the request is of another version than HTTP/1")
        return event


class StrictProtocol(H11Protocol):
    """uvicorn's connection, which reads strictly and sends what is written at once.

    An answer's head and body are written apart; the second would wait until the first is acknowledged. asyncio sets
    TCP_NODELAY only for sockets that it opens itself.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.conn = StrictConnection(h11.SERVER, HEAD_BYTES)
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().connection_made(transport)


class TimedProtocol(StrictProtocol):
    """A connection that is cut when an exchange takes too long: uvicorn alone waits for ever for a first request."""

    clock: asyncio.TimerHandle

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start_clock()

    def on_response_complete(self) -> None:
        self.clock.cancel()
        self._start_clock()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self.clock.cancel()
        super().connection_lost(exc)

    def _start_clock(self) -> None:
        self.clock = self.loop.call_later(EXCHANGE_SECONDS, self.transport.abort)
