//! Comparing the case in sight with others: the form, the matrix, and two cranes side by side.
use super::View;
use crate::compare::Mode;
use crate::gui::command::Command;
use crate::gui::comparing::{At, Contents, Matrix, TABLE};
use crate::gui::theme::{self, Tokens};
use crate::gui::widgets::{Cx, chip, dim, grid, heading, nothing, plural, safe, strong};
use egui::{Key, Label, Panel, RichText, ScrollArea, Ui};
use std::path::PathBuf;
use std::sync::Arc;

pub(super) const VIEW: View = View {
    id: "compare",
    title: "Compare",
    about: "What differs between this crane and its sisters, or between two examinations of it",
    count: |snapshot| snapshot.matrix.as_ref().map(|m| m.comparison.differences.len()),
    only_if_any: false,
    tables: &[TABLE],
    draw,
};

fn draw(cx: &mut Cx<'_>, ui: &mut Ui, _: &'static View) {
    if cx.comparing.running {
        nothing(
            ui,
            cx.tokens,
            "Comparing…",
            "The cases are opened and judged by the same rules, then laid side by side.",
        );
        return;
    }
    match cx.snapshot.matrix.clone() {
        Some(matrix) => result(cx, ui, &matrix),
        None => form(cx, ui),
    }
}

fn form(cx: &mut Cx<'_>, ui: &mut Ui) {
    ui.label(heading(cx.tokens, "Compare this case with others"));
    let about = "Cranes of one delivery should be alike: name the cases (or images) of its sisters, and what one alone has comes first. \
                 Two cases of one machine are compared in time; name the later one here.";
    ui.add(Label::new(dim(cx.tokens, about)).wrap());
    ui.add_space(6.0);
    let this = cx.case.map(|p| p.to_string_lossy().into_owned()).unwrap_or_default();
    ui.horizontal_wrapped(|ui| {
        ui.label(strong(cx.tokens, "1"));
        ui.label(safe(if this.is_empty() { "the case in sight has no file yet".to_owned() } else { this.clone() }));
    });
    for (at, source) in cx.comparing.sources.clone().iter().enumerate() {
        ui.horizontal_wrapped(|ui| {
            ui.label(strong(cx.tokens, (at + 2).to_string()));
            ui.label(safe(source.to_string_lossy()));
            if ui.small_button("Remove").clicked() {
                cx.ask(Command::CompareWithout(at));
            }
        });
    }
    ui.add_space(4.0);
    ui.horizontal(|ui| {
        let edit = egui::TextEdit::singleline(&mut cx.comparing.path)
            .hint_text("Path of a case or an image")
            .desired_width(420.0);
        let response = ui.add(edit).accessible_name("path to compare with");
        let enter = response.lost_focus() && ui.input(|i| i.key_pressed(Key::Enter));
        let typed = !cx.comparing.path.trim().is_empty();
        if (ui.add_enabled(typed, egui::Button::new("Add")).clicked() || enter) && typed {
            let path = PathBuf::from(cx.comparing.path.trim());
            cx.comparing.path.clear();
            cx.ask(Command::CompareWith(vec![path]));
        }
        if ui.button("Choose cases…").clicked() {
            cx.ask(Command::ComparePick);
        }
    });
    let known = |p: &PathBuf| cx.comparing.sources.contains(p) || cx.case == Some(p.as_path());
    let recent: Vec<PathBuf> =
        cx.settings.recent.iter().filter(|r| r.len() == 1).flatten().filter(|p| !known(p)).take(8).cloned().collect();
    if !recent.is_empty() {
        ui.add_space(6.0);
        ui.label(strong(cx.tokens, "Recent"));
        for path in recent {
            if ui.link(safe(path.to_string_lossy())).clicked() {
                cx.ask(Command::CompareWith(vec![path]));
            }
        }
    }
    ui.add_space(8.0);
    let edit = |ui: &mut Ui, tokens: &Tokens, (label, name): (&str, &str), value: &mut String, lines: bool| {
        ui.label(dim(tokens, label));
        let edit =
            if lines { egui::TextEdit::multiline(value).desired_rows(1) } else { egui::TextEdit::singleline(value) };
        let hint = if lines { "Paths, one a line" } else { "Path" };
        ui.add(edit.hint_text(hint).desired_width(420.0)).accessible_name(name).changed()
    };
    let (tokens, form) = (cx.tokens, &mut *cx.comparing);
    let baselines = ("Baselines that vouch for what all share (optional)", "baselines to compare with");
    edit(ui, tokens, baselines, &mut form.baseline, true);
    let mut keys = cx.settings.baseline_keys.clone();
    let named = ("Public keys whose signatures under baselines count (optional)", "keys of baselines");
    let typed = edit(ui, tokens, named, &mut keys, true);
    let policy = ("Delivery policy: what it declares is vouched for (optional)", "policy to compare by");
    edit(ui, tokens, policy, &mut form.policy, false);
    let variation = ("Further rules of expected variation (optional)", "rules of expected variation");
    edit(ui, tokens, variation, &mut form.variation, false);
    if typed {
        cx.ask(Command::BaselineKeys(keys));
    }
    ui.add_space(8.0);
    let ready = !cx.running && !this.is_empty() && !cx.comparing.sources.is_empty();
    if ui.add_enabled(ready, egui::Button::new("Compare")).clicked() {
        cx.ask(Command::Compare);
    }
}

