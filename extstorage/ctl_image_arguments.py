"""The command line of ganeti-ext-storage image."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from extstorage import image_format, image_import
from extstorage.image_content import parse_size
from extstorage.image_digest import ALGORITHMS

if TYPE_CHECKING:
    from extstorage.ctl_arguments import Verbs


def add(verbs: Verbs, shared: argparse.ArgumentParser) -> None:
    image = verbs.add_parser("image", help="images: what new volumes are clones of")
    mine = image.add_subparsers(dest="image_verb", required=True, metavar="VERB")
    _import(mine, shared)
    export = mine.add_parser("export", parents=[shared], help="the content of an image, raw, to stdout")
    export.add_argument("--offset", type=_count, default=0, help="octets before its first")
    export.add_argument("--length", type=_count, help="no more octets than this")
    show = mine.add_parser("show", parents=[shared], help="all about an image")
    remove = mine.add_parser("remove", parents=[shared], help="delete an image with what is kept of it")
    facts = mine.add_parser("facts", parents=[shared], help="what the front keeps of an image, as JSON")
    facts.add_argument("--set", action="store_true", help="replace it by the JSON object on stdin")
    for one in (export, show, remove, facts):
        one.add_argument("id", metavar="ID")
    mine.add_parser("list", parents=[shared], help="images, and snapshots that are")
    dedup = mine.add_parser("dedup", parents=[shared], help="let what is identical be stored once")
    dedup.add_argument("ids", metavar="ID", nargs="*", help="only these")
    dedup.add_argument("--again", action="store_true", help="those too that were looked at before")
    mine.add_parser("usage", parents=[shared], help="octets of images, snapshots and volumes")
    gc = mine.add_parser("gc", parents=[shared], help="remove what killed calls left")
    gc.add_argument("--dry-run", action="store_true", help="only tell")


def _import(mine: Verbs, shared: argparse.ArgumentParser) -> None:
    parser = mine.add_parser("import", parents=[shared], help="make an image of a file or of stdin")
    parser.add_argument("id", metavar="ID", nargs="?")
    parser.add_argument("file", metavar="FILE", nargs="?", help="or - for stdin, which is the default")
    parser.add_argument("--id", dest="ident", metavar="ID", help="the same as ID")
    parser.add_argument("--format", choices=("auto", *image_format.FORMATS), default="auto")
    parser.add_argument("--size", type=_count, metavar="OCTETS", help="so many are to come")
    parser.add_argument("--max-size", type=_size, default=image_import.LONGEST, metavar="SIZE", help="of the disk")
    for name in ALGORITHMS:
        parser.add_argument(f"--{name}", type=_digest, metavar="HEX", help=f"{name} of the file as it is brought")
    parser.add_argument("--hash", type=_names, default=ALGORITHMS, metavar="LIST", help="checksums to compute")
    parser.add_argument("--facts", metavar="PATH", help="a JSON object that is kept with it from the first moment")
    parser.add_argument("--no-dedup", action="store_true", help="leave that to `image dedup`")
    parser.add_argument("--work", default=image_import.Order().work, metavar="DIR", help="for rbd: where to convert")


def check(parser: argparse.ArgumentParser, found: argparse.Namespace) -> None:
    """`import ID [FILE]` or `import --id ID [FILE]`: who says --id has one word less."""
    if found.verb != "image" or found.image_verb != "import":
        return
    if found.ident is not None:
        if found.file is not None:
            parser.error("image import: say the ID once")
        found.id, found.file = found.ident, found.id
    if not found.id:
        parser.error("image import: say the ID of the new image")
    found.file = found.file or "-"


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of octets")
    return int(text)


def _size(text: str) -> int:
    try:
        return parse_size(text)
    except ValueError as err:
        raise argparse.ArgumentTypeError(str(err)) from err


def _digest(text: str) -> str:
    if not text or not set(text) <= set("0123456789abcdefABCDEF"):
        raise argparse.ArgumentTypeError(f"{text!r} is no checksum in hexadecimal digits")
    return text.lower()


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name for name in text.split(",") if name)
    unknown = sorted(set(names) - set(ALGORITHMS))
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is not one of {', '.join(ALGORITHMS)}")
    return names
