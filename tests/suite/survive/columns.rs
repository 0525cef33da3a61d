//! A case of another build: its tables have other columns.
use super::{disk, examine};
use crate::common::run;

#[test]
fn a_case_of_other_columns_is_told_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    if !disk(at) {
        return;
    }
    assert_eq!(examine(at, "c.cranecase").0, 0);
    let db = rusqlite::Connection::open(at.join("c.cranecase")).unwrap();
    db.execute_batch("ALTER TABLE rows_files DROP COLUMN acl").unwrap();
    drop(db);
    let (code, _, err) = run(at, &["judge", "c.cranecase"]);
    assert_eq!(code, 3, "{err}");
    assert!(err.contains("its table files has other columns than this build"), "{err}");
    // The log does not depend on them.
    assert_eq!(run(at, &["verify", "c.cranecase"]).0, 0);
}
