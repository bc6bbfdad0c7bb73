"""Serve the model on this machine until Ctrl-C or SIGTERM."""

import contextlib
import signal
import socket

from stages.shared.stage_command import StageError
from stages.tools.deploy.handler import Classifier
from stages.tools.deploy.server import CONNECTIONS, http_server


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
    """Raises StageError if the port cannot be used."""
    try:
        return socket.create_server((host, port), backlog=CONNECTIONS)
    except OSError as error:
        raise StageError(
            f"port {port} of {host} cannot be used ({error.strerror}); choose another with --port"
        ) from None
