//! Reports: a case written out for people and for other programs.
mod csv;
mod html;
mod inert;
mod json;
mod layers;
mod picture;
mod place;
mod sarif;
mod table;
mod ways;

pub use csv::{ESCAPED, csv, csv_cell, csv_table, inert, marked};
pub use html::{by_rung, html, html_text};
pub use json::{json, json_rows};
pub use picture::{Edge, Laid, Node, Picture, Place, layout};
pub use place::dd_line;
pub use sarif::sarif;
pub use table::text_table;
pub use ways::{Way, ways};

use crate::case::CaseData;
use std::io;

/// A kind of report.
pub struct Format {
    pub name: &'static str,
    pub about: &'static str,
    pub write: fn(&CaseData, &mut dyn io::Write) -> io::Result<()>,
}

/// Every kind, by name.
pub const ALL: &[&Format] = &[&html::FORMAT, &json::FORMAT, &csv::FORMAT, &sarif::FORMAT];
