//! The window: one face over `session`.
//!
//! A view draws from an immutable [`Snapshot`] and asks by [`Command`]; whatever takes time (opening,
//! examining, sorting, filtering, reading bytes, writing files) runs on a named thread in [`job`]
//! and comes back as a value. No query runs in a frame, and colors stand in [`theme`] alone.
mod access;
mod app;
mod apply;
mod bring;
mod command;
mod comparing;
mod csv;
pub mod file_text;
pub mod job;
mod outside;
mod query;
mod rows;
mod snapshot;
mod state;
pub mod theme;
mod views;
mod widgets;

pub use access::Access;
pub use app::App;
pub use command::{Command, Leave, LookAt, PlanDraft, SaveItem};
pub use query::{Query, run as run_query};
pub use rows::{Rows, Spec};
pub use snapshot::Snapshot;
pub use state::Settings;
pub use views::ALL as VIEWS;

use crate::session::Failure;
use job::Backend;
use std::path::PathBuf;
use std::sync::Arc;

/// Opens the window on these images or cases and returns when it is closed.
///
/// # Errors
/// [`Failure`] code 4 where no display can be opened.
pub fn run(open: Vec<PathBuf>) -> Result<(), Failure> {
    run_with(open, Arc::new(job::Session))
}

/// [`run`] with any backend.
///
/// # Errors
/// [`Failure`] code 4 where no display can be opened.
pub fn run_with(open: Vec<PathBuf>, backend: Arc<dyn Backend>) -> Result<(), Failure> {
    let options = eframe::NativeOptions {
        viewport: egui::ViewportBuilder::default()
            .with_title("Cranescope")
            .with_app_id("cranescope")
            .with_inner_size([1280.0, 800.0])
            .with_min_inner_size([900.0, 560.0]),
        renderer: eframe::Renderer::Glow,
        ..Default::default()
    };
    let start = move |cc: &eframe::CreationContext<'_>| -> Result<Box<dyn eframe::App>, _> {
        let settings = cc.storage.and_then(|s| eframe::get_value(s, Settings::KEY)).unwrap_or_default();
        let mut app = App::new(&cc.egui_ctx, backend, settings);
        app.open_at_start(open);
        Ok(Box::new(app))
    };
    eframe::run_native("Cranescope", options, Box::new(start)).map_err(|error| {
        let why = match error {
            eframe::Error::WinitEventLoop(_) => "neither DISPLAY nor WAYLAND_DISPLAY leads to a display".to_owned(),
            other => other.to_string().replace('\n', " "),
        };
        Failure::environment(format!("no window can be opened here: {why}; use `cranescope examine IMAGE` instead"))
    })
}
