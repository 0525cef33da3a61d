//! Connections as configured: Wi-Fi, VPN, tunnels, dial-up.
use super::{Needs, Section, Takes, table_columns, table_things};

pub(super) const SECTION: Section = Section {
    name: "connections",
    about: "Every connection as configured: Wi-Fi, VPN, tunnels, dial-up, cellular. Of its remote hosts every one must \
            be declared.",
    one: "connection",
    requires: false,
    columns: || table_columns("connections", &[("endpoints", Takes::Addresses)]),
    key: &["kind", "name", "manager"],
    pins: &["kind", "name", "interface", "endpoints"],
    together: &[],
    needs: Needs::Tables(&["connections"]),
    things: |ground| table_things(ground, "connections", |_, _| true),
};
