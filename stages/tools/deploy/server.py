"""Answer over HTTP, here and in SageMaker's container alike: GET /ping and POST /invocations.

What is refused before its body was read ends the connection, so that nobody can hide one request in the body of
another. It travels inside the package, and so imports nothing else of ours than the handler and the protocol.
"""

import asyncio
import contextlib
import json

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from stages.tools.deploy.handler import MAX_BYTES, Classifier, answer
from stages.tools.deploy.http_protocol import EXCHANGE_SECONDS, StrictProtocol, TimedProtocol

BODY_SECONDS = 10.0  # to receive the body of a request
KEEP_ALIVE_SECONDS = 10  # that a connection may be silent between two requests
SAGEMAKER_KEEP_ALIVE_SECONDS = 7 * 86_400  # as good as for ever
LINGER_SECONDS = 1.0  # what a refused request still sends is dropped so long, so that the refusal arrives
CONNECTIONS = 128  # at once; one more is answered with 503


def http_server(classifier: Classifier, behind_sagemaker: bool = False) -> uvicorn.Server:
    """A server that runs until its `should_exit` is set.

    behind_sagemaker: the only client is SageMaker's own, which keeps connections, and a serverless container is frozen
    between requests, so that a clock would cut a connection just when the next request comes.
    """
    return uvicorn.Server(
        uvicorn.Config(
            application(classifier),
            http=StrictProtocol if behind_sagemaker else TimedProtocol,
            loop="asyncio",
            ws="none",
            lifespan="off",
            log_level="error",
            access_log=False,
            server_header=False,
            limit_concurrency=CONNECTIONS,
            timeout_keep_alive=SAGEMAKER_KEEP_ALIVE_SECONDS if behind_sagemaker else KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=int(EXCHANGE_SECONDS),
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
    """The request's body. Raises HTTPException if it is too large or too slow, or if it is not clear where it ends."""
    in_pieces = "transfer-encoding" in request.headers
    if not in_pieces and "content-length" not in request.headers:
        raise HTTPException(411, "the request must have a Content-Length, or a Transfer-Encoding of chunked")
    length = int(request.headers.get("content-length", 0))  # h11 has checked that it is one whole number
    if length > MAX_BYTES:
        raise HTTPException(413, f"the request has {length} bytes; at most {MAX_BYTES} are read")
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for piece in request.stream():
                body += piece
                if len(body) > MAX_BYTES:
                    raise HTTPException(413, f"the request has more than the {MAX_BYTES} bytes that are read")
    except TimeoutError:
        what = "in pieces" if in_pieces else f"of {length} bytes"
        raise HTTPException(408, f"the body {what} did not arrive within {BODY_SECONDS:.0f} seconds") from None
    return bytes(body)


async def _refuse(request: Request, refusal: Exception) -> Response:
    """Refuse a request whose body was not read to its end, and end its connection."""
    assert isinstance(refusal, HTTPException)
    if "expect" not in request.headers and refusal.status_code != 408:  # who waits to be asked for a body sends none
        with contextlib.suppress(TimeoutError, ClientDisconnect, RuntimeError):  # the last: it was read to its end
            async with asyncio.timeout(LINGER_SECONDS):
                async for _ in request.stream():
                    pass
    headers = {**(refusal.headers or {}), "Connection": "close"}
    reason = json.dumps({"error": refusal.detail})
    return Response(reason, refusal.status_code, headers, media_type="application/json")


async def _nobody_there(*_: object) -> Response:
    """The other side has left before its body was whole; uvicorn sends this nowhere."""
    return Response(status_code=400)
