//! The lists of the overview: what leads out and in, what starts, who gets in, what has no image.
use super::overview::{SHORT, absent, absent_of_linux, day};
use crate::gui::command::Command;
use crate::gui::rows::grouped;
use crate::gui::rows::word;
use crate::gui::theme;
use crate::gui::widgets::{Cx, dim, plural, safe, strong};
use crate::inventory::SystemInfo;
use crate::report::Way;
use egui::{Grid, RichText, Ui};

pub(super) fn ways(cx: &mut Cx<'_>, ui: &mut Ui) {
    let snapshot = cx.snapshot;
    let ways = &snapshot.overview.ways;
    let t = cx.tokens;
    if ways.is_empty() {
        absent_of_linux(
            cx,
            ui,
            "No connection, tunnel or listening port is configured, as far as the configuration could be read.",
        );
        return;
    }
    Grid::new("ways").num_columns(6).striped(true).spacing([16.0, 3.0]).show(ui, |ui| {
        for title in ["kind", "name", "leads to", "enabled", "last used", "finding"] {
            ui.label(dim(t, title).font(theme::small()));
        }
        ui.end_row();
        for way in ways.iter().take(SHORT + 4) {
            way_ui(cx, ui, way);
            ui.end_row();
        }
    });
    ui.horizontal(|ui| {
        for (table, words) in [("connections", "connection"), ("listeners", "listening port")] {
            let n = snapshot.count(table);
            if n > 0 && ui.link(format!("Show {}", plural(n, words, &format!("{words}s")))).clicked() {
                cx.ask(Command::Go { view: "network", table });
            }
        }
        let more = ways.len().saturating_sub(SHORT + 4);
        if more > 0 {
            ui.label(dim(t, format!("{} more than shown here", grouped(more as i128))));
        }
    });
}

fn way_ui(cx: &mut Cx<'_>, ui: &mut Ui, way: &Way) {
    let t = cx.tokens;
    ui.label(safe(&way.kind));
    let name = shown(&way.name, 34);
    if ui.link(if name.is_empty() { "unnamed".to_owned() } else { name }).clicked() {
        cx.ask(Command::ShowRow { view: "network", table: way.table, row: way.row });
    }
    ui.label(shown(&way.leads, 56)).on_hover_text(shown(&way.leads, 2000));
    match way.enabled {
        Some(true) => ui.label(RichText::new("enabled").color(t.text_strong)).on_hover_text(safe(&way.enabled_by)),
        Some(false) => ui.label(dim(t, "not enabled")).on_hover_text(safe(&way.enabled_by)),
        None => ui.label(dim(t, "not known")),
    };
    match way.last_used {
        Some(at) => ui.label(day(at)).on_hover_text(shown(&format!("{at}, {}", way.used_by), 600)),
        None => ui.label(dim(t, "not recorded")),
    };
    match &way.finding {
        Some((id, rung)) => {
            let text = rung.map_or_else(|| "finding".to_owned(), word);
            let link = ui.link(text).on_hover_text("Shows the finding; the word says how far its evidence reaches");
            if link.clicked() {
                cx.ask(Command::ShowFinding(id.clone()));
            }
        }
        None => {
            ui.label(dim(t, "none"));
        }
    }
}

/// Text of the evidence, escaped, with its middle left out.
fn shown(text: &str, most: usize) -> String {
    let text = safe(text.replace(['\n', '\r'], " "));
    let n = text.chars().count();
    if n <= most {
        return text;
    }
    let half = most / 2;
    let head: String = text.chars().take(half).collect();
    let tail: String = text.chars().skip(n.saturating_sub(half)).collect();
    format!("{head}…{tail}")
}

