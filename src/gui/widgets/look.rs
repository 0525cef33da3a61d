//! A file of the evidence, looked at: text in a chosen encoding, or bytes with their offset in the image; and what of
//! it is not shown.
use super::{dim, strong};
use crate::base::{ImageRun, PieceKind};
use crate::gui::command::Command;
use crate::gui::file_text::{Encoding, Text};
use crate::gui::job::Looked;
use crate::gui::outside::Looking;
use crate::gui::rows::grouped;
use crate::gui::theme::{self, Tokens};
use egui::{Label, RichText, ScrollArea, Ui};

const LINE: usize = 16;

pub(crate) fn show(ui: &mut Ui, looking: &Looking, tokens: &Tokens, commands: &mut Vec<Command>) {
    ui.horizontal_wrapped(|ui| {
        if looking.at.path.is_marked() {
            super::chip(ui, "escaped", tokens.medium)
                .on_hover_text("The name holds bytes or characters that do not show; they are written escaped.");
        }
        if looking.at.deleted {
            super::chip(ui, "deleted", tokens.medium)
                .on_hover_text("Its blocks may have been used again since: the bytes may be another file's.");
        }
        ui.add(Label::new(strong(tokens, looking.at.path.display())).wrap());
    });
    let content = match &looking.content {
        None => {
            ui.horizontal(|ui| {
                ui.spinner();
                ui.label("Reading the file…");
            });
            None
        }
        Some(Err(failure)) => {
            let why = super::safe(&failure.message);
            ui.add(Label::new(RichText::new(format!("It cannot be shown: {why}")).color(tokens.critical)).wrap());
            if failure.is_unconfined && ui.button(super::READ_UNCONFINED).clicked() {
                commands.push(Command::Unconfined);
            }
            None
        }
        Some(Ok(content)) => Some(content),
    };
    ui.horizontal_wrapped(|ui| {
        if content.is_some() {
            if ui.selectable_label(!looking.as_hex, "Text").clicked() {
                commands.push(Command::LookHex(false));
            }
            if ui.selectable_label(looking.as_hex, "Hex").clicked() {
                commands.push(Command::LookHex(true));
            }
            ui.separator();
            for encoding in Encoding::ALL {
                let chosen = !looking.as_hex && looking.encoding == encoding;
                if ui.add_enabled(!looking.as_hex, egui::Button::selectable(chosen, encoding.title())).clicked() {
                    commands.push(Command::LookAs(encoding));
                }
            }
            ui.separator();
        }
        if ui.button("Save as…").on_hover_text("Writes the whole file, with a manifest").clicked() {
            commands.push(Command::CloseLook);
            commands.push(Command::SaveAs(vec![looking.at.item()]));
        }
        if ui.button("Close file").on_hover_text("Esc").clicked() {
            commands.push(Command::CloseLook);
        }
    });
    let Some(content) = content else { return };
    for (text, warns) in marks(content, looking) {
        ui.add(Label::new(RichText::new(text).color(if warns { tokens.medium } else { tokens.text_dim })).wrap());
    }
    if content.bytes.is_empty() {
        return;
    }
    egui::Frame::new().fill(tokens.sunken).inner_margin(6).corner_radius(3).show(ui, |ui| {
        if looking.as_hex {
            hex(ui, content, tokens);
        } else if let Some((_, text)) = looking.text.as_ref().filter(|(encoding, _)| *encoding == looking.encoding) {
            lines(ui, text);
        } else {
            ui.label(dim(tokens, "Decoding…"));
        }
    });
}

