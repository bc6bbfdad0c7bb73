"""Serve the model over HTTP on this machine, at the addresses that SageMaker uses: GET /ping and POST /invocations.

h11 reads the requests strictly, and what is refused before its body was read ends the connection: nobody can hide one
request in the body of another.
"""

import asyncio
import contextlib
import json
import signal
import socket

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from stages.shared.stage_command import StageError
from stages.tools.deploy.handler import MAX_BYTES, Classifier, answer

BODY_SECONDS = 10.0  # to receive the body of a request
EXCHANGE_SECONDS = 20.0  # from the end of one answer to the end of the next: to wait, to receive, to answer
KEEP_ALIVE_SECONDS = 10  # that a connection may be silent between two requests
LINGER_SECONDS = 1.0  # what a refused request still sends is dropped so long, so that the refusal arrives
HEAD_BYTES = 16_384  # of a request's line and headers
CONNECTIONS = 128  # at once; one more is answered with 503


def serve(classifier: Classifier, host: str, port: int) -> None:
    """Answer until Ctrl-C or SIGTERM; requests that are being answered then are finished.

    port: 0 takes a free one. Raises StageError if the port is taken.
    """
    with listening_socket(host, port) as listening:
        address = "http://{}:{}".format(*listening.getsockname()[:2])
        print(f"serve: {address}/ping and {address}/invocations; Ctrl-C ends it", flush=True)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with contextlib.suppress(KeyboardInterrupt):  # uvicorn ends in order, and then repeats the signal
            http_server(classifier).run(sockets=[listening])
    print("serve: ended")


def listening_socket(host: str, port: int) -> socket.socket:
    """Raises StageError if the port cannot be had."""
    try:
        return socket.create_server((host, port), backlog=CONNECTIONS)
    except OSError as error:
        raise StageError(
            f"port {port} of {host} cannot be had ({error.strerror}); choose another with --port"
        ) from None


def http_server(classifier: Classifier) -> uvicorn.Server:
    """A server that runs until its `should_exit` is set."""
    return uvicorn.Server(
        uvicorn.Config(
            application(classifier),
            http=TimedProtocol,
            ws="none",
            lifespan="off",
            log_level="error",
            access_log=False,
            server_header=False,
            limit_concurrency=CONNECTIONS,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=int(EXCHANGE_SECONDS),
            h11_max_incomplete_event_size=HEAD_BYTES,
        )
    )


def application(classifier: Classifier) -> Starlette:
    """The ASGI application. Every answer is JSON; an error is {"error": reason}."""
    description = json.dumps(classifier.description, ensure_ascii=False)

    async def ping(_: Request) -> Response:
        return Response(description, media_type="application/json")

    async def invocations(request: Request) -> Response:
        body = await _body(request)
        reply = answer(classifier, body, request.headers.get("content-type"), request.headers.get("accept"))
        return Response(reply.body, reply.status, media_type=reply.content_type)

    routes = [Route("/ping", ping, methods=["GET"]), Route("/invocations", invocations, methods=["POST"])]
    return Starlette(routes=routes, exception_handlers={HTTPException: _refuse, ClientDisconnect: _nobody_there})


async def _body(request: Request) -> bytes:
    """The request's body. Raises HTTPException if its length is not declared, or too large, or if it takes too long."""
    if "transfer-encoding" in request.headers or "content-length" not in request.headers:
        raise HTTPException(411, "the request must have a Content-Length, and no Transfer-Encoding")
    length = int(request.headers["content-length"])  # h11 has checked that it is one whole number
    if length > MAX_BYTES:
        raise HTTPException(413, f"the request has {length} bytes; at most {MAX_BYTES} are read")
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await request.body()
    except TimeoutError:
        raise HTTPException(
            408, f"the body of {length} bytes did not arrive within {BODY_SECONDS:.0f} seconds"
        ) from None


async def _refuse(request: Request, refusal: Exception) -> Response:
    """Refuse a request whose body was not read, and end its connection."""
    assert isinstance(refusal, HTTPException)
    if "expect" not in request.headers and refusal.status_code != 408:  # who waits to be asked for a body sends none
        with contextlib.suppress(TimeoutError, ClientDisconnect):
            async with asyncio.timeout(LINGER_SECONDS):
                async for _ in request.stream():
                    pass
    headers = {**(refusal.headers or {}), "Connection": "close"}
    reason = json.dumps({"error": refusal.detail})
    return Response(reason, refusal.status_code, headers, media_type="application/json")


async def _nobody_there(*_: object) -> Response:
    """The other side has left before its body was whole; uvicorn sends this nowhere."""
    return Response(status_code=400)


class TimedProtocol(H11Protocol):
    """uvicorn's connection, cut when an exchange takes too long: uvicorn alone waits for ever for a first request."""

    clock: asyncio.TimerHandle

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        # An answer's head and body are written apart; the second would wait until the first is acknowledged. asyncio
        # sets this only for sockets that it opens itself.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
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
