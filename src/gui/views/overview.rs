//! The first look at a case, in the order in which an examiner asks: is it the right disk, how much of it
//! was read, what is it, when was it used, what leads out and in, what starts, who gets in, what next.
use super::View;
use super::overview_lists::{logins, starts, unexamined, ways};
use crate::base::Time;
use crate::case::Outcome;
use crate::gui::command::Command;
use crate::gui::rows::{grouped, system_name, word};
use crate::gui::theme;
use crate::gui::widgets::{Cx, bytes, chip, dim, plural, safe, strong};
use crate::inventory::{BytesRead, ImageInfo, SystemInfo, VolumeState};
use egui::{Color32, Label, RichText, ScrollArea, Sense, Ui, vec2};

pub(super) const VIEW: View = View {
    id: "overview",
    title: "Overview",
    about: "The first look, in the order in which an examiner asks",
    count: |_| None,
    only_if_any: false,
    tables: &[],
    draw,
};

/// Entries of a list that are shown before the rest is referred to its view.
pub(super) const SHORT: usize = 8;

fn draw(cx: &mut Cx<'_>, ui: &mut Ui, _: &'static View) {
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        if cx.provisional {
            let text = if cx.running {
                "Provisional: the examination is running. What is missing here may still come."
            } else {
                "Partial: the examination did not finish. What is missing here may lie in what was not read."
            };
            ui.label(RichText::new(text).color(cx.tokens.medium));
        }
        section(cx, ui, "Exhibit and hash", exhibits);
        section(cx, ui, "Share of the disk", shares);
        section(cx, ui, "Device and role", devices);
        section(cx, ui, "Cloning and clock", clock);
        section(cx, ui, "Days of the logs", logs);
        if !cx.snapshot.data.run.baselines.is_empty() {
            section(cx, ui, "Baselines", baselines);
        }
        section(cx, ui, "Ways out and in", ways);
        section(cx, ui, "Starts that nothing vouches for", starts);
        section(cx, ui, "Who can log in", logins);
        section(cx, ui, "Named but not imaged", unexamined);
        section(cx, ui, "Conformity", super::conformity::conformity);
        section(cx, ui, "Next step", next);
    });
}

/// Says that there is none, as far as that can be said: not while the examination is unfinished.
pub(super) fn absent(cx: &Cx<'_>, ui: &mut Ui, text: &str) {
    let text = if cx.provisional { "Nothing so far; the examination is not finished." } else { text };
    ui.add(Label::new(dim(cx.tokens, text)).wrap());
}

/// The same of what is read of Linux only.
pub(super) fn absent_of_linux(cx: &Cx<'_>, ui: &mut Ui, text: &str) {
    let systems = &cx.snapshot.data.scene.systems;
    if systems.iter().any(|s| &*s.os.family == "windows") {
        absent(cx, ui, &format!("{text} Of Windows systems this is not read: the gaps say so."));
    } else {
        absent(cx, ui, text);
    }
}

/// The question at the left, the answer at the right.
fn section(cx: &mut Cx<'_>, ui: &mut Ui, title: &str, body: fn(&mut Cx<'_>, &mut Ui)) {
    const LEFT: f32 = 150.0;
    ui.spacing_mut().interact_size.y = 18.0;
    ui.add_space(1.0);
    ui.horizontal_top(|ui| {
        ui.allocate_ui_with_layout(vec2(LEFT, 20.0), egui::Layout::top_down(egui::Align::LEFT), |ui| {
            ui.set_width(LEFT);
            ui.add(Label::new(RichText::new(title).font(theme::medium(theme::SIZE)).color(cx.tokens.accent)).wrap());
        });
        ui.vertical(|ui| {
            ui.set_max_width((ui.available_width() - 16.0).min(1180.0));
            ui.spacing_mut().item_spacing.y = 3.0;
            ui.push_id(title, |ui| body(cx, ui));
        });
    });
    ui.add(egui::Separator::default().spacing(5.0));
}

