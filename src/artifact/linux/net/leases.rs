//! Leases of DHCP: what each client kept of the addresses that it was lent, and what servers on this system lent to
//! others. Formats: dhclient.leases(5), dhcpd.leases(5), RFC 2131 and 2132 (dhcpcd keeps the message), dnsmasq(8),
//! Kea's lease files, udhcpd's dump, and the key files of NetworkManager, systemd-networkd and ConnMan.
mod binary;
#[cfg(test)]
mod tests;
mod text;

use crate::artifact::{Artifact, Os, Out};
use crate::evidence::System;

pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "linux.dhcp-leases",
    about: "Addresses lent to this system and by it, with routers, servers and times",
    os: Os::Linux,
    reads: &[
        "/var/lib/dhcp{,3,d,-server}/*.lease*",
        "/var/lib/dhclient/*.lease*",
        "/var/db/dhcpd.leases*",
        "/var/lib/NetworkManager/*.lease",
        "/{run,var/lib}/systemd/{netif,network}/leases/*",
        "/{run,var/lib}/NetworkManager/devices/*",
        "/var/lib/dhcpcd*/*.lease",
        "/var/db/dhcpcd*/*.lease",
        "/var/lib/misc/{dnsmasq,udhcpd}.leases",
        "/var/lib/dnsmasq/*.leases",
        "/var/lib/libvirt/dnsmasq/*.leases",
        "/{tmp,var/lib/misc}/{dhcp,udhcpd}.leases",
        "/var/lib/kea/kea-leases*",
        "/var/lib/connman/*/settings",
        "/var/lib/wicked/lease-*.xml",
    ],
    references: &["dhclient.leases(5)", "dhcpd.leases(5)", "RFC 2131", "RFC 2132", "dnsmasq(8)", "kea-dhcp4(8)"],
    extract,
};

/// Leases of one file; the file of a server of many clients is longer, and what is over is a gap.
const MAX_ROWS: usize = 20_000;

fn extract(system: &System, out: &Out) {
    let isc: &[&str] = &[
        "/var/lib/dhcp{,3,d,-server}/*.lease*",
        "/var/lib/dhclient/*.lease*",
        "/var/db/dhcpd.leases*",
        "/var/lib/NetworkManager/dhclient-*.lease",
    ];
    out.each_text(system, isc, |text| text::isc(text, out));
    let keys: &[&str] = &[
        "/var/lib/NetworkManager/internal-*.lease",
        "/run/systemd/netif/leases/*",
        "/var/lib/systemd/network/leases/*",
    ];
    out.each_text(system, keys, |text| text::keys(text, out));
    out.each_text(
        system,
        &[
            "/var/lib/misc/dnsmasq.leases",
            "/var/lib/dnsmasq/*.leases",
            "/var/lib/libvirt/dnsmasq/*.leases",
            "/var/lib/NetworkManager/dnsmasq-*.leases",
            "/tmp/dhcp.leases",
            "/var/lib/misc/dhcp.leases",
        ],
        |text| text::dnsmasq(text, out),
    );
    out.each_text(system, &["/var/lib/kea/kea-leases*"], |text| text::kea(text, out));
    out.each_text(system, &["/var/lib/connman/*/settings"], |text| text::connman(text, out));
    out.each_text(system, &["/var/lib/wicked/lease-*.xml"], |text| text::wicked(text, out));
    out.each(system, &["/var/lib/dhcpcd*/*.lease", "/var/db/dhcpcd*/*.lease"], |text| binary::message(text, out));
    out.each(system, &["/var/lib/misc/udhcpd.leases", "/tmp/udhcpd.leases"], |text| binary::udhcpd(text, out));
}
