//! Network interfaces and their addresses.
use super::{Needs, Section, Takes, table_columns, table_things};

pub(super) const SECTION: Section = Section {
    name: "interfaces",
    about: "Every network interface as configured. Of its addresses every one must be declared; one that gets its \
            address from elsewhere has none, and is declared by its method.",
    one: "interface",
    requires: false,
    columns: || table_columns("interfaces", &[("addresses", Takes::Addresses), ("gateway", Takes::Addresses)]),
    key: &["name", "manager"],
    pins: &["name", "kind", "method", "addresses", "gateway"],
    together: &[(
        "source_check = [\"ok\", \"conffile-ok\"]",
        "Interfaces as the packages of the distribution set them up, if they come to exist.",
    )],
    needs: Needs::Tables(&["interfaces", "files"]),
    things: |ground| table_things(ground, "interfaces", |_, _| true),
};
