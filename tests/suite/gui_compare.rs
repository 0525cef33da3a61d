//! Comparing in the window: the form, the matrix with its filter and export, two cranes side by side.
use super::fixture;
use crate::gui::{Fake, app, click, command, rows, settle, shows, type_into, type_lines, until, window};
use cranescope::gui::Command;
use cranescope::inventory::{Route, Start};
use std::path::PathBuf;
use std::sync::Arc;

/// A second crane that has a route and a start of its own, and one account with another shell.
fn sister() -> cranescope::case::CaseData {
    let mut data = fixture::rich();
    let system = Some(0);
    let evidence = fixture::evidence("/etc/network/interfaces", 7, "up ip route add 10.99.0.0/16 via 10.0.0.1");
    Arc::make_mut(&mut data.inventory.routes).push(Route {
        system,
        destination: "10.99.0.0/16".into(),
        gateway: "10.0.0.1".into(),
        evidence,
        ..Route::default()
    });
    let evidence = fixture::evidence("/etc/cron.d/sync", 1, "* * * * * root /opt/sync");
    Arc::make_mut(&mut data.inventory.starts).push(Start {
        system,
        by: "cron".into(),
        name: "/etc/cron.d/sync".into(),
        command: "/opt/sync".into(),
        enabled: true,
        evidence,
        ..Start::default()
    });
    if let Some(account) = Arc::make_mut(&mut data.inventory.accounts).first_mut() {
        account.shell = "/bin/rbash".into();
    }
    data.inventory.sort();
    data
}

#[test]
fn two_cranes_are_compared_and_looked_at_side_by_side() {
    let fake = Arc::new(Fake {
        data: Some(fixture::rich()),
        other: Some(sister()),
        content: b"same\nlines\n".to_vec(),
        ..Fake::default()
    });
    let mut window = window(fake.clone());
    command(&mut window, Command::OpenCase("/tmp/crane.cranecase".into()));
    until(&mut window, "the case", |w| app(w).snapshot().is_some());
    settle(&mut window);
    click(&mut window, "Compare");
    assert!(shows(&window, "Compare this case with others"));
    type_into(&mut window, "path to compare with", "/tmp/sister.cranecase");
    click(&mut window, "Add");
    assert!(shows(&window, "/tmp/sister.cranecase"));
    type_lines(&mut window, "baselines to compare with", "/b/one.set");
    type_lines(&mut window, "keys of baselines", "/b/trusted key.pub");
    window.run_steps(2);
    type_into(&mut window, "policy to compare by", "/p/crane.toml");
    command(&mut window, Command::Compare);
    settle(&mut window);
    let asked = fake.asked.lock().unwrap().join("\n");
    for part in
        ["baselines: [\"/b/one.set\"]", "baseline_keys: [\"/b/trusted key.pub\"]", "policy: Some(\"/p/crane.toml\")"]
    {
        assert!(asked.contains(part), "{part}: {asked}");
    }
    let all = rows(&window);
    assert!(shows(&window, "sort by crane 2") && !all.is_empty(), "{all:?}");
    assert!(shows(&window, "3 differences"), "{all:?}");
    // What is told of the table is the export's, too.
    command(&mut window, Command::Export { table: "comparison", path: "/tmp/c.csv".into() });
    until(&mut window, "the export", |_| !fake.saved.lock().unwrap().is_empty());
    let saved = fake.saved.lock().unwrap().clone();
    let (path, csv) = saved.last().unwrap();
    assert_eq!(path, &PathBuf::from("/tmp/c.csv"));
    let header = csv.lines().next().unwrap();
    assert!(header.starts_with("rank,part,bears_on,table,key,odd,crane_1,crane_2,columns"), "{header}");
    // What all share stands there as well, and first.
    let differences = || csv.lines().filter(|l| l.contains(",difference,"));
    let of = |word: &str| differences().find(|l| l.contains(word)).unwrap_or_else(|| panic!("{word}: {csv}"));
    assert!(of("10.99.0.0/16").contains("has not,has,"), "{csv}");
    assert!(of("/etc/cron.d/sync").contains("only in sister"), "{csv}");
    assert!(of(",shell").contains("has,other,shell"), "{csv}");
    // A row of it, on two cranes.
    let row = csv.lines().skip(1).position(|l| l.contains(",difference,") && l.contains(",shell")).unwrap();
    command(&mut window, Command::ShowRow { view: "compare", table: "comparison", row });
    settle(&mut window);
    assert!(shows(&window, "/bin/rbash"));
    click(&mut window, "Contents");
    assert!(shows(&window, "0 lines differ, of 2 lines"));
    click(&mut window, "Values");
    click(&mut window, "Compare others…");
    assert!(shows(&window, "Compare this case with others"));
}
