//! All there is to know about one row: its columns, and where each fact was read.
use super::{Cx, dim, hex, strong};
use crate::base::{Evidence, Name, PieceKind};
use crate::gui::command::{Command, LookAt};
use crate::gui::rows::{Rows, grouped};
use crate::gui::theme;
use crate::inventory::Value;
use egui::{RichText, Ui};

/// The row under the cursor of a table: columns at the left, evidence at the right.
pub(crate) fn row(cx: &mut Cx<'_>, ui: &mut Ui, table: &'static str) {
    let current = cx.state.tables.get(table).and_then(|s| s.current()).map(|(shown, row)| (shown.rows.clone(), row));
    let Some((rows, row)) = current else {
        super::nothing(
            ui,
            cx.tokens,
            "No row chosen",
            "Choose a row to see all its columns, where they were read, and the bytes there.",
        );
        return;
    };
    let evidence = rows.evidence(row);
    let width = ui.available_width();
    ui.horizontal_top(|ui| {
        let height = ui.available_height();
        ui.allocate_ui(egui::vec2(width * 0.44, height), |ui| {
            ui.vertical(|ui| {
                ui.set_min_width(width * 0.44);
                egui::ScrollArea::vertical().id_salt(("fields", table)).auto_shrink(false).show(ui, |ui| {
                    fields(cx, ui, &*rows, row);
                });
            });
        });
        ui.separator();
        ui.vertical(|ui| {
            egui::ScrollArea::vertical().id_salt(("evidence", table)).auto_shrink(false).show(ui, |ui| {
                if evidence.is_empty() {
                    ui.label(dim(cx.tokens, "This row names no place in the evidence."));
                }
                list(cx, ui, rows.identity(row), evidence, is_file(&*rows, row));
            });
        });
    });
}

fn fields(cx: &Cx<'_>, ui: &mut Ui, rows: &dyn Rows, row: usize) {
    const LABEL: f32 = 128.0;
    let mut empty = Vec::new();
    ui.spacing_mut().item_spacing.y = 3.0;
    for (column, spec) in rows.specs().iter().enumerate() {
        let value = rows.value(row, column);
        let text: String = match &value {
            Value::List(items) => {
                items.iter().map(|i| Name::from(i.as_str()).display_text()).collect::<Vec<_>>().join("\n")
            }
            Value::Number(_) | Value::Bool(_) => spec.shown(&value),
            other => other.to_string(),
        };
        if text.is_empty() {
            empty.push(spec.title());
            continue;
        }
        ui.horizontal_top(|ui| {
            ui.spacing_mut().interact_size.y = 16.0;
            ui.allocate_ui_with_layout(egui::vec2(LABEL, 16.0), egui::Layout::top_down(egui::Align::LEFT), |ui| {
                ui.set_width(LABEL);
                ui.add(egui::Label::new(dim(cx.tokens, spec.title())).truncate()).on_hover_text(spec.about);
            });
            let text = RichText::new(super::drawn(&clip(&text)));
            let text = if is_code(spec.name) { text.font(theme::mono()) } else { text };
            ui.add(egui::Label::new(text).wrap());
        });
    }
    if !empty.is_empty() {
        ui.add_space(4.0);
        let words = format!("Not stated: {}", empty.join(", "));
        ui.add(egui::Label::new(dim(cx.tokens, words).font(theme::small())).wrap());
    }
}

/// Columns whose characters are compared one by one.
fn is_code(column: &str) -> bool {
    ["sha256", "build_id", "fingerprint", "uuid", "mode", "commands", "command", "rule", "text"].contains(&column)
}

fn clip(text: &str) -> String {
    const MOST: usize = 8000;
    match text.char_indices().nth(MOST) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}… (longer; copy or export it to have all)", text.get(..at).unwrap_or_default()),
    }
}

/// A row of files may be a folder, a link or a device: there is nothing to look at in it.
pub(super) fn is_file(rows: &dyn Rows, row: usize) -> bool {
    let column = rows.column("kind").filter(|_| rows.name() == "files");
    column.is_none_or(|kind| rows.value(row, kind).to_string() == "file")
}

/// Evidence entries, one below the other. `files`: the places are files, whose content can be looked at.
pub(crate) fn list(cx: &mut Cx<'_>, ui: &mut Ui, owner: u64, evidence: &[Evidence], files: bool) {
    const MOST: usize = 60;
    for (n, entry) in evidence.iter().take(MOST).enumerate() {
        if n > 0 {
            ui.add_space(4.0);
            ui.separator();
        }
        ui.push_id(("evidence", n), |ui| one(cx, ui, (owner, n), entry, files));
    }
    if evidence.len() > MOST {
        let more = evidence.len().saturating_sub(MOST);
        ui.label(dim(cx.tokens, format!("and {} more places; the report lists all", grouped(more as i128))));
    }
}

