"""The AWS account: clients, what is checked before anything is sent, AWS's errors in words, names, objects in S3."""

import importlib.util
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

from stages.cloud.settings import SageMaker
from stages.shared.stage_command import StageError

PREFIX = "wcb"  # of all names that the project gives on AWS; a policy can allow these alone
ROLE = re.compile(r"arn:aws[a-z-]*:iam::(\d{12}):role/\S+")
RETRIES = 8  # of a request that is throttled or not answered, with growing pauses
THROTTLED = ("ThrottlingException", "Throttling", "TooManyRequestsException", "RequestLimitExceeded")
SERVER_FAULTS = (
    "InternalError",
    "InternalFailure",
    "InternalServerError",
    "ServiceUnavailable",
    "SlowDown",
    "500",
    "503",
)

BAD_CREDENTIALS = (
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidAccessKeyId",
    "InvalidToken",
    "InvalidClientTokenId",
    "RequestExpired",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
)
DENIED = ("AccessDenied", "AccessDeniedException", "Forbidden", "UnauthorizedOperation", "403")


class Unavailable(StageError):
    """AWS does not answer now, and may answer later."""


@dataclass(frozen=True)
class Account:
    """What was checked: the account's number, its region, the bucket, and the role of jobs ("" if none is needed)."""

    number: str
    region: str
    bucket: str
    role: str


def preflight(settings: SageMaker, with_role: bool = True) -> Account:
    """Check credentials, region, bucket and role, and print where work will be sent. Changes nothing.

    with_role: whether what follows makes something that runs; to look and to remove needs none.
    Raises StageError that says what is missing, which variable sets it, and an example.
    """
    need_boto3()
    bucket = _need(
        settings.bucket, "bucket", "SAGEMAKER_BUCKET", "the S3 bucket for data, code and results", "my-bucket"
    )
    role, owner = _role(settings) if with_role else ("", None)
    with aws_errors_in_words():
        number = client("sts").get_caller_identity()["Account"]
        if owner not in (None, number):
            raise StageError(
                f"the role {role} belongs to account {owner}, but the credentials are of account {number}; "
                "set SAGEMAKER_ROLE or AWS_PROFILE"
            )
        _check_bucket(bucket)
    print(f"AWS account {number}, region {region()}, bucket {bucket}", flush=True)
    return Account(number, region(), bucket, role)


def region() -> str:
    """AWS_REGION, AWS_DEFAULT_REGION or the profile's. Raises StageError if none is set."""
    name = os.environ.get("AWS_REGION") or session().region_name
    if not name:
        raise StageError("no AWS region is set; set AWS_REGION, for example AWS_REGION=eu-central-1")
    return str(name)


@cache
def client(service: str) -> Any:
    """boto3's client of a service, which waits throttling out for a while. AWS_ENDPOINT_URL leads it elsewhere."""
    from botocore.config import Config

    # sts is called first: a wrong region is reported soon. Prices can be done without.
    retries = 1 if service in ("sts", "pricing") else RETRIES
    with aws_errors_in_words():
        return session().client(
            service,
            region_name=_pricing_region() if service == "pricing" else region(),
            config=Config(retries={"mode": "adaptive", "max_attempts": retries}, connect_timeout=10),
        )


def _pricing_region() -> str:
    """A region that serves the price list of all regions: few do."""
    partition = session().get_partition_for_region(region())
    regions: list[str] = session().get_available_regions("pricing", partition_name=partition)
    if not regions:
        raise StageError(f"AWS serves no price list in the partition {partition}")
    return "us-east-1" if "us-east-1" in regions else regions[0]


@cache
def session() -> Any:
    """boto3's; it finds the credentials."""
    with aws_errors_in_words():
        return need_boto3().Session()


def need_boto3() -> Any:
    """The module boto3. Raises StageError if it, or SageMaker's SDK, is not installed."""
    try:
        import boto3

        if importlib.util.find_spec("sagemaker") is None:
            raise ModuleNotFoundError
    except ModuleNotFoundError:
        raise StageError(
            "SageMaker needs packages that are not installed: `make sagemaker` installs them "
            "(local training does without)"
        ) from None
    return boto3


def resource_name(title: str, digest: str, attempt: int = 0) -> str:
    """The name of a job or an endpoint: the same content has the same name, so that nothing is made or paid for twice.

    At most 63 of [a-zA-Z0-9-]: the prefix, `title`, 12 digits of the content's digest, and -r<attempt> where not 0.
    """
    slug = re.sub(r"[^a-zA-Z0-9]+", "-", title).strip("-")[:41].strip("-")
    return f"{PREFIX}-{slug}-{digest[:12]}" + (f"-r{attempt}" if attempt else "")


def object_exists(uri: str) -> bool:
    from botocore.exceptions import ClientError

    bucket, key = bucket_and_key(uri)
    with aws_errors_in_words():
        try:
            client("s3").head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if error_code(error) in ("404", "NoSuchKey", "NotFound"):
                return False
            raise
    return True


