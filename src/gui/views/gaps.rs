//! What was not seen: unread parts of the evidence, devices without an image, and what the rules looked at.
use super::View;
use crate::gui::widgets::{Cx, dim, grid, plural};
use egui::{Panel, Ui};

pub(super) const VIEW: View = View {
    id: "gaps",
    title: "Gaps",
    about: "What could not be read, which devices have no image, and on how much each rule looked",
    count: |snapshot| Some(snapshot.data.gaps.len()),
    only_if_any: false,
    tables: &["gaps", "unexamined", "searched"],
    draw,
};

fn draw(cx: &mut Cx<'_>, ui: &mut Ui, view: &'static View) {
    let Some(table) = super::tables::tabs(cx, ui, view.id, view.tables) else { return };
    let data = &cx.snapshot.data;
    let (words, empty) = match table {
        "gaps" => {
            let bytes: u64 = data.gaps.iter().fold(0, |sum, g| sum.saturating_add(g.bytes));
            let known =
                if bytes == 0 { String::new() } else { format!(", at least {}", super::super::widgets::bytes(bytes)) };
            (
                format!(
                    "{} could not be read or interpreted{known}. A statement that something is absent holds beside these only.",
                    plural(data.gaps.len(), "part", "parts")
                ),
                "Nothing is recorded as unread: every part of the evidence was read and interpreted.",
            )
        }
        "unexamined" => (
            "Devices that the intake or a configuration on the disks names and no image covers.".to_owned(),
            "No device is named that has no image.",
        ),
        _ => (
            "Every rule that was applied, also where it found nothing, and on how much it looked.".to_owned(),
            "No rule was applied yet.",
        ),
    };
    if table == "unexamined" {
        super::tables::with_detail(cx, ui, table);
        return;
    }
    Panel::top(("words of", table))
        .show_separator_line(false)
        .frame(egui::Frame::new().inner_margin(egui::Margin::symmetric(0, 4)))
        .show(ui, |ui| ui.add(egui::Label::new(dim(cx.tokens, words)).wrap()));
    if table == "gaps" {
        super::tables::with_detail(cx, ui, table);
    } else {
        grid::show(cx, ui, table, empty);
    }
}
