//! The forms over everything else: mounting for other tools, saving files, writing a report, and what is asked before
//! something is cut off.
use super::{dim, heading, look, plural, strong};
use crate::gui::access::Access;
use crate::gui::command::{Command, Leave};
use crate::gui::job::Pick;
use crate::gui::outside::{Ask, Leaving, Mounting, Outside, Reporting, Saving};
use crate::gui::theme::{self, Tokens};
use crate::session::Phase;
use egui::{Button, Context, Frame, Label, RichText, ScrollArea, TextEdit, Ui};
use std::path::PathBuf;

/// Draws whichever is open.
pub(crate) fn show(
    ctx: &Context,
    frame: Frame,
    outside: &mut Outside,
    picking: bool,
    tokens: &Tokens,
    commands: &mut Vec<Command>,
) {
    let modal = |id: &'static str| egui::Modal::new(egui::Id::unique(id)).frame(frame);
    if let Some(looking) = &outside.looking {
        let room = ctx.content_rect().size() - egui::vec2(120.0, 110.0);
        let shown = modal("look at a file").show(ctx, |ui| {
            ui.set_min_size(room);
            ui.set_max_size(room);
            look::show(ui, looking, tokens, commands);
        });
        if shown.should_close() {
            commands.push(Command::CloseLook);
        }
    }
    if outside.mounting.shown {
        let shown = modal("mount form").show(ctx, |ui| {
            ui.set_width(620.0);
            mount(ui, &mut outside.mounting, &mut outside.access, picking, tokens, commands);
        });
        if shown.should_close() {
            commands.push(Command::ShowMount(false));
        }
    }
    if outside.saving.shown {
        let shown = modal("save form").show(ctx, |ui| {
            ui.set_width(620.0);
            save(ui, &mut outside.saving, &mut outside.access, picking, tokens, commands);
        });
        if shown.should_close() {
            commands.push(Command::HideSave);
        }
    }
    if outside.reporting.shown {
        let shown = modal("report form").show(ctx, |ui| {
            ui.set_width(560.0);
            report(ui, &mut outside.reporting, picking, tokens, commands);
        });
        if shown.should_close() {
            commands.push(Command::ShowReport(false));
        }
    }
    if outside.leaving.ask.is_some() {
        let shown = modal("before leaving").show(ctx, |ui| {
            ui.set_width(520.0);
            ask(ui, &outside.leaving, tokens, commands);
        });
        if shown.should_close() {
            commands.push(Command::Answer(false));
        }
    }
}

/// A path that is typed, or chosen where the desktop has a dialog.
fn path(ui: &mut Ui, label: &'static str, value: &mut String, pick: Pick, picking: bool, commands: &mut Vec<Command>) {
    ui.horizontal(|ui| {
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            let choose = ui.add_enabled(!picking, Button::new("Choose…"));
            let choose = choose.on_hover_text("Asks with the desktop's dialog; where there is none, type the path");
            if choose.clicked() {
                commands.push(Command::Pick(pick));
            }
            let width = ui.available_width();
            ui.add(TextEdit::singleline(value).desired_width(width)).accessible_name(label);
        });
    });
}

/// Keys, flash geometry and the word about the confinement.
pub(crate) fn access(ui: &mut Ui, access: &mut Access, tokens: &Tokens) {
    ui.label(dim(
        tokens,
        "Keys of encrypted volumes, one a line: VOLUME=FILE (id or UUID of the volume, file with its key)",
    ));
    let keys = TextEdit::multiline(&mut access.keys).desired_rows(2).desired_width(f32::INFINITY);
    ui.add(keys).accessible_name("keys of encrypted volumes");
    ui.horizontal(|ui| {
        ui.label(dim(tokens, "Raw NAND dump: bytes of page + spare"));
        let nand = TextEdit::singleline(&mut access.nand).hint_text("2048+64").desired_width(110.0);
        ui.add(nand).accessible_name("flash geometry");
    });
    ui.checkbox(
        &mut access.no_sandbox,
        "Go on where this machine cannot fully confine the process that parses the evidence",
    );
    if let Some(wrong) = access.wrong() {
        ui.add(Label::new(RichText::new(super::safe(wrong)).color(tokens.critical)).wrap());
    }
}

fn access_folded(ui: &mut Ui, value: &mut Access, tokens: &Tokens) {
    egui::CollapsingHeader::new("How the evidence is opened").show(ui, |ui| access(ui, value, tokens));
}