fn exhibits(cx: &mut Cx<'_>, ui: &mut Ui) {
    let data = cx.snapshot.data.clone();
    if data.scene.images.is_empty() {
        ui.label(dim(cx.tokens, "No image is described so far."));
    }
    if data.shows_secrets() {
        let text = "Examined with --show-secrets: keys, passwords and PINs of the configuration show as they are.";
        ui.colored_label(cx.tokens.medium, text);
    }
    for image in &data.scene.images {
        ui.horizontal_wrapped(|ui| {
            ui.label(strong(cx.tokens, crate::base::Name::from(image.path.as_str()).display_text()));
            let parts =
                if image.segments.len() > 1 { format!(", {} segments", image.segments.len()) } else { String::new() };
            ui.label(dim(
                cx.tokens,
                format!("{}{parts}, {} bytes ({})", image.container, grouped(image.size.into()), bytes(image.size)),
            ));
        });
        for exhibit in data.scope.exhibits.iter().filter(|e| e.images.contains(&image.id)) {
            let mut parts = vec![format!("exhibit {}", exhibit.id)];
            let named = [
                ("seal", &exhibit.seal),
                ("serial", &exhibit.serial),
                ("write blocker", &exhibit.write_blocker),
                ("log", &exhibit.acquisition_log),
            ];
            parts.extend(named.iter().filter(|(_, v)| !v.is_empty()).map(|(k, v)| format!("{k} {v}")));
            ui.add(Label::new(dim(cx.tokens, parts.join("  ·  "))).wrap());
            if let Some(label) = exhibit.label_bytes.filter(|l| *l != image.size) {
                let text = format!(
                    "The label says {} bytes; the image has {}.",
                    grouped(label.into()),
                    grouped(image.size.into())
                );
                ui.colored_label(cx.tokens.medium, text);
            }
        }
        for change in &image.changed {
            ui.colored_label(cx.tokens.critical, safe(format!("Changed during the examination: {change}")));
        }
        hashes(cx, ui, image);
    }
}

/// Which sets were asked, in their order; what no given key signed stands out.
fn baselines(cx: &mut Cx<'_>, ui: &mut Ui) {
    let data = cx.snapshot.data.clone();
    for used in &data.run.baselines {
        ui.horizontal_wrapped(|ui| {
            let signed = used.trust.is_signed();
            chip(
                ui,
                if signed { "signed" } else { "not verified" },
                if signed { cx.tokens.good } else { cx.tokens.medium },
            );
            ui.add(Label::new(safe(used.words())).wrap());
        });
    }
}

fn hashes(cx: &mut Cx<'_>, ui: &mut Ui, image: &ImageInfo) {
    let t = cx.tokens;
    for hash in &image.stored_hashes {
        ui.horizontal_wrapped(|ui| {
            let (word, color) = match hash.matches {
                Some(true) => ("matches the imager's log", t.good),
                Some(false) => ("differs from the imager's log", t.critical),
                None => ("not computed", t.medium),
            };
            chip(ui, word, color);
            ui.label(RichText::new(safe(format!("{} {}", hash.algorithm, hash.stored))).font(theme::mono()));
            if hash.matches == Some(false)
                && let Some(computed) = &hash.computed
            {
                ui.label(RichText::new(safe(format!("computed {computed}"))).font(theme::mono()));
            }
        });
    }
    match &image.sha256 {
        Some(hash) if image.stored_hashes.iter().any(|h| h.stored.eq_ignore_ascii_case(hash)) => {}
        Some(hash) => {
            ui.label(RichText::new(safe(format!("SHA-256 {hash}"))).font(theme::mono()));
            if image.stored_hashes.is_empty() {
                ui.label(dim(t, "No hash of the imager is known to compare it with (give its log in the intake)."));
            }
        }
        None if image.stored_hashes.iter().all(|h| h.matches.is_none()) => {
            ui.label(dim(t, "The image as a whole was not hashed (an option of the examination)."));
        }
        None => {}
    }
}

fn shares(cx: &mut Cx<'_>, ui: &mut Ui) {
    let data = cx.snapshot.data.clone();
    let t = cx.tokens;
    // Before its end, an examination knows what it is going to read, not what it has read.
    let read = if cx.provisional { "to be read" } else { "read" };
    for image in &data.scene.images {
        let b = &image.bytes;
        let parts = [
            (read, b.read, t.share_read),
            ("zero", b.zero, t.share_zero),
            ("encrypted", b.encrypted, t.share_encrypted),
            ("unreadable", b.unreadable, t.share_unreadable),
            ("in no file", b.unallocated, t.share_unallocated),
            ("not interpreted", b.unparsed, t.share_unparsed),
        ];
        if sum(b) == 0 {
            ui.label(dim(t, "Not counted yet."));
            continue;
        }
        share_bar(ui, t, &parts, sum(b));
        ui.horizontal_wrapped(|ui| {
            for (name, n, color) in
                parts.iter().filter(|(name, n, _)| *n > 0 || [read, "zero", "encrypted", "unreadable"].contains(name))
            {
                legend(ui, *color, &format!("{name} {} ({})", percent(*n, sum(b)), bytes(*n)))
                    .on_hover_text(format!("{} bytes", grouped((*n).into())));
            }
        });
    }
    let unread: Vec<_> = data.scene.volumes.iter().filter(|v| v.state != VolumeState::Read).collect();
    for volume in unread.iter().take(SHORT) {
        let text = format!(
            "Volume {} ({}, {}) is {}.",
            volume.index,
            volume.type_name,
            bytes(volume.size),
            word(volume.state)
        );
        ui.colored_label(t.medium, safe(text));
    }
    let gaps = data.gaps.len();
    if gaps > 0 && ui.link(format!("{} recorded", plural(gaps, "gap", "gaps"))).clicked() {
        cx.ask(Command::Go { view: "gaps", table: "gaps" });
    }
}

