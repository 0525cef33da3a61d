//! Where secrets are masked: every row and every gap of an artifact passes here on its way out of
//! [`super::Out`]. What the name of a setting or an option tells is masked without the artifact's
//! help; what only its place tells (a column of a table of passwords), the artifact hands to
//! [`super::Out::secret`].
use crate::base::secret::{MASK, is_secret, masked_command, masked_prose};
use crate::inventory::{Row, Value};

/// Tables whose cells come out of contents and databases, not out of settings or command lines.
const NO_SETTINGS: &[&str] = &["files", "binaries", "drivers", "packages", "components", "certificates"];
/// Columns that hold sentences.
const PROSE: &[&str] = &["text", "description", "comment", "log"];

/// Masks what a row's cells and excerpt show of secrets.
pub(super) fn mask(row: &mut Row) {
    let table = row.table();
    // `password requisite pam_deny.so` and `install base-passwd:amd64` name no secret.
    let not_secret = match row {
        Row::Setting(setting) => &*setting.program == "pam",
        Row::Start(start) => &*start.by == "pam",
        Row::Event(event) => &*event.class == "package" && &*event.kind != "package-asked",
        _ => NO_SETTINGS.contains(&table.name),
    };
    if not_secret {
        return;
    }
    // What was typed is a command, and no sentence.
    let typed = matches!(row, Row::Event(event) if &*event.class == "history");
    // What an option of a command holds depends on the program.
    let before = match row {
        Row::Start(start) => {
            let program = start.program.as_ref().map(crate::base::Name::display).unwrap_or_default();
            format!("{program} {} ", start.command.split_whitespace().next().unwrap_or_default())
        }
        _ => String::new(),
    };
    let mut changed = false;
    let named = table.column("name").or_else(|| table.column("kind")).map(|c| row.value(c).to_string());
    let named = named.filter(|n| table.column("value").is_some() && is_secret(n));
    let cells: Vec<Value> = table
        .columns
        .iter()
        .enumerate()
        .map(|(at, column)| {
            let cell = row.value(at);
            let show = |text: &str| match column.name {
                _ if typed => masked_command(text),
                name if PROSE.contains(&name) => masked_prose(text),
                "value" => named.as_ref().map_or_else(|| masked_command(text), |name| value_of(name, text)),
                "arguments" => {
                    let shown = masked_command(&format!("{before}{text}"));
                    shown.strip_prefix(&before).unwrap_or(MASK).to_owned()
                }
                _ => masked_command(text),
            };
            let shown = match &cell {
                Value::Text(text) => Value::Text(show(text).into()),
                Value::List(list) => Value::List(list.iter().map(|text| show(text)).collect()),
                _ => return cell,
            };
            changed |= shown != cell;
            shown
        })
        .collect();
    let mut evidence = row.evidence().clone();
    if let Some(excerpt) = &mut evidence.excerpt {
        *excerpt = if !typed && matches!(table.name, "events" | "sessions" | "traces") {
            masked_prose(excerpt)
        } else {
            masked_command(excerpt)
        };
    }
    if !changed {
        row.evidence_mut().excerpt = evidence.excerpt;
    } else if let Some(masked) = Row::from_values(table.name, row.system(), cells, evidence) {
        *row = masked;
    }
}

/// The value of a setting with a secret's name, as it would be shown behind that name.
fn value_of(name: &str, text: &str) -> String {
    let shown = masked_command(&format!("{name}={text}"));
    shown.strip_prefix(name).and_then(|s| s.strip_prefix('=')).unwrap_or(MASK).to_owned()
}
