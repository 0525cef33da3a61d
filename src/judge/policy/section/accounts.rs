//! Accounts.
use super::{Needs, Section, table_columns, table_things};

pub(super) const SECTION: Section = Section {
    name: "accounts",
    about: "Every account.",
    one: "account",
    requires: false,
    columns: || table_columns("accounts", &[]),
    key: &["name"],
    pins: &["name", "uid", "login"],
    together: &[(
        "login = false, uid = { more = 0, less = 1000 }",
        "Accounts of the system that nobody can log in to.",
    )],
    needs: Needs::Tables(&["accounts", "keys"]),
    things: |ground| table_things(ground, "accounts", |_, _| true),
};
