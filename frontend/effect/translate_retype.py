"""A volume that goes to another provider or pool, from OpenStack's words to Ganeti's. Pure.

One job makes a new disk of a copy that a hook before it has made, and removes the old one: as long as that has not
succeeded, the volume is what it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from frontend.effect import translate_image, translate_volume
from frontend.effect.purpose import FORGET, Purpose
from frontend.effect.translate import GIB, MIB, Step
from frontend.effect.translate_change import tag, untag
from frontend.effect.translate_image import Shot
from frontend.volume import volumename

Row = Mapping[str, Any]


def retype(volume: Row, kind: str, ident: str) -> list[Step]:
    """To another type, while its holder has it; the copy is called after `ident`, and taken away at the end.

    The last three steps are that, and are not the volume's any more.
    """
    holder, store = volume["instance"], translate_volume.provider(kind)
    shot = Shot(ident, store["provider"], store.get("pool"), volumename.disk(volume["id"]))
    disk = {
        "size": volume["size"] * (GIB // MIB),
        "name": shot.disk,
        **translate_volume.parameters(kind),
        "origin": translate_image.origin(ident),
    }
    changes = {"disks": [["add", 0, disk], ["remove", 1, {}]]}
    prepare, change, over = translate_image.copy(holder, shot, changes)
    known = [Step(tag(holder, {"type": kind})), Step(untag(holder, {"type": volume["type"]}))]
    purpose = Purpose(FORGET, ident)
    first, *rest = translate_image.forget(holder, shot.provider, ident, shot.pool)
    clear = [step._replace(purpose=purpose) for step in (first._replace(anyway=True), *rest)]
    return [prepare, change, *known, over, *clear]
