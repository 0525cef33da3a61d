//! Opening, examining, cancelling, and what is said when something does not work.
use super::fixture;
use super::gui::{Fake, app, click, command, settle, shows, until, window};
use cranescope::gui::{Command, Settings};
use cranescope::session::Failure;
use egui::Key;
use egui::accesskit::Role;
use egui_kittest::kittest::Queryable;
use std::path::PathBuf;
use std::sync::Arc;

fn fake() -> Fake {
    Fake { data: Some(fixture::rich()), ..Fake::default() }
}

#[test]
fn an_empty_window_says_what_to_do() {
    let mut window = window(Arc::new(fake()));
    settle(&mut window);
    for text in [
        "Path of an image, a folder or a case",
        "Choose images…",
        "Choose a folder…",
        "dropped anywhere",
        "Nothing was opened yet",
    ] {
        assert!(shows(&window, text) || window.query_by_label("path to open").is_some(), "lacks {text}");
    }
}

#[test]
fn findings_appear_while_it_runs_and_it_can_be_cancelled() {
    let fake = Arc::new(fake());
    let mut window = window(fake.clone());
    command(&mut window, Command::Offer(vec!["/evidence/slow.img".into()]));
    window.run_steps(2);
    window.get_by_role_and_label(Role::Button, "Start examination").click();
    until(&mut window, "the first findings", |w| app(w).snapshot().is_some());
    window.run_steps(3);
    assert!(shows(&window, "Provisional: the examination is running"));
    // No file was read so far, so nothing is said about what vouches for a start.
    assert!(!shows(&window, "its program is not on the disk") && !shows(&window, "no package owns it"));
    assert!(shows(&window, "reading contents") && shows(&window, "25 %"), "progress is shown");
    assert!(shows(&window, "progress of reading contents: 25 %"));
    // Everything can be looked at meanwhile.
    window.get_by_role_and_label(Role::Button, "Findings").click();
    until(&mut window, "rows", |w| w.query_all_by_role(Role::Row).next().is_some());
    assert!(shows(&window, "findings may rise, merge or go"));
    // Nothing else is opened beside it.
    command(&mut window, Command::Offer(vec!["/evidence/other.img".into()]));
    window.run_steps(2);
    assert!(shows(&window, "An examination is running"));
    window.key_press(Key::Escape);
    window.run_steps(2);
    assert!(!shows(&window, "An examination is running"));
    window.get_by_role_and_label(Role::Button, "Cancel").click();
    until(&mut window, "the end", |w| shows(w, "cancelled; the case holds what was finished"));
    settle(&mut window);
    assert!(shows(&window, "Partial: the examination did not finish"));
    let plans = fake.plans.lock().unwrap();
    assert_eq!(plans.len(), 1);
    assert_eq!(plans[0].images, [PathBuf::from("/evidence/slow.img")]);
    assert!(plans[0].case.as_ref().unwrap().ends_with("slow.cranecase"));
}

#[test]
fn a_finished_examination_is_no_longer_provisional() {
    let mut window = window(Arc::new(fake()));
    window.state_mut().as_mut().unwrap().open_at_start(vec!["/evidence/quick.img".into()]);
    until(&mut window, "the result", |w| app(w).snapshot().is_some() && !app(w).is_busy());
    settle(&mut window);
    assert!(!shows(&window, "Provisional") && !shows(&window, "Partial"));
    assert!(shows(&window, "Case /tmp/quick.cranecase"));
    let recent = &app(&window).settings().recent;
    assert_eq!(recent[0], [PathBuf::from("/evidence/quick.img")]);
    assert_eq!(recent[1], [PathBuf::from("/tmp/quick.cranecase")]);
    // A review can be added now: there is a case to record it in.
    click(&mut window, "Findings");
    settle(&mut window);
    assert!(shows(&window, "Record review"));
}

#[test]
fn what_does_not_open_is_said_once_in_plain_words() {
    let message = "/tmp/x.cranecase is no case: open the image it was made from";
    let fake = Fake { refuse: Some(Failure::usage(message)), ..fake() };
    let mut window = window(Arc::new(fake));
    for _ in 0..2 {
        command(&mut window, Command::OpenCase("/tmp/x.cranecase".into()));
        settle(&mut window);
    }
    assert!(shows(&window, message));
    let dismiss = window.query_all_by_role_and_label(Role::Button, "Dismiss").count();
    assert_eq!(dismiss, 1, "the same words stand there once");
    click(&mut window, "Dismiss");
    assert!(!shows(&window, message));
    // A refused examination leads back to its form, with what was typed.
    command(&mut window, Command::Offer(vec!["/evidence/quick.img".into()]));
    window.run_steps(2);
    click(&mut window, "Start examination");
    assert!(shows(&window, message) && shows(&window, "/evidence/quick.img"));
    assert!(window.query_by_role_and_label(Role::Button, "Start examination").is_some());
}

