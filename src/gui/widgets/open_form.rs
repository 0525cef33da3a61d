//! The form that opens images and cases: typed paths, the desktop's dialog, dropped files, recent ones.
use super::{dim, heading, strong};
use crate::gui::command::{Command, PlanDraft};
use crate::gui::job::Pick;
use crate::gui::state::Settings;
use crate::gui::theme::Tokens;
use egui::{Key, Ui};
use std::path::{Path, PathBuf};

/// What is typed so far.
#[derive(Clone, Debug, Default)]
#[allow(clippy::struct_excessive_bools)] // independent switches of one form
pub(crate) struct OpenForm {
    pub path: String,
    pub draft: PlanDraft,
    pub options: bool,
    /// A dialog of the desktop is open.
    pub picking: bool,
    /// An examination is under way: nothing else can be started.
    pub busy: bool,
    /// Said once by the dialog's end: nothing was chosen, or there is no dialog here.
    pub hint: bool,
    /// The path is to be typed next.
    pub focus: bool,
    /// Why the worker could not be confined; the examiner is asked whether to go on.
    pub unconfined: Option<String>,
}
impl OpenForm {
    /// Takes paths: a case is to be opened at once, images are put into the draft.
    pub(crate) fn take(&mut self, paths: &[PathBuf]) {
        for path in paths {
            if !self.draft.images.contains(path) {
                self.draft.images.push(path.clone());
            }
        }
        if self.draft.case.is_empty() {
            self.draft.case = default_case(&self.draft.images);
        }
    }
}

/// `NAME.cranecase` in the current directory, as `cranescope examine` does it.
pub(crate) fn default_case(images: &[PathBuf]) -> String {
    let Some(name) = images.first().and_then(|p| p.file_stem()) else { return String::new() };
    let mut name = name.to_owned();
    name.push(".cranecase");
    std::env::current_dir().unwrap_or_default().join(name).to_string_lossy().into_owned()
}

/// By its name only, as it is asked for each frame.
fn is_named_case(path: &Path) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case("cranecase"))
}
/// By its name or by what it is.
pub(crate) fn is_case(path: &Path) -> bool {
    is_named_case(path) || crate::session::is_case(path)
}

pub(crate) fn show(
    ui: &mut Ui,
    form: &mut OpenForm,
    settings: &Settings,
    tokens: &Tokens,
    commands: &mut Vec<Command>,
) {
    ui.label(heading(tokens, "Open"));
    ui.add(egui::Label::new(dim(tokens, "Disk images of any kind (the first part of a split one), a block device, an archive, a folder, or a saved case. Evidence is opened read-only.")).wrap());
    ui.add_space(4.0);
    ui.horizontal(|ui| {
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            let typed = !form.path.trim().is_empty();
            let add = ui.add_enabled(typed, egui::Button::new("Add")).clicked();
            let width = ui.available_width();
            let edit = egui::TextEdit::singleline(&mut form.path)
                .hint_text("Path of an image, a folder or a case")
                .desired_width(width);
            let response = ui.add(edit).accessible_name("path to open");
            if std::mem::take(&mut form.focus) {
                response.request_focus();
            }
            let enter = response.lost_focus() && ui.input(|i| i.key_pressed(Key::Enter));
            let typed = !form.path.trim().is_empty();
            if (add || enter) && typed {
                commands.push(Command::Offer(vec![PathBuf::from(form.path.trim())]));
                form.path.clear();
            }
        });
    });
    ui.horizontal(|ui| {
        ui.add_enabled_ui(!form.picking, |ui| {
            if ui.button("Choose images…").clicked() {
                commands.push(Command::Pick(Pick::Images));
            }
            if ui.button("Choose a folder…").clicked() {
                commands.push(Command::Pick(Pick::Folder));
            }
            if ui.button("Choose a case…").clicked() {
                commands.push(Command::Pick(Pick::Case));
            }
        });
        let hint = if form.picking {
            "The desktop's dialog is open."
        } else if form.hint {
            "Nothing was chosen. Where the desktop has no file dialog, type the path above or drop files."
        } else {
            "Files can also be dropped anywhere on this window."
        };
        ui.label(dim(tokens, hint));
    });
    if form.draft.images.is_empty() {
        recent(ui, settings, tokens, commands);
    } else {
        plan(ui, form, tokens, commands);
    }
}

fn recent(ui: &mut Ui, settings: &Settings, tokens: &Tokens, commands: &mut Vec<Command>) {
    ui.add_space(10.0);
    ui.label(strong(tokens, "Recent"));
    if settings.recent.is_empty() {
        ui.label(dim(tokens, "Nothing was opened yet."));
        return;
    }
    for paths in &settings.recent {
        let Some(first) = paths.first() else { continue };
        ui.horizontal(|ui| {
            ui.label(dim(tokens, if is_named_case(first) { "case" } else { "image" }));
            let mut text = super::safe(first.to_string_lossy());
            if paths.len() > 1 {
                text = format!("{text} and {} more", paths.len().saturating_sub(1));
            }
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                let forget = ui.add(egui::Button::new("Forget").small());
                if forget.on_hover_text("Takes it off this list; the file stays").clicked() {
                    commands.push(Command::ForgetRecent(paths.clone()));
                }
                ui.with_layout(egui::Layout::left_to_right(egui::Align::Center), |ui| {
                    let button = egui::Button::new(&text).frame(false).truncate();
                    if ui.add(button).on_hover_text(&text).clicked() {
                        commands.push(Command::Offer(paths.clone()));
                    }
                });
            });
        });
    }
}

