//! Everything else that starts a program.
use super::{Needs, Section, is_true, table_columns, table_things};
use crate::inventory::{TABLES, Value};
use crate::judge::rows::table_id;

pub(super) const SECTION: Section = Section {
    name: "starts",
    about: "Every other way in which a program starts and to which something leads: timed commands, hooks of logins, \
            devices, packages and networks, arguments of the kernel. Starts by a service of the same name belong to \
            the section services.",
    one: "start",
    requires: false,
    columns: || table_columns("starts", &[]),
    key: &["by", "name", "command"],
    pins: &["by", "name", "command"],
    together: &[
        (
            "source_check = [\"ok\", \"conffile-ok\"], package_check = [\"ok\", \"conffile-ok\", \"\"]",
            "Starts whose file and program are as the packages of the distribution ship them.",
        ),
        ("by = \"dpkg\", when = \"package\"", "Scripts of packages, run when these are installed or removed."),
    ],
    needs: Needs::Tables(&["starts", "files", "services"]),
    things: |ground| {
        let services = table_id("services");
        let name = services.and_then(|id| TABLES.get(id)?.column("name"));
        table_things(ground, "starts", |rows, row| {
            let of_service = || {
                let (Some(id), Some(column)) = (services, name) else { return false };
                let Value::Text(text) = rows.get(row, "name") else { return false };
                !ground.tables.find(id, column, rows.system(row), &text).is_empty()
            };
            is_true(rows, row, "enabled") && !of_service()
        })
    },
};