def bucket_and_key(uri: str) -> tuple[str, str]:
    """Of s3://bucket/key."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


@contextmanager
def aws_errors_in_words() -> Iterator[None]:
    """Turn what AWS or its library refuses into a StageError that says what to set."""
    from boto3.exceptions import RetriesExceededError, S3UploadFailedError
    from botocore import exceptions as boto

    try:
        yield
    except boto.ProfileNotFound as error:
        raise StageError(f"{error}; set AWS_PROFILE to one of those that `aws configure list-profiles` shows") from None
    except (boto.NoCredentialsError, boto.PartialCredentialsError, boto.CredentialRetrievalError) as error:
        raise StageError(
            f"AWS credentials: {error}; set AWS_PROFILE, for example AWS_PROFILE=default, "
            "or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        ) from None
    except (boto.SSOError, boto.TokenRetrievalError) as error:
        raise StageError(f"AWS credentials: {error}; sign in again with `aws sso login`") from None
    except boto.SSLError as error:
        if "CERTIFICATE" not in str(error).upper():
            raise Unavailable(f"the encrypted connection to AWS broke off: {error}") from None
        raise StageError(
            f"the certificate that answers for AWS is not trusted: {error}; where a proxy of your network signs with a "
            "certificate of its own, set AWS_CA_BUNDLE to its file; and is this machine's clock right?"
        ) from None
    except (boto.ResponseStreamingError, boto.IncompleteReadError, RetriesExceededError) as error:
        raise Unavailable(f"what AWS sends was cut short: {error}") from None
    except (boto.ConnectionError, boto.HTTPClientError) as error:
        raise Unavailable(
            f"AWS cannot be reached: {error}; is the region right (AWS_REGION={region()}), and the network up?"
        ) from None
    except S3UploadFailedError as error:
        if isinstance(error.__context__, boto.ClientError):
            raise _client_error(error.__context__) from None
        raise StageError(f"{error}") from None
    except boto.ClientError as error:
        raise _client_error(error) from None
    except boto.BotoCoreError as error:
        raise StageError(f"boto3 cannot send what AWS is asked: {' '.join(str(error).split())}") from None


def error_code(error: Exception) -> str:
    """The code of a botocore ClientError; "" for another error."""
    return str(getattr(error, "response", {}).get("Error", {}).get("Code", ""))


def _client_error(error: Any) -> StageError:
    """Unavailable where AWS is throttling or has a fault of its own, which may pass; StageError for what it refuses."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = error_code(error)
    if code in THROTTLED:
        return Unavailable(_words(error))
    if status >= 500 or code in SERVER_FAULTS:
        return Unavailable(f"AWS has a fault of its own at {error.operation_name} ({code or status}): {error}")
    return StageError(_words(error))


def _words(error: Any) -> str:
    code, text = error_code(error), error.response["Error"].get("Message", "")
    if code in BAD_CREDENTIALS:
        return (
            f"AWS refuses the credentials ({code}: {text}); "
            "sign in again with `aws sso login`, or set AWS_PROFILE to a profile that is valid"
        )
    if code in DENIED:
        return f"AWS does not allow {error.operation_name}: {text}; docs/sagemaker.md lists the rights that are needed"
    return f"AWS refuses {error.operation_name} ({code}): {text}"


def _role(settings: SageMaker) -> tuple[str, str]:
    """The role, and the number of the account that it belongs to."""
    role = _need(
        settings.role,
        "role",
        "SAGEMAKER_ROLE",
        "the IAM role that jobs run under",
        "arn:aws:iam::123456789012:role/SageMakerTraining",
    )
    owner = ROLE.fullmatch(role)
    if owner is None:
        raise StageError(
            f"the role is {role!r}; SAGEMAKER_ROLE must be its ARN, "
            "such as arn:aws:iam::123456789012:role/SageMakerTraining"
        )
    return role, owner[1]


def _need(value: str | None, key: str, variable: str, what: str, example: str) -> str:
    if not value:
        raise StageError(
            f"{what} is not set; set {variable} (or sagemaker.{key} in compute.yaml), for example {variable}={example}"
        )
    return value


def _check_bucket(bucket: str) -> None:
    from botocore.exceptions import ClientError, ParamValidationError

    where = "set SAGEMAKER_BUCKET (or sagemaker.bucket in compute.yaml)"
    s3 = client("s3")
    try:
        answer = s3.head_bucket(Bucket=bucket)
    except ParamValidationError:
        raise StageError(f"{bucket!r} is no name of a bucket (its name alone, without s3://); {where}") from None
    except ClientError as error:
        reasons = {
            "404": f"does not exist; `aws s3 mb s3://{bucket} --region {region()}` makes it, or {where}",
            "403": f"is not yours, or you have no right to it; {where}",
            "301": f"is in another region than {region()}; {where}, or AWS_REGION",
            "400": f"cannot be reached: the region ({region()}) or the credentials are wrong; "
            f"{where}, AWS_REGION or AWS_PROFILE",
        }
        if (code := error_code(error)) not in reasons:
            raise
        raise StageError(f"the bucket {bucket!r} {reasons[code]}") from None
    # boto3 follows S3's redirection, so that a bucket elsewhere answers too; SageMaker reads none from elsewhere.
    its_region = answer.get("BucketRegion") or answer["ResponseMetadata"]["HTTPHeaders"].get("x-amz-bucket-region")
    if its_region not in (None, region()):
        raise StageError(
            f"the bucket {bucket!r} is in {its_region}, and jobs would run in {region()}; "
            f"{where}, or AWS_REGION={its_region}"
        )
