//! Remote hosts, addresses and URLs that configuration names.
use super::{Needs, Section, Takes, table_columns, table_things};
use crate::inventory::Value;

pub(super) const SECTION: Section = Section {
    name: "endpoints",
    about: "Every host, address or URL that configuration names, but for the machine's own (loopback).",
    one: "remote endpoint",
    requires: false,
    columns: || table_columns("endpoints", &[("host", Takes::Addresses), ("port", Takes::Numbers)]),
    key: &["host", "port", "scheme", "by"],
    pins: &["host", "port", "by"],
    together: &[(
        "source_check = [\"ok\", \"conffile-ok\"]",
        "Hosts that files name which are as the packages of the distribution ship them.",
    )],
    needs: Needs::Tables(&["endpoints"]),
    things: |ground| {
        table_things(ground, "endpoints", |rows, row| rows.get(row, "class") != Value::Text("loopback".into()))
    },
};
