//! What leaves the window: mounts, saved files, reports, files looked at; and closing it while something goes on.
use super::fixture;
use super::gui::{Fake, Window, app, click, command, opened, settle, shows, type_into, type_lines, until, window};
use cranescope::gui::{Command, Leave, LookAt};
use egui::accesskit::Role;
use egui_kittest::kittest::{NodeT, Queryable};
use std::path::PathBuf;
use std::sync::Arc;

fn opened_with(fake: Fake) -> (Window, Arc<Fake>) {
    let fake = Arc::new(Fake { data: Some(fixture::rich()), ..fake });
    let mut window = window(fake.clone());
    command(&mut window, Command::OpenCase("/tmp/crane.cranecase".into()));
    until(&mut window, "the case", |w| app(w).snapshot().is_some());
    settle(&mut window);
    (window, fake)
}
fn asked(fake: &Fake) -> Vec<String> {
    fake.asked.lock().unwrap().clone()
}
fn press(window: &mut Window, label: &str) {
    window.get_by_role_and_label(Role::Button, label).click();
    window.run_steps(3);
}

#[test]
fn the_evidence_is_mounted_and_unmounted() {
    let (mut window, fake) = opened();
    click(&mut window, "Mount…");
    assert!(shows(&window, "An empty folder, or one that is made for it"));
    press(&mut window, "Mount");
    until(&mut window, "the mount", |w| shows(w, "Mounted read-only at"));
    // The reader tells it after it mounted, from its own thread: the frame that shows the mount may lack it still.
    until(&mut window, "what could not be read", |w| shows(w, "2 things could not be read"));
    until(&mut window, "the mount below", |w| shows(w, "mounted at "));
    window.run_steps(3);
    press(&mut window, "Copy path");
    // Nothing else is opened beside it.
    command(&mut window, Command::OpenCase("/tmp/other.cranecase".into()));
    window.run_steps(2);
    assert!(shows(&window, "Unmount it before opening something else"));
    press(&mut window, "Dismiss");
    press(&mut window, "Hide");
    assert!(!shows(&window, "Mounted read-only at") && shows(&window, "mounted at "));
    let chip = window_label(&window, "mounted at ");
    press(&mut window, &chip);
    press(&mut window, "Unmount");
    until(&mut window, "the end", |w| shows(w, "The evidence is unmounted."));
    settle(&mut window);
    assert!(!shows(&window, "mounted at "));
    let asked = asked(&fake);
    assert!(asked[0].starts_with("mount /evidence/2025-031/cms-03.raw at "), "{asked:?}");
    assert!(asked[1].starts_with("remove "), "{asked:?}");
}

fn window_label(window: &Window, part: &str) -> String {
    let found =
        window.query_all_by_role(Role::Button).find_map(|n| n.accesskit_node().label().filter(|l| l.contains(part)));
    found.unwrap()
}

#[test]
fn a_mount_in_use_is_asked_about_before_it_goes() {
    let (mut window, fake) = opened();
    command(&mut window, Command::ShowMount(true));
    window.run_steps(2);
    press(&mut window, "Mount");
    until(&mut window, "the mount", |w| shows(w, "Mounted read-only at"));
    press(&mut window, "Hide");
    fake.users.lock().unwrap().push("cat (4711)".to_owned());
    for leave in [Leave::Unmount, Leave::CloseCase] {
        command(&mut window, Command::Leave(leave));
        until(&mut window, "the question", |w| shows(w, "cat (4711)"));
        window.run_steps(2);
        press(&mut window, "Keep it mounted");
        window.run_steps(3);
        assert!(shows(&window, "mounted at ") && app(&window).snapshot().is_some());
    }
    command(&mut window, Command::Leave(Leave::CloseCase));
    until(&mut window, "the question", |w| shows(w, "cat (4711)"));
    window.run_steps(2);
    press(&mut window, "Unmount all the same");
    until(&mut window, "the closed case", |w| app(w).snapshot().is_none());
    settle(&mut window);
    assert!(shows(&window, "The evidence is unmounted.") && !shows(&window, "mounted at "));
}