/// A colored square with its words, never parted by the end of a line.
fn legend(ui: &mut Ui, color: Color32, words: &str) -> egui::Response {
    let galley = ui.painter().layout_no_wrap(words.to_owned(), theme::body(), ui.visuals().text_color());
    let (rect, response) = ui.allocate_exact_size(galley.size() + vec2(24.0, 2.0), Sense::hover());
    let square = egui::Rect::from_center_size(rect.left_center() + vec2(5.0, 0.0), vec2(9.0, 9.0));
    ui.painter().rect_filled(square, 2.0, color);
    ui.painter().galley(rect.left_top() + vec2(15.0, 1.0), galley, color);
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, words));
    response
}

fn sum(b: &BytesRead) -> u64 {
    [b.read, b.zero, b.encrypted, b.unreadable, b.unallocated, b.unparsed].iter().fold(0, |s, n| s.saturating_add(*n))
}
fn percent(n: u64, of: u64) -> String {
    #[allow(clippy::cast_precision_loss)] // shown to people
    let share = n as f64 * 100.0 / of.max(1) as f64;
    // A part that exists is never shown as none.
    if n > 0 && share < 0.1 { "< 0.1 %".to_owned() } else { format!("{share:.1} %") }
}

fn share_bar(ui: &mut Ui, tokens: &theme::Tokens, parts: &[(&str, u64, Color32)], total: u64) {
    let width = ui.available_width().min(820.0);
    let (rect, response) = ui.allocate_exact_size(vec2(width, 14.0), Sense::hover());
    let words: Vec<String> = parts.iter().map(|(name, n, _)| format!("{name} {}", percent(*n, total))).collect();
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Image, true, words.join(", ")));
    ui.painter().rect_filled(rect, 2.0, tokens.sunken);
    let mut left = rect.left();
    for (_, n, color) in parts.iter().filter(|(_, n, _)| *n > 0) {
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)] // a width in points
        let part = (rect.width() * (*n as f64 / total as f64) as f32).max(2.0).min(rect.right() - left);
        ui.painter().rect_filled(
            egui::Rect::from_min_size(egui::pos2(left, rect.top()), vec2(part, rect.height())),
            0.0,
            *color,
        );
        left += part;
    }
}

fn devices(cx: &mut Cx<'_>, ui: &mut Ui) {
    let data = cx.snapshot.data.clone();
    let t = cx.tokens;
    if !data.scope.crane.is_empty() {
        ui.label(strong(t, format!("Crane {}", data.scope.crane)));
    }
    for device in &data.scope.devices {
        let role = if device.role.is_empty() { "role not stated" } else { &device.role };
        ui.horizontal_wrapped(|ui| {
            ui.label(safe(format!("{}: {role}", device.id)));
            let by = match device.named_by.as_str() {
                "assumed" => "assumed, as no intake was given".to_owned(),
                by => format!("named by the {by}"),
            };
            ui.label(dim(t, format!("{by}; exhibits {}", device.exhibits.join(", "))));
        });
    }
    if data.scene.systems.is_empty() {
        ui.label(dim(t, "No installed operating system was recognised so far."));
    }
    for system in &data.scene.systems {
        system_ui(cx, ui, system);
    }
}

fn system_ui(cx: &mut Cx<'_>, ui: &mut Ui, system: &SystemInfo) {
    let t = cx.tokens;
    ui.horizontal_wrapped(|ui| {
        ui.label(strong(t, crate::base::Name::from(system_name(system)).display_text()));
        let os = [&system.os.name, &system.os.id, &system.os.family].into_iter().find(|s| !s.is_empty());
        ui.label(safe(os.map_or("unknown system", String::as_str)));
        ui.label(dim(t, &system.architecture));
    });
    let mut parts = Vec::new();
    if !system.partial.is_empty() {
        parts.push("only a part of it is in the evidence".to_owned());
    }
    if !system.kernels.is_empty() {
        parts.push(format!("kernels {}", system.kernels.join(", ")));
    }
    parts.extend(system.installed.map(|at| format!("installed {}", day(at))));
    for (what, value) in [("time zone", &system.timezone), ("machine-id", &system.machine_id)] {
        if !value.is_empty() {
            parts.push(format!("{what} {value}"));
        }
    }
    parts.push(if system.package_database.is_empty() {
        "no package database".to_owned()
    } else {
        format!("packages by {}", system.package_database)
    });
    ui.add(Label::new(dim(t, parts.join("  ·  "))).wrap());
    for line in super::overview_lists::layers(system) {
        ui.add(Label::new(dim(t, line)).wrap());
    }
}

