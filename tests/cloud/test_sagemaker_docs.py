"""docs/sagemaker.md names the rights that the code needs and no more, and bounds of the price that are true."""

import json
import re

from stages.cloud import prices
from stages.cloud.estimates import START_SECONDS
from stages.cloud.settings import load
from stages.shared import params, paths

DOC = (paths.ROOT / "docs" / "sagemaker.md").read_text(encoding="utf-8")
POLICIES = [json.loads(text) for text in re.findall(r"```json\n(.+?)```", DOC, re.DOTALL)]
# What else than its own name an operation needs.
S3 = {
    "head_bucket": "ListBucket",
    "list_objects_v2": "ListBucket",
    "head_object": "GetObject",
    "download_file": "GetObject",
    "upload_file": "PutObject",
    "put_object": "PutObject",
    "delete_object": "DeleteObject",
}
# That a request carries tags or a role, and the commands of `aws` that a message or the docs tell the user to run.
BESIDE = {
    "sagemaker:AddTags",
    "iam:PassRole",
    "logs:FilterLogEvents",
    "sagemaker:StopTransformJob",
    "sagemaker:DeleteModelPackage",
}


def actions(*policies):
    return {
        action
        for policy in policies
        for one in policy["Statement"]
        for action in ([one["Action"]] if isinstance(one["Action"], str) else one["Action"])
    }


def called():
    """The operations of AWS that our files name, as IAM's actions."""
    operations = set()
    folders = (paths.ROOT / "stages" / "cloud", paths.ROOT / "stages" / "tools" / "deploy")
    for file in [file for folder in folders for file in sorted(folder.glob("*.py"))]:
        source = file.read_text(encoding="utf-8")
        services = {re.escape(f'client("{name}")'): name for name in re.findall(r'client\("([a-z0-9-]+)"\)', source)}
        services |= {
            rf"\b{variable}": name for variable, name in re.findall(r'(\w+) = client\("([a-z0-9-]+)"\)', source)
        }
        for expression, service in services.items():
            operations |= {
                (service, first or second)
                for first, second in re.findall(
                    rf'{expression}\.(?:get_paginator\("(\w+)"\)|(?!get_paginator)(\w+))', source
                )
            }
        operations |= {("sagemaker", operation) for operation in re.findall(r'_listed\("(\w+)"', source)}
        operations |= {
            ("sagemaker", f"{method}_training_job") for method in re.findall(r"\bTrainingJob\.(\w+)\(", source)
        }
    return {
        f"{service.removesuffix('-runtime')}:{S3.get(name) or name.title().replace('_', '')}"
        for service, name in operations
    }


def test_the_rights_of_the_docs_are_those_that_the_code_needs():
    user, role, deploying = POLICIES
    assert actions(user, deploying) == called() | BESIDE
    assert "s3:DeleteObject" not in actions(user, role)


def test_the_starts_alone_stay_within_the_price_that_the_docs_give():
    """The rest of it is the training, of which README.md says how long it takes."""
    settings = params.load()
    protocol, hourly = settings.protocols["default"], prices.table_price(load().sagemaker.instance_type).usd_per_hour
    seeds = sum(
        len(protocol.seeds if settings.variants[name].run.sample.seeds == "all" else protocol.few_seeds)
        for name in protocol.variants
    )
    assert "less than one US dollar with `jobs: variant`" in DOC
    assert "less than three with `jobs: seed`" in DOC
    assert START_SECONDS / 3600 * hourly * len(protocol.variants) < 0.5
    assert START_SECONDS / 3600 * hourly * seeds < 2.5
