//! Where boxes and lines of the picture lie. In points of a drawing whose size it gives; the window and the HTML report
//! draw the same.
use super::{Picture, Place};

/// A box, with its texts cut to its width.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawn {
    pub x: f32,
    pub y: f32,
    pub height: f32,
    pub title: String,
    pub lines: Vec<String>,
}

/// The whole drawing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Laid {
    pub width: f32,
    pub height: f32,
    /// In the order of the picture's nodes.
    pub boxes: Vec<Drawn>,
    /// Titles of the columns that hold something, and where they begin.
    pub columns: Vec<(&'static str, f32)>,
    /// Lines in the order of the picture's edges: from a box's right side to another's left.
    pub lines: Vec<[(f32, f32); 2]>,
}

impl Laid {
    pub const BOX: f32 = 204.0;
    pub const TITLE: f32 = 18.0;
    pub const LINE: f32 = 14.0;
    pub const PAD: f32 = 6.0;
    const GAP: f32 = 10.0;
    const BETWEEN: f32 = 40.0;
    const HEAD: f32 = 26.0;
    const MARGIN: f32 = 8.0;
}

/// Characters of a title and of a line that fit into a box.
const TITLE: usize = 26;
const LINE: usize = 31;

/// Lays a picture out: columns from left to right, each in the middle of the height.
pub fn layout(picture: &Picture) -> Laid {
    let mut laid = Laid::default();
    let mut boxes: Vec<Option<Drawn>> = vec![None; picture.nodes.len()];
    let mut x = Laid::MARGIN;
    let mut columns = Vec::new();
    for place in Place::ALL {
        let members: Vec<usize> =
            picture.nodes.iter().enumerate().filter(|(_, n)| n.place == place).map(|(at, _)| at).collect();
        if members.is_empty() {
            continue;
        }
        let mut y = Laid::HEAD;
        for at in &members {
            let Some(node) = picture.node(*at) else { continue };
            let lines: Vec<String> = node.lines.iter().map(|l| cut(l, LINE)).collect();
            let height = lines.iter().fold(Laid::TITLE + 2.0 * Laid::PAD, |sum, _| sum + Laid::LINE);
            if let Some(slot) = boxes.get_mut(*at) {
                *slot = Some(Drawn { x, y, height, title: cut(&node.title, TITLE), lines });
            }
            y += height + Laid::GAP;
        }
        laid.columns.push((place.title(), x));
        laid.height = laid.height.max(y);
        columns.push((members, y));
        x += Laid::BOX + Laid::BETWEEN;
    }
    laid.width = (x - Laid::BETWEEN + Laid::MARGIN).max(0.0);
    for (members, bottom) in columns {
        let down = (laid.height - bottom) / 2.0;
        for at in members {
            if let Some(Some(drawn)) = boxes.get_mut(at) {
                drawn.y += down;
            }
        }
    }
    laid.boxes = boxes.into_iter().flatten().collect();
    for edge in &picture.edges {
        let (Some(from), Some(to)) = (laid.boxes.get(edge.from), laid.boxes.get(edge.to)) else { continue };
        let line = [(from.x + Laid::BOX, from.y + from.height / 2.0), (to.x, to.y + to.height / 2.0)];
        laid.lines.push(line);
    }
    laid
}

/// Escaped, on one line, and with its middle left out where it is longer.
fn cut(text: &str, most: usize) -> String {
    let text = crate::base::inert::lines(&text.replace(['\n', '\r', '\t'], " "));
    let letters: Vec<char> = text.chars().collect();
    if letters.len() <= most {
        return text;
    }
    let half = most.saturating_sub(1) / 2;
    let head: String = letters.iter().take(half).collect();
    let tail: String =
        letters.iter().skip(letters.len().saturating_sub(most.saturating_sub(half).saturating_sub(1))).collect();
    format!("{head}…{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_fit_their_boxes() {
        assert_eq!(cut("short", 24), "short");
        let long = cut(&"a".repeat(100), 24);
        assert_eq!(long.chars().count(), 24);
        assert!(!cut("a\u{202e}b", 24).contains('\u{202e}'));
    }
}
