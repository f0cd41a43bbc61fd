"""A server's life by openstacksdk. OS_* say who; IMAGE, FLAVOR, BIGGER and NETWORK what."""

from __future__ import annotations

import os

import openstack

NAME = "by-sdk"


def main() -> None:
    cloud = openstack.connect()
    image, flavor, bigger, network = (os.environ[name] for name in ("IMAGE", "FLAVOR", "BIGGER", "NETWORK"))
    key = cloud.create_keypair(NAME)
    assert "PRIVATE KEY" in key.private_key
    server = cloud.create_server(
        NAME,
        image=image,
        flavor=flavor,
        network=network,
        key_name=NAME,
        meta={"made": "by sdk"},
        wait=True,
        timeout=300,
    )
    assert (server.status, server.key_name, server.metadata) == ("ACTIVE", NAME, {"made": "by sdk"}), server
    assert server.private_v4, server.addresses
    assert [one.name for one in cloud.list_servers()] == [NAME]
    assert cloud.get_server("of nobody") is None
    compute = cloud.compute
    compute.stop_server(server)
    compute.wait_for_server(server, "SHUTOFF", wait=120)
    compute.start_server(server)
    compute.wait_for_server(server, "ACTIVE", wait=120)
    cloud.set_server_metadata(server.id, {"more": "text"})
    assert cloud.get_server(server.id).metadata == {"made": "by sdk", "more": "text"}
    compute.resize_server(server, cloud.get_flavor(bigger).id)
    compute.wait_for_server(server, "VERIFY_RESIZE", wait=300)
    compute.confirm_server_resize(server)
    compute.wait_for_server(server, "ACTIVE", wait=120)
    snapshot = cloud.create_image_snapshot(NAME, server.id, wait=True, timeout=300)
    assert cloud.get_image(snapshot.id).status == "active"
    assert isinstance(cloud.get_server_console(server.id, length=5), str)
    assert cloud.get_compute_limits(cloud.current_project_id).total_instances_used >= 1
    cloud.delete_image(snapshot.id, wait=True)
    volumes(cloud, server)
    assert cloud.delete_server(server.id, wait=True, timeout=120)
    assert cloud.list_servers() == []
    cloud.delete_keypair(NAME)


def volumes(cloud: openstack.connection.Connection, server: openstack.compute.v2.server.Server) -> None:
    """One that the server has for a while, and one of its snapshot."""
    volume = cloud.create_volume(1, name=NAME, description="by sdk", wait=True, timeout=120)
    assert (volume.status, volume.size) == ("available", 1), volume
    attachment = cloud.attach_volume(server, volume, wait=True, timeout=120)
    assert attachment.volume_id == volume.id
    (found,) = cloud.get_volumes(server)
    assert (found.id, found.status) == (volume.id, "in-use")
    assert cloud.detach_volume(server, volume, wait=True, timeout=120) is None
    snapshot = cloud.create_volume_snapshot(volume.id, name=NAME, wait=True, timeout=120)
    again = cloud.create_volume(1, snapshot_id=snapshot.id, name=f"{NAME}-again", wait=True, timeout=120)
    assert sorted(one.name for one in cloud.list_volumes()) == [NAME, again.name]
    assert cloud.delete_volume(again.id, wait=True, timeout=120)
    assert cloud.delete_volume_snapshot(snapshot.id, wait=True, timeout=120)
    assert cloud.delete_volume(volume.id, wait=True, timeout=120)
    assert cloud.list_volumes() == []


if __name__ == "__main__":
    main()