/// What is said of the content, and whether it is a warning.
fn marks(content: &Looked, looking: &Looking) -> Vec<(String, bool)> {
    let shown = content.bytes.len() as u64;
    let mut marks = Vec::new();
    match (content.is_whole, content.size) {
        (true, Some(size)) if size != shown => marks.push((
            format!("{} bytes could be read; the file system says {}.", grouped(shown.into()), grouped(size.into())),
            true,
        )),
        (true, _) if shown == 0 => marks.push(("The file is empty.".to_owned(), false)),
        (true, _) => marks.push((format!("The whole file: {} bytes.", grouped(shown.into())), false)),
        (false, size) => {
            let of = size.map(|s| format!(" of {}", grouped(s.into()))).unwrap_or_default();
            let text = format!(
                "Only the first {} bytes{of} are shown. Save the file to have all of it.",
                grouped(shown.into())
            );
            marks.push((text, true));
        }
    }
    if looking.as_hex {
        if !content.runs.iter().any(|r| r.kind == PieceKind::Stored) {
            let text = "The bytes are not stored in the image as they are (decoded, a hole, or small and kept in the metadata): the offsets are those in the file.";
            marks.push((text.to_owned(), false));
        }
    } else if let Some((_, text)) = &looking.text {
        let places = |n: usize, what: &str| format!("{} {what}", grouped(n as i128));
        let mut parts = Vec::new();
        if text.wrong > 0 {
            parts.push(places(text.wrong, "places are no text in this encoding"));
        }
        if text.cut > 0 {
            parts.push(places(text.cut, "lines are cut as too long"));
        }
        if text.escaped > 0 {
            parts.push(places(text.escaped, "lines hold characters that do not show; they are written escaped"));
        }
        if !parts.is_empty() {
            marks.push((format!("{}.", parts.join("; ")), true));
        }
    }
    marks
}

fn lines(ui: &mut Ui, text: &Text) {
    let digits = text.lines.len().to_string().len();
    let height = ui.text_style_height(&egui::TextStyle::Monospace);
    ScrollArea::both().auto_shrink(false).show_rows(ui, height, text.lines.len(), |ui, range| {
        for n in range {
            let line = text.lines.get(n).map_or("", String::as_str);
            let text = format!("{:>digits$}  {line}", n.saturating_add(1));
            ui.add(Label::new(RichText::new(text).font(theme::mono())).extend());
        }
    });
}

fn hex(ui: &mut Ui, content: &Looked, tokens: &Tokens) {
    ui.label(
        dim(tokens, "image: offset, or file offset where the bytes are not stored as they are").font(theme::small()),
    );
    let height = ui.text_style_height(&egui::TextStyle::Monospace);
    let count = content.bytes.len().div_ceil(LINE);
    ScrollArea::both().auto_shrink(false).show_rows(ui, height, count, |ui, range| {
        for n in range {
            let text = hex_line(content, n);
            ui.add(Label::new(RichText::new(text).font(theme::mono())).extend());
        }
    });
}

fn hex_line(content: &Looked, n: usize) -> String {
    let at = n.saturating_mul(LINE);
    let bytes = content.bytes.get(at..content.bytes.len().min(at.saturating_add(LINE))).unwrap_or_default();
    let digits: Vec<String> = bytes.iter().map(|b| format!("{b:02x}")).collect();
    let shown: String =
        bytes.iter().map(|b| if b.is_ascii_graphic() || *b == b' ' { char::from(*b) } else { '.' }).collect();
    format!("{}  {:<47}  {shown}", place(&content.runs, at as u64), digits.join(" "))
}

/// Where a byte of the file stands: `image 0: offset`, or its offset in the file.
fn place(runs: &[ImageRun], at: u64) -> String {
    let within = |r: &&ImageRun| {
        r.kind == PieceKind::Stored && (r.file_offset..r.file_offset.saturating_add(r.len)).contains(&at)
    };
    match runs.iter().find(within) {
        Some(run) => {
            let offset = run.offset.saturating_add(at.saturating_sub(run.file_offset));
            format!("image {}: {offset:012x}", run.image)
        }
        None => format!("file     {at:012x}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_says_where_it_lies() {
        let run = |file_offset, offset, len, kind| ImageRun { image: 1, file_offset, offset, len, kind };
        let content = Looked {
            bytes: (0..40).collect(),
            is_whole: true,
            size: Some(40),
            runs: vec![
                run(0, 0x1000, 16, PieceKind::Stored),
                run(16, 0, 16, PieceKind::Hole),
                run(32, 0x9000, 8, PieceKind::Stored),
            ],
        };
        assert!(hex_line(&content, 0).starts_with("image 1: 000000001000  00 01 02"));
        assert!(hex_line(&content, 1).starts_with("file     000000000010  10 11"));
        assert_eq!(
            hex_line(&content, 2),
            format!("image 1: 000000009000  {:<47}   !\"#$%&'", "20 21 22 23 24 25 26 27")
        );
    }
}
