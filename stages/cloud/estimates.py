"""What jobs will cost, from the seconds that a run of each variant took when it was last trained."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from stages.cloud import prices
from stages.cloud.job import jobs_of
from stages.cloud.settings import SageMaker, instance_has_gpu
from stages.shared import paths
from stages.shared.run_records import PlannedRun

# Assumed seconds that a job is billed for beside the training: the image's missing packages, the data, the artifact.
START_SECONDS = 90


@dataclass(frozen=True)
class Estimate:
    """seconds: that a job is billed for without spot's discount. Both None where unknown, and `unknown` says why."""

    seconds: float | None
    usd: float | None
    unknown: str = ""


def estimated_cost(variant: str, n_runs: int, settings: SageMaker) -> Estimate:
    """The cost of one job with this many runs of a variant.

    The instance trains as many runs at once as it has cores, each as fast as in data/timings/train.json. On a GPU the
    seconds there are a run's share of those of all that trained together, so that they add up.
    """
    timings = paths.TIMINGS / "train.json"
    record = paths.read_json(timings) if timings.exists() else {}
    run_seconds = record.get("runs", {})
    if variant not in run_seconds:
        return Estimate(None, None, "were never timed here")
    has_gpu = instance_has_gpu(settings.instance_type)
    if not has_gpu and record.get("device", "cpu") != "cpu":
        return Estimate(None, None, "were timed on a GPU alone")
    if has_gpu and record.get("instance_type") != settings.instance_type:
        return Estimate(None, None, f"were timed on other machines alone, not on the GPU of {settings.instance_type}")
    rounds = n_runs if has_gpu else math.ceil(n_runs / prices.cores(settings.instance_type))
    seconds = START_SECONDS + run_seconds[variant] * rounds
    usd = prices.price(settings.instance_type, settings.price_per_hour).of(seconds)
    if usd is None:
        return Estimate(seconds, None, "have no known price")
    return Estimate(seconds, usd * (prices.SPOT_SHARE if settings.spot else 1.0))


def in_words(runs: Sequence[PlannedRun], settings: SageMaker) -> str:
    """How many jobs these runs take, about how much they cost, and how much at most."""
    jobs = jobs_of(runs, settings)
    estimates = [estimated_cost(job.variant, len(job.runs), settings) for job in jobs]
    known = [estimate.usd for estimate in estimates if estimate.usd is not None]
    cost = f"about {sum(known):.2f} US dollars" if known or not jobs else "no estimate"
    reasons = Counter(estimate.unknown for estimate in estimates if estimate.unknown)
    lacking = f" ({'; '.join(f'{n} {reason}' for reason, n in reasons.items())})" if reasons else ""
    price = prices.price(settings.instance_type, settings.price_per_hour)
    limit = price.of(len(jobs) * (settings.max_runtime_minutes + settings.keep_alive_minutes) * 60)
    limits = "max_runtime_minutes and keep_alive_minutes" if settings.keep_alive_minutes else "max_runtime_minutes"
    most = f"never more than {limit:.2f} ({limits}, on demand)" if limit is not None else "no known limit"
    warm = _warm_in_words(len(jobs), settings)
    return f"{len(jobs)} jobs, {cost}{lacking}{warm}, {most}; prices: {price.source}"


def _warm_in_words(n_jobs: int, settings: SageMaker) -> str:
    """What the instances cost that stay warm after the last jobs; "" where none stays."""
    if not settings.keep_alive_minutes:
        return ""
    kept = min(n_jobs, settings.max_concurrent)
    usd = prices.price(settings.instance_type, settings.price_per_hour).of(kept * settings.keep_alive_minutes * 60)
    return f", and {prices.in_words(usd)} more if {kept} instances stay warm for {settings.keep_alive_minutes} minutes"
