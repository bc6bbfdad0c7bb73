"""What answers in SageMaker's container: `python -m stages.tools.deploy.container`, from the unpacked package.

It needs of its image bash, Python, torch, numpy, pillow and pydantic, and no network, no root, nothing to write to and
no shared memory. serve.sh starts it; docs/serving.md says how.
"""

import os
import socket
from pathlib import Path

from stages.tools.deploy.handler import model_fn
from stages.tools.deploy.server import http_server

PORT = 8080  # SageMaker's, unless it sets SAGEMAKER_BIND_TO_PORT


def main() -> None:
    classifier = model_fn(Path(__file__).parents[3])  # the package's root
    address = ("0.0.0.0", int(os.environ.get("SAGEMAKER_BIND_TO_PORT", PORT)))
    with socket.create_server(address, backlog=socket.SOMAXCONN) as listening:
        print(f"answering on port {address[1]}: {classifier.description}", flush=True)
        http_server(classifier, behind_sagemaker=True).run(sockets=[listening])


if __name__ == "__main__":
    main()
