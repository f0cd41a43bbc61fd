"""Metrics as Prometheus takes them, and as a daemon tells them on its control socket in answer to "metrics".

There each record is a family, {"name", "kind", "help", "samples": [[value, {label: text}, suffix], ...]}; a name that
comes again adds samples. Records without a name are facts for whoever knows them.
"""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ganeti_ext.session import Record


class Sample(NamedTuple):
    """`suffix` follows the family's name."""

    value: float
    labels: Mapping[str, str] = {}
    suffix: str = ""


class Family(NamedTuple):
    """`kind` is counter, gauge or histogram; a counter's name ends with _total."""

    name: str
    kind: str
    help: str
    samples: list[Sample]


def gauge(name: str, about: str, value: float | None) -> Family:
    """One number; no sample when it is not known."""
    return Family(name, "gauge", about, [] if value is None else [Sample(value)])


def counter(name: str, about: str, value: float) -> Family:
    """One count."""
    return Family(name, "counter", about, [Sample(value)])


def counts(name: str, about: str, label: str, values: Mapping[str, float]) -> Family:
    """A count for each value of a label."""
    return Family(name, "counter", about, [Sample(value, {label: key}) for key, value in values.items()])


def classes(bounds: Sequence[float], times: Sequence[int], seconds: float, labels: Mapping[str, str]) -> list[Sample]:
    """A histogram's samples: how many were in each class (one class more than upper bounds), and their sum."""
    totals = list(accumulate(times))
    ends = [*map(number, bounds), "+Inf"]
    samples = [Sample(total, {**labels, "le": end}, "_bucket") for end, total in zip(ends, totals, strict=True)]
    return [*samples, Sample(seconds, labels, "_sum"), Sample(totals[-1], labels, "_count")]


def identity(daemon: str, version: str, started: float) -> Iterator[Family]:
    """What every daemon tells; `started` in seconds since the epoch."""
    about = {"daemon": daemon}
    yield Family(
        "ganeti_ext_build_info", "gauge", "The version of a daemon", [Sample(1, {**about, "version": version})]
    )
    when = "When a daemon started, in seconds since 1970"
    yield Family("ganeti_ext_start_time_seconds", "gauge", when, [Sample(started, about)])


def records(families: Iterable[Family]) -> Iterator[Record]:
    """Families as they are told."""
    for name, kind, about, samples in families:
        yield {"name": name, "kind": kind, "help": about, "samples": samples}


def families(told: Iterable[Record]) -> list[Family]:
    """Families as they were told, those of one name together; ValueError when one is none."""
    return joined(_family(record) for record in told if "name" in record)


def joined(families: Iterable[Family]) -> list[Family]:
    """Families, those of one name together."""
    found: dict[str, Family] = {}
    for family in families:
        found.setdefault(family.name, family._replace(samples=[])).samples.extend(family.samples)
    return list(found.values())


def _family(record: Record) -> Family:
    try:
        samples = [Sample(float(value), dict(labels), str(suffix)) for value, labels, suffix in record["samples"]]
        return Family(str(record["name"]), str(record["kind"]), str(record["help"]), samples)
    except (KeyError, TypeError) as err:
        raise ValueError(f"a record that is no family: {str(record)[:100]}") from err


def text(found: Iterable[Family]) -> Iterator[str]:
    """Lines of the text format, version 0.0.4."""
    for family in found:
        if family.samples:
            yield f"# HELP {family.name} {_one_line(family.help)}"
            yield f"# TYPE {family.name} {family.kind}"
        for sample in family.samples:
            labels = ",".join(f'{name}="{_escaped(value)}"' for name, value in sample.labels.items())
            yield f"{family.name}{sample.suffix}{f'{{{labels}}}' if labels else ''} {number(sample.value)}"


def number(value: float) -> str:
    """A number as the text format has it."""
    return str(int(value)) if value == int(value) else repr(float(value))


def _one_line(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n")


def _escaped(value: str) -> str:
    return _one_line(value).replace('"', r"\"")
