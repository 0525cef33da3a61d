//! Services that start by themselves.
use super::{Needs, Section, is_true, table_columns, table_things};
use crate::inventory::Value;

pub(super) const SECTION: Section = Section {
    name: "services",
    about: "Every service, socket, timer or script of an init system to which something at boot or an event leads. \
            What is masked, an alias, or started by nothing is not spoken about.",
    one: "service",
    requires: false,
    columns: || table_columns("services", &[]),
    key: &["name", "manager"],
    pins: &["name", "manager", "program"],
    together: &[(
        "source_check = [\"ok\", \"conffile-ok\"]",
        "Services whose files are as the packages of the distribution ship them.",
    )],
    needs: Needs::Tables(&["services", "files"]),
    things: |ground| {
        table_things(ground, "services", |rows, row| {
            let state = rows.get(row, "state");
            is_true(rows, row, "enabled")
                && state != Value::Text("alias".into())
                && state != Value::Text("masked".into())
        })
    },
};