#[test]
fn without_a_dialog_a_path_can_be_typed() {
    let mut none = window(Arc::new(fake()));
    click(&mut none, "Choose images…");
    until(&mut none, "the hint", |w| shows(w, "Where the desktop has no file dialog, type the path"));
    super::gui::type_into(&mut none, "path to open", "/tmp/typed.cranecase");
    click(&mut none, "Add");
    until(&mut none, "the case", |w| app(w).snapshot().is_some());
    assert!(shows(&none, "Case /tmp/typed.cranecase"));
    // With a dialog, what was picked is put into the form.
    let mut some = window(Arc::new(Fake { picked: Some(vec!["/evidence/a.001".into()]), ..fake() }));
    click(&mut some, "Choose images…");
    until(&mut some, "the image", |w| shows(w, "/evidence/a.001"));
}

#[derive(Debug)]
struct Dropped(PathBuf);
impl egui::DroppedFile for Dropped {
    fn path(&self) -> &std::path::Path {
        &self.0
    }
    fn bytes(&self) -> Result<Vec<u8>, String> {
        Err("the window never reads a dropped file itself".to_owned())
    }
}

#[test]
fn dropped_files_are_offered() {
    let mut window = window(Arc::new(fake()));
    window.input_mut().dropped_files.push(Arc::new(Dropped("/evidence/dropped.raw".into())));
    window.step();
    window.input_mut().dropped_files.clear();
    window.run_steps(2);
    assert!(shows(&window, "/evidence/dropped.raw") && shows(&window, "Start examination"));
}

#[test]
fn settings_survive_and_unknown_ones_do_not_hurt() {
    let mut settings = Settings { dark: false, ..Settings::default() };
    for n in 0..40 {
        settings.remember(&[PathBuf::from(format!("/evidence/{n}.img"))]);
    }
    settings.remember(&[PathBuf::from("/evidence/35.img")]);
    assert_eq!(settings.recent[0], [PathBuf::from("/evidence/35.img")]);
    assert!(settings.recent.len() <= 12 && settings.recent.iter().filter(|r| r[0].ends_with("35.img")).count() == 1);
    let text = serde_json::to_string(&settings).unwrap();
    assert_eq!(serde_json::from_str::<Settings>(&text).unwrap(), settings);
    assert_eq!(serde_json::from_str::<Settings>(r#"{"later": 1}"#).unwrap(), Settings::default());
}

#[test]
fn a_case_that_was_never_finished_says_so_wherever_it_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("killed.cranecase");
    let (identity, asked) = (cranescope::case::Identity::default(), cranescope::case::Asked::default());
    drop(cranescope::case::Case::claim(&path, false, &identity, &asked).unwrap());
    let killed = cranescope::session::open_case(&path).unwrap();
    assert!(killed.run.finished.is_none());
    assert_eq!(killed.gaps.iter().filter(|g| g.what.contains("did not finish")).count(), 1);
    // The same as the window shows it: nothing is concluded from what is missing.
    let mut data = fixture::rich();
    data.run.finished = None;
    let mut window = window(Arc::new(Fake { data: Some(data), ..Fake::default() }));
    command(&mut window, Command::OpenCase(path));
    until(&mut window, "the case", |w| app(w).snapshot().is_some());
    settle(&mut window);
    assert!(shows(&window, "Partial: the examination did not finish") && shows(&window, "Unfinished case"));
    assert!(shows(&window, "to be read") && !shows(&window, "no package owns it"));
}

#[test]
fn without_confinement_the_examiner_is_asked() {
    let refuse = Failure::unconfined(&["Landlock: this kernel does not have it".to_owned()]);
    let fake = Arc::new(Fake { refuse: Some(refuse), ..fake() });
    let mut window = window(fake.clone());
    let ask = "Examine all the same: parse this evidence in a process that this machine does not fully confine";
    command(&mut window, Command::Offer(vec!["/evidence/quick.img".into()]));
    window.run_steps(2);
    assert!(!shows(&window, ask), "nobody is asked before it is known");
    click(&mut window, "Start examination");
    until(&mut window, "the question", |w| shows(w, ask));
    assert!(shows(&window, "Landlock: this kernel does not have it"));
    click(&mut window, "Start examination");
    settle(&mut window);
    window.get_by_role_and_label(Role::CheckBox, ask).click();
    window.run_steps(2);
    click(&mut window, "Start examination");
    settle(&mut window);
    let words: Vec<bool> = fake.plans.lock().unwrap().iter().map(|p| p.no_sandbox).collect();
    assert_eq!(words, [false, false, true]);
}
