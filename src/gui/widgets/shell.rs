//! What stands around every view: the bar at the top, the list of views, the status line, notices.
use super::{Cx, dim, strong};
use crate::case::{CaseData, Outcome};
use crate::gui::command::Command;
use crate::gui::outside::Beside;
use crate::gui::rows::{grouped, word};
use crate::gui::theme::{self, Tokens};
use crate::gui::views;
use crate::judge::Severity;
use crate::session::{Stage, Status};
use egui::{Align, Layout, Role, Sense, Ui, WidgetInfo, vec2};

/// Something the user must be told once.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Notice {
    pub error: bool,
    pub text: String,
}

/// An examination, as the status line shows it.
#[derive(Clone, Debug)]
pub(crate) struct Running {
    pub status: Status,
    pub cancelling: bool,
}

/// What the bar at the top depends on.
pub(crate) struct Shown<'a> {
    pub dark: bool,
    /// The case in sight.
    pub data: Option<&'a CaseData>,
    pub running: bool,
}

pub(crate) fn top(
    ui: &mut Ui,
    tokens: &Tokens,
    (title, hover): (&str, &str),
    shown: &Shown<'_>,
    commands: &mut Vec<Command>,
) {
    let open = shown.data.is_some();
    ui.horizontal_centered(|ui| {
        ui.label(strong(tokens, "Cranescope").size(15.0));
        ui.separator();
        if ui.button("Open…").on_hover_text("Images or a case (Ctrl+O)").clicked() {
            commands.push(Command::ShowOpen);
        }
        if ui
            .add_enabled(open, egui::Button::new("Close"))
            .on_hover_text("Closes what is shown, and unmounts it; the case file stays")
            .clicked()
        {
            commands.push(Command::CloseCase);
        }
        let mount = ui.add_enabled(open, egui::Button::new("Mount…"));
        if mount.on_hover_text("The evidence as a read-only folder for other tools").clicked() {
            commands.push(Command::ShowMount(true));
        }
        let report = ui.add_enabled(open && !shown.running, egui::Button::new("Report…"));
        if report.on_hover_text("Writes the report: HTML, JSON, CSV, SARIF").clicked() {
            commands.push(Command::ShowReport(true));
        }
        ui.separator();
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let label = if shown.dark { "Light" } else { "Dark" };
            if ui.button(label).on_hover_text("Changes the look").clicked() {
                commands.push(Command::SetDark(!shown.dark));
            }
            if ui.button("Help").on_hover_text("Keys, filters, version (F1)").clicked() {
                commands.push(Command::Help(true));
            }
            verdict_ui(ui, tokens, shown, commands);
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                ui.add(egui::Label::new(super::safe(title)).truncate()).on_hover_text(super::safe(hover));
            });
        });
    });
}

/// What the policy says, where there is one: a click leads to the overview, which has all reasons.
fn verdict_ui(ui: &mut Ui, tokens: &Tokens, shown: &Shown<'_>, commands: &mut Vec<Command>) {
    const MOST: usize = 12;
    let Some(verdict) = shown.data.map(|d| &d.verdict).filter(|v| v.assessment.is_some() && !shown.running) else {
        return;
    };
    let mut told: Vec<String> = verdict.reasons.iter().take(MOST).map(super::safe).collect();
    let more = verdict.reasons.len().saturating_sub(MOST);
    if more > 0 {
        told.push(format!("and {more} more reasons"));
    }
    told.push("Conformity to the named policy; no statement of fitness for service.".to_owned());
    let text = egui::RichText::new(format!("verdict: {}", word(verdict.result))).color(tokens.outcome(verdict.result));
    if ui.button(text).on_hover_text(told.join("\n")).clicked() {
        commands.extend(views::index("overview").map(Command::View));
    }
    ui.separator();
}

