//! Every file, live or deleted, as one table.
use super::View;

pub(super) const VIEW: View = View {
    id: "files",
    title: "Files",
    about: "Everything on the file systems, live or deleted",
    count: |snapshot| Some(snapshot.count("files")),
    only_if_any: false,
    tables: &["files"],
    draw: super::tables::tabbed,
};
