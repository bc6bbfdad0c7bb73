"""Names of what is made on AWS: the same content has the same name, so that nothing is made or paid for twice."""

import re

PREFIX = "wcb"  # all of the project's names begin so; a policy can allow these alone


def resource_name(what: str, digest: str, attempt: int = 0) -> str:
    """At most 63 of [a-zA-Z0-9-]: the prefix, `what`, 12 digits of the digest of the content, and -r<attempt> for another attempt."""
    slug = re.sub(r"[^a-zA-Z0-9]+", "-", what).strip("-")[:41].strip("-")
    return f"{PREFIX}-{slug}-{digest[:12]}" + (f"-r{attempt}" if attempt else "")
