"""Text is read, written and printed alike in every locale."""

import ast
import subprocess
import sys

import pytest

from stages.shared import paths

FILES = sorted(file for folder in ("bench", "modules", "stages") for file in (paths.ROOT / folder).rglob("*.py"))
PROCESSES = {"run", "Popen", "check_output", "check_call"}
OF_BYTES = {"archive", "gzip", "Image", "tarfile", "zipfile"}  # whose `open` gives bytes


def without_encoding(source):
    """The calls of a source that read or write text in the encoding of the locale."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        keywords = {keyword.arg for keyword in node.keywords}
        owner, _, name = ast.unparse(node.func).rpartition(".")
        modes = node.args[:1] if owner else node.args[1:2]
        is_bytes = owner in OF_BYTES or any("b" in str(getattr(mode, "value", "b")) for mode in modes)
        is_process = name in PROCESSES and bool(keywords & {"text", "universal_newlines"})
        is_text = name in ("read_text", "write_text") or (name == "open" and not is_bytes) or is_process
        if is_text and "encoding" not in keywords:
            yield ast.unparse(node)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(paths.ROOT).as_posix())
def test_every_file_is_opened_with_an_encoding(file):
    assert list(without_encoding(file.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("path.read_text()", True),
        ("path.read_text(encoding='utf-8')", False),
        ("path.write_text(content)", True),
        ("path.open()", True),
        ("path.open('w')", True),
        ("path.open('rb')", False),
        ("path.open('w', encoding='utf-8')", False),
        ("open(path)", True),
        ("open(path, 'rb')", False),
        ("gzip.open(path)", False),
        ("subprocess.run(command, text=True)", True),
        ("subprocess.run(command, encoding='utf-8')", False),
        ("subprocess.run(command)", False),
        ("axes.text(0, 0, 'a')", False),
    ],
)
def test_what_depends_on_the_locale_is_found(source, expected):
    assert bool(list(without_encoding(source))) is expected


@pytest.mark.parametrize("ending", ["", "; raise stage_command.StageError('→ 猫')"])
def test_a_letter_that_the_terminal_lacks_is_printed_as_its_code(ending, monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", "latin-1")
    monkeypatch.delenv("DVC_STAGE", raising=False)
    code = f"from stages.shared import stage_command\ndef main(): print('→ é 猫'){ending}\nstage_command.run(main)"
    done = subprocess.run([sys.executable, "-c", code], cwd=paths.ROOT, capture_output=True)
    assert done.stdout.splitlines() == [rb"\u2192 " + "é".encode("latin-1") + rb" \u732b"]
    assert done.stderr.splitlines() == ([rb"\u2192 \u732b"] if ending else [])
