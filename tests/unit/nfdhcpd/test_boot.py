"""Network boot: what each kind of firmware sends, and what it must find in the answer."""

from __future__ import annotations

import pytest

from nfdhcpd import boot, dhcp4
from nfdhcpd.boot import Boot
from nfdhcpd.client import Client
from nfdhcpd.terms import Terms
from tests.unit.nfdhcpd.guest import COMMON, IP4, Answer, ask, guest, guests

DISCOVER, OFFER, REQUEST, ACK = 1, 2, 3, 5
TERMS = {
    "boot_server": "10.77.0.2",
    "boot_file": "pxelinux.0",
    "boot_efi": "shim.efi",
    "boot_http": "http://boot.example/shim.efi",
    "boot_ipxe": "http://boot.example/menu.ipxe",
}
# What firmware lists, by PXE 2.1, table 2-1, and by its own sources.
PXE_LIST = bytes((1, 2, 3, 4, 5, 6, 12, 13, 15, 17, 18, 22, 23, 28, 40, 41, 42, 43, 50, 51, 54, 58, 59, 60, 66, 67, 97))
HTTP_LIST = bytes((1, 3, 6, 15, 28, 43, 60, 67))
IPXE_LIST = bytes((1, 3, 6, 7, 12, 15, 17, 26, 43, 60, 66, 67, 119, 128, 129, 130, 131, 132, 133, 134, 135, 175, 203))


def firmware(kind: bytes, architecture: int, **terms: str) -> Answer:
    """The offer to a ROM of this class and architecture."""
    served = guest(settings=guests(**{**TERMS, **terms}))
    return ask(DISCOVER, served, options=rom(kind, architecture), wanted=PXE_LIST)


def rom(kind: bytes, architecture: int) -> dict[int, bytes]:
    name = kind + b":Arch:%05d:UNDI:003016" % architecture
    return {57: b"\x05\xc0", 93: architecture.to_bytes(2, "big"), 94: b"\1\3\x10", 97: bytes(17), 60: name}


def read(offer: Answer) -> dict[int, bytes]:
    return dict(dhcp4.parse(bytes(offer.bootp)).options)


def file(offer: Answer) -> bytes:
    return bytes(offer.bootp.file).rstrip(b"\0")


@pytest.mark.parametrize(
    ("architecture", "name"),
    [
        pytest.param(0, b"pxelinux.0", id="BIOS"),
        pytest.param(6, b"shim.efi", id="UEFI x86"),
        pytest.param(7, b"shim.efi", id="UEFI x86-64"),
        pytest.param(9, b"shim.efi", id="UEFI x86-64, as RFC 4578 has it"),
        pytest.param(11, b"shim.efi", id="UEFI ARM 64"),
        pytest.param(27, b"shim.efi", id="UEFI RISC-V 64"),
        pytest.param(14, b"pxelinux.0", id="neither"),
    ],
)
def test_pxe_by_architecture(architecture: int, name: bytes) -> None:
    offer = firmware(b"PXEClient", architecture)
    assert (offer.kind, offer.bootp.yiaddr, offer.bootp.siaddr, file(offer)) == (OFFER, IP4, "10.77.0.2", name)
    options = read(offer)
    assert (options[66], options[67]) == (b"10.77.0.2", name)
    # With discovery control 8 a ROM loads that file at once; without, it would look for a boot server first.
    assert (options[60], options[43]) == (b"PXEClient", b"\x06\x01\x08\xff")


def test_firmware_gets_it_without_a_list_that_names_it() -> None:
    served = guest(settings=guests(**TERMS))
    options = read(ask(DISCOVER, served, options=rom(b"PXEClient", 7), wanted=b"\1\3"))
    assert {60, 43, 66, 67} <= set(options)


def test_what_may_run_first_of_several_architectures() -> None:
    served = guest(settings=guests(**TERMS))
    assert file(ask(DISCOVER, served, options={60: b"PXEClient", 93: b"\0\7\0\0"})) == b"shim.efi"


def test_a_file_that_is_not_configured_is_not_made_up() -> None:
    offer = firmware(b"PXEClient", 7, boot_efi="")
    assert file(offer) == b""
    assert {43, 60, 67}.isdisjoint(read(offer))
    assert (read(offer)[66], offer.bootp.siaddr) == (b"10.77.0.2", "10.77.0.2")


@pytest.mark.parametrize("architecture", [15, 16, 19])
def test_boot_from_http(architecture: int) -> None:
    served = guest(settings=guests(**TERMS))
    offer = ask(DISCOVER, served, options=rom(b"HTTPClient", architecture), wanted=HTTP_LIST)
    options = read(offer)
    assert (options[60], options[67]) == (b"HTTPClient", b"http://boot.example/shim.efi")
    assert (file(offer), offer.bootp.siaddr) == (b"http://boot.example/shim.efi", "0.0.0.0")
    assert {43, 66}.isdisjoint(options)


def test_boot_from_http_where_there_is_no_url() -> None:
    offer = firmware(b"HTTPClient", 16, boot_http="")
    assert (file(offer), offer.bootp.siaddr) == (b"", "0.0.0.0")
    assert {43, 60, 66, 67}.isdisjoint(read(offer))


