"""Pretends to be `ganeti-ext-storage image` (docs/images.md) over a directory: FOLDER image VERB ...

Of formats it knows raw, and `qcow2` as a header before the content. `FOLDER/fails` makes every run fail, `FOLDER/slow`
lets an import wait for the file's removal.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

QCOW2 = b"QFI\xfb"


def main(folder: Path, argv: list[str]) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser()
    verbs = parser.add_subparsers(dest="verb", required=True)
    shared = argparse.ArgumentParser(add_help=False)
    for name in ("--provider", "--pool", "--config"):
        shared.add_argument(name)
    shared.add_argument("--json", action="store_true")
    for name in ("import", "export", "list", "show", "remove", "facts"):
        one = verbs.add_parser(name, parents=[shared])
        if name != "list":
            one.add_argument("id")
        if name == "facts":
            one.add_argument("--set", action="store_true")
        if name == "import":
            one.add_argument("file", nargs="?", default="-")
            for option in ("--format", "--max-size", "--size", "--hash"):
                one.add_argument(option)
    options = parser.parse_args(argv)
    if (folder / "fails").exists():
        sys.stderr.write("ganeti-ext-storage: /secret/path: No space left on device\n")
        return 1
    with (folder / "calls").open("a") as calls:
        calls.write(" ".join(argv) + "\n")
    return int(VERBS[options.verb](folder, options) or 0)


def bring(folder: Path, options: argparse.Namespace) -> int:
    target = folder / f"{options.id}.raw"
    if target.exists():
        return 5
    draft = folder / f".{options.id}.{os.getpid()}"
    try:
        with draft.open("wb") as file, open(0 if options.file == "-" else options.file, "rb") as source:
            while chunk := source.read(1 << 16):
                file.write(chunk)
        while (folder / "slow").exists():
            time.sleep(0.01)
        return _made(draft, target, options)
    finally:
        draft.unlink(missing_ok=True)


def _made(draft: Path, target: Path, options: argparse.Namespace) -> int:
    data = draft.read_bytes()
    found = "qcow2" if data.startswith(QCOW2) else "raw"
    _say(json.dumps({"progress": len(data), "total": None, "phase": "receive", "percent": None}))
    refused = None
    if options.size is not None and len(data) != int(options.size):
        refused = "it is shorter or longer than was said"
    elif not data:
        refused = "it is empty"
    elif options.format not in ("auto", found):
        refused = f"it is {found}, and not {options.format}"
    elif options.max_size is not None and len(data) > int(options.max_size):
        refused = "it is too large"
    if refused:
        _say(json.dumps({"refused": refused, "reason": "format", "id": options.id}))
        return 65
    data = data.removeprefix(QCOW2)
    draft.write_bytes(data)
    draft.rename(target)
    sums = {name: hashlib.new(name, data).hexdigest() for name in ("md5", "sha256")}
    _say(json.dumps({"id": options.id, "size": len(data), "format": found, "pool": "", **sums}))
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def export(folder: Path, options: argparse.Namespace) -> int:
    path = folder / f"{options.id}.raw"
    if not path.exists():
        return 5
    sys.stdout.buffer.write(path.read_bytes())
    return 0


def show(folder: Path, options: argparse.Namespace) -> int:
    if not (folder / f"{options.id}.raw").exists():
        return 5
    _say(json.dumps(_listed(folder, options.id)))
    return 0


def listed(folder: Path, _: argparse.Namespace) -> None:
    for path in sorted(folder.glob("*.raw")):
        _say(json.dumps(_listed(folder, path.stem)))


def _listed(folder: Path, ident: str) -> dict[str, Any]:
    data, facts = (folder / f"{ident}.raw").read_bytes(), folder / f"{ident}.json"
    is_snapshot = ident.startswith("saved-")
    return {
        "id": ident,
        "kind": "snapshot" if is_snapshot else "image",
        "origin": f"snapshot:{ident}" if is_snapshot else f"image:{ident}",
        "provider": "cow",
        "pool": "",
        "size": len(data),
        "created": 5.0,
        "md5": None,
        "sha256": None,
        "facts": json.loads(facts.read_text()) if facts.exists() else None,
    }


def remove(folder: Path, options: argparse.Namespace) -> None:
    for ending in ("raw", "json"):
        (folder / f"{options.id}.{ending}").unlink(missing_ok=True)


def facts(folder: Path, options: argparse.Namespace) -> None:
    path = folder / f"{options.id}.json"
    if options.set:
        path.write_text(json.dumps(json.load(sys.stdin)))
    else:
        _say(path.read_text() if path.exists() else "{}")


VERBS: dict[str, Any] = {
    "import": bring,
    "export": export,
    "list": listed,
    "show": show,
    "remove": remove,
    "facts": facts,
}


def installed(folder: Path) -> Path:
    """An executable that keeps its images in a folder."""
    folder.mkdir()
    path = folder.parent / f"{folder.name}-command"
    path.write_text(f'#!/bin/sh\nexec {sys.executable} -I {__file__} {folder} "$@"\n')
    path.chmod(0o755)
    return path


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]), sys.argv[3:]))
