//! Reports: a case written out for people and for other programs.
mod csv;
mod json;
mod layers;
mod table;

pub use csv::{csv, csv_cell, inert};
pub use json::{json, json_rows};
pub use table::text_table;

use crate::case::CaseData;
use std::io;

/// A kind of report.
pub struct Format {
    pub name: &'static str,
    pub about: &'static str,
    pub write: fn(&CaseData, &mut dyn io::Write) -> io::Result<()>,
}

/// Every kind, by name.
pub const ALL: &[&Format] = &[&json::FORMAT];
