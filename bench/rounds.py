"""The contestants' processes, and the rounds in which each trains an epoch in turn, so that noise hits all alike."""

import contextlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.contestants import LAB, MODULES, OTHERS, OURS, OURS_BFLOAT16, PEAK
from bench.data import OUT
from stages.shared import paths
from stages.shared.stage_command import StageError

OTHERS_PYTHON = paths.ROOT / ".venv-bench" / "bin" / "python"
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), "1"
)
ONE_CORE, DEFAULT, EACH_CORE = "one core", "default threads", "a process a core"


@dataclass(frozen=True)
class Block:
    """What one contestant did in one round: `processes` processes at once, each with an epoch of `images` images.

    seconds: wall, of the slowest process. cpu_seconds: of all together.
    """

    net: str
    round: int
    contestant: str
    mode: str
    processes: int
    images: int
    seconds: float
    cpu_seconds: float
    memory_mib: int

    @property
    def rate(self) -> float:
        """Images a second, of all processes."""
        return self.processes * self.images / self.seconds


def run_rounds(
    nets: dict[str, int], rounds: int, report: Callable[[str, str], None], bfloat16: bool = False
) -> Iterator[Block]:
    """Every contestant in every mode with every net, `rounds` times, each round in another order.

    nets: the images of an epoch of each. report: told who is ready, or did not start, with the last words. bfloat16:
    whether this project trains in it too.
    Raises StageError if there is nobody to compare, on either side.
    """
    cores = sorted(os.sched_getaffinity(0))
    with ExitStack() as stack:
        teams: dict[tuple[str, str], list[Worker]] = {}
        for name in MODULES:
            if name == OURS_BFLOAT16 and not bfloat16:
                continue
            try:
                pinned = (
                    [stack.enter_context(_worker(name, nets, core)) for core in cores]
                    if name in (OURS, OURS_BFLOAT16, PEAK, *PINNED)
                    else []
                )
                free = [stack.enter_context(_worker(name, nets, None))] if name in OTHERS else []
                for worker in pinned + free:
                    worker.wait_until_ready()
            except WorkerDied as error:
                if name not in OTHERS:
                    raise StageError(f"{name} did not start: {error}") from None
                report(name, f"did not start: {error}")
                continue
            report(name, "ready")
            modes = {ONE_CORE: pinned[:1], EACH_CORE: pinned, DEFAULT: free}
            teams |= {(name, mode): workers for mode, workers in modes.items() if workers}
        if not any(name in OTHERS for name, _ in teams):
            raise StageError(
                f"none of the others started; `{OUT / 'logs'}` has why, "
                "and `rm -r .venv-bench && make bench` installs them again"
            )
        order = random.Random(0)
        for number in range(1, rounds + 1):
            turns = [(net, *key) for net in nets for key in teams]
            for net, name, mode in order.sample(turns, len(turns)):
                workers = teams[name, mode]
                for worker in workers:
                    worker.go(net)
                answers = [worker.answer() for worker in workers]
                slowest, memory = (max(answer[key] for answer in answers) for key in ("seconds", "memory_mib"))
                yield Block(
                    net,
                    number,
                    name,
                    mode,
                    len(workers),
                    nets[net],
                    slowest,
                    sum(answer["cpu_seconds"] for answer in answers),
                    int(memory),
                )


# Loader workers beside a process that has one core would only wait for it.
PINNED = [name for name in OTHERS if MODULES[name][1].get("LOADER_WORKERS", "0") == "0"]
assert LAB in PINNED


class WorkerDied(Exception):
    """Its text is the last line that the process left."""


class Worker:
    def __init__(self, process: subprocess.Popen, log: Path) -> None:
        self.process, self.log = process, log

    def wait_until_ready(self) -> None:
        self._line()

    def go(self, net: str) -> None:
        print(net, file=self.process.stdin, flush=True)

    def answer(self) -> dict[str, float]:
        answer: dict[str, float] = json.loads(self._line())
        return answer

    def _line(self) -> str:
        line: str = self.process.stdout.readline()  # type: ignore[union-attr]
        if not line:
            words = self.log.read_text(encoding="utf-8").strip().splitlines() or [f"exit code {self.process.wait()}"]
            raise WorkerDied(words[-1])
        return line


@contextmanager
def _worker(name: str, nets: dict[str, int], core: int | None) -> Iterator[Worker]:
    python = OTHERS_PYTHON if name in OTHERS else sys.executable
    log = OUT / "logs" / f"{name.replace(' ', '_').replace(',', '')}-{'free' if core is None else core}.txt"
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [
        str(python),
        "-m",
        "bench.worker",
        name,
        json.dumps(nets),
        *([] if core is None else ["--core", str(core)]),
    ]
    environment = os.environ | MODULES[name][1] | ({} if core is None else ONE_THREAD)
    with log.open("w", encoding="utf-8") as errors:
        process = subprocess.Popen(
            command,
            cwd=paths.ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            encoding="utf-8",
        )
        try:
            yield Worker(process, log)
        finally:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()  # type: ignore[union-attr]
            process.kill()
            process.wait()
            process.stdout.close()  # type: ignore[union-attr]
