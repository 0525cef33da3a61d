//! What rules over contents found, which the examiner gave: the one table that depends on them.
use super::record::record;
use crate::base::Name;
use std::sync::Arc;

record! {
    /// What the examiner's rules over contents (YARA files of --rules) found in programs and scripts that nothing vouches for: a row for each place where a rule matched, and one without a rule for each file that was looked at to its end.
    ContentMatch in "content_matches", key [path, deleted, rule, string, offset] {
        path: Name,
        /// Id of the rule; empty in the row that says that the file was looked at.
        rule: Arc<str>,
        /// The rule's name of the string that matched; empty where its condition alone held.
        string: String,
        /// Byte of the file.
        offset: Option<u64>,
        /// Bytes.
        length: u64,
        /// SHA-256 over names and texts of all rules over contents that were run together.
        rules: Arc<str>,
        deleted: bool,
        /// Why the running system does not show it at this path, as in files; empty if it does.
        covered: Arc<str>,
    }
}