fn result(cx: &mut Cx<'_>, ui: &mut Ui, matrix: &Arc<Matrix>) {
    let c = &matrix.comparison;
    ui.horizontal_wrapped(|ui| {
        for (at, machine) in c.machines.iter().enumerate() {
            let host = machine.data.scene.systems.first().map(|s| s.hostname.as_str()).unwrap_or_default();
            let chip = chip(ui, &format!("{}  {}", at + 1, machine.name), cx.tokens.accent);
            let notes = machine.notes.join("\n");
            chip.on_hover_text(safe(format!("{host}\n{}\n{notes}", machine.source.to_string_lossy())));
        }
        if ui.button("Compare others…").clicked() {
            cx.ask(Command::CompareAnew);
        }
    });
    let mode = if c.mode == Mode::Time { "One crane in time. " } else { "" };
    let words = format!(
        "{mode}{} shared by all and vouched for by nobody independent; {}, {} with what follows from them; {} of expected variation; {} alike.",
        plural(c.unvouched.len(), "row is", "rows are"),
        plural(c.differences.len(), "difference", "differences"),
        plural(c.count(), "row", "rows"),
        plural(c.expected.len(), "row", "rows"),
        plural(c.shared, "row is", "rows are"),
    );
    let declared = match c.policy.as_str() {
        "" => String::new(),
        name => format!(" {} declared on every crane by the policy {name}.", plural(c.declared, "row is", "rows are")),
    };
    let words = words + &declared;
    ui.add(Label::new(dim(cx.tokens, words)).wrap());
    for machine in c.machines.iter().filter(|m| m.notes.iter().any(|n| n.starts_with("judged again"))) {
        let text = format!("{}: {}", machine.name, machine.notes.join("; "));
        ui.add(Label::new(dim(cx.tokens, text).font(theme::small())).truncate());
    }
    let height = (ui.available_height() * 0.42).clamp(140.0, 420.0);
    let frame = egui::Frame::new().fill(cx.tokens.panel).inner_margin(8);
    Panel::bottom("two cranes").resizable(true).default_size(height).frame(frame).show(ui, |ui| {
        ui.take_available_height();
        let row = cx.state.tables.get(TABLE).and_then(|t| t.current()).map(|(_, row)| row);
        match row {
            Some(row) => panes(cx, ui, matrix, row),
            None => nothing(ui, cx.tokens, "No row is chosen", "Choose a row above to see two cranes side by side."),
        }
    });
    egui::CentralPanel::default().frame(egui::Frame::new()).show(ui, |ui| {
        grid::show(cx, ui, TABLE, "The cranes do not differ, and share nothing that nobody vouches for.");
    });
}

fn panes(cx: &mut Cx<'_>, ui: &mut Ui, matrix: &Arc<Matrix>, row: usize) {
    let c = &matrix.comparison;
    let Some(d) = matrix.difference(row) else {
        if let Some(At::Shared(at)) = matrix.at(row)
            && let Some(u) = c.unvouched.get(at)
        {
            for (name, value) in &u.key {
                ui.add(Label::new(format!("{}: {}", name.replace('_', " "), safe(value))).wrap());
            }
            let check = if u.check.is_empty() { "no package database speaks of it" } else { &u.check };
            ui.add(Label::new(dim(cx.tokens, format!("All cranes have it, read from {}: {check}.", u.source))).wrap());
        }
        return;
    };
    let count = c.machines.len();
    let odd = d.odd.first().copied().unwrap_or(count.saturating_sub(1));
    let usual = (0..count).find(|m| !d.odd.contains(m)).unwrap_or(0);
    let pair = cx.comparing.pair.unwrap_or((usual, odd));
    let mut chosen = pair;
    ui.horizontal_wrapped(|ui| {
        for (side, at) in [("left", &mut chosen.0), ("right", &mut chosen.1)] {
            let name = |m: usize| {
                c.machines.get(m).map_or_else(String::new, |machine| format!("{}  {}", m + 1, safe(&machine.name)))
            };
            egui::ComboBox::from_id_salt(("crane", side)).selected_text(name(*at)).width(180.0).show_ui(ui, |ui| {
                for machine in 0..count {
                    ui.selectable_value(at, machine, name(machine));
                }
            });
        }
        if ui.button("Contents").on_hover_text("The contents of the file it was read from, line by line").clicked() {
            cx.ask(Command::CompareContents { line: row, pair: chosen });
        }
        if cx.comparing.contents.is_some() && ui.button("Values").clicked() {
            cx.comparing.contents = None;
        }
        if let Some(hand) = &d.hand {
            let by = if hand.by.is_empty() { String::new() } else { format!(" ({})", hand.by.join("; ")) };
            ui.label(dim(cx.tokens, format!("{} {}{by}", hand.whose.words(), hand.when)));
        }
    });
    if chosen != pair {
        cx.comparing.pair = Some(chosen);
        cx.comparing.contents = None;
    }
    match cx.comparing.contents.as_ref().filter(|of| of.line == row && of.pair == chosen) {
        Some(contents) => lines(cx, ui, contents),
        None => columns(cx, ui, matrix, row, chosen),
    }
}