#[test]
fn closing_the_window_waits_for_what_goes_on() {
    let (mut window, fake) = opened();
    let closes = |w: &Window| {
        let output = w.output().viewport_output.get(&egui::ViewportId::ROOT);
        let commands = output.map(|o| o.commands.clone()).unwrap_or_default();
        (commands.contains(&egui::ViewportCommand::CancelClose), commands.contains(&egui::ViewportCommand::Close))
    };
    let close = |w: &mut Window| {
        w.input_mut().viewports.entry(egui::ViewportId::ROOT).or_default().events.push(egui::ViewportEvent::Close);
        w.step();
        let said = closes(w);
        w.input_mut().viewports.entry(egui::ViewportId::ROOT).or_default().events.clear();
        said
    };
    assert_eq!(close(&mut window), (false, false), "with nothing under way it just closes");
    command(&mut window, Command::ShowMount(true));
    window.run_steps(2);
    press(&mut window, "Mount");
    until(&mut window, "the mount", |w| shows(w, "Mounted read-only at"));
    press(&mut window, "Hide");
    assert!(close(&mut window).0, "it waits for the mount");
    until(&mut window, "the end", |w| closes(w).1);
    assert!(asked(&fake).iter().any(|a| a.starts_with("remove ")), "unmounted before the window is gone");
    // An examination under way is asked about.
    let (mut window, _) = opened();
    command(&mut window, Command::Offer(vec!["/evidence/slow.img".into()]));
    window.run_steps(2);
    press(&mut window, "Start examination");
    until(&mut window, "findings", |w| app(w).snapshot().is_some());
    assert!(close(&mut window).0);
    until(&mut window, "the question", |w| shows(w, "Work is under way"));
    window.run_steps(2);
    press(&mut window, "Go on working");
    assert!(app(&window).is_busy());
    assert!(close(&mut window).0);
    until(&mut window, "the question", |w| shows(w, "Work is under way"));
    window.run_steps(2);
    window.get_by_role_and_label(Role::Button, "Cancel it and close the window").click();
    until(&mut window, "the end", |w| closes(w).1);
}

#[test]
fn chosen_rows_are_saved_and_failures_are_named() {
    let (mut window, fake) = opened();
    click(&mut window, "Files");
    until(&mut window, "rows", |w| w.query_all_by_role(Role::Row).next().is_some());
    settle(&mut window);
    assert!(window.get_by_role_and_label(Role::Button, "Save files…").accesskit_node().is_disabled());
    window.query_all_by_role(Role::Row).next().unwrap().click();
    window.run_steps(2);
    window.key_press_modifiers(egui::Modifiers::SHIFT, egui::Key::ArrowDown);
    window.run_steps(2);
    click(&mut window, "Save files…");
    until(&mut window, "the form", |w| shows(w, "Save files of the evidence"));
    window.run_steps(3);
    press(&mut window, "Save");
    until(&mut window, "the end", |w| shows(w, "3 files, 4.0 KiB written"));
    for text in
        ["saved-files/manifest.json", "1 entry could not be read whole", "/srv/part-1: read error at the source"]
    {
        assert!(shows(&window, text), "{text}");
    }
    press(&mut window, "Done");
    let asked = asked(&fake);
    assert!(asked.len() == 1 && asked[0].matches(":@").count() == 2, "{asked:?}");
    assert!(asked[0].ends_with("/saved-files"), "{asked:?}");
}

