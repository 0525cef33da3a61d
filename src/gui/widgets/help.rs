//! What the keys do, how filters are written, and which program this is.
use super::{dim, heading, strong};
use crate::gui::command::Command;
use crate::gui::theme::{self, Tokens};
use egui::{Grid, Label, RichText, Ui};

const KEYS: &[(&str, &str)] = &[
    ("Ctrl+O", "open images or a case"),
    ("Ctrl+1 … Ctrl+9, Ctrl+0", "the views, in the order of the list at the left"),
    ("Ctrl+F", "search all columns of the table"),
    ("Esc", "dismiss a notice; then: no search and no filters"),
    ("Up, Down, Page Up, Page Down, Home, End", "move in the table; with Shift: choose as far as there"),
    ("Ctrl+A, Ctrl+C", "choose all rows; copy the chosen ones, tab-separated"),
    ("Ctrl+E", "export the rows shown as CSV"),
    ("F1", "this page"),
];
const FILTERS: &[(&str, &str)] = &[
    ("text", "contains it, whatever the case of its letters"),
    ("!text", "does not contain it"),
    ("=text", "is exactly that; = alone: is empty"),
    (">4k  <=1m", "sizes and counts; k, m and g are 1024 and its powers"),
    (">2025-03-01  <2025-04-01 12:00", "times, in UTC"),
];
const MOUSE: &[(&str, &str)] = &[
    ("a column's title", "sorts; again: descending; again: the table's own order"),
    ("a column's right edge", "dragged: sets its width, which is kept; Fit widths in the menu Columns undoes that"),
    ("right button on a cell", "copy it, show only rows like it, or none like it; look at the file, save it"),
];

pub(crate) fn show(ui: &mut Ui, tokens: &Tokens, commands: &mut Vec<Command>) {
    ui.label(heading(tokens, concat!("Cranescope ", env!("CARGO_PKG_VERSION"))));
    let about = "Reads disk images without changing them, and says what leads out, who can get in, what differs from what was approved, and what could not be read. A finding is an observation, with its place in the evidence; what it means for the crane is decided by the examiner.";
    ui.add(Label::new(dim(tokens, about)).wrap());
    for (title, lines) in [("Keys", KEYS), ("Filters, below each column's title", FILTERS), ("Mouse", MOUSE)] {
        ui.add_space(8.0);
        ui.label(strong(tokens, title));
        Grid::new(title).num_columns(2).spacing([18.0, 3.0]).min_col_width(250.0).show(ui, |ui| {
            for (what, does) in lines {
                ui.label(RichText::new(*what).font(theme::mono()));
                ui.label(*does);
                ui.end_row();
            }
        });
    }
    ui.add_space(8.0);
    let licence = concat!("Licensed ", env!("CARGO_PKG_LICENSE"), ". The same from the command line: cranescope help.");
    ui.label(dim(tokens, licence));
    ui.add_space(6.0);
    if ui.button("Close help").clicked() {
        commands.push(Command::Help(false));
    }
}
