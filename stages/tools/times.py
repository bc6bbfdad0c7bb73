"""Print how long each stage took when it last ran on this machine: `python -m stages.tools.times`."""

from stages.shared import paths


def main() -> None:
    records = [paths.read_json(file) for file in paths.TIMINGS.glob("*.json")]
    for record in sorted(records, key=lambda record: -record["seconds"]):
        place = ", on SageMaker" if record.get("backend") == "sagemaker" else ""
        print(f"{record['seconds']:9.1f} s  {record['stage']}{place}")
    print(f"{sum(record['seconds'] for record in records):9.1f} s  in {len(records)} stages, each when it last ran")


if __name__ == "__main__":
    main()
