//! Text in a given width: right aligned, or with its middle left out where it is too long.
use egui::{Align2, Color32, FontId, Painter, Rect, pos2};

/// Characters of a cell that are laid out at all; the rest is in the hover text and in exports.
const LONGEST: usize = 400;

/// Paints one line into `rect`; `true` if something had to be left out.
pub(crate) fn line(painter: &Painter, rect: Rect, text: &str, font: &FontId, color: Color32, right: bool) -> bool {
    if rect.width() < 6.0 || text.is_empty() {
        return !text.is_empty();
    }
    let (cut, shortened) = clip(text);
    let galley = painter.layout_no_wrap(cut, font.clone(), color);
    if !shortened && galley.size().x <= rect.width() {
        let y = rect.center().y - galley.size().y / 2.0;
        let x = if right { rect.right() - galley.size().x } else { rect.left() };
        painter.galley(pos2(x, y), galley, color);
        return false;
    }
    let short = middle(&galley, rect.width(), painter.layout_no_wrap("…".to_owned(), font.clone(), color).size().x);
    painter.text(rect.left_center(), Align2::LEFT_CENTER, short, font.clone(), color);
    true
}

/// The first part of very long text: a cell of a megabyte must not cost a layout of a megabyte.
fn clip(text: &str) -> (String, bool) {
    match text.char_indices().nth(LONGEST) {
        None => (text.to_owned(), false),
        Some((at, _)) => {
            // The end says more than the middle, so it stays.
            let tail_from = text.char_indices().rev().nth(LONGEST / 2).map_or(at, |(i, _)| i.max(at));
            let head: String = text.chars().take(LONGEST / 2).collect();
            (format!("{head}…{}", text.get(tail_from..).unwrap_or_default()), true)
        }
    }
}

/// Head and tail of a laid-out line that fit together into `width`, with `…` between.
fn middle(galley: &egui::Galley, width: f32, dots: f32) -> String {
    let glyphs: Vec<(char, f32)> =
        galley.rows.iter().flat_map(|r| r.glyphs.iter().map(|g| (g.chr, g.advance_width))).collect();
    let room = (width - dots - 1.0).max(0.0);
    let (mut used, mut from, mut to) = (0.0, 0, glyphs.len());
    // Alternately from both ends, so that both stay in sight.
    while from < to {
        let next =
            if from <= glyphs.len().saturating_sub(to) { glyphs.get(from) } else { glyphs.get(to.saturating_sub(1)) };
        let Some((_, advance)) = next else { break };
        if used + advance > room {
            break;
        }
        used += advance;
        if from <= glyphs.len().saturating_sub(to) { from += 1 } else { to -= 1 }
    }
    let text = |part: Option<&[(char, f32)]>| -> String { part.unwrap_or_default().iter().map(|(c, _)| *c).collect() };
    format!("{}…{}", text(glyphs.get(..from)), text(glyphs.get(to..)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_very_long_cell_is_cut_before_it_is_laid_out() {
        let long: String = "岸".repeat(100_000) + "/end";
        let (cut, shortened) = clip(&long);
        assert!(shortened && cut.ends_with("/end") && cut.chars().count() <= LONGEST + 2);
        assert_eq!(clip("short"), ("short".to_owned(), false));
    }
}
