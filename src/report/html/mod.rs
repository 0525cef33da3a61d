//! The report for people: one HTML file without script and without anything from elsewhere, for a screen or for A4
//! paper, in the order in which an authority reads. Everything of the evidence goes in by `page`, escaped.
//!
//! The size is bounded whatever the case holds: what is beyond a number is counted, and the report JSON is named.
mod facts;
mod findings;
mod opening;
mod page;
mod picture;
mod policy;
mod unread;

pub use findings::by_rung;
pub use page::html_text;
pub(super) use page::word;

use super::Format;
use crate::case::CaseData;
use base64::Engine as _;
use page::Page;
use sha2::{Digest as _, Sha256};
use std::io::{self, Write};

pub(super) const FORMAT: Format = Format {
    name: "html",
    about: "for people: one file, no script, for screen and paper",
    write: |case, to| html(case, to),
};

const STYLE: &str = include_str!("style.css");

/// Writes the whole report.
pub fn html(case: &CaseData, to: &mut dyn Write) -> io::Result<()> {
    let mut page = Page::new();
    let style = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(STYLE));
    // Nothing is loaded and nothing runs, even if something of the evidence were taken for markup.
    write!(
        to,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n<meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n",
        html_text(&page::short(&opening::title(case)))
    )?;
    opening::write(&mut page, case);
    picture::write(&mut page, case);
    findings::write(&mut page, case);
    policy::write(&mut page, case);
    unread::searched(&mut page, case);
    unread::write(&mut page, case);
    facts::systems(&mut page, case);
    facts::inventory(&mut page, case);
    facts::reviews(&mut page, case);
    facts::tool(&mut page, case);
    page.raw("</body>\n</html>\n");
    to.write_all(&page.into_bytes())
}

/// Says how many of a list are not here.
fn more(page: &mut Page, shown: usize, of: usize, what: &'static str) {
    let more = of.saturating_sub(shown);
    if more > 0 {
        page.raw("<p class=\"dim\">").count(more as u64).raw(" more ").raw(what);
        page.raw(" are not shown here; the report JSON (<code>cranescope report CASE --format json</code>) has all of them.</p>\n");
    }
}
