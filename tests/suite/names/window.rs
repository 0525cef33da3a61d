//! Every view of the window over a case of hostile names: no label holds what hides, moves or imitates.
use super::{hostile, is_inert};
use crate::fixture;
use crate::gui::{Fake, Window, app, command, settle, until, window};
use cranescope::gui::{Command, VIEWS};
use cranescope::inventory::TABLES;
use egui_kittest::kittest::{NodeT, Queryable};
use std::sync::Arc;

/// All that stands in the window, and what a screen reader is told.
fn labels(window: &Window) -> Vec<String> {
    let all = window.query_all(egui_kittest::kittest::by());
    all.flat_map(|n| {
        let node = n.accesskit_node();
        [node.label(), node.value(), node.description()].into_iter().flatten().collect::<Vec<_>>()
    })
    .collect()
}

#[test]
fn no_view_shows_what_hides_moves_or_imitates() {
    let _ = fixture::rich();
    let data = hostile();
    let fake = Arc::new(Fake { data: Some(data.clone()), ..Fake::default() });
    let mut window = window(fake);
    command(&mut window, Command::OpenCase("/tmp/hostile.cranecase".into()));
    until(&mut window, "the case", |w| app(w).snapshot().is_some());
    settle(&mut window);
    let mut seen = 0;
    let mut check = |window: &Window, what: &str| {
        for label in labels(window) {
            assert!(is_inert(&label), "{what}: {label:?}");
            seen += 1;
        }
    };
    for (n, view) in VIEWS.iter().enumerate() {
        command(&mut window, Command::View(n));
        settle(&mut window);
        check(&window, view.id);
        let tables = view.tables.iter().copied();
        for table in tables.chain(TABLES.iter().map(|t| t.name).filter(|_| view.id == "other")) {
            command(&mut window, Command::Go { view: view.id, table });
            settle(&mut window);
            let rows = app(&window).snapshot().unwrap().count(table);
            // The detail of some rows, with all that is known of them.
            for row in (0..rows).step_by(rows.div_ceil(5).max(1)) {
                command(&mut window, Command::ShowRow { view: view.id, table, row });
                settle(&mut window);
                check(&window, table);
            }
        }
    }
    assert!(seen > 2000, "{seen} labels were looked at");
}

#[test]
fn what_is_copied_and_exported_from_a_table_is_inert() {
    let fake = Arc::new(Fake { data: Some(hostile()), ..Fake::default() });
    let mut window = window(fake.clone());
    command(&mut window, Command::OpenCase("/tmp/hostile.cranecase".into()));
    until(&mut window, "the case", |w| app(w).snapshot().is_some());
    for table in ["files", "findings", "gaps"] {
        let view = VIEWS.iter().find(|v| v.tables.contains(&table)).unwrap().id;
        command(&mut window, Command::Go { view, table });
        settle(&mut window);
        command(&mut window, Command::Export { table, path: format!("/tmp/{table}.csv").into() });
        until(&mut window, "the file", |_| {
            fake.saved.lock().unwrap().iter().any(|(p, _)| p.ends_with(format!("{table}.csv")))
        });
    }
    for (path, text) in fake.saved.lock().unwrap().iter() {
        assert!(is_inert(&text.replace("\r\n", "\n")), "{}", path.display());
        assert!(text.lines().next().unwrap().ends_with(",escaped"));
    }
}
