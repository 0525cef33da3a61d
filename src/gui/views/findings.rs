//! Findings: the list at the left, at the right what was observed, what it supports and does not show,
//! its ordinary explanations, how to check it by hand, its evidence, and the examiners' decisions.
use super::View;
use crate::gui::command::Command;
use crate::gui::rows::{finding_identity, word};
use crate::gui::theme;
use crate::gui::widgets::{Cx, chip, detail, dim, grid, heading, nothing, safe, strong};
use crate::judge::{Conformity, Finding, Standing};
use crate::report::by_rung;
use egui::{Panel, RichText, Ui};

pub(super) const VIEW: View = View {
    id: "findings",
    title: "Findings",
    about: "What the rules observed, with its evidence and the examiners' decisions",
    count: |snapshot| Some(snapshot.data.findings.len()),
    only_if_any: false,
    tables: &["findings"],
    draw,
};

/// What an examiner can decide: the word for the report, and what it says.
const DISPOSITIONS: &[(&str, &str)] = &[
    ("confirmed", "the observation holds and matters"),
    ("benign", "the observation holds and has an ordinary explanation"),
    ("unclear", "more is needed to decide"),
    ("mistaken", "the observation does not hold"),
];

fn draw(cx: &mut Cx<'_>, ui: &mut Ui, _: &'static View) {
    let width = ui.available_width();
    Panel::right("finding detail")
        .resizable(true)
        .default_size(width * 0.52)
        .size_range(320.0..=width * 0.75)
        .frame(egui::Frame::new().fill(cx.tokens.panel).inner_margin(egui::Margin::symmetric(14, 10)))
        .show(ui, |ui| {
            let data = cx.snapshot.data.clone();
            match current(cx).and_then(|row| data.findings.get(row)) {
                None if data.findings.is_empty() => {}
                None => nothing(ui, cx.tokens, "No finding chosen", "Choose one at the left, or press the down arrow."),
                Some(finding) => {
                    egui::ScrollArea::vertical()
                        .id_salt(&finding.id)
                        .auto_shrink(false)
                        .show(ui, |ui| one(cx, ui, finding));
                }
            }
        });
    let frame = egui::Frame::new().inner_margin(egui::Margin { right: 8, ..egui::Margin::ZERO });
    egui::CentralPanel::default().frame(frame).show(ui, |ui| {
        if cx.provisional {
            let text = if cx.running {
                "Provisional: the examination is running; findings may rise, merge or go until it is done."
            } else {
                "Partial: the examination did not finish; findings may be missing."
            };
            ui.label(RichText::new(text).color(cx.tokens.medium));
        }
        let empty = if cx.running {
            "No rule has found anything so far. The examination is still running."
        } else {
            "No rule found anything. That holds for what could be read: see Gaps, and its tab searched for what the rules looked at."
        };
        grid::show(cx, ui, "findings", empty);
    });
}

/// The chosen finding's place in the snapshot that is shown.
fn current(cx: &Cx<'_>) -> Option<usize> {
    let (shown, row) = cx.state.tables.get("findings")?.current()?;
    if shown.generation == cx.snapshot.generation {
        return Some(row);
    }
    // For the few frames until the list has followed a newer snapshot.
    let wanted = shown.rows.identity(row);
    cx.snapshot.data.findings.iter().position(|f| finding_identity(f) == wanted)
}

fn one(cx: &mut Cx<'_>, ui: &mut Ui, f: &Finding) {
    let t = cx.tokens;
    ui.horizontal_wrapped(|ui| {
        chip(ui, &word(f.severity), t.severity(f.severity))
            .on_hover_text("Priority for the examiner; no statement of conformity.");
        if let Some(rung) = f.rung {
            chip(ui, &word(rung), t.accent)
                .on_hover_text("How far the evidence of this link reaches, from capable to used.");
        }
        let conformity = match f.conformity {
            Conformity::Breach => t.critical,
            Conformity::Permitted => t.good,
            Conformity::NotStated | Conformity::NoPolicy => t.text_dim,
        };
        chip(ui, &word(f.conformity), conformity).on_hover_text("What the delivery policy says about it.");
        if f.baseline.verdict != Standing::None {
            chip(ui, &format!("baseline: {}", word(f.baseline.verdict)), t.text_dim)
                .on_hover_text(safe(&f.baseline.by));
        }
        if cx.provisional {
            chip(ui, if cx.running { "provisional" } else { "partial" }, t.medium);
        }
        if let Some(review) = f.reviews.last() {
            chip(ui, &format!("reviewed: {}", safe(&review.disposition)), t.good).on_hover_text(format!(
                "by {}, {}; all reviews stand below",
                safe(&review.examiner),
                review.at
            ));
        }
    });
    ui.add(egui::Label::new(heading(t, &f.title)).wrap());
    let subject = crate::base::Name::from(f.subject.as_str());
    ui.add(egui::Label::new(strong(t, subject.display_text())).wrap());
    ui.add_space(6.0);
    for (title, text) in [
        ("Observed", &by_rung(&f.observed)),
        ("Supports", &f.supports),
        ("Does not show", &f.does_not_show),
        ("Ordinary explanations", &f.ordinary_explanations),
    ] {
        section(ui, t, title, text);
    }
    if !f.check.trim().is_empty() {
        ui.horizontal(|ui| {
            ui.label(label(t, "Check by hand"));
            if ui.add(egui::Button::new("Copy").small()).clicked() {
                cx.ask(Command::CopyText(f.check.trim().to_owned()));
            }
        });
        egui::Frame::new().fill(t.sunken).inner_margin(7).corner_radius(3).show(ui, |ui| {
            ui.set_min_width(ui.available_width());
            ui.add(egui::Label::new(RichText::new(safe(&f.check)).font(theme::mono())).wrap());
        });
        ui.add_space(6.0);
    }
    ui.label(label(t, &format!("Evidence ({})", f.evidence.len())));
    if f.evidence.is_empty() {
        ui.label(dim(t, "This finding rests on the absence of something; it names no place."));
    }
    detail::list(cx, ui, finding_identity(f), &f.evidence, true);
    ui.add_space(8.0);
    ui.separator();
    reviews(cx, ui, f);
    ui.add_space(8.0);
    ui.separator();
    let mut ids =
        vec![format!("finding {}", f.id), format!("rule {}", f.rule), format!("confidence {}", word(f.confidence))];
    ids.push(format!("category {}", word(f.category)));
    if !f.attack.is_empty() {
        ids.push(format!("ATT&CK {}", f.attack.join(", ")));
    }
    ui.add(egui::Label::new(dim(t, ids.join("  ·  ")).font(theme::small())).wrap());
}

