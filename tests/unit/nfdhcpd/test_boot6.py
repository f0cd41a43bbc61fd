"""Network boot, as the loaders ask for it: UEFI by HTTP and by TFTP, and iPXE, whatever loaded it."""

from __future__ import annotations

from typing import Any

import pytest
from scapy.layers import dhcp6 as scapy6

from tests.unit.nfdhcpd.guest6 import IA_NA, REQUEST, SOLICIT, Answer6, ask6, ia, option, told, wanted

HTTP, IPXE, EFI = "http://boot.example/grub.efi", "http://boot.example/menu.ipxe", "tftp://[2001:db8::5]/boot.efi"
URLS = {"boot_http": HTTP, "boot_ipxe": IPXE, "boot_efi": EFI}
INTEL = bytes.fromhex("00000157")
ASKED = wanted(59, 60, 23, 16)  # what EDK2 asks for


def vendor(text: bytes) -> bytes:
    return option(16, INTEL + len(text).to_bytes(2, "big") + text)


UEFI_HTTP = (vendor(b"HTTPClient:Arch:00016:UNDI:003001"), option(61, b"\0\x10"))
UEFI_PXE = (vendor(b"PXEClient:Arch:00007:UNDI:003000"), option(61, b"\0\7"))
USER_IPXE = option(15, b"\0\4iPXE")


def boot(*options: bytes, kind: int = SOLICIT, **terms: Any) -> Answer6:
    return ask6(kind, ia(IA_NA, 1), ASKED, *options, served=told(**{**URLS, **terms}))


def url(answer: Answer6) -> str | None:
    return str(answer[59], "ascii") if 59 in answer.codes else None


@pytest.mark.parametrize("kind", [SOLICIT, REQUEST])
def test_uefi_by_http(kind: int) -> None:
    found = boot(*UEFI_HTTP, kind=kind)
    assert url(found) == HTTP
    # EDK2 takes an answer for one to its HTTP boot by the first bytes of a text at this place.
    assert found[16] == INTEL + b"\0\x0aHTTPClient"
    assert found.layer(scapy6.DHCP6OptVendorClass).vcdata[0].data == b"HTTPClient"


def test_uefi_by_tftp() -> None:
    found = boot(*UEFI_PXE)
    assert (url(found), 16 in found.codes) == (EFI, False)


@pytest.mark.parametrize("loader", [UEFI_HTTP, UEFI_PXE, (), (option(61, b"\0\0"),)])
def test_ipxe_whatever_loaded_it(loader: tuple[bytes, ...]) -> None:
    assert url(boot(*loader, USER_IPXE)) == IPXE
    assert url(boot(USER_IPXE, *loader)) == IPXE


def test_ipxe_among_other_classes() -> None:
    assert url(boot(option(15, b"\0\3abc\0\4iPXE"))) == IPXE


def test_ipxe_is_not_given_what_loaded_it() -> None:
    assert url(boot(*UEFI_PXE, USER_IPXE, boot_ipxe="")) is None


@pytest.mark.parametrize("options", [(), (option(61, b"\0\0"),), (option(61, b""),), (option(16, INTEL),)])
def test_what_is_no_loader_is_told_no_url(options: tuple[bytes, ...]) -> None:
    found = boot(*options)
    assert {59, 16}.isdisjoint(found.codes)


def test_who_does_not_ask_is_not_told() -> None:
    found = ask6(SOLICIT, ia(IA_NA, 1), wanted(23), *UEFI_HTTP, served=told(**URLS))
    assert {59, 16}.isdisjoint(found.codes)


@pytest.mark.parametrize(
    ("options", "key"), [(UEFI_HTTP, "boot_http"), (UEFI_PXE, "boot_efi"), ((USER_IPXE,), "boot_ipxe")]
)
@pytest.mark.parametrize("value", ["", "menu.ipxe", "/boot/x.efi"])
def test_only_urls(options: tuple[bytes, ...], key: str, value: str) -> None:
    terms: dict[str, Any] = {key: value, "boot_server": "192.0.2.5"}
    found = boot(*options, **terms)
    assert {59, 16}.isdisjoint(found.codes)
