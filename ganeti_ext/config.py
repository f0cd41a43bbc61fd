"""Configuration files: INI sections read into typed, immutable objects.

    # a comment
    [section]
    key = value

No continuation lines, quoting or interpolation; a `#` inside a value belongs to the value. Unknown
sections and keys stop the program: a typing error must not silently mean the default.
Scripts that Ganeti runs many times per operation read this too, hence no configparser (10 ms).
"""

from __future__ import annotations

from ganeti_ext.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Mapping
    from typing import Any, TypeVar

    T = TypeVar("T")


def load(path: str, section: str, kind: Callable[..., T]) -> T:
    """Read one section of a file that holds no other.

    `kind` is a dataclass or namedtuple whose annotated fields are the keys that may be set. A file that does
    not exist, or a section that is missing, means all defaults.
    """
    found: T = load_all(path, {section: kind})[section]
    return found


def load_all(path: str, kinds: Mapping[str, Callable[..., Any]]) -> dict[str, Any]:
    """Read every section of a file; the result has one object for each of `kinds`."""
    found = sections(path)
    refuse_unknown(path, found, kinds)
    return {name: build(path, name, kind, found.get(name, {})) for name, kind in kinds.items()}


def sections(path: str) -> dict[str, dict[str, str]]:
    """The sections of a file as texts; none when there is no such file."""
    try:
        with open(path, encoding="utf-8") as file:
            return parse(file.read(), path)
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigError(f"{path}: {err}") from err


def refuse_unknown(path: str, found: Iterable[str], known: Container[str]) -> None:
    """ConfigError for the first section that is not known."""
    for name in sorted(found):
        if name not in known:
            raise ConfigError(f"{path}: unknown section [{name}]")


def parse(text: str, path: str) -> dict[str, dict[str, str]]:
    """Sections of keys and values, all text."""
    found: dict[str, dict[str, str]] = {}
    current: dict[str, str] | None = None
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("[") and line.endswith("]"):
            current = found.setdefault(line[1:-1].strip(), {})
            continue
        key, equals, value = line.partition("=")
        key = key.strip()
        if not equals or current is None:
            raise ConfigError(f"{path}:{number}: expected [section] or key = value, found {line!r}")
        if key in current:
            raise ConfigError(f"{path}:{number}: key {key!r} is set twice")
        current[key] = value.strip()
    return found


def build(path: str, section: str, kind: Callable[..., T], values: Mapping[str, str]) -> T:
    """A section's object: the keys that are not set keep their defaults."""
    found = typed(path, section, kind.__annotations__, values)
    try:
        return kind(**found)
    except TypeError as err:
        raise ConfigError(f"{path}: [{section}] {err}") from err


def typed(path: str, section: str, fields: Mapping[str, str], values: Mapping[str, str]) -> dict[str, object]:
    """The values of a section that are set, as the annotations of `fields` say."""
    found: dict[str, object] = {}
    for key, text in values.items():
        if key not in fields:
            raise ConfigError(f"{path}: [{section}] unknown key {key!r}; known: {', '.join(sorted(fields))}")
        try:
            found[key] = CASTS[fields[key]](text)
        except ValueError as err:
            raise ConfigError(f"{path}: [{section}] {key} has a bad value {text!r}: {err}") from err
    return found


def boolean(text: str) -> bool:
    """yes or no; anything else is a ValueError."""
    if text.lower() in ("yes", "true", "on", "1"):
        return True
    if text.lower() in ("no", "false", "off", "0"):
        return False
    raise ValueError("say yes or no")


def words(text: str) -> tuple[str, ...]:
    """Values separated by commas or blanks."""
    return tuple(text.replace(",", " ").split())


# Keyed by how a field is annotated (the modules that define them postpone annotations).
CASTS: dict[str, Callable[[str], object]] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": boolean,
    "tuple[str, ...]": words,
}