fn label(tokens: &theme::Tokens, text: &str) -> RichText {
    RichText::new(text).font(theme::medium(theme::SMALL)).color(tokens.accent)
}

fn section(ui: &mut Ui, tokens: &theme::Tokens, title: &str, text: &str) {
    if text.trim().is_empty() {
        return;
    }
    ui.label(label(tokens, title));
    ui.add(egui::Label::new(safe(text)).wrap());
    ui.add_space(6.0);
}

fn reviews(cx: &mut Cx<'_>, ui: &mut Ui, f: &Finding) {
    let t = cx.tokens;
    ui.label(label(t, &format!("Reviews ({})", f.reviews.len())));
    for review in &f.reviews {
        ui.horizontal_wrapped(|ui| {
            ui.label(strong(t, safe(&review.examiner)));
            chip(ui, &safe(&review.disposition), t.accent);
            ui.label(dim(t, review.at.to_string()));
        });
        if !review.note.trim().is_empty() {
            ui.add(egui::Label::new(safe(&review.note)).wrap());
        }
        ui.add_space(3.0);
    }
    if cx.running || cx.case.is_none() {
        ui.label(dim(t, "A review can be added as soon as the examination is done and its case is written."));
        return;
    }
    if cx.state.review.finding != f.id {
        cx.state.review = crate::gui::state::ReviewDraft { finding: f.id.clone(), ..Default::default() };
    }
    let mut examiner = cx.settings.examiner.clone();
    ui.horizontal(|ui| {
        let name = egui::TextEdit::singleline(&mut examiner).hint_text("Your name").desired_width(180.0);
        if ui.add(name).accessible_name("examiner").changed() {
            cx.commands.push(Command::Examiner(examiner.clone()));
        }
        for (n, (disposition, about)) in DISPOSITIONS.iter().enumerate() {
            ui.selectable_value(&mut cx.state.review.disposition, Some(n), *disposition).on_hover_text(*about);
        }
    });
    let note = egui::TextEdit::multiline(&mut cx.state.review.note)
        .hint_text("Note: what was checked, and what it gave")
        .desired_rows(2)
        .desired_width(f32::INFINITY);
    ui.add(note).accessible_name("note of the review");
    let chosen = cx.state.review.disposition.and_then(|n| DISPOSITIONS.get(n));
    let ready = !examiner.trim().is_empty() && chosen.is_some();
    let label = if cx.state.review.sending { "Recording…" } else { "Record review" };
    let button = ui.add_enabled(ready && !cx.state.review.sending, egui::Button::new(label));
    if button.on_disabled_hover_text("A review needs a name and a disposition").clicked()
        && let Some((disposition, _)) = chosen
    {
        cx.state.review.sending = true;
        cx.commands.push(Command::AddReview {
            finding: f.id.clone(),
            disposition: (*disposition).to_owned(),
            note: cx.state.review.note.trim().to_owned(),
        });
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_rung_of_a_link_begins_a_line() {
        let told = "Highest rung: used (a record). Capable: the driver a. Seen: x; y. Used: z. Raised by: w.";
        let lines: Vec<String> = crate::report::by_rung(told).lines().map(str::to_owned).collect();
        let starts = ["Highest rung: ", "Capable: ", "Seen: ", "Used: ", "Raised by: "];
        assert!(lines.iter().zip(starts).all(|(line, start)| line.starts_with(start)), "{lines:?}");
        assert_eq!(lines.join(" "), told);
        assert_eq!(crate::report::by_rung("The file is empty."), "The file is empty.");
    }
}