#[test]
fn saving_is_cancelled() {
    let (mut window, _) = opened();
    let file = fixture::evidence("/etc/hosts", 1, "x");
    command(&mut window, Command::SaveAs(vec![LookAt::of(&file).unwrap().item()]));
    window.run_steps(3);
    window.get_by_role_and_label(Role::TextInput, "folder to save into").focus();
    window.run_steps(2);
    window.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::A);
    window.run_steps(2);
    type_into(&mut window, "folder to save into", "/tmp/slow");
    press(&mut window, "Save");
    until(&mut window, "progress", |w| shows(w, "Cancel saving"));
    press(&mut window, "Hide");
    assert!(shows(&window, "saving: 0 files"));
    command(&mut window, Command::SaveAs(Vec::new()));
    window.run_steps(3);
    press(&mut window, "Cancel saving");
    until(&mut window, "the end", |w| shows(w, "cancelled; 1 files, 5 bytes are in slow"));
}

#[test]
fn a_file_is_looked_at_in_every_encoding_and_its_cut_is_said() {
    let mut content = b"first \x1b[2J line\n\xb0\xb6\xc7\xc5\n".to_vec();
    content.resize((1 << 20) + 5, b'z');
    let (mut window, fake) = opened_with(Fake { content, ..Fake::default() });
    let file = app(&window).snapshot().unwrap().data.inventory.files[0].clone();
    command(&mut window, Command::Look(Box::new(LookAt::of(&file.evidence).unwrap())));
    until(&mut window, "the text", |w| shows(w, "Only the first 1,048,576 bytes"));
    settle(&mut window);
    // GBK by its own bytes.
    assert!(shows(&window, "岸桥") && shows(&window, "first \\u{1b}[2J line"));
    assert!(shows(&window, "lines hold characters that do not show") && shows(&window, "lines are cut as too long"));
    press(&mut window, "UTF-8");
    settle(&mut window);
    assert!(shows(&window, "\\xb0\\xb6\\xc7\\xc5") && shows(&window, "places are no text in this encoding"));
    press(&mut window, "UTF-16 LE");
    settle(&mut window);
    assert!(!shows(&window, "first \\u{1b}"));
    press(&mut window, "Hex");
    settle(&mut window);
    assert!(shows(&window, "66 69 72 73 74 20 1b 5b"));
    let run = file.evidence.image_runs.iter().find(|r| r.file_offset == 0);
    if let Some(run) = run {
        assert!(shows(&window, &format!("image {}: {:012x}", run.image, run.offset)));
    }
    press(&mut window, "Save as…");
    settle(&mut window);
    assert!(shows(&window, "Save files of the evidence"));
    assert!(asked(&fake)[0].starts_with("look 0:@"), "{:?}", asked(&fake));
}

#[test]
fn looks_carry_the_examiners_word_about_the_confinement() {
    let (mut window, _) = opened_with(Fake { content: b"the bytes\n".to_vec(), unconfined: true, ..Fake::default() });
    let ask = "Read it all the same: in a process that this machine does not fully confine";
    let file = fixture::evidence("/etc/hosts", 1, "x");
    command(&mut window, Command::Look(Box::new(LookAt::of(&file).unwrap())));
    until(&mut window, "the refusal", |w| shows(w, "Landlock: this kernel does not have it"));
    window.run_steps(3);
    press(&mut window, ask);
    until(&mut window, "the text", |w| shows(w, "the bytes"));
    settle(&mut window);
    press(&mut window, "Close file");
    // The word holds for the hex of evidence as well, and goes with the case.
    click(&mut window, "Findings");
    settle(&mut window);
    window.query_all_by_role_and_label(Role::Button, "Show bytes").next().unwrap().click();
    until(&mut window, "the bytes", |w| {
        shows(w, "5b 55 6e 69") || shows(w, "  6e 65 74") || shows(w, "0000") || shows(w, " 65 74 ")
    });
    assert!(!shows(&window, "cannot be shown"));
    command(&mut window, Command::CloseCase);
    settle(&mut window);
    command(&mut window, Command::OpenCase("/tmp/crane.cranecase".into()));
    until(&mut window, "the case", |w| app(w).snapshot().is_some());
    settle(&mut window);
    command(&mut window, Command::Look(Box::new(LookAt::of(&file).unwrap())));
    until(&mut window, "the refusal again", |w| shows(w, "Landlock: this kernel does not have it"));
}

