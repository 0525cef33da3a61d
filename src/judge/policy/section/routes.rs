//! Static routes.
use super::{Needs, Section, Takes, table_columns, table_things};

pub(super) const SECTION: Section = Section {
    name: "routes",
    about: "Every static route as configured. A destination lies `in` a range only with all of its addresses; \
            `default` lies in 0.0.0.0/0 alone.",
    one: "route",
    requires: false,
    columns: || table_columns("routes", &[("destination", Takes::Networks), ("gateway", Takes::Addresses)]),
    key: &["destination", "gateway", "interface"],
    pins: &["destination", "gateway", "interface"],
    together: &[],
    needs: Needs::Tables(&["routes"]),
    things: |ground| table_things(ground, "routes", |_, _| true),
};