/// The list of views, with what each holds.
pub(crate) fn navigation(cx: &mut Cx<'_>, ui: &mut Ui) {
    ui.add_space(4.0);
    ui.spacing_mut().item_spacing.y = 1.0;
    for (n, view) in views::ALL.iter().enumerate() {
        let count = (view.count)(cx.snapshot);
        if view.only_if_any && count == Some(0) {
            continue;
        }
        let chosen = cx.state.view == n;
        let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 26.0), Sense::click());
        response.widget_info(|| WidgetInfo::selected(Role::Button, true, chosen, view.title));
        let t = cx.tokens;
        let ground = if chosen {
            t.row_selected
        } else if response.hovered() {
            t.raised
        } else {
            t.panel
        };
        ui.painter().rect_filled(rect, 3.0, ground);
        if response.has_focus() {
            ui.painter().rect_stroke(rect, 3.0, egui::Stroke::new(1.0, t.accent), egui::StrokeKind::Inside);
        }
        let font = if chosen { theme::medium(theme::SIZE) } else { theme::body() };
        let color = if chosen { t.text_strong } else { t.text };
        ui.painter().text(rect.left_center() + vec2(9.0, 0.0), egui::Align2::LEFT_CENTER, view.title, font, color);
        if let Some(count) = count {
            let at = rect.right_center() - vec2(9.0, 0.0);
            ui.painter().text(at, egui::Align2::RIGHT_CENTER, grouped(count as i128), theme::small(), t.text_dim);
        }
        let key = match n {
            0..=8 => format!(" (Ctrl+{})", n.saturating_add(1)),
            9 => " (Ctrl+0)".to_owned(),
            _ => String::new(),
        };
        if response.on_hover_text(format!("{}{key}", view.about)).clicked() {
            cx.ask(Command::View(n));
        }
    }
    ui.add_space(10.0);
    severities(cx, ui);
}

fn severities(cx: &mut Cx<'_>, ui: &mut Ui) {
    ui.spacing_mut().item_spacing.y = 3.0;
    ui.horizontal(|ui| {
        ui.add_space(8.0);
        ui.label(
            dim(cx.tokens, if cx.provisional { "Findings, provisional" } else { "Findings" }).font(theme::small()),
        );
    });
    for severity in [Severity::Critical, Severity::High, Severity::Medium, Severity::Low, Severity::Info] {
        let n = cx.snapshot.overview.severities.get(severity as usize).copied().unwrap_or(0);
        let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 19.0), Sense::click());
        let name = word(severity);
        response.widget_info(|| WidgetInfo::labeled(Role::Button, true, format!("{n} {name}")));
        let t = cx.tokens;
        if response.hovered() {
            ui.painter().rect_filled(rect, 3.0, t.raised);
        }
        let color = if n == 0 { t.text_dim } else { t.severity(severity) };
        let square = egui::Rect::from_center_size(rect.left_center() + vec2(13.0, 0.0), vec2(8.0, 8.0));
        ui.painter().rect_filled(square, 2.0, if n == 0 { t.line_strong } else { color });
        ui.painter().text(rect.left_center() + vec2(24.0, 0.0), egui::Align2::LEFT_CENTER, &name, theme::body(), color);
        let at = rect.right_center() - vec2(9.0, 0.0);
        ui.painter().text(at, egui::Align2::RIGHT_CENTER, grouped(n as i128), theme::small(), t.text_dim);
        if response.on_hover_text("Shows these findings only").clicked()
            && let Some(view) = views::index("findings")
        {
            let state = cx.state.tables.entry("findings").or_default();
            state.query.filters.insert("severity".to_owned(), format!("={name}"));
            cx.ask(Command::View(view));
        }
    }
}

/// Progress while an examination runs, the case and its verdict otherwise. Always of the same height.
pub(crate) fn status(
    ui: &mut Ui,
    tokens: &Tokens,
    running: Option<&Running>,
    idle: &str,
    (verdict, beside): (Option<Outcome>, Option<&Beside>),
    commands: &mut Vec<Command>,
) {
    ui.horizontal_centered(|ui| {
        let Some(running) = running else {
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                if let Some(outcome) = verdict {
                    ui.label(egui::RichText::new(format!("policy: {}", word(outcome))).color(tokens.outcome(outcome)))
                        .on_hover_text("Conformity to the named policy; no statement of fitness for service.");
                }
                beside_ui(ui, tokens, beside, commands);
                ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                    ui.add(egui::Label::new(dim(tokens, idle)).truncate()).on_hover_text(super::safe(idle));
                });
            });
            return;
        };
        let status = &running.status;
        let cancel = egui::Button::new(if running.cancelling { "Cancelling…" } else { "Cancel" });
        if ui
            .add_enabled(!running.cancelling, cancel)
            .on_hover_text("Stops the examination; the case keeps what is finished")
            .clicked()
        {
            commands.push(Command::Cancel);
        }
        ui.add_sized([128.0, 20.0], egui::Label::new(strong(tokens, status.stage.label())).truncate());
        #[allow(clippy::cast_precision_loss)] // a share for people
        let share = (status.total > 0).then(|| (status.done as f64 / status.total as f64).clamp(0.0, 1.0));
        bar(ui, tokens, share.unwrap_or(0.0), status.stage);
        let mut text = if status.done > 0 { amount(status.done, status.unit) } else { String::new() };
        if let Some(share) = share {
            text = format!(
                "{:.0} %   {} of {}",
                share * 100.0,
                amount(status.done, status.unit),
                amount(status.total, status.unit)
            );
        }
        if let Some(rate) = status.rate() {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // shown to people
            let rate = amount(rate.max(0.0) as u64, status.unit);
            text = format!("{text}   {rate}/s");
        }
        if let Some(left) = status.time_left().filter(|_| share.is_some()) {
            text = format!("{text}   {} left in this stage", super::duration(left));
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            beside_ui(ui, tokens, beside, commands);
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                ui.add(egui::Label::new(text).truncate());
            });
        });
    });
}