#[test]
fn the_report_is_written_in_the_chosen_format() {
    let (mut window, fake) = opened();
    click(&mut window, "Report…");
    press(&mut window, "Write report");
    until(&mut window, "the report", |w| shows(w, "The report was written to /tmp/crane.html"));
    click(&mut window, "Report…");
    let json = window
        .query_all_by_role(Role::RadioButton)
        .find(|n| n.accesskit_node().label().is_some_and(|l| l.starts_with("JSON")));
    json.unwrap().click();
    window.run_steps(3);
    press(&mut window, "Write report");
    until(&mut window, "the other", |w| shows(w, "The report was written to /tmp/crane.json"));
    let saved = fake.saved.lock().unwrap();
    assert!(saved[0].1.starts_with("<!DOCTYPE html>") && saved[1].1.starts_with("{\"schema\""));
}

#[test]
fn how_the_evidence_is_opened_is_chosen_where_it_is_examined() {
    let fake = Arc::new(Fake {
        data: Some(fixture::rich()),
        picked: Some(vec!["/evidence/unpacked".into()]),
        ..Fake::default()
    });
    let mut window = window(fake.clone());
    click(&mut window, "Choose a folder…");
    until(&mut window, "the folder", |w| shows(w, "/evidence/unpacked"));
    command(&mut window, Command::Offer(vec!["/evidence/quick.img".into()]));
    window.run_steps(3);
    window.get_by_label("More").click();
    window.run_steps(10);
    window
        .get_by_role_and_label(
            Role::CheckBox,
            "Show keys, passwords and PINs of the configuration; the case then holds them",
        )
        .click();
    window.run_steps(2);
    type_into(&mut window, "flash geometry", "2048");
    assert!(shows(&window, "flash geometry: write PAGE+SPARE in bytes"));
    assert!(window.get_by_role_and_label(Role::Button, "Start examination").accesskit_node().is_disabled());
    type_into(&mut window, "flash geometry", "+64");
    let keys = "keys of encrypted volumes";
    window.get_by_label(keys).focus();
    window.run_steps(2);
    window.get_by_label(keys).type_text("luks-1=/keys/one");
    window.run_steps(2);
    for (field, text) in
        [("Baselines", "/b/os packages.baseline\n/b/golden.baseline"), ("Their keys", "/k/accepted.pub\n/k/vendor.pub")]
    {
        type_lines(&mut window, field, text);
    }
    // The folder comes first in the form; the fake ends at once for the other image alone.
    window.query_all_by_role_and_label(Role::Button, "Remove").next().unwrap().click();
    window.run_steps(2);
    press(&mut window, "Start examination");
    until(&mut window, "the result", |w| app(w).snapshot().is_some() && !app(w).is_busy());
    let plans = fake.plans.lock().unwrap();
    let plan = &plans[0];
    assert_eq!(plan.images, [PathBuf::from("/evidence/quick.img")]);
    assert_eq!(plan.nand.map(|n| n.to_string()).as_deref(), Some("2048+64"));
    assert_eq!(plan.keys, [("luks-1".to_owned(), PathBuf::from("/keys/one"))]);
    assert!(plan.show_secrets && !plan.no_sandbox);
    assert_eq!(plan.baselines, [PathBuf::from("/b/os packages.baseline"), PathBuf::from("/b/golden.baseline")]);
    assert_eq!(plan.baseline_keys, [PathBuf::from("/k/accepted.pub"), PathBuf::from("/k/vendor.pub")]);
    // So that the case says with what it was examined, and is judged again with the same.
    let command = plan.command.join(" ");
    assert!(command.contains("--baseline /b/golden.baseline --baseline-key /k/accepted.pub"), "{command}");
    assert!(
        plan.command.join(" ").contains("--show-secrets --key luks-1=/keys/one --nand 2048+64"),
        "{:?}",
        plan.command
    );
    drop(plans);
}
