"""Small training jobs over the stand-in for AWS: what tests/cloud makes, sends and looks at.

Import it after pytest.importorskip("boto3"); the fixtures of tests/cloud lead it to a layer and to small data.
"""

import re
import sys
import tarfile
from functools import partial
from io import BytesIO

from sagemaker_layer import BUCKET
from small_model import small_settings

from stages.cloud import __main__ as command
from stages.cloud import account, job, price_list, training
from stages.cloud.job import jobs_of
from stages.cloud.settings import load
from stages.cloud.training import Queue, place_of_jobs
from stages.shared import paths, run_records
from stages.shared.run_records import Store
from stages.train.runs import planned_runs


def forget():
    """Forget clients and uploads, which the code remembers within one process."""
    for cached in (account.client, account.session, job._upload_code, job._upload_data, price_list.listed_price):
        cached.cache_clear()


def compute(**changes):
    """compute.yaml as it is in the repository, with changes."""
    text = (paths.ROOT / "compute.yaml").read_text()
    for key, value in {"poll_seconds": 0.2, **changes}.items():
        text, count = re.subn(rf"^(  {key}:) [^#\n]*", rf"\1 {value} ", text, flags=re.MULTILINE)
        assert count == 1, key
    paths.COMPUTE.write_text(text)


def runs(*variants, seeds=(0, 1), epochs=2, lr=0.01, **sample):
    """The planned runs of these variants of a very small net, `cnn` if none is named."""
    samples = {name: dict(sample) for name in variants or ("cnn",)}
    settings = small_settings(samples, seeds, channels=(2, 4))
    for variant in settings.variants.values():
        variant.run.recipe.__dict__.update(epochs=epochs, lr=lr)
    return planned_runs(settings, settings.variants)


def trained(out, planned, where=training):
    """Train in jobs (or here). Returns the record and name → bytes of every file."""
    finished = partial(run_records.place, root=out, store=Store(out.with_name(f"{out.name}-store")))
    record = where.train(planned, paths.PREPARED, finished)
    return record, {file.relative_to(out).as_posix(): file.read_bytes() for file in out.rglob("*") if file.is_file()}


def jobs(*variants, **changes):
    return jobs_of(runs(*variants, **changes), load().sagemaker)


def started(*jobs):
    """Make or attach to these jobs, as a new command would. Returns its queue."""
    queue = Queue(list(jobs), place_of_jobs(paths.PREPARED))
    queue.make_jobs()
    return queue


def failure_of(*jobs):
    (failure,) = started(*jobs).failures
    return str(failure)


def objects(layer):
    s3 = layer.client("s3")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
    keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
    return {key: s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys}


def log_of(layer, name):
    group_and_stream = {"logGroupName": "/aws/sagemaker/TrainingJobs", "logStreamName": f"{name}/algo-1-1"}
    return [event["message"] for event in layer.client("logs").get_log_events(**group_and_stream)["events"]]


def command_line(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["stages.cloud", *arguments])
    command.main()


def packed(members):
    """An artifact. members: name → bytes, or the target of a link as text, or None: not there."""
    file = BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, content in members.items():
            if content is None:
                continue
            entry = tarfile.TarInfo(name)
            if isinstance(content, str):
                entry.type, entry.linkname = tarfile.SYMTYPE, content
            else:
                entry.size = len(content)
            archive.addfile(entry, None if isinstance(content, str) else BytesIO(content))
    return file.getvalue()
