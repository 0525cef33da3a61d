//! Tables of what a file system itself recorded.
use super::record::record;
use crate::base::{Name, Time};

record! {
    /// What a file system's own journal recorded of changes to files (NTFS: `$UsnJrnl`).
    FileEvent in "file_events", key [usn, file, name] {
        /// Place in the journal, which numbers its records: later ones have greater numbers.
        usn: u64,
        time: Option<Time>,
        name: Name,
        /// Path, by where the file's folder now stands, or by the journal's own records of folders that are gone; empty where neither tells.
        path: Name,
        /// What was done to the file since it was opened: file-create, data-extend, rename-old-name, rename-new-name, file-delete … close (the last record of one use).
        reasons: Vec<String>,
        /// Number of the file's record (inode).
        file: u64,
        /// How often that record was used for another file before.
        file_sequence: u32,
        /// Number of the folder's record (inode).
        parent: u64,
        parent_sequence: u32,
        /// readonly, system, archive …, directory.
        attributes: Vec<String>,
        /// data-management, replication-management …: other than a program of a user did it.
        source: Vec<String>,
        /// Version of the record's format.
        version: u32,
    }
}
