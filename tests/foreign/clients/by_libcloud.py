"""A server's life by Apache Libcloud. OS_* say who; IMAGE, FLAVOR, BIGGER and NETWORK what."""

from __future__ import annotations

import os
import time
from typing import Any

from libcloud.compute.providers import get_driver
from libcloud.compute.types import Provider

NAME = "by-libcloud"


def driver() -> Any:
    env = os.environ
    return get_driver(Provider.OPENSTACK)(
        env["OS_USERNAME"],
        env["OS_PASSWORD"],
        ex_force_auth_url=env["OS_AUTH_URL"].removesuffix("/v3"),
        ex_force_auth_version="3.x_password",
        ex_tenant_name=env["OS_PROJECT_NAME"],
        ex_domain_name="Default",
        ex_force_service_region=env["OS_REGION_NAME"],
        api_version="2.0",
    )


def main() -> None:
    cloud = driver()
    image, flavor, bigger, network = (
        named(listed(), os.environ[name])
        for name, listed in (
            ("IMAGE", cloud.list_images),
            ("FLAVOR", cloud.list_sizes),
            ("BIGGER", cloud.list_sizes),
            ("NETWORK", cloud.ex_list_networks),
        )
    )
    cloud.create_key_pair(NAME)
    made = cloud.create_node(
        name=NAME, image=image, size=flavor, networks=[network], ex_keyname=NAME, ex_metadata={"made": "by libcloud"}
    )
    ((node, addresses),) = cloud.wait_until_running([made], timeout=300, ssh_interface="private_ips")
    assert addresses, node
    assert node.extra["metadata"] == {"made": "by libcloud"}, node.extra
    assert [one.name for one in cloud.list_nodes()] == [NAME]
    for ask, wanted in ((cloud.stop_node, "stopped"), (cloud.start_node, "running"), (cloud.reboot_node, "running")):
        assert ask(node)
        reaches(cloud, node.id, wanted)
    cloud.ex_set_metadata(node, {"more": "text"})
    assert cloud.ex_get_metadata(node)["more"] == "text"
    assert cloud.ex_resize(node, bigger)
    reaches(cloud, node.id, "pending", status="VERIFY_RESIZE")
    assert cloud.ex_confirm_resize(node)
    reaches(cloud, node.id, "running")
    snapshot = cloud.create_image(node, NAME)
    until(lambda: cloud.get_image(snapshot.id).extra["status"].lower() == "active", "the image is active")
    assert cloud.delete_image(snapshot)
    volumes(cloud, node)
    assert cloud.destroy_node(node)
    until(lambda: not cloud.list_nodes(), "the server is gone")
    cloud.delete_key_pair(cloud.get_key_pair(NAME))


def volumes(cloud: Any, node: Any) -> None:
    """One that the server has for a while, and its snapshot."""
    cloud.create_volume(1, NAME)

    def becomes(state: str) -> Any:
        until(lambda: [one.state for one in cloud.list_volumes()] == [state], f"the volume is {state}")
        return cloud.list_volumes()[0]

    assert cloud.attach_volume(node, becomes("available"))
    assert cloud.detach_volume(becomes("inuse"))
    volume = becomes("available")
    snapshot = cloud.create_volume_snapshot(volume, NAME)
    until(lambda: [one.state for one in cloud.list_volume_snapshots(volume)] == ["available"], "there is a snapshot")
    assert cloud.destroy_volume_snapshot(snapshot)
    until(lambda: not cloud.list_volume_snapshots(volume), "the snapshot is gone")
    assert cloud.destroy_volume(volume)
    until(lambda: not cloud.list_volumes(), "the volume is gone")


def named(things: list[Any], name: str) -> Any:
    (found,) = (thing for thing in things if thing.name == name)
    return found


def reaches(cloud: Any, ident: str, state: str, status: str = "") -> None:
    def there() -> bool:
        node = cloud.ex_get_node_details(ident)
        settled = node.extra["task_state"] is None and node.state == state
        return node.extra["vm_state"] == "resized" if status == "VERIFY_RESIZE" else settled

    until(there, f"the server is {status or state}")


def until(check: Any, what: str) -> None:
    end = time.monotonic() + 300
    while not check():
        assert time.monotonic() < end, f"not within 300 s: {what}"
        time.sleep(1)


if __name__ == "__main__":
    main()
