# SPDX-License-Identifier: Apache-2.0
"""Chooses rows for figures and names them in words."""
import math

SHAPE = ("batch", "query_heads", "kv_heads", "head_dim", "dtype")


def select(rows, needs=(), **fields):
    """Rows that have every field of `needs` and whose other fields have one of the given values."""
    def fits(row):
        if any(key not in row for key in needs):
            return False
        for key, wanted in fields.items():
            allowed = wanted if isinstance(wanted, (tuple, set, list)) else (wanted,)
            if row.get(key) not in allowed:
                return False
        return True
    return [row for row in rows if fits(row)]


def valid(rows):
    """Rows that their run did not call invalid: negative controls must not appear as results."""
    return [row for row in rows if row.get("verdict", "valid") == "valid"]


def device(row):
    """The published machine that a row was simulated on, or nothing for the devices at hand, real or calibrated."""
    return row.get("machine", "") if row.get("machine_kind") == "published" else ""


def variation(row):
    """(speed spread, jitter) of simulated devices; nothing for even ones and for real ones, which are as they are."""
    return (row.get("speed_spread", 0.0), row.get("jitter", 0.0)) if row["kind"] == "simulated" else (0.0, 0.0)


def device_words(row):
    """Words for simulated devices that are not the cores at hand, or that differ from each other; may be empty."""
    words = [f"{device(row)} by its data sheet"] if device(row) else []
    spread, jitter = variation(row)
    if spread or jitter:
        words.append(f"speeds spread {100 * spread:g} %, jitter {100 * jitter:g} %")
    return words


def groups(rows, keys):
    """Rows by their values of `keys` (names of fields, or functions of a row), largest group first, then by value: the
    same input gives the same order."""
    found = {}
    for row in rows:
        found.setdefault(tuple(key(row) if callable(key) else row.get(key) for key in keys), []).append(row)
    return sorted(found.items(), key=lambda item: (-len(item[1]), tuple(str(part) for part in item[0])))


def distinct(rows, key):
    """Distinct values of one field, sorted."""
    return sorted({row[key] for row in rows if key in row})


def by(rows, key):
    """Rows in the order of one numeric field."""
    return sorted(rows, key=lambda row: (row[key], row.source))


def time_limits(row):
    """(low, high) of time_s; the time itself where no interval is stated."""
    interval = row.get("time_s_interval") or {}
    return interval.get("low", row["time_s"]), interval.get("high", row["time_s"])


def throughput_limits(row):
    """(low, high) of tokens_per_s: tokens over the ends of the time's interval."""
    low, high = time_limits(row)
    tokens = row["tokens_per_s"] * row["time_s"]
    return tokens / high, (tokens / low if low > 0 else row["tokens_per_s"])


def integer(value):
    """1048576 as 1,048,576."""
    return f"{int(value):,}"


def number(value, digits=3):
    """A number for readers: three significant digits, powers of ten only where needed."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return integer(value)
    if value == 0:
        return "0"
    if not math.isfinite(value):
        return str(value)
    size = abs(value)
    if 1e-3 <= size < 1e5:
        if size >= 100:
            return f"{value:,.0f}" if size >= 1000 else f"{value:.0f}"
        return f"{value:.{digits}g}"
    if 1e5 <= size < 1e9:
        return f"{value:,.0f}"
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def seconds(value):
    """A duration in the unit a person would choose."""
    for limit, scale, unit in ((1e-3, 1e6, "µs"), (1.0, 1e3, "ms"), (300.0, 1.0, "s"), (2 * 3600.0, 1 / 60, "minutes"),
                               (3 * 86400.0, 1 / 3600, "hours"), (3 * 365.25 * 86400.0, 1 / 86400, "days")):
        if abs(value) < limit:
            return f"{value * scale:.3g} {unit}"
    return f"{number(value / (365.25 * 86400.0))} years"


def size(value):
    """Bytes with a binary unit."""
    for unit in ("bytes", "KiB", "MiB", "GiB", "TiB"):
        if abs(value) < 1024 or unit == "TiB":
            return f"{value:.4g} {unit}" if unit != "bytes" else f"{value:.0f} bytes"
        value /= 1024
    return ""


def shape_words(row):
    """Heads and width of a row: '8 x 64 heads, float32'."""
    heads = f"{row.get('query_heads', '?')}"
    if row.get("kv_heads") not in (None, row.get("query_heads")):
        heads += f"/{row['kv_heads']}"
    return f"{heads} heads of {row.get('head_dim', '?')}, {row.get('dtype', '?')}"


def placement_words(placement):
    return str(placement).replace("_", " ")
