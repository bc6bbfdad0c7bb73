"""The handler as a Ray Serve deployment: what AWS's serving image runs. It travels inside the package."""

from pathlib import Path

from ray import serve
from starlette.requests import Request
from starlette.responses import Response

from stages.tools.deploy.handler import answer, model_fn


class Service:
    """The image's own adapter has /ping and /invocations, and hands what is posted to the latter on to here."""

    def __init__(self) -> None:
        self.classifier = model_fn(Path(__file__).parents[2])  # the package's root

    async def __call__(self, request: Request) -> Response:
        reply = answer(
            self.classifier, await request.body(), request.headers.get("content-type"), request.headers.get("accept")
        )
        return Response(reply.body, reply.status, media_type=reply.content_type)


app = serve.deployment(Service).bind()
