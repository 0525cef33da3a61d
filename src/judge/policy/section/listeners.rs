//! Ports that a server is configured to listen on.
use super::{Needs, Section, Takes, table_columns, table_things};

pub(super) const SECTION: Section = Section {
    name: "listeners",
    about: "Every port and socket that a server is configured to listen on. An address of `*` stands for all addresses.",
    one: "listening port",
    requires: false,
    columns: || table_columns("listeners", &[("address", Takes::Addresses), ("port", Takes::Numbers)]),
    key: &["protocol", "address", "port", "program"],
    pins: &["protocol", "port", "address", "program"],
    together: &[],
    needs: Needs::Tables(&["listeners"]),
    things: |ground| table_things(ground, "listeners", |_, _| true),
};