/// What goes on beside the case in sight; a click leads to it.
fn beside_ui(ui: &mut Ui, tokens: &Tokens, beside: Option<&Beside>, commands: &mut Vec<Command>) {
    let (text, hover, command) = match beside {
        None => return,
        Some(Beside::Mounting) => ("mounting…".to_owned(), String::new(), Command::ShowMount(true)),
        Some(Beside::Mounted(at)) => {
            let at = at.to_string_lossy().into_owned();
            (
                super::safe(format!("mounted at {at}")),
                "Shows the mount; unmounts it".to_owned(),
                Command::ShowMount(true),
            )
        }
        Some(Beside::Saving(files, bytes)) => {
            let text = format!("saving: {} files, {}", grouped((*files).into()), super::bytes(*bytes));
            (text, "Shows what is saved; cancels it".to_owned(), Command::SaveAs(Vec::new()))
        }
    };
    let button = egui::Button::new(egui::RichText::new(text).color(tokens.accent)).small().truncate();
    if ui.add(button).on_hover_text(hover).clicked() {
        commands.push(command);
    }
}

fn bar(ui: &mut Ui, tokens: &Tokens, share: f64, stage: Stage) {
    let (rect, response) = ui.allocate_exact_size(vec2(220.0, 12.0), Sense::hover());
    let label = format!("progress of {}: {:.0} %", stage.label(), share * 100.0);
    response.widget_info(|| WidgetInfo::labeled(Role::ProgressIndicator, true, &label));
    ui.painter().rect_filled(rect, 3.0, tokens.raised);
    #[allow(clippy::cast_possible_truncation)] // between 0 and 1
    let filled = egui::Rect::from_min_size(rect.min, vec2(rect.width() * share as f32, rect.height()));
    ui.painter().rect_filled(filled, 3.0, tokens.accent);
    response.on_hover_text(label);
}

fn amount(n: u64, unit: &str) -> String {
    if unit == "bytes" { super::bytes(n) } else { format!("{} {unit}", grouped(n.into())) }
}

/// What must be said, above everything else until it is dismissed.
pub(crate) fn notices(ctx: &egui::Context, tokens: &Tokens, notices: &[Notice], commands: &mut Vec<Command>) {
    if notices.is_empty() {
        return;
    }
    egui::Area::new(egui::Id::unique("notices"))
        .anchor(egui::Align2::RIGHT_BOTTOM, vec2(-14.0, -44.0))
        .order(egui::Order::Foreground)
        .show(ctx, |ui| {
            for (n, notice) in notices.iter().enumerate() {
                let color = if notice.error { tokens.critical } else { tokens.good };
                let frame = egui::Frame::popup(ui.style()).stroke(egui::Stroke::new(1.0, color)).inner_margin(10);
                frame.show(ui, |ui| {
                    ui.set_width(430.0);
                    ui.label(strong(tokens, if notice.error { "This did not work" } else { "Done" }).color(color));
                    ui.add(egui::Label::new(super::safe(&notice.text)).wrap());
                    ui.horizontal(|ui| {
                        if ui.button("Dismiss").on_hover_text("Esc").clicked() {
                            commands.push(Command::Dismiss(n));
                        }
                        if ui.button("Copy text").clicked() {
                            commands.push(Command::CopyText(notice.text.clone()));
                        }
                    });
                });
            }
        });
}
