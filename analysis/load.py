# SPDX-License-Identifier: Apache-2.0
"""Reads the JSON documents of a results directory, strictly: what is wrong is one clear line."""
import hashlib
import json
import math
from dataclasses import dataclass, field
from pathlib import Path

KINDS = ("measured", "simulated", "analytic", "published")

# Schema name -> versions this report can read.
READABLE = {"ringscale.results": {1}, "ringscale.machine": {1}, "ringscale.verdicts": {1}}

# Quantities that figures draw: a finite number, or null where a run has none (an unverified run has no error).
NUMBERS = ("time_s", "tokens_per_s", "tokens_per_s_per_device", "memory_peak_bytes", "max_error", "error_bound",
           "ring_size", "tokens", "chunk_tokens", "hops", "wall_s", "message_bytes", "messages", "compute_s",
           "exposed_communication_s", "gflop_per_s", "share_of_peak", "hold_out_median_relative_error")


class BadInput(Exception):
    """A user's mistake; its text is the one line to print."""


class Row(dict):
    """One result row that knows the file it stands in."""

    def __init__(self, fields, source):
        super().__init__(fields)
        self.source = source


@dataclass
class Document:
    path: Path
    name: str  # path relative to the results directory
    schema: str
    sha256: str
    content: dict


@dataclass
class Results:
    """All that a report is made of."""
    directory: Path
    documents: list = field(default_factory=list)
    skipped: list = field(default_factory=list)  # (name, schema) of ringscale documents that no figure uses
    rows: list = field(default_factory=list)
    machines: list = field(default_factory=list)  # Document of schema ringscale.machine
    verdicts: list = field(default_factory=list)  # Row per verdict
    published: dict = field(default_factory=dict)  # claim id -> Row: what a judged document printed


def _refuse_constant(word):
    raise ValueError(f"{word} is not JSON; every number must be finite")


def _finite(text):
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"number {text} does not fit a double")
    return value


def _no_duplicates(pairs):
    keys = [key for key, _ in pairs]
    for key in keys:
        if keys.count(key) > 1:
            raise ValueError(f'key "{key}" stands twice in one object')
    return dict(pairs)


def parse(text, name):
    """JSON text as Python values; BadInput names the file and the place for anything that is not strict JSON."""
    try:
        return json.loads(text, parse_constant=_refuse_constant, parse_float=_finite,
                          object_pairs_hook=_no_duplicates)
    except json.JSONDecodeError as error:
        raise BadInput(f"{name}: line {error.lineno} column {error.colno}: {error.msg}; "
                       "the file is not complete JSON, write it again") from error
    except RecursionError as error:
        raise BadInput(f"{name}: nested too deeply") from error
    except ValueError as error:
        raise BadInput(f"{name}: {error}") from error


def _read_bytes(path, name):
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"{name}: cannot be read: {error.strerror}") from error


def _decode(data, name):
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadInput(f"{name}: byte {error.start} is not UTF-8") from error


def read_document(path, name):
    """One *.json file; its schema name must be known and its version readable, other ringscale schemas pass."""
    data = _read_bytes(path, name)
    content = parse(_decode(data, name), name)
    if not isinstance(content, dict) or not isinstance(content.get("schema"), str):
        raise BadInput(f'{name}: $.schema is missing; a results directory holds only documents such as '
                       '"ringscale.results"')
    schema = content["schema"]
    if not schema.startswith("ringscale."):
        raise BadInput(f'{name}: $.schema is "{schema}"; expected one of {", ".join(sorted(READABLE))}')
    if schema in READABLE and content.get("schema_version") not in READABLE[schema]:
        known = ", ".join(str(version) for version in sorted(READABLE[schema]))
        raise BadInput(f'{name}: $.schema_version of {schema} is {content.get("schema_version")!r}; '
                       f'this report reads version {known}')
    return Document(path, name, schema, hashlib.sha256(data).hexdigest(), content)


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def without_nulls(row):
    """A row without the numbers that it says it does not have: null stands for "not measured" or "not a number"."""
    kept = {key: item for key, item in row.items() if item is not None or key not in NUMBERS}
    interval = kept.get("time_s_interval")
    if isinstance(interval, dict) and interval.get("low", 0) is None and interval.get("high", 0) is None:
        del kept["time_s_interval"]
    return kept


def check_row(row, place):
    """BadInput unless the row says its kind and every drawn quantity in it is a finite number or null."""
    if not isinstance(row, dict):
        raise BadInput(f"{place} is not an object")
    if row.get("kind") not in KINDS:
        raise BadInput(f'{place}.kind is {row.get("kind")!r}; expected one of {", ".join(KINDS)}')
    for key in NUMBERS:
        if row.get(key) is not None and not _is_number(row[key]):
            raise BadInput(f"{place}.{key} is {row[key]!r}; expected a finite number or null")
    interval = row.get("time_s_interval")
    if interval is not None:
        if not isinstance(interval, dict) or "low" not in interval or "high" not in interval:
            raise BadInput(f"{place}.time_s_interval needs low and high")
        if [interval["low"], interval["high"]] != [None, None] and not (
                _is_number(interval["low"]) and _is_number(interval["high"])):
            raise BadInput(f"{place}.time_s_interval needs finite low and high, or null for both")
    samples = row.get("samples_s", [])
    if not isinstance(samples, list) or not all(_is_number(sample) for sample in samples):
        raise BadInput(f"{place}.samples_s must be a list of finite numbers")


def _entries(document, key):
    entries = document.content.get(key, [])
    if not isinstance(entries, list):
        raise BadInput(f"{document.name}: $.{key} is not a list")
    return entries


def _add(results, document):
    if document.schema == "ringscale.results":
        for index, row in enumerate(_entries(document, "rows")):
            check_row(row, f"{document.name}: $.rows[{index}]")
            results.rows.append(Row(without_nulls(row), f"{document.name} rows[{index}]"))
    elif document.schema == "ringscale.machine":
        results.machines.append(document)
    elif document.schema == "ringscale.verdicts":
        for index, verdict in enumerate(_entries(document, "verdicts")):
            place = f"{document.name}: $.verdicts[{index}]"
            for key in ("id", "verdict"):
                if not isinstance(verdict, dict) or not isinstance(verdict.get(key), str):
                    raise BadInput(f"{place}.{key} is missing or not a text")
            results.verdicts.append(Row(verdict, f"{document.name} verdicts[{index}]"))


def load_results(directory):
    """Every *.json below `directory`, in name order. BadInput for a missing directory or any bad document."""
    directory = Path(directory)
    if not directory.is_dir():
        raise BadInput(f"{directory}: no such directory; give the folder that ringscale sweep wrote (--output)")
    results = Results(directory)
    for path in sorted(directory.rglob("*.json")):
        name = path.relative_to(directory).as_posix()
        document = read_document(path, name)
        if document.schema not in READABLE:
            results.skipped.append((name, document.schema))
            continue
        results.documents.append(document)
        _add(results, document)
    if not results.documents:
        raise BadInput(f"{directory}: holds no ringscale document (*.json); "
                       "make some with: ringscale sweep experiments/quick.json --output DIR")
    return results


def load_published(path):
    """The claims of a ledger by id; BadInput when the file is not one."""
    name = Path(path).name
    content = parse(_decode(_read_bytes(Path(path), name), name), name)
    claims = content.get("claims") if isinstance(content, dict) else content
    if not isinstance(claims, list):
        raise BadInput(f"{name}: $.claims is missing; expected a claim ledger")
    return {claim["id"]: Row(claim, f"{name} {claim['id']}")
            for claim in claims if isinstance(claim, dict) and isinstance(claim.get("id"), str)}