fn columns(cx: &Cx<'_>, ui: &mut Ui, matrix: &Arc<Matrix>, row: usize, (left, right): (usize, usize)) {
    let Some(d) = matrix.difference(row) else { return };
    let value = |machine: usize, column: &str| -> Option<String> {
        let row = d.rows.get(machine).copied().flatten()?;
        let of = matrix.comparison.machines.get(machine)?;
        Some(of.data.inventory.table(d.table)?.get(row, column).to_string())
    };
    let Some(table) = crate::inventory::TABLES.iter().find(|t| t.name == d.table) else { return };
    let width = ((ui.available_width() - 170.0) / 2.0).max(120.0);
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        egui::Grid::new("columns of two").num_columns(3).striped(true).max_col_width(width).show(ui, |ui| {
            // What differs comes first.
            let both = |c: &'static crate::inventory::Column| (c, value(left, c.name), value(right, c.name));
            let mut cells: Vec<_> = table.columns.iter().map(both).collect();
            cells.sort_by_key(|(_, a, b)| a == b);
            for (column, a, b) in cells {
                let none = |v: &Option<String>| v.as_ref().is_none_or(String::is_empty);
                if none(&a) && none(&b) {
                    continue;
                }
                let differs = a != b;
                ui.label(dim(cx.tokens, column.name.replace('_', " ")));
                for v in [a, b] {
                    let text = v.map_or_else(|| "(has not)".to_owned(), |v| safe(&v));
                    let text = RichText::new(text).color(if differs { cx.tokens.medium } else { cx.tokens.text });
                    ui.add(Label::new(text).wrap());
                }
                ui.end_row();
            }
        });
    });
}

fn lines(cx: &Cx<'_>, ui: &mut Ui, contents: &Contents) {
    let pairs = match &contents.lines {
        None => {
            ui.horizontal(|ui| {
                ui.spinner();
                ui.label("Reading both files…");
            });
            return;
        }
        Some(Err(why)) => {
            ui.add(
                Label::new(RichText::new(format!("They cannot be shown: {}", safe(why))).color(cx.tokens.critical))
                    .wrap(),
            );
            return;
        }
        Some(Ok(pairs)) => pairs,
    };
    let changed = pairs.iter().filter(|p| p.changed).count();
    ui.label(dim(
        cx.tokens,
        format!("{} differ, of {}", plural(changed, "line", "lines"), plural(pairs.len(), "line", "lines")),
    ));
    let height = ui.text_style_height(&egui::TextStyle::Monospace);
    let half = (ui.available_width() / 2.0 - 12.0).max(80.0);
    ScrollArea::vertical().auto_shrink(false).show_rows(ui, height, pairs.len(), |ui, range| {
        for pair in pairs.get(range).unwrap_or_default() {
            ui.horizontal(|ui| {
                for (side, sign) in [(&pair.left, '-'), (&pair.right, '+')] {
                    let text = side.as_ref().map_or_else(String::new, |(n, line)| {
                        format!("{n:>5} {} {line}", if pair.changed { sign } else { ' ' })
                    });
                    let color = if pair.changed { cx.tokens.medium } else { cx.tokens.text };
                    let label = Label::new(RichText::new(text).font(theme::mono()).color(color)).truncate();
                    ui.add_sized([half, height], |ui: &mut Ui| {
                        ui.with_layout(egui::Layout::left_to_right(egui::Align::Center), |ui| ui.add(label)).inner
                    });
                }
            });
        }
    });
}
