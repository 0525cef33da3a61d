//! Conformity to the delivery policy: the verdict with its reasons, and the form that judges the case by another one.
use super::overview::SHORT;
use crate::case::Outcome;
use crate::gui::command::Command;
use crate::gui::job::Pick;
use crate::gui::rows::word;
use crate::gui::widgets::{Cx, chip, dim, safe, strong};
use egui::{Label, Ui};
use std::path::PathBuf;

/// A section of the overview.
pub(super) fn conformity(cx: &mut Cx<'_>, ui: &mut Ui) {
    let data = cx.snapshot.data.clone();
    let t = cx.tokens;
    let verdict = &data.verdict;
    ui.horizontal_wrapped(|ui| {
        chip(ui, &word(verdict.result), t.outcome(verdict.result));
        match &verdict.assessment {
            Some(by) => {
                ui.label(strong(t, safe(&by.name)));
                ui.label(dim(t, safe(format!("{}, SHA-256 {}", by.file, by.sha256))));
            }
            None => drop(ui.label(dim(t, "No delivery policy was given: nothing is measured."))),
        }
    });
    let assessed = verdict.result != Outcome::NotAssessed;
    let most = SHORT.saturating_mul(2);
    for reason in verdict.reasons.iter().filter(|_| assessed).take(most) {
        ui.add(Label::new(safe(reason)).wrap());
    }
    let more = verdict.reasons.len().saturating_sub(most);
    if assessed && more > 0 {
        ui.label(dim(t, format!("and {more} more reasons, in the report")));
    }
    if assessed {
        ui.add(Label::new(dim(t, "Conformity to the named policy; no statement of fitness for service.")).wrap());
    }
    let told = |breach| verdict.assessment.iter().flat_map(|a| &a.told).filter(|t| t.breach == breach).count();
    if told(true) > 0 && ui.link("Show the breaches").clicked() {
        let state = cx.state.tables.entry("findings").or_default();
        state.query.filters.insert("conformity".to_owned(), "=breach".to_owned());
        cx.commands.extend(super::index("findings").map(Command::View));
    }
    if cx.running || cx.case.is_none() {
        return;
    }
    form(cx, ui);
}

/// Path of a policy, and what judges by it.
fn form(cx: &mut Cx<'_>, ui: &mut Ui) {
    ui.horizontal(|ui| {
        let edit = egui::TextEdit::singleline(&mut cx.state.policy.path)
            .hint_text("Path of a policy (TOML)")
            .desired_width(360.0);
        ui.add(edit).accessible_name("path of a policy");
        if ui.button("Choose a policy…").clicked() {
            cx.commands.push(Command::Pick(Pick::Policy));
        }
        let path = cx.state.policy.path.trim().to_owned();
        let label = if cx.state.policy.judging { "Judging…" } else { "Judge by this policy" };
        let ready = !path.is_empty() && !cx.state.policy.judging;
        if ui.add_enabled(ready, egui::Button::new(label)).clicked() {
            cx.commands.push(Command::JudgeBy(PathBuf::from(path)));
        }
    });
}
