//! Views that are tables of the inventory: one, or several as tabs, with the chosen row's detail below.
use super::View;
use crate::gui::widgets::{Cx, detail, dim, grid};
use crate::gui::{rows::grouped, theme};
use egui::{Panel, Ui};

macro_rules! view {
    ($(#[$doc:meta])* $name:ident, $id:literal, $title:literal, $about:literal, [$($table:literal),+]) => {
        $(#[$doc])*
        pub(super) const $name: View = View {
            id: $id,
            title: $title,
            about: $about,
            count: |snapshot| Some(super::count_tables(snapshot, &[$($table),+])),
            only_if_any: false,
            tables: &[$($table),+],
            draw: tabbed,
        };
    };
}
view!(
    BINARIES,
    "binaries",
    "Binaries",
    "Executables, libraries and objects, and what they reveal",
    ["binaries", "content_matches"]
);
view!(
    SERVICES,
    "services",
    "Services",
    "What starts: every way from boot, login, device, network or time to a program; units, init scripts, tasks",
    ["services", "tasks", "starts"]
);
view!(
    NETWORK,
    "network",
    "Network",
    "Interfaces, links out and in, routes, names, packet filter, listening ports, hosts that configuration names, addresses lent",
    ["interfaces", "connections", "routes", "names", "firewall", "listeners", "endpoints", "leases"]
);
view!(
    DRIVERS,
    "drivers",
    "Drivers",
    "Kernel modules, what the configuration says of them, hardware that was recorded, what the boot loader is told",
    ["drivers", "driver_settings", "devices", "boot_environment"]
);
view!(
    PACKAGES,
    "packages",
    "Packages",
    "Installed packages and components, whether their files are as shipped, and images and containers on the disk",
    ["packages", "components", "containers"]
);
view!(
    ACCOUNTS,
    "accounts",
    "Accounts",
    "Who can log in, with what, and what they may do; whom the system trusts",
    ["accounts", "groups", "sudoers", "keys", "certificates", "settings"]
);
view!(
    EVENTS,
    "events",
    "Events",
    "What logs recorded that bears on links out and in, periods of use, what is left where no file has it, and what file systems recorded of their files",
    ["events", "sessions", "traces", "removed", "file_events"]
);

/// Tabs where there are several tables, then the table and the detail of its row.
pub(super) fn tabbed(cx: &mut Cx<'_>, ui: &mut Ui, view: &'static View) {
    let table = tabs(cx, ui, view.id, view.tables);
    if let Some(table) = table {
        with_detail(cx, ui, table);
    }
}

/// Draws the tabs and returns the chosen table.
pub(super) fn tabs(cx: &mut Cx<'_>, ui: &mut Ui, view: &'static str, tables: &[&'static str]) -> Option<&'static str> {
    let chosen = cx.state.tabs.get(view).copied().filter(|t| tables.contains(t)).or_else(|| tables.first().copied())?;
    if tables.len() > 1 {
        ui.horizontal_wrapped(|ui| {
            for table in tables.iter().copied() {
                let name = table.replace('_', " ");
                let text = format!("{name}  {}", grouped(cx.snapshot.count(table) as i128));
                let about = cx.snapshot.rows(table).map_or("", |r| r.about());
                let tab = ui.selectable_label(chosen == table, text).accessible_name(format!("{name} tab"));
                if tab.on_hover_text(about).clicked() {
                    cx.state.tabs.insert(view, table);
                }
            }
        });
    }
    Some(chosen)
}

/// A table, and below it all about the row under its cursor.
pub(super) fn with_detail(cx: &mut Cx<'_>, ui: &mut Ui, table: &'static str) {
    let height = (ui.available_height() * 0.36).clamp(120.0, 330.0);
    Panel::bottom(("detail of", table))
        .resizable(true)
        .default_size(height)
        .size_range(80.0..=ui.available_height() * 0.75)
        .frame(egui::Frame::new().fill(cx.tokens.panel).inner_margin(8))
        .show(ui, |ui| {
            ui.take_available_height();
            detail::row(cx, ui, table);
        });
    let about = cx.snapshot.rows(table).map_or("", |r| r.about());
    let empty = if cx.running {
        format!("{about} Nothing of it was found so far; the examination is still running.")
    } else {
        format!("{about} The examination found none. What could not be read stands under Gaps.")
    };
    egui::CentralPanel::default().frame(egui::Frame::new()).show(ui, |ui| {
        if !cx.running && cx.provisional {
            ui.label(dim(cx.tokens, "The examination did not finish: this table may lack rows.").font(theme::small()));
        }
        grid::show(cx, ui, table, &empty);
    });
}
