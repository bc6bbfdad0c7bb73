"""What an endpoint runs on, and what that costs."""

from dataclasses import dataclass
from typing import Any, Self

from stages.cloud import prices
from stages.cloud.price_list import HOSTING

MEMORY_MB = (1024, 2048, 3072, 4096, 5120, 6144)  # what serverless offers; accounts begin with a quota of 3072
MAX_CONCURRENCY = 1  # of serverless: requests answered at once
STARTUP_SECONDS = 600  # for the container to answer /ping
CPU_INSTANCE = "ml.m5.large"  # stands for serverless where a type of instance is asked for: it has no GPU either
HOURS_A_MONTH = 730


@dataclass(frozen=True)
class Hosting:
    """Serverless with this memory, where instance_type is None."""

    instance_type: str | None
    memory_mb: int

    def production_variant(self, model: str) -> dict[str, Any]:
        """For CreateEndpointConfig."""
        common = {"VariantName": "all", "ModelName": model}
        if self.instance_type is None:
            return {**common, "ServerlessConfig": {"MemorySizeInMB": self.memory_mb, "MaxConcurrency": MAX_CONCURRENCY}}
        return {
            **common,
            "InstanceType": self.instance_type,
            "InitialInstanceCount": 1,
            "ContainerStartupHealthCheckTimeoutInSeconds": STARTUP_SECONDS,
        }

    @classmethod
    def of(cls, production_variant: dict[str, Any]) -> Self:
        """From what DescribeEndpointConfig answers."""
        return cls(
            production_variant.get("InstanceType"),
            production_variant.get("ServerlessConfig", {}).get("MemorySizeInMB", 0),
        )

    def __str__(self) -> str:
        return self.instance_type or f"serverless, {self.memory_mb} MB"

    @property
    def price(self) -> str:
        """In words, with where it comes from and its date."""
        if self.instance_type is None:
            second = prices.SERVERLESS_USD_PER_GB_SECOND * self.memory_mb / 1024
            return f"about {second:.5f} USD for each second of answering, nothing while idle ({prices.source()})"
        price = prices.price(self.instance_type, usage=HOSTING)
        if price.usd_per_hour is None:
            return f"by the hour, also while idle; how much is not known: {self.instance_type} is in no table here"
        month = price.usd_per_hour * HOURS_A_MONTH
        return f"about {price.usd_per_hour:.3f} USD an hour, {month:.0f} USD a month, also while idle ({price.source})"