pub(super) fn starts(cx: &mut Cx<'_>, ui: &mut Ui) {
    let snapshot = cx.snapshot;
    let overview = &snapshot.overview;
    let t = cx.tokens;
    if cx.provisional {
        // Whether a program is there and whose it is can be said when every file was read, not before.
        absent(cx, ui, "");
        return;
    }
    for system in &overview.unvouched_systems {
        ui.colored_label(
            t.medium,
            safe(format!("{system} has no package database: nothing vouches for any of its starts.")),
        );
    }
    if overview.starts.is_empty() {
        let text = format!("None of {} enabled starts that were looked at.", grouped(overview.starts_seen as i128));
        absent(cx, ui, &text);
        return;
    }
    Grid::new("starts").num_columns(4).striped(true).spacing([16.0, 3.0]).show(ui, |ui| {
        for title in ["start", "by", "program", "why"] {
            ui.label(dim(t, title).font(theme::small()));
        }
        ui.end_row();
        for start in overview.starts.iter().take(SHORT + 4) {
            if ui.link(shown(&start.name, 40)).clicked() {
                cx.ask(Command::ShowRow { view: "services", table: start.table, row: start.row });
            }
            ui.label(safe(&start.by));
            ui.label(shown(&start.program, 52)).on_hover_text(shown(&start.program, 2000));
            ui.label(RichText::new(safe(&start.why)).color(t.medium));
            ui.end_row();
        }
    });
    let more = overview.starts.len().saturating_sub(SHORT + 4);
    if more > 0 {
        ui.label(dim(t, format!("and {} more", grouped(more as i128))));
    }
    ui.label(dim(t, format!("Of {} enabled starts that were looked at.", grouped(overview.starts_seen as i128))));
}

pub(super) fn logins(cx: &mut Cx<'_>, ui: &mut Ui) {
    let snapshot = cx.snapshot;
    let logins = &snapshot.overview.logins;
    let t = cx.tokens;
    if logins.is_empty() {
        absent_of_linux(cx, ui, "No account with a shell and a usable password or key was found.");
        return;
    }
    Grid::new("logins").num_columns(3).striped(true).spacing([16.0, 3.0]).show(ui, |ui| {
        for login in logins.iter().take(SHORT + 4) {
            if ui.link(shown(&login.name, 40)).clicked() {
                cx.ask(Command::ShowRow { view: "accounts", table: "accounts", row: login.row });
            }
            ui.label(dim(t, format!("uid {}", login.uid)));
            ui.label(safe(login.how.join(", ")));
            ui.end_row();
        }
    });
    let more = logins.len().saturating_sub(SHORT + 4);
    if more > 0 {
        ui.label(dim(t, format!("and {} more", grouped(more as i128))));
    }
}

pub(super) fn unexamined(cx: &mut Cx<'_>, ui: &mut Ui) {
    let data = cx.snapshot.data.clone();
    let t = cx.tokens;
    if data.unexamined.is_empty() {
        absent(cx, ui, "No device is named that has no image.");
        return;
    }
    for device in data.unexamined.iter().take(SHORT) {
        ui.horizontal_wrapped(|ui| {
            ui.label(strong(t, shown(&device.device, 60)));
            let line = device.named_by.line.map(|l| format!(", line {l}")).unwrap_or_default();
            ui.label(dim(t, format!("named by {}{line}", device.named_by.path.display())));
        });
    }
    let more = data.unexamined.len().saturating_sub(SHORT);
    if more > 0 && ui.link(format!("and {} more", grouped(more as i128))).clicked() {
        cx.ask(Command::Go { view: "gaps", table: "unexamined" });
    }
}

/// Slot and layers of a system, a line each.
pub(super) fn layers(system: &SystemInfo) -> Vec<String> {
    let mut lines = Vec::new();
    let slot = &system.slot;
    if !slot.name.is_empty() {
        let active = match slot.active {
            Some(true) => "the one that is started",
            Some(false) => "not the one that is started",
            None => "nothing tells whether it is started",
        };
        lines.push(format!("slot {}: {active} ({})", slot.name, slot.by));
    }
    for layering in &system.layers {
        let lowers: Vec<&str> = layering.lowers.iter().map(|l| l.name.as_str()).collect();
        let upper = match (&layering.upper, layering.upper_state.as_str()) {
            (Some(upper), _) => upper.name.clone(),
            (None, "memory") => "a layer in memory, which is gone".to_owned(),
            (None, "missing") => format!("a layer that is not in the evidence ({})", layering.upper_named),
            (None, _) => "no writable layer".to_owned(),
        };
        lines.push(format!("{} merged by {}: {upper} over {}", layering.at, layering.by, lowers.join(", ")));
    }
    lines.extend(system.mount_notes.iter().cloned());
    lines.into_iter().map(|l| crate::base::Name::from(l).display_text()).collect()
}