fn plan(ui: &mut Ui, form: &mut OpenForm, tokens: &Tokens, commands: &mut Vec<Command>) {
    ui.add_space(10.0);
    ui.label(strong(tokens, "Examine"));
    let mut removed = None;
    for (n, image) in form.draft.images.iter().enumerate() {
        ui.horizontal(|ui| {
            ui.label(dim(tokens, format!("image {n}")));
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                if ui.add(egui::Button::new("Remove").small()).clicked() {
                    removed = Some(n);
                }
                ui.with_layout(egui::Layout::left_to_right(egui::Align::Center), |ui| {
                    let text = super::safe(image.to_string_lossy());
                    ui.add(egui::Label::new(&text).truncate()).on_hover_text(&text);
                });
            });
        });
    }
    if let Some(n) = removed {
        form.draft.images.remove(n);
        form.draft.case = default_case(&form.draft.images);
    }
    let busy = form.busy;
    let draft = &mut form.draft;
    field(ui, tokens, "Case file", "case file to write", &mut draft.case);
    field(ui, tokens, "Examiner", "name of the examiner", &mut draft.examiner);
    ui.checkbox(&mut draft.overwrite, "Replace the case file if it exists");
    egui::CollapsingHeader::new("More").default_open(form.options).show(ui, |ui| {
        field(ui, tokens, "Intake", "intake file (TOML), optional", &mut draft.intake);
        lines(ui, tokens, "Baselines", "baselines, one a line, asked in this order; optional", &mut draft.baseline);
        let keys = "public keys whose signatures under baselines count, one a line; optional";
        lines(ui, tokens, "Their keys", keys, &mut draft.baseline_keys);
        field(ui, tokens, "Policy", "delivery policy (TOML), optional", &mut draft.policy);
        ui.checkbox(
            &mut draft.hash_image,
            "Hash the whole images (a stage of its own; compared with the imager's log)",
        );
        ui.checkbox(&mut draft.second_reader, "Read every ext file system a second time, independently");
        ui.checkbox(
            &mut draft.show_secrets,
            "Show keys, passwords and PINs of the configuration; the case then holds them",
        );
        super::outside_forms::access(ui, &mut draft.access, tokens);
    });
    if let Some(why) = &form.unconfined {
        ui.add_space(6.0);
        ui.add(egui::Label::new(egui::RichText::new(super::safe(why)).color(tokens.high)).wrap());
        ui.checkbox(
            &mut draft.access.no_sandbox,
            "Examine all the same: parse this evidence in a process that this machine does not fully confine",
        );
    }
    ui.add_space(6.0);
    ui.horizontal(|ui| {
        let start =
            egui::Button::new(egui::RichText::new("Start examination").color(tokens.on_accent)).fill(tokens.accent);
        let start = ui
            .add_enabled(!draft.images.is_empty() && !busy && draft.access.wrong().is_none(), start)
            .on_disabled_hover_text(if busy {
                "An examination is running; wait until it is done, or cancel it"
            } else {
                "What is typed under More cannot be used as it is"
            });
        let enter = ui.memory(|m| m.focused().is_none()) && ui.input(|i| i.key_pressed(Key::Enter));
        if start.clicked() || (enter && start.enabled()) {
            commands.push(Command::Examine(Box::new(draft.clone())));
        }
        if ui.button("Clear").clicked() {
            *draft = PlanDraft {
                examiner: draft.examiner.clone(),
                baseline_keys: draft.baseline_keys.clone(),
                ..PlanDraft::default()
            };
            form.unconfined = None;
        }
    });
}

fn field(ui: &mut Ui, tokens: &Tokens, label: &str, hint: &'static str, value: &mut String) {
    labeled(ui, tokens, label, |ui, width| {
        ui.add(egui::TextEdit::singleline(value).hint_text(hint).desired_width(width))
    });
}

/// The same for several paths: it grows by a line for each.
fn lines(ui: &mut Ui, tokens: &Tokens, label: &str, hint: &'static str, value: &mut String) {
    let rows = value.lines().count().saturating_add(usize::from(value.ends_with('\n'))).clamp(1, 6);
    labeled(ui, tokens, label, |ui, width| {
        ui.add(egui::TextEdit::multiline(value).hint_text(hint).desired_rows(rows).desired_width(width))
    });
}

fn labeled(ui: &mut Ui, tokens: &Tokens, label: &str, edit: impl FnOnce(&mut Ui, f32) -> egui::Response) {
    ui.horizontal(|ui| {
        let layout = egui::Layout::left_to_right(egui::Align::Center);
        ui.allocate_ui_with_layout(egui::vec2(64.0, 22.0), layout, |ui| {
            ui.set_width(64.0);
            ui.label(dim(tokens, label));
        });
        let width = ui.available_width() - 4.0;
        edit(ui, width).accessible_name(label);
    });
}
