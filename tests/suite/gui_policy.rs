//! The window and the delivery policy: chosen, judged by off the window's thread, shown with its reasons.
use crate::fixture;
use crate::gui::{Fake, app, click, command, rows, settle, shows, type_into, until, window};
use cranescope::gui::Command;
use egui_kittest::kittest::Queryable;
use std::path::PathBuf;
use std::sync::Arc;

#[test]
fn a_case_is_judged_by_the_policy_that_is_chosen() {
    let mut data = fixture::rich();
    data.run.command =
        ["cranescope", "a.img", "--baseline", "/b/one.json", "--as-of=2026-01-01"].map(str::to_owned).to_vec();
    let picked = Some(vec![PathBuf::from("/policies/bad.toml")]);
    let fake = Arc::new(Fake { data: Some(data), picked, ..Fake::default() });
    let mut window = window(fake.clone());
    command(&mut window, Command::OpenCase("/tmp/crane.cranecase".into()));
    until(&mut window, "the case", |w| app(w).snapshot().is_some());
    settle(&mut window);
    // All of the overview is in sight.
    window.set_size(egui::vec2(1280.0, 2400.0));
    window.run_steps(3);
    assert!(shows(&window, "No delivery policy was given: nothing is measured."));
    // A policy with a fault: its line is said, the verdict stays.
    click(&mut window, "Choose a policy…");
    window.run_steps(2);
    click(&mut window, "Judge by this policy");
    until(&mut window, "the fault", |w| shows(w, "bad.toml:3: no key `colour` in listeners"));
    click(&mut window, "Dismiss");
    // Another one, typed behind the first.
    type_into(&mut window, "path of a policy", ".d/crane.toml");
    click(&mut window, "Judge by this policy");
    until(&mut window, "the verdict", |w| shows(w, "verdict: breach"));
    settle(&mut window);
    assert!(shows(&window, "crane.toml:7: listening port tcp * 3389 is not declared"));
    assert!(shows(&window, "no statement of fitness for service"));
    let asked = fake.asked.lock().unwrap().join("\n");
    assert!(asked.contains("one.json") && asked.contains("as_of: \"2026-01-01\""), "{asked}");
    window.get_by_label("Show the breaches").click();
    window.run_steps(3);
    settle(&mut window);
    let shown = rows(&window);
    assert!(shown.iter().any(|r| r.contains("tcp * 3389")), "{shown:?}");
    assert!(!shown.iter().any(|r| r.contains("sshd accepts root")), "{shown:?}");
}