IPXE = {175: b"\xb1\5\1\x80\x86\x10\x0e"}


@pytest.mark.parametrize(
    "mark",
    [
        pytest.param({77: b"iPXE"}, id="user class"),
        pytest.param({77: b"\4iPXE"}, id="user class of RFC 3004"),
        pytest.param(IPXE, id="its own options"),
        pytest.param({77: b"iPXE", **IPXE}, id="both, as it is"),
    ],
)
@pytest.mark.parametrize("kind", [(b"PXEClient", 0), (b"PXEClient", 7), (b"HTTPClient", 16)])
def test_ipxe_is_not_told_to_load_ipxe_again(mark: dict[int, bytes], kind: tuple[bytes, int]) -> None:
    served = guest(settings=guests(**TERMS))
    offer = ask(DISCOVER, served, options={**rom(*kind), **mark}, wanted=IPXE_LIST)
    options = read(offer)
    assert (file(offer), options[67]) == (b"http://boot.example/menu.ipxe",) * 2
    assert options[175] == b"\xb0\x01\x01"  # no wait for a proxy
    assert {43, 60}.isdisjoint(options)


def test_a_user_class_of_others() -> None:
    assert file(ask(DISCOVER, guest(settings=guests(**TERMS)), options={77: b"iPXE2"})) == b"pxelinux.0"


@pytest.mark.parametrize(("architecture", "name"), [(0, b"pxelinux.0"), (7, b"shim.efi")])
def test_ipxe_where_nothing_is_said_of_it(architecture: int, name: bytes) -> None:
    """The ROM of a QEMU card is iPXE, and then it is what boots."""
    served = guest(settings=guests(**{**TERMS, "boot_ipxe": ""}))
    options = {**rom(b"PXEClient", architecture), 77: b"iPXE"}
    assert file(ask(DISCOVER, served, options=options, wanted=IPXE_LIST)) == name


@pytest.mark.parametrize("wanted", [COMMON, b"\1\3\x42", None])
def test_an_operating_system_gets_what_it_asks_for(wanted: bytes | None) -> None:
    offer = ask(DISCOVER, guest(settings=guests(**TERMS)), wanted=wanted)
    asked = {66, 67} if wanted is None else {66, 67} & set(wanted)
    assert {43, 60, 66, 67, 175} & set(read(offer)) == asked
    assert (file(offer), offer.bootp.siaddr) == (b"pxelinux.0", "10.77.0.2")  # firmware may ask for nothing by name


def test_nothing_of_boot_where_nothing_is_configured() -> None:
    offer = ask(DISCOVER, options=rom(b"PXEClient", 0), wanted=PXE_LIST)
    assert {43, 60, 66, 67, 175}.isdisjoint(read(offer))
    assert (file(offer), offer.bootp.siaddr) == (b"", "0.0.0.0")


def test_the_acknowledgement_says_the_same_and_a_refusal_nothing() -> None:
    served = guest(settings=guests(**TERMS))
    asked = rom(b"PXEClient", 0)
    ack = ask(REQUEST, served, options={**asked, 50: bytes((10, 77, 0, 10))}, wanted=PXE_LIST)
    assert (ack.kind, file(ack), read(ack)[43]) == (ACK, b"pxelinux.0", b"\x06\x01\x08\xff")
    nak = ask(REQUEST, served, options={**asked, 50: bytes((10, 77, 0, 11))}, wanted=PXE_LIST)
    assert (file(nak), nak.bootp.siaddr, nak.names) == (b"", "0.0.0.0", ["message-type", "server_id", "error_message"])


def test_a_name_longer_than_the_field() -> None:
    for size, fits in ((127, True), (128, False)):
        served = guest(settings=guests(boot_file="f" * size))
        offer = ask(DISCOVER, served, options=rom(b"PXEClient", 0), wanted=PXE_LIST)
        assert read(offer)[67] == b"f" * size
        assert (file(offer) == b"f" * size) is fits
        assert bool(file(offer)) is fits


def test_raw_options_stand_for_ours() -> None:
    served = guest(settings=guests(**TERMS, options=("43:0104c0a80001", "60:504f53", "67:612e30")))
    options = read(ask(DISCOVER, served, options=rom(b"PXEClient", 0), wanted=PXE_LIST))
    assert (options[43], options[60], options[67]) == (b"\1\4\xc0\xa8\0\1", b"POS", b"a.0")


def test_one_client_may_be_firmware_and_then_a_system() -> None:
    served: Client = guest(settings=guests(**TERMS))
    first = ask(DISCOVER, served, options=rom(b"PXEClient", 7), wanted=COMMON)
    second = ask(DISCOVER, served, wanted=COMMON)
    assert 60 in read(first)
    assert 60 not in read(second)


def test_terms_without_boot() -> None:
    assert Boot.of(Terms()) is None
    found = Boot.of(Terms(boot_http="http://b/"))
    assert found is not None
    assert boot.choose(found, {}) == boot.Choice(bytes(4), b"", {}, booting=False)
