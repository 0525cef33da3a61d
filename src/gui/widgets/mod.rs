//! Parts that several views use. Each draws from what it is given and asks by [`Command`].
pub(crate) mod detail;
pub(crate) mod grid;
mod grid_input;
pub(crate) mod help;
pub(crate) mod hex;
pub(crate) mod look;
pub(crate) mod open_form;
pub(crate) mod outside_forms;
pub(crate) mod shell;
pub(crate) mod text;

use super::command::{BytesAt, Command};
use super::comparing::Comparing;
use super::snapshot::Snapshot;
use super::state::{Settings, ViewState};
use super::theme::{self, Tokens};
use crate::session::Failure;
use egui::{Color32, RichText, Ui};
use std::collections::HashMap;
use std::path::Path;

/// Bytes that were asked for: `None` while they are being read.
pub(crate) type Previews = HashMap<BytesAt, Option<Result<Vec<u8>, Failure>>>;

/// The examiner's word, where bytes are to be seen and the worker cannot be confined.
pub(crate) const READ_UNCONFINED: &str = "Read it all the same: in a process that this machine does not fully confine";

/// What a view draws from, its own state, and where its wishes go.
pub(crate) struct Cx<'a> {
    pub snapshot: &'a Snapshot,
    pub state: &'a mut ViewState,
    pub comparing: &'a mut Comparing,
    pub settings: &'a Settings,
    pub tokens: &'static Tokens,
    pub previews: &'a Previews,
    pub commands: &'a mut Vec<Command>,
    /// The file of the case, if there is one yet.
    pub case: Option<&'a Path>,
    /// An examination is under way.
    pub running: bool,
    /// The examiner gave the word that this evidence is read without full confinement.
    pub unconfined_word: bool,
    /// What is shown is not the whole result.
    pub provisional: bool,
}
impl Cx<'_> {
    pub(crate) fn ask(&mut self, command: Command) {
        self.commands.push(command);
    }
}

/// Text of the evidence as it may be shown: line by line, what hides, moves or imitates written as an escape. The one
/// way of such text into the window, beside table cells, which are escaped as values.
pub(crate) fn safe(text: impl AsRef<str>) -> String {
    drawn(&crate::base::inert::lines(text.as_ref().trim_end()))
}
/// Text that is inert already; characters that no font here has are escaped as well.
pub(crate) fn drawn(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '\n' || theme::is_drawn(c) { out.push(c) } else { out.extend(c.escape_unicode()) }
    }
    out
}
pub(crate) fn dim(tokens: &Tokens, text: impl AsRef<str>) -> RichText {
    RichText::new(safe(text)).color(tokens.text_dim)
}
pub(crate) fn strong(tokens: &Tokens, text: impl AsRef<str>) -> RichText {
    RichText::new(safe(text)).font(theme::medium(theme::SIZE)).color(tokens.text_strong)
}
pub(crate) fn heading(tokens: &Tokens, text: impl AsRef<str>) -> RichText {
    RichText::new(safe(text)).font(theme::medium(17.0)).color(tokens.text_strong)
}

/// A word in a frame of its color.
pub(crate) fn chip(ui: &mut Ui, text: &str, color: Color32) -> egui::Response {
    egui::Frame::new()
        .stroke(egui::Stroke::new(1.0, color))
        .corner_radius(3)
        .inner_margin(egui::Margin::symmetric(6, 1))
        .show(ui, |ui| ui.label(RichText::new(safe(text)).font(theme::small()).color(color)))
        .inner
}

/// What a view says when it has nothing to show, and what to do about it.
pub(crate) fn nothing(ui: &mut Ui, tokens: &Tokens, title: &str, what_to_do: &str) {
    ui.vertical_centered(|ui| {
        ui.add_space((ui.available_height() * 0.28).clamp(12.0, 160.0));
        ui.label(strong(tokens, title).size(15.0));
        ui.add_space(2.0);
        ui.add(egui::Label::new(dim(tokens, what_to_do)).wrap());
    });
}

/// `12.4 MiB`, with the exact number left to whoever shows it.
pub(crate) fn bytes(n: u64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut unit = 0;
    #[allow(clippy::cast_precision_loss)] // shown to people
    let mut value = n as f64;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let name = UNITS.get(unit).copied().unwrap_or("B");
    if unit == 0 { format!("{n} B") } else { format!("{value:.1} {name}") }
}

/// `1 file`, `2 files`.
pub(crate) fn plural(n: usize, one: &str, many: &str) -> String {
    format!("{} {}", super::rows::grouped(n as i128), if n == 1 { one } else { many })
}

/// `2 h 05 min`, `1 min 20 s`, `8 s`.
pub(crate) fn duration(seconds: f64) -> String {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped
    let s = seconds.clamp(0.0, 360_000.0).round() as u64;
    match (s / 3600, s / 60 % 60, s % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m} min {s:02} s"),
        (h, m, _) => format!("{h} h {m:02} min"),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn sizes_and_times_read_well() {
        assert_eq!(super::bytes(512), "512 B");
        assert_eq!(super::bytes(7 << 30), "7.0 GiB");
        assert_eq!(super::duration(8.2), "8 s");
        assert_eq!(super::duration(80.0), "1 min 20 s");
        assert_eq!(super::duration(7500.0), "2 h 05 min");
        assert_eq!(super::plural(1, "gap", "gaps"), "1 gap");
    }
}
