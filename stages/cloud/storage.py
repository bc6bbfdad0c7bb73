"""Objects in S3."""

from stages.cloud.account import client, error_code, errors_said


def exists(uri: str) -> bool:
    from botocore.exceptions import ClientError

    bucket, key = split(uri)
    with errors_said():
        try:
            client("s3").head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if error_code(error) in ("404", "NoSuchKey", "NotFound"):
                return False
            raise
    return True


def split(uri: str) -> tuple[str, str]:
    """s3://bucket/key → bucket, key."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key
