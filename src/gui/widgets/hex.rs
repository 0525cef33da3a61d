//! Bytes as hex and text, with the offset of the image in front, so that they can be found with `dd` or `xxd`.
use super::Cx;
use crate::gui::command::{BytesAt, Command};
use crate::gui::theme;
use egui::text::{LayoutJob, TextFormat};
use egui::{Color32, Ui};

/// Bytes that are read and shown at once.
pub(crate) const PAGE: u32 = 512;
const LINE: usize = 16;

/// Shows `PAGE` bytes of an image from the line that `offset` is in; those in `marked` are lit.
pub(crate) fn show(cx: &mut Cx<'_>, ui: &mut Ui, image: u32, offset: u64, marked: std::ops::Range<u64>) {
    let at = BytesAt { image, offset: offset - offset % LINE as u64, len: PAGE };
    match cx.previews.get(&at) {
        None => {
            cx.ask(Command::Preview(at));
            ui.label(super::dim(cx.tokens, "Reading the bytes…"));
        }
        Some(None) => {
            ui.label(super::dim(cx.tokens, "Reading the bytes…"));
        }
        Some(Some(Err(why))) => {
            let text = super::safe(&why.message);
            let unconfined = why.is_unconfined && !cx.unconfined_word;
            ui.colored_label(cx.tokens.critical, format!("The bytes cannot be shown: {text}"));
            if unconfined && ui.button(super::READ_UNCONFINED).clicked() {
                cx.ask(Command::Unconfined);
            }
        }
        Some(Some(Ok(bytes))) if bytes.is_empty() => {
            ui.label(super::dim(cx.tokens, "The image ends before this offset."));
        }
        Some(Some(Ok(bytes))) => {
            let t = cx.tokens;
            let end = at.offset.saturating_add(bytes.len() as u64);
            // Where all that is in sight belongs to the run, marking it says nothing.
            let marked = if marked.start <= at.offset && marked.end >= end { 0..0 } else { marked };
            let job =
                layout(bytes, at.offset, &marked, size(ui.available_width()), [t.text, t.text_dim, t.marked_bytes]);
            egui::Frame::new().fill(t.sunken).inner_margin(6).corner_radius(3).show(ui, |ui| {
                egui::ScrollArea::horizontal().id_salt("hex").show(ui, |ui| {
                    ui.add(egui::Label::new(job).extend().selectable(true));
                });
            });
        }
    }
}

/// As large as fits into the width, between the sizes of the design.
fn size(width: f32) -> f32 {
    /// Characters of a line, with the frame, and the advance of one for its size.
    const LINE: f32 = 81.0 * 0.603;
    ((width / LINE) * 2.0).floor().clamp(theme::HEX * 2.0, theme::MONO * 2.0) / 2.0
}

fn layout(
    bytes: &[u8],
    start: u64,
    marked: &std::ops::Range<u64>,
    size: f32,
    [text, dim, lit]: [Color32; 3],
) -> LayoutJob {
    let mut job = LayoutJob::default();
    let format = |color: Color32, marked: bool| TextFormat {
        font_id: egui::FontId::monospace(size),
        color,
        background: if marked { lit } else { Color32::TRANSPARENT },
        ..TextFormat::default()
    };
    for (n, line) in bytes.chunks(LINE).enumerate() {
        let base = start.saturating_add((n * LINE) as u64);
        if n > 0 {
            job.append("\n", 0.0, format(dim, false));
        }
        job.append(&format!("{base:010x}  "), 0.0, format(dim, false));
        for i in 0..LINE {
            let is_marked = marked.contains(&base.saturating_add(i as u64));
            match line.get(i) {
                Some(byte) => {
                    job.append(&format!("{byte:02x}"), 0.0, format(if *byte == 0 { dim } else { text }, is_marked));
                }
                None => job.append("  ", 0.0, format(dim, false)),
            }
            job.append(if i == LINE / 2 - 1 { "  " } else { " " }, 0.0, format(dim, false));
        }
        job.append(" ", 0.0, format(dim, false));
        for (i, byte) in line.iter().enumerate() {
            let is_marked = marked.contains(&base.saturating_add(i as u64));
            let shown = if byte.is_ascii_graphic() || *byte == b' ' { char::from(*byte) } else { '.' };
            let color = if shown == '.' && *byte != b'.' { dim } else { text };
            job.append(shown.encode_utf8(&mut [0; 4]), 0.0, format(color, is_marked));
        }
    }
    job
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_carry_their_offset_and_the_text_beside() {
        let bytes: Vec<u8> = (0..20).map(|b| b + 0x40).collect();
        let job = layout(&bytes, 0x1000, &(0x1002..0x1004), 12.0, [Color32::WHITE, Color32::GRAY, Color32::GREEN]);
        let lines: Vec<&str> = job.text.lines().collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(
            lines.first(),
            Some(&"0000001000  40 41 42 43 44 45 46 47  48 49 4a 4b 4c 4d 4e 4f  @ABCDEFGHIJKLMNO")
        );
        assert!(lines.get(1).is_some_and(|l| l.starts_with("0000001010  50 51 52 53   ") && l.ends_with("PQRS")));
        let lit: String = job
            .sections
            .iter()
            .filter(|s| s.format.background == Color32::GREEN)
            .map(|s| &job.text[s.byte_range.start.0..s.byte_range.end.0])
            .collect();
        assert_eq!(lit, "4243BC");
    }
}
