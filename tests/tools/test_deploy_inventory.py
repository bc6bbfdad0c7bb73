"""Endpoints listed with their price, and removed with all that was made for them."""

import contextlib
import subprocess
import sys

import pytest
from endpoints import BUCKET, INSTANCE, NOTHING, ROLE, SECRET, create, interrupt, ours, there

from stages.cloud import account
from stages.shared import paths, stage_command
from stages.shared.stage_command import StageError
from stages.tools.deploy import __main__ as deploy
from stages.tools.deploy import inventory

pytestmark = pytest.mark.slow


def test_list_shows_everything_with_its_price_and_delete_removes_it_and_nothing_of_others(aws, archive, capsys):
    sagemaker = account.client("sagemaker")
    sagemaker.create_model(ModelName="wcb-theirs", ExecutionRoleArn=ROLE, PrimaryContainer={"Image": "image"})
    account.client("s3").put_object(Bucket=BUCKET, Key="what-convolution-buys/data/x", Body=b"")
    create(archive)
    create(archive, INSTANCE)
    names = sorted(there()[0])
    capsys.readouterr()
    inventory.print_all(ours())
    printed = capsys.readouterr().out
    assert all(name in printed for name in names)
    assert "serverless, 3072 MB" in printed
    assert "ml.m5.large" in printed
    assert "2 endpoints of this project in this region" in printed
    assert "theirs" not in printed

    inventory.delete([names[0]], False, ours(), 1)
    assert there()[0] == [names[1]]
    inventory.delete([], True, ours(), 1)
    assert there() == ([], [], ["wcb-theirs"], ["what-convolution-buys/data/x"])
    capsys.readouterr()
    inventory.print_all(ours())
    inventory.delete([], True, ours(), 1)
    assert capsys.readouterr().out.count("nothing of this project is there") == 2


def test_delete_refuses_a_name_that_is_not_there_before_it_removes_anything(aws, archive):
    create(archive)
    name = there()[0][0]
    with pytest.raises(StageError, match=f"there is no wcb-other .there is: {name}.; nothing was deleted"):
        inventory.delete([name, "wcb-other"], False, ours(), 1)
    assert there()[0] == [name]


def test_what_a_failed_creation_left_is_listed_and_deleted(aws, archive, capsys):
    aws.refuse("create_endpoint", "ResourceLimitExceeded", "The account-level service limit is 0")
    with pytest.raises(StageError) as refusal:
        create(archive)
    endpoints, (name,), _, _ = there()
    assert endpoints == []
    message = str(refusal.value)
    assert "AWS refuses CreateEndpoint (ResourceLimitExceeded): The account-level service limit is 0" in message
    assert (
        f"left on AWS: s3://{BUCKET}/what-convolution-buys/models/{name}/model.tar.gz, the model, the endpoint config\n"
        in message
    )
    assert f"python -m stages.tools.deploy delete {name}" in message
    capsys.readouterr()
    inventory.print_all(ours())
    assert "none; the rest is not charged but for the storage" in capsys.readouterr().out
    inventory.delete([name], False, ours(), 1)
    assert there() == NOTHING


def test_an_interrupted_delete_says_what_may_still_cost(aws, archive, monkeypatch):
    aws.coming = ["Creating"]
    with pytest.raises(StageError):
        create(archive, minutes=0.001)
    name = there()[0][0]

    monkeypatch.setattr(inventory, "pause", interrupt)
    with pytest.raises(
        StageError,
        match=rf"^interrupted; {name} may still be there and cost: `python -m stages.tools.deploy list` shows what is$",
    ):
        inventory.delete([name], False, ours(), 1)


@pytest.mark.slow
def test_the_commands_from_create_to_an_empty_list(aws, archive, monkeypatch, capsys):
    command = [sys.executable, "-m", "stages.tools.deploy", "create", "--package", str(archive)]
    done = subprocess.run(command, cwd=paths.ROOT, capture_output=True, text=True, check=True)
    assert SECRET not in done.stdout + done.stderr
    name = there()[0][0]
    assert f"endpoint {name}: InService" in done.stdout

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["deploy", *arguments])
        with contextlib.suppress(SystemExit):
            stage_command.run(deploy.main)
        printed = capsys.readouterr()
        assert SECRET not in printed.out + printed.err
        return printed.out + printed.err

    assert name in run("list")
    assert f"deleted {name}" in run("delete", name)
    assert "nothing of this project is there" in run("list")
    assert "one of the arguments NAME --all is required" in run("delete")
    monkeypatch.setattr(sys, "argv", ["deploy", "create", "--package", "/nowhere/model.tar.gz"])
    with pytest.raises(SystemExit, match="is missing"):
        stage_command.run(deploy.main)


def test_the_commands_that_look_and_delete_load_no_torch():
    code = "import sys; from stages.tools.deploy import __main__, inventory; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=paths.ROOT, check=False).returncode == 0