fn mount(
    ui: &mut Ui,
    mounting: &mut Mounting,
    access: &mut Access,
    picking: bool,
    tokens: &Tokens,
    commands: &mut Vec<Command>,
) {
    ui.label(heading(tokens, "Mount for other tools"));
    let about = "Volumes, systems, deleted files and decoded disks as a read-only folder. Other programs read there while this window stays open; parsing stays in the confined process. What is started from there is refused by the kernel.";
    ui.add(Label::new(dim(tokens, about)).wrap());
    ui.add_space(4.0);
    let Some(watch) = &mounting.watch else {
        ui.label(strong(tokens, "An empty folder, or one that is made for it"));
        path(ui, "folder to mount at", &mut mounting.at, Pick::MountFolder, picking, commands);
        access_folded(ui, access, tokens);
        ui.horizontal(|ui| {
            let ready = !mounting.at.trim().is_empty() && access.wrong().is_none();
            if ui.add_enabled(ready, accented("Mount", tokens)).clicked() {
                commands.push(Command::Mount);
            }
            if ui.button("Cancel").clicked() {
                commands.push(Command::ShowMount(false));
            }
        });
        return;
    };
    match watch.phase() {
        Phase::Reading => {
            ui.horizontal(|ui| {
                ui.spinner();
                ui.label("Reading the evidence; it is mounted as soon as all names are known.");
            });
        }
        Phase::Mounted(at) => {
            let at = at.to_string_lossy().into_owned();
            ui.label(strong(tokens, "Mounted read-only at"));
            ui.horizontal_wrapped(|ui| {
                ui.add(Label::new(RichText::new(super::safe(&at)).font(theme::mono())).wrap());
                if ui.button("Copy path").clicked() {
                    commands.push(Command::CopyText(at.clone()));
                }
            });
            ui.label(dim(
                tokens,
                "volumes/, systems/, deleted/ and disks/ hold what their names say; about.txt says more, gaps.txt what could not be read.",
            ));
        }
        Phase::Over => {
            ui.label("Unmounting…");
        }
    }
    let notes = watch.notes();
    if !notes.is_empty() {
        ui.label(strong(tokens, format!("What other tools could not read ({})", notes.len())));
        ScrollArea::vertical().max_height(160.0).auto_shrink([false, true]).show(ui, |ui| {
            for note in &notes {
                ui.add(Label::new(super::safe(note)).wrap());
            }
        });
    }
    ui.add_space(4.0);
    ui.horizontal(|ui| {
        let label = if watch.is_stopped() { "Unmounting…" } else { "Unmount" };
        if ui.add_enabled(!watch.is_stopped(), Button::new(label)).clicked() {
            commands.push(Command::Leave(Leave::Unmount));
        }
        if ui.button("Hide").on_hover_text("It stays mounted; the line at the bottom says so").clicked() {
            commands.push(Command::ShowMount(false));
        }
    });
}

fn accented(text: &str, tokens: &Tokens) -> Button<'static> {
    Button::new(RichText::new(text.to_owned()).color(tokens.on_accent)).fill(tokens.accent)
}

