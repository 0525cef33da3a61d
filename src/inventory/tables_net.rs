//! Tables of what the system reaches, and of the addresses that it was lent.
use super::record::record;
use crate::base::Time;
use std::sync::Arc;

record! {
    /// Hosts, addresses and URLs that configuration names: what this system would reach.
    Endpoint in "endpoints", key [host, port, scheme, by] {
        /// Name or address; an address of IPv6 without brackets.
        host: String,
        /// As written; empty where none is.
        port: String,
        /// http, mqtt, opc.tcp, ssh, ntp, syslog …, by the URL or by what the setting is called; empty where neither tells.
        scheme: Arc<str>,
        /// loopback, private, shared (carriers' NAT), link-local, multicast, documentation, reserved, public, local-name (a name that only the network at hand knows), name.
        class: Arc<str>,
        /// Program or kind of setting that names it.
        by: String,
        /// As written, without what follows `?`.
        value: String,
        /// The table that tells more of it: connections, names, keys, boot_environment; text where only the configuration itself does.
        told: Arc<str>,
        /// The package that owns the file that says so.
        source_package: Option<Arc<str>>,
        /// That file against its package, as in files: ok and conffile-ok mean that it is as shipped.
        source_check: Arc<str>,
    }
}
record! {
    /// Addresses that a DHCP server lent to this system, or that this system lent to others.
    Lease in "leases", key [role, program, interface, address, start] {
        /// client (lent to this system), server (lent by it).
        role: Arc<str>,
        /// dhclient, dhcpcd, networkmanager, networkd, udhcpc, connman, dnsmasq, dhcpd, kea, windows …
        program: Arc<str>,
        interface: String,
        address: String,
        /// Routers that came with it.
        routers: Vec<String>,
        /// Name servers that came with it.
        nameservers: Vec<String>,
        /// The server that lent it.
        server: String,
        domain: String,
        /// Hardware address of whom it was lent to.
        mac: String,
        /// Name that whom it was lent to gave.
        hostname: String,
        /// Start of the lease, or when its record was written.
        start: Option<Time>,
        end: Option<Time>,
        /// Further options: `key=value`.
        details: Vec<String>,
    }
}
