"""Package the best model, serve it here, or let SageMaker serve it or label a folder of images.

`python -m stages.tools.deploy` shows the commands.
"""

import argparse
from pathlib import Path

from stages.cloud import settings
from stages.shared import params, paths, stage_command
from stages.tools.deploy.hosting import CPU_INSTANCE, MEMORY_MB, Hosting
from stages.tools.deploy.service import ARCHIVE


# Each command imports what it needs: torch takes seconds, and `list` and `delete` need none.
def main() -> None:
    arguments = _parser().parse_args()
    COMMANDS[arguments.command](arguments)


def _package(arguments: argparse.Namespace) -> None:
    from stages.tools.deploy.choose import choose
    from stages.tools.deploy.package import EXAMPLE, package

    stage_command.need(paths.PREPARED, "prepare")
    choice = choose(params.load(), paths.RUNS, arguments.variant, arguments.seed)
    with paths.whole_folder(paths.MODEL) as out:
        sha256 = package(choice, paths.PREPARED, paths.RUNS, out)
    print(f"package: {choice}")
    archive = (paths.MODEL / ARCHIVE).relative_to(paths.ROOT)
    print(f"package: {archive}, sha256 {sha256}; {EXAMPLE} beside it is a request to try it with")


def _serve(arguments: argparse.Namespace) -> None:
    from stages.tools.deploy.handler import model_fn
    from stages.tools.deploy.local_server import serve
    from stages.tools.deploy.package import unpacked

    with unpacked(arguments.package) as folder:
        classifier = model_fn(folder)
    print(f"serve: {classifier.description}")
    serve(classifier, arguments.host, arguments.port)


def _create(arguments: argparse.Namespace) -> None:
    from stages.tools.deploy import endpoint

    hosting = Hosting(arguments.instance, arguments.memory)
    endpoint.create(
        arguments.package, hosting, arguments.image, settings.load().sagemaker, arguments.minutes, arguments.dry_run
    )


def _batch(arguments: argparse.Namespace) -> None:
    from stages.tools.deploy import batch

    batch.label(
        arguments.folder,
        arguments.out,
        arguments.package,
        arguments.instance,
        arguments.image,
        settings.load().sagemaker,
        arguments.minutes,
        arguments.dry_run,
    )


def _register(arguments: argparse.Namespace) -> None:
    from stages.tools.deploy import registry

    registry.register(arguments.package, arguments.group, settings.load().sagemaker, arguments.dry_run)


def _list(_: argparse.Namespace) -> None:
    from stages.tools.deploy import inventory

    inventory.print_all(settings.load().sagemaker)


def _delete(arguments: argparse.Namespace) -> None:
    from stages.tools.deploy import inventory

    inventory.delete(arguments.names, arguments.all, settings.load().sagemaker, arguments.minutes)


COMMANDS = {
    "package": _package,
    "serve": _serve,
    "create": _create,
    "batch": _batch,
    "register": _register,
    "list": _list,
    "delete": _delete,
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m stages.tools.deploy", description=f"{__doc__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="{" + ",".join(COMMANDS) + "}")

    making = commands.add_parser(
        "package", help="write data/model/model.tar.gz: the best model on the validation images"
    )
    making.add_argument("--variant", help="another one than the best")
    making.add_argument("--seed", type=int, help="another one than the variant's best")

    serving = commands.add_parser("serve", help="answer GET /ping and POST /invocations on this machine")
    serving.add_argument("--host", default="127.0.0.1", help="0.0.0.0 lets other machines in (default: %(default)s)")
    serving.add_argument("--port", type=_port, default=8080, help="0 takes a free one (default: %(default)s)")

    creating = commands.add_parser("create", help="make an endpoint on SageMaker, and try it")
    creating.add_argument(
        "--instance", metavar="TYPE", help="an instance that always runs, such as ml.m5.large (default: serverless)"
    )
    creating.add_argument(
        "--memory", type=int, choices=MEMORY_MB, default=3072, help="MB, where it is serverless (default: %(default)s)"
    )

    labelling = commands.add_parser("batch", help="label a folder of PNGs on SageMaker, on an instance that then ends")
    labelling.add_argument("folder", type=Path)
    labelling.add_argument(
        "--out", type=Path, default=Path("labels.csv"), help="the table of labels (default: %(default)s)"
    )
    labelling.add_argument("--instance", metavar="TYPE", default=CPU_INSTANCE, help="(default: %(default)s)")

    registering = commands.add_parser("register", help="put it into SageMaker's model registry, with its accuracies")
    registering.add_argument("--group", help="of models; begins with wcb- (default: named by the dataset)")

    for command in (creating, labelling):
        command.add_argument("--image", help="another container image than AWS's of PyTorch")
    for command in (creating, labelling, registering):
        command.add_argument(
            "--dry-run", action="store_true", help="say what would be made and what it costs, and make nothing"
        )

    commands.add_parser("list", help="say what the project has on SageMaker to answer requests, and what it costs")

    deleting = commands.add_parser("delete", help="remove endpoints, with all that was made for them")
    which = deleting.add_mutually_exclusive_group(required=True)
    which.add_argument("names", nargs="*", default=[], metavar="NAME", help="as `list` shows them")
    which.add_argument("--all", action="store_true", help="everything that `list` shows")

    for command in (serving, creating, labelling, registering):
        command.add_argument(
            "--package",
            type=Path,
            default=paths.MODEL / ARCHIVE,
            help="a model.tar.gz of `package` (default: data/model/model.tar.gz)",
        )
    for command in (creating, labelling, deleting):
        command.add_argument("--minutes", type=float, default=30, help="the longest wait (default: %(default)s)")
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to 65535")
    return int(text)


if __name__ == "__main__":
    stage_command.run(main)