fn one(cx: &mut Cx<'_>, ui: &mut Ui, key: (u64, usize), e: &Evidence, file: bool) {
    let t = cx.tokens;
    ui.horizontal_wrapped(|ui| {
        if e.path.is_marked() {
            super::chip(ui, "escaped", t.medium)
                .on_hover_text("The name holds bytes or characters that do not show; they are written escaped.");
        }
        if e.deleted {
            super::chip(ui, "deleted", t.medium);
        }
        ui.add(egui::Label::new(strong(t, e.path.display())).wrap());
    });
    let mut parts = Vec::new();
    parts.extend(e.line.map(|l| format!("line {l}")));
    parts.extend(e.key.as_ref().map(|k| format!("key {}", Name::from(k.as_str()).display_text())));
    parts.push(filesystem(cx, e));
    if e.node.number > 0 {
        parts.push(format!("inode {}", e.node.number));
    }
    parts.extend(e.range.map(|r| format!("file offset {}, {} bytes", grouped(r.offset.into()), grouped(r.len.into()))));
    ui.label(dim(t, parts.join("  ·  ")));
    if let Some(excerpt) = &e.excerpt {
        let excerpt: String = excerpt.lines().map(|l| Name::from(l).display_text()).collect::<Vec<_>>().join("\n");
        egui::Frame::new().fill(t.sunken).inner_margin(6).corner_radius(3).show(ui, |ui| {
            ui.add(egui::Label::new(RichText::new(super::drawn(&clip(&excerpt))).font(theme::mono())).wrap());
        });
    }
    if let Some(digest) = &e.sha256 {
        ui.horizontal_wrapped(|ui| {
            ui.label(dim(t, "SHA-256 of the file"));
            ui.label(RichText::new(digest.to_string()).font(theme::mono()));
        });
    }
    if let Some(at) = LookAt::of(e) {
        ui.horizontal(|ui| {
            if file && ui.button("Look at the file").clicked() {
                cx.ask(Command::Look(Box::new(at.clone())));
            }
            if ui.button("Save as…").on_hover_text("Writes the file or folder, with a manifest").clicked() {
                cx.ask(Command::SaveAs(vec![at.item()]));
            }
        });
    }
    runs(cx, ui, key, e);
}

fn filesystem(cx: &Cx<'_>, e: &Evidence) -> String {
    let scene = &cx.snapshot.data.scene;
    let found = scene.filesystems.get(e.filesystem.0 as usize);
    let name = found.map(|f| [&f.label, &f.id].into_iter().find(|s| !s.is_empty()).cloned().unwrap_or_default());
    match (found, name) {
        (Some(f), Some(name)) if !name.is_empty() => format!("{} file system {name}", f.kind),
        _ => format!("file system {}", e.filesystem.0),
    }
}

/// Where the bytes lie in the images, and the bytes themselves when asked for.
fn runs(cx: &mut Cx<'_>, ui: &mut Ui, key: (u64, usize), e: &Evidence) {
    const MOST: usize = 8;
    let t = cx.tokens;
    if e.image_runs.is_empty() {
        ui.label(dim(t, "No byte run of an image is recorded for it."));
        return;
    }
    for run in e.image_runs.iter().take(MOST) {
        let kind = match run.kind {
            PieceKind::Stored => "",
            PieceKind::Hole => " (a hole: zeros by definition)",
            PieceKind::Decoded => " (decoded from here)",
            PieceKind::Absent => " (not in the evidence)",
        };
        let place = if run.kind.has_place() {
            format!("image {} offset {}", run.image, grouped(run.offset.into()))
        } else {
            "no image".to_owned()
        };
        let text = format!("{place}, {} bytes{kind}", grouped(run.len.into()));
        ui.label(RichText::new(text).font(theme::mono()));
    }
    if e.image_runs.len() > MOST {
        ui.label(dim(t, format!("and {} more runs", e.image_runs.len().saturating_sub(MOST))));
    }
    let Some(run) = e.image_runs.iter().find(|r| r.kind == PieceKind::Stored).copied() else { return };
    let open = cx.state.bytes_of == Some(key);
    let page = if open { cx.state.bytes_page } else { 0 };
    let at = run.offset.saturating_add(page.saturating_mul(hex::PAGE.into()));
    ui.horizontal(|ui| {
        let label = if open { "Close bytes" } else { "Show bytes" };
        if ui.button(label).clicked() {
            cx.state.bytes_of = (!open).then_some(key);
            cx.state.bytes_page = 0;
        }
        if open {
            if ui.add_enabled(page > 0, egui::Button::new("Back")).clicked() {
                cx.state.bytes_page = page.saturating_sub(1);
            }
            let more = at.saturating_add(hex::PAGE.into()) < run.offset.saturating_add(run.len);
            if ui.add_enabled(more, egui::Button::new("Next")).clicked() {
                cx.state.bytes_page = page.saturating_add(1);
            }
        }
        let image = cx.snapshot.data.scene.images.get(run.image as usize);
        let dd = image.and_then(|i| crate::report::dd_line(i, run.offset, run.len));
        if let Some(command) = dd
            && ui.button("Copy dd command").on_hover_text(&command).clicked()
        {
            cx.ask(Command::CopyText(command));
        }
    });
    if open {
        hex::show(cx, ui, run.image, at, run.offset..run.offset.saturating_add(run.len));
    }
}
