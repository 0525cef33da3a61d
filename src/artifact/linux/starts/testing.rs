//! What the tests of starts share.
use crate::artifact::Artifact;
use crate::artifact::linux::testing::{rows, system};
use crate::base::{Gap, Name};
use crate::inventory::{Row, Start};

/// The rows of `starts` that one artifact makes of a text tree.
pub(crate) fn starts(tree: &str, artifact: &Artifact) -> (Vec<Start>, Vec<Gap>) {
    let (rows, gaps) = rows(&system(tree), artifact);
    (only(rows), gaps)
}
pub(crate) fn only(rows: Vec<Row>) -> Vec<Start> {
    rows.into_iter().filter_map(|r| if let Row::Start(s) = r { Some(*s) } else { None }).collect()
}
/// `by when user program arguments`, then ` - why` where it is not enabled.
pub(crate) fn line(start: &Start) -> String {
    let program = start.program.as_ref().map(Name::display).unwrap_or_default();
    let mut text = format!("{} {} {} {program}", start.by, start.when, start.user);
    if !start.arguments.is_empty() {
        text.push(' ');
        text.push_str(&start.arguments);
    }
    if !start.enabled {
        text.push_str(" - ");
        text.push_str(&start.why.join(", "));
    }
    text
}
/// A path that fits a pattern: the first of each choice, `x` for each wildcard.
pub(crate) fn example(pattern: &str) -> String {
    let mut text = pattern.to_owned();
    while let Some((head, rest)) = text.split_once('{') {
        let (inner, tail) = rest.split_once('}').unwrap_or((rest, ""));
        let first = inner.split(',').find(|c| !c.is_empty()).unwrap_or_default();
        text = format!("{head}{first}{tail}");
    }
    text.replace("**", "x").replace('*', "x")
}
