"""The package starts and answers in AWS's image, also where there is no network, no root, and nothing to write to.

The image is imitated: AWS's own start script, and a Python that sees what the image has of what the package needs.
"""

import contextlib
import importlib.metadata
import json
import re
import signal
import socket
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest
from served import GOOD, pixels, request

from stages.tools.deploy import handler
from stages.tools.deploy.aws_model import ENVIRONMENT
from stages.tools.deploy.package import unpacked

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="AWS's image is one of Linux")]

HERE = Path(__file__).parent
START = HERE / "start_with_right_hostname.sh"
LOCKED_UP = ["unshare", "--user", "--map-root-user", "--mount", "--net", "bash", str(HERE / "locked_up.sh")]
IN_THE_IMAGE = ("torch", "numpy", "pillow", "pydantic")
# Start the server as the image does, ask it what stands in the first argument, and print the answers.
CLIENT = """
import http.client, json, os, signal, subprocess, sys, time
image, requests = sys.argv[1].split(), json.loads(sys.argv[2])
server = subprocess.Popen(image)
answers = {"user": os.getuid(), "shm": os.path.exists("/dev/shm"), "written": [], "answers": []}
for place in ("/", "/tmp", "/opt/ml/model", "/dev", os.path.expanduser("~"), os.getcwd()):
    try:
        open(os.path.join(place, "written"), "w").close()
        answers["written"].append(place)
    except OSError:
        pass
for method, path, body, kind in requests:
    for attempt in range(600):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", 8080, timeout=20)
            connection.request(method, path, body, {"Content-Type": kind} if kind else {})
            break
        except ConnectionRefusedError:
            assert server.poll() is None, "the server has ended"
            time.sleep(0.1)
    reply = connection.getresponse()
    answers["answers"].append([reply.status, reply.read().decode()])
server.send_signal(signal.SIGTERM)
answers["end"] = server.wait(20)
print(json.dumps(answers))
"""


@pytest.fixture(scope="session")
def image(tmp_path_factory):
    """Environment variables with which `python` is one that sees what the image has, and nothing else of .venv."""
    root = tmp_path_factory.mktemp("image")
    (root / "site").mkdir()
    (root / "bin").mkdir()
    waiting, seen = list(IN_THE_IMAGE), set()
    while waiting:
        name = waiting.pop()
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):  # of another system
            library = importlib.metadata.distribution(name)
            if library.name in seen:
                continue
            seen.add(library.name)
            waiting += [
                re.match(r"[A-Za-z0-9._-]+", line)[0] for line in library.requires or [] if "extra ==" not in line
            ]
            for top in {file.parts[0] for file in library.files} - {"..", "__pycache__"}:
                with contextlib.suppress(FileExistsError):
                    (root / "site" / top).symlink_to(Path(library.locate_file(top)).resolve())
    python = root / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n')
    python.chmod(0o755)
    path = f"{root / 'bin'}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return {"PATH": path, "PYTHONPATH": str(root / "site")}


@pytest.fixture
def package(archive, tmp_path):
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path / "model", filter="data")
    return tmp_path / "model"


def expected(archive):
    with unpacked(archive) as folder:
        example = (folder / "example.json").read_bytes()
        return example, json.loads(handler.answer(handler.model_fn(folder), example, "application/json", None).body)


def test_the_image_lacks_what_travels_with_the_package(image):
    program = "import sys, importlib.util as i; print([n for n in sys.argv[1:] if i.find_spec(n)])"
    names = ["torch", "numpy", "PIL", "pydantic", "safetensors", "jaxtyping", "uvicorn", "starlette", "ruamel", "h11"]
    done = subprocess.run(
        ["python", "-c", program, *names], env=image, capture_output=True, text=True, check=True, cwd="/"
    )
    assert done.stdout.strip() == str(["torch", "numpy", "PIL", "pydantic"])


def test_it_answers_without_network_root_shared_memory_and_anything_to_write_to(archive, package, image):
    if subprocess.run([*LOCKED_UP, str(package), "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine allows no namespaces of one's own")
    example, here = expected(archive)
    requests = [
        ("GET", "/ping", "", ""),
        ("POST", "/invocations", example.decode(), "application/json"),
        ("POST", "/invocations", "no JSON", "application/json"),
        ("POST", "/invocations", example.decode(), "text/csv"),
        ("POST", "/invocations", pixels([[7] * 8] * 8), "application/json"),
    ]
    command = [*LOCKED_UP, str(package), "python", "-c", CLIENT, f"bash -m {START} serve", json.dumps(requests)]
    done = subprocess.run(
        command, env=image | ENVIRONMENT, cwd="/", capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert (report["user"], report["shm"], report["written"]) == (1000, False, [])
    assert [status for status, _ in report["answers"]] == [200, 200, 400, 415, 400]
    there = json.loads(report["answers"][1][1])
    assert there["label"] == here["label"]
    assert there["probabilities"] == pytest.approx(here["probabilities"], abs=1e-6)
    assert all(json.loads(body)["error"] for _, body in report["answers"][2:])
    assert report["end"] == -signal.SIGTERM


def test_it_answers_on_the_port_that_sagemaker_names(archive, package, image):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = image | ENVIRONMENT
    environment |= {"BASH_ENV": str(package / "serve.sh"), "SAGEMAKER_BIND_TO_PORT": str(port)}
    with subprocess.Popen(["bash", "-m", str(START), "serve"], env=environment, cwd="/") as process:
        end = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < end:
            with contextlib.suppress(ConnectionError):
                assert request(port, "GET", "/ping", headers={})[0] == 200
                assert request(port, body=pixels(GOOD))[0] == 200
                break
            time.sleep(0.1)
        process.terminate()
    assert process.returncode == -signal.SIGTERM
    assert not list(package.rglob("__pycache__"))
