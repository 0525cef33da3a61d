//! Programs and settings that let somebody in or carry connections out.
use super::{Ground, Made, Needs, Section, Takes, links};
use crate::judge::finding::Category;
use std::collections::BTreeSet;

pub(super) const SECTION: Section = Section {
    name: "remote-access",
    about: "Every finding of the category remote-access, above the one line about what the distribution is capable of by \
            itself (that is declared by its services and listening ports). Of a path that joins several tools, every \
            one must be declared.",
    one: "way in or out",
    requires: false,
    columns: || {
        links::columns(&[
            (
                "tool",
                "Ids of the tools that were recognised, as the knowledge of the program has them: teamviewer, frp, xrdp …",
                Takes::Nothing,
            ),
            ("program", "Paths of its programs.", Takes::Nothing),
            ("host", "Hosts that it reaches, by its settings.", Takes::Addresses),
            ("connection", "Names of its connections.", Takes::Nothing),
        ])
    },
    key: &["subject"],
    pins: &["tool", "rule", "subject"],
    together: &[],
    needs: Needs::Findings(Category::RemoteAccess),
    things: |ground| links::things(ground, Category::RemoteAccess, names),
};

fn names(ground: &Ground<'_>, made: &Made) -> Vec<BTreeSet<String>> {
    vec![
        links::keyed(made, "tool:"),
        links::keyed(made, "prog:"),
        links::keyed(made, "host:"),
        links::cells(ground, made, &[("connections", "name")]),
    ]
}