pub(super) fn day(at: Time) -> String {
    at.to_string().split('T').next().unwrap_or_default().to_owned()
}

fn clock(cx: &mut Cx<'_>, ui: &mut Ui) {
    let data = cx.snapshot.data.clone();
    let t = cx.tokens;
    let mut said = false;
    for system in &data.scene.systems {
        for sign in &system.clone_signs {
            ui.add(Label::new(RichText::new(safe(format!("{}: {sign}", system_name(system)))).color(t.medium)).wrap());
            said = true;
        }
    }
    let events = &cx.snapshot.overview.clock;
    for event in events.iter().take(SHORT) {
        ui.add(Label::new(safe(event)).wrap());
        said = true;
    }
    let more = events.len().saturating_sub(SHORT);
    if more > 0 && ui.link(format!("and {} more clock events", grouped(more as i128))).clicked() {
        cx.ask(Command::Go { view: "events", table: "events" });
    }
    if !said {
        absent_of_linux(cx, ui, "No trace of another machine and no jump of the clock was recorded.");
    }
}

fn logs(cx: &mut Cx<'_>, ui: &mut Ui) {
    let data = cx.snapshot.data.clone();
    let t = cx.tokens;
    if data.scene.systems.is_empty() {
        ui.label(dim(t, "No system, no logs."));
    }
    for system in &data.scene.systems {
        let logs = &system.logs;
        let span = match (logs.first, logs.last) {
            (Some(first), Some(last)) => format!("{} to {} (UTC)", day(first), day(last)),
            _ if cx.provisional => "not read so far".to_owned(),
            _ => "no dated log line was found".to_owned(),
        };
        ui.horizontal_wrapped(|ui| {
            ui.label(strong(t, system_name(system)));
            ui.label(span);
            if logs.volatile {
                chip(ui, "journal in memory only", t.medium);
            }
        });
        for (from, to) in logs.gaps.iter().take(SHORT) {
            ui.label(dim(t, format!("silent from {} to {}", day(*from), day(*to))));
        }
        let more = logs.gaps.len().saturating_sub(SHORT);
        if more > 0 {
            ui.label(dim(t, format!("and {} more silent periods", grouped(more as i128))));
        }
    }
}

fn next(cx: &mut Cx<'_>, ui: &mut Ui) {
    let data = cx.snapshot.data.clone();
    let overview = &cx.snapshot.overview;
    if cx.running {
        ui.label("Wait for the examination to finish; what is found so far can be looked at meanwhile.");
        return;
    }
    let mut steps: Vec<(String, &str, Option<Command>)> = Vec::new();
    if cx.provisional {
        steps.push((
            "The examination did not finish: run it again before anything is concluded.".to_owned(),
            "Open again…",
            Some(Command::ShowOpen),
        ));
    }
    if overview.unreviewed > 0 {
        let text = format!(
            "{} at medium or above without a review: decide on each.",
            plural(overview.unreviewed, "finding", "findings")
        );
        steps.push((text, "Show findings", super::index("findings").map(Command::View)));
    }
    if !data.gaps.is_empty() {
        let text = format!(
            "{} recorded: see whether one of them matters for the question.",
            plural(data.gaps.len(), "gap is", "gaps are")
        );
        steps.push((text, "Show gaps", Some(Command::Go { view: "gaps", table: "gaps" })));
    }
    if !data.unexamined.is_empty() {
        let text = format!(
            "{} without an image: have it imaged, or state why not.",
            plural(data.unexamined.len(), "named device is", "named devices are")
        );
        steps.push((text, "Show devices", Some(Command::Go { view: "gaps", table: "unexamined" })));
    }
    if data.verdict.result == Outcome::NotAssessed {
        steps.push(("No delivery policy was given, so conformity is not assessed.".to_owned(), "", None));
    }
    if steps.is_empty() {
        steps.push((
            "Everything found is reviewed and nothing is recorded as unread. Write the report.".to_owned(),
            "Report…",
            Some(Command::ShowReport(true)),
        ));
    }
    for (text, label, command) in steps {
        ui.horizontal(|ui| {
            ui.label(text);
            if let Some(command) = command
                && ui.button(label).clicked()
            {
                cx.ask(command);
            }
        });
    }
}