fn save(
    ui: &mut Ui,
    saving: &mut Saving,
    access: &mut Access,
    picking: bool,
    tokens: &Tokens,
    commands: &mut Vec<Command>,
) {
    const SHOWN: usize = 6;
    ui.label(heading(tokens, "Save files of the evidence"));
    let about = "Written as they are, folders with all that is below them, deleted files too. A manifest beside them names their original bytes of names, metadata, SHA-256, place in the image, and what could not be read. Nothing of them is executed or made a link.";
    ui.add(Label::new(dim(tokens, about)).wrap());
    ui.add_space(4.0);
    for item in saving.items.iter().take(SHOWN) {
        ui.add(Label::new(RichText::new(super::safe(&item.name)).font(theme::mono())).truncate());
    }
    let more = saving.items.len().saturating_sub(SHOWN);
    if more > 0 {
        ui.label(dim(tokens, format!("and {}", plural(more, "more entry", "more entries"))));
    }
    ui.add_space(4.0);
    if let Some(watch) = &saving.watch {
        let (files, bytes) = watch.progress();
        ui.horizontal(|ui| {
            ui.spinner();
            ui.label(format!("{}, {} written", files_words(files), super::bytes(bytes)));
        });
        ui.horizontal(|ui| {
            let label = if watch.is_cancelled() { "Cancelling…" } else { "Cancel saving" };
            if ui.add_enabled(!watch.is_cancelled(), Button::new(label)).clicked() {
                commands.push(Command::CancelSave);
            }
            if ui.button("Hide").on_hover_text("Saving goes on; the line at the bottom says how far it is").clicked() {
                commands.push(Command::HideSave);
            }
        });
        return;
    }
    if let Some(Ok(written)) = &saving.ended {
        ui.label(
            RichText::new(format!("{}, {} written", files_words(written.files), super::bytes(written.bytes)))
                .color(tokens.good),
        );
        let manifest = written.manifest.to_string_lossy().into_owned();
        ui.horizontal_wrapped(|ui| {
            ui.label(dim(tokens, "manifest"));
            ui.add(Label::new(RichText::new(super::safe(&manifest)).font(theme::mono())).wrap());
            if ui.button("Copy path").clicked() {
                commands.push(Command::CopyText(manifest.clone()));
            }
        });
        if written.unread > 0 {
            let text = format!("{} could not be read whole:", entries_words(written.unread));
            ui.label(RichText::new(text).color(tokens.high));
            ScrollArea::vertical().max_height(180.0).auto_shrink([false, true]).show(ui, |ui| {
                for (path, what) in &written.failures {
                    ui.add(Label::new(format!("{}: {}", super::safe(path), super::safe(what))).wrap());
                }
                if written.unread > written.failures.len() as u64 {
                    ui.label(dim(tokens, "The manifest names all of them."));
                }
            });
        } else {
            ui.label(dim(tokens, "Everything was read whole."));
        }
        if ui.button("Done").clicked() {
            commands.push(Command::HideSave);
        }
        return;
    }
    if let Some(Err(failure)) = &saving.ended {
        ui.add(Label::new(RichText::new(super::safe(&failure.message)).color(tokens.critical)).wrap());
    }
    ui.label(strong(tokens, "Into an empty folder; it is made if it is not there"));
    path(ui, "folder to save into", &mut saving.to, Pick::SaveFolder, picking, commands);
    access_folded(ui, access, tokens);
    ui.horizontal(|ui| {
        let ready = !saving.to.trim().is_empty() && access.wrong().is_none() && !saving.items.is_empty();
        if ui.add_enabled(ready, accented("Save", tokens)).clicked() {
            commands.push(Command::Save);
        }
        if ui.button("Cancel").clicked() {
            commands.push(Command::HideSave);
        }
    });
}

fn files_words(n: u64) -> String {
    plural(usize::try_from(n).unwrap_or(usize::MAX), "file", "files")
}
fn entries_words(n: u64) -> String {
    plural(usize::try_from(n).unwrap_or(usize::MAX), "entry", "entries")
}

fn report(ui: &mut Ui, reporting: &mut Reporting, picking: bool, tokens: &Tokens, commands: &mut Vec<Command>) {
    ui.label(heading(tokens, "Write the report"));
    let formats = crate::report::ALL;
    for (n, format) in formats.iter().enumerate() {
        let text = format!("{}: {}", format.name.to_uppercase(), format.about);
        if ui.radio(reporting.format == n, text).clicked() {
            reporting.format = n;
            // The name follows the format.
            let path = PathBuf::from(reporting.path.trim()).with_extension(format.name);
            reporting.path = path.to_string_lossy().into_owned();
        }
    }
    let name = formats.get(reporting.format).map_or("html", |f| f.name);
    path(
        ui,
        "path of the report",
        &mut reporting.path,
        Pick::Report { name: format!("report.{name}") },
        picking,
        commands,
    );
    ui.horizontal(|ui| {
        let ready = !reporting.path.trim().is_empty();
        if ui.add_enabled(ready, accented("Write report", tokens)).clicked() {
            let path = PathBuf::from(reporting.path.trim());
            commands.push(Command::SaveReport { format: reporting.format, path });
        }
        if ui.button("Cancel").clicked() {
            commands.push(Command::ShowReport(false));
        }
    });
}

fn ask(ui: &mut Ui, leaving: &Leaving, tokens: &Tokens, commands: &mut Vec<Command>) {
    let leave = leaving.what.unwrap_or(Leave::Unmount);
    let (title, text, list, yes, no) = match &leaving.ask {
        Some(Ask::Users(users)) => (
            "Other programs still use the mount",
            "They stand in it or have files open there; after unmounting they get errors.",
            users.as_slice(),
            "Unmount all the same",
            "Keep it mounted",
        ),
        _ => (
            "Work is under way",
            "What runs is cancelled. The case keeps what is finished, and an examination of the same evidence into it goes on from there.",
            &[][..],
            if leave == Leave::Exit { "Cancel it and close the window" } else { "Cancel it and close the case" },
            "Go on working",
        ),
    };
    ui.label(heading(tokens, title));
    ui.add(Label::new(text).wrap());
    for user in list {
        ui.label(RichText::new(super::safe(user)).font(theme::mono()));
    }
    ui.add_space(4.0);
    ui.horizontal(|ui| {
        if ui.button(no).clicked() {
            commands.push(Command::Answer(false));
        }
        if ui.button(RichText::new(yes).color(tokens.high)).clicked() {
            commands.push(Command::Answer(true));
        }
    });
}
