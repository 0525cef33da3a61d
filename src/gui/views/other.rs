//! Tables of the inventory that no other view shows: a table that is added to the inventory appears here by itself.
use super::{ALL, View};
use crate::gui::widgets::Cx;
use crate::inventory::TABLES;
use egui::Ui;

pub(super) const VIEW: View = View {
    id: "other",
    title: "Other",
    about: "Further tables of the inventory",
    count: |snapshot| Some(super::count_tables(snapshot, &tables())),
    only_if_any: true,
    tables: &[],
    draw,
};

fn tables() -> Vec<&'static str> {
    TABLES.iter().map(|t| t.name).filter(|name| !ALL.iter().any(|view| view.tables.contains(name))).collect()
}

fn draw(cx: &mut Cx<'_>, ui: &mut Ui, view: &'static View) {
    if let Some(table) = super::tables::tabs(cx, ui, view.id, &tables()) {
        super::tables::with_detail(cx, ui, table);
    }
}
