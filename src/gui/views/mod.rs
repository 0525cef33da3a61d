//! The views, one file each. A view is a const struct of functions; [`ALL`] is the only list of them.
mod compare;
mod conformity;
mod files;
mod findings;
mod gaps;
mod other;
mod overview;
mod overview_lists;
mod picture;
mod tables;

use super::snapshot::Snapshot;
use super::widgets::Cx;
use egui::Ui;

/// One view of a case.
pub struct View {
    pub id: &'static str,
    pub title: &'static str,
    /// What it shows, in one line.
    pub about: &'static str,
    /// How much it holds; `None` where a number says nothing.
    pub count: fn(&Snapshot) -> Option<usize>,
    /// Not listed while it holds nothing.
    pub only_if_any: bool,
    /// The tables it shows; the first is the one for search, copy and export where it has no tabs.
    pub tables: &'static [&'static str],
    pub(crate) draw: fn(&mut Cx<'_>, &mut Ui, &'static View),
}

/// Every view, in the order of the list at the left and of Ctrl+1 … Ctrl+9, Ctrl+0.
pub const ALL: &[&View] = &[
    &overview::VIEW,
    &findings::VIEW,
    &picture::VIEW,
    &tables::BINARIES,
    &tables::SERVICES,
    &tables::NETWORK,
    &tables::DRIVERS,
    &tables::PACKAGES,
    &tables::ACCOUNTS,
    &tables::EVENTS,
    &files::VIEW,
    &gaps::VIEW,
    &compare::VIEW,
    &other::VIEW,
];

/// Position of a view in [`ALL`].
pub(super) fn index(id: &str) -> Option<usize> {
    ALL.iter().position(|v| v.id == id)
}

/// The table that a view shows at the moment.
pub(crate) fn current_table(
    cx_tabs: &std::collections::HashMap<&'static str, &'static str>,
    view: &View,
) -> Option<&'static str> {
    cx_tabs.get(view.id).copied().or_else(|| view.tables.first().copied())
}

/// The sum of a view's tables.
fn count_tables(snapshot: &Snapshot, tables: &[&str]) -> usize {
    tables.iter().map(|t| snapshot.count(t)).sum()
}
