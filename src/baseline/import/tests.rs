//! Lists as their tools write them, and what is none.
#![allow(clippy::unwrap_used)]
use super::*;
use std::io::Write as _;

const SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const SHA1: &str = "da39a3ee5e6b4b0d3255bfef95601890afd80709";
const MD5: &str = "d41d8cd98f00b204e9800998ecf8427e";

/// The format that a text is taken for, and for each entry which hashes it has.
fn read(text: &str) -> Result<(&'static str, Vec<String>), String> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let importer = of(file.path(), None).map_err(|e| e.what)?;
    let mut found = Vec::new();
    let read = importer.read(file.path(), &mut |hashes| {
        let word = |has: bool, word: &str| if has { word.to_owned() } else { String::new() };
        let Hashes { sha256, sha1, md5 } = hashes;
        found.push(word(sha256.is_some(), "a") + &word(sha1.is_some(), "b") + &word(md5.is_some(), "c"));
        Ok(())
    });
    match read {
        Ok(()) => Ok((importer.name, found)),
        Err(Fault::List(line, what)) => Err(format!("{}:{line}: {what}", importer.name)),
        Err(Fault::Machine(e)) => panic!("{e}"),
    }
}
fn is(text: &str, name: &str, entries: &[&str]) {
    let entries = entries.iter().map(|e| (*e).to_owned()).collect();
    assert_eq!(read(text), Ok((name, entries)), "{text}");
}
fn is_refused(text: &str, with: &str) {
    let told = read(text).unwrap_err();
    assert!(told.contains(with), "{told}\ninstead of {with}\n{text}");
}

#[test]
fn lists_of_sums() {
    is(&format!("{SHA256}  a b\n{SHA256} *c\n\\{SHA256}  a\\nb\n\n"), "sums", &["a", "a", "a"]);
    is(&format!("{SHA1}  x\n{MD5}  y\n{}  z", MD5.to_uppercase()), "sums", &["b", "c", "c"]);
    is(&format!("SHA256 (a (b) = c) = {SHA256}\nMD5 (x) = {MD5}\n"), "sums", &["a", "c"]);
    is(&format!("{SHA256}\r\n"), "sums", &["a"]);
    // Other kinds are entries without a hash that can be used.
    is(&format!("{SHA256}  a\n{SHA256}{SHA256}  b\nBLAKE2b (c) = 00\n"), "sums", &["a", "", ""]);
    is_refused(&format!("{SHA256}  a\n{MD5}0  b\n"), "sums:2: expected a SHA-256");
    is_refused(&format!("{SHA256}  a\nSHA256 (b) = {MD5}\n"), "sums:2:");
    is_refused(&format!("{SHA256}  a\n{SHA256}-b\n"), "sums:2:");
}

#[test]
fn hashdeep_names_its_columns() {
    let head = "%%%% HASHDEEP-1.0\n%%%% size,md5,sha256,filename\n## Invoked from: /\n";
    is(&format!("{head}0,{MD5},{SHA256},/a,b\n"), "hashdeep", &["ac"]);
    is_refused(&format!("{head}0,{MD5},/a\n"), "hashdeep:4: expected 4 columns, found 3");
    is_refused(&format!("{head}0,{SHA256},{MD5},/a\n"), "hashdeep:4:");
    is_refused(&head.replace("md5,sha256", "tiger"), "hashdeep:2: expected a column sha256");
    is_refused(&head.replace("1.0", "2.0"), "hashdeep:1: expected %%%% HASHDEEP-1.0");
    is_refused(head, "no entry");
}

#[test]
fn mtree_and_aide() {
    let tree = format!(
        "#mtree\n/set type=file uid=0\n.  type=dir\n  a  mode=0644 \\\n    sha256={SHA256} md5digest={MD5}\n..\n"
    );
    is(&tree, "mtree", &["ac"]);
    is_refused(&tree.replace("sha256=e3", "sha256=zz"), "mtree:5:");
    is_refused("#mtree\n. type=dir\n", "no entry");
    let aide = "@@begin_db\n# comment\n@@db_spec name perm sha256 md5\n/a 100644 47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU= 0\n/b 40755 0 0\n@@end_db\n";
    is(aide, "aide", &["a"]);
    is_refused(&aide.replace("@@end_db\n", ""), "cut short");
    is_refused(&aide.replace("47DE", "47D!"), "aide:4:");
    is_refused(&aide.replace("name perm", "name"), "aide:4: expected 3 columns");
}

#[test]
fn bills_of_materials() {
    let nested = format!(
        r#"{{"bomFormat":"CycloneDX","components":[{{"name":"a","hashes":[{{"alg":"SHA-256","content":"{SHA256}"}},{{"alg":"SHA-512","content":"x"}}],"components":[{{"name":"b","hashes":[{{"alg":"MD5","content":"{MD5}"}}]}}]}},{{"name":"c"}}]}}"#
    );
    is(&nested, "cyclonedx", &["a", "c"]);
    is_refused(&nested.replace(MD5, "12"), "component \"b\"");
    is_refused(nested.get(..nested.len() - 3).unwrap(), "cyclonedx:1: not JSON");
    let spdx = format!(
        r#"{{"spdxVersion":"SPDX-2.3","files":[{{"SPDXID":"SPDXRef-1","checksums":[{{"algorithm":"SHA1","checksumValue":"{SHA1}"}}]}}],"packages":[{{"SPDXID":"SPDXRef-2"}}]}}"#
    );
    is(&spdx, "spdx", &["b"]);
    is_refused(&spdx.replace("SPDX-2.3", "SPDX-3.0"), "expected \"spdxVersion\"");
    is(
        &format!(
            "SPDXVersion: SPDX-2.3\nFileName: ./a\nFileChecksum: SHA1: {SHA1}\nFileChecksum: SHA256: {SHA256}\nFileName: ./b\nFileChecksum: MD5: {MD5}\n"
        ),
        "spdx-tag-value",
        &["ab", "c"],
    );
}

#[test]
fn tables() {
    let text =
        format!("\"SHA-1\",\"MD5\",\"FileName\"\n\"{SHA1}\",\"{MD5}\",\"a \"\"b\"\", c\"\n\"{SHA1}\",\"\",\"d\"\n");
    is(&text, "csv", &["bc", "b"]);
    is(&format!("name;sha256\nx;{SHA256}\n"), "csv", &["a"]);
    is_refused(&format!("name;sha256\n{SHA256}\n"), "csv:2: expected 2 columns");
    is_refused("name;sha256\nx;0\n", "csv:2: column 2");
    is_refused("hello\n", "no list that is known; it begins with \"hello\"");
    is_refused("", "no list that is known");
}

#[test]
fn nsrl_full_minimal_and_another_layout() {
    let dir = tempfile::tempdir().unwrap();
    let make = |name: &str, sql: &str| {
        let path = dir.path().join(name);
        rusqlite::Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        let mut found = Vec::new();
        let importer = of(&path, None).unwrap();
        assert_eq!(importer.name, "nsrl");
        let mut take = |h: &Hashes| {
            found.push(*h);
            Ok(())
        };
        match importer.read(&path, &mut take) {
            Ok(()) => Ok(found),
            Err(Fault::List(_, what)) => Err(what),
            Err(Fault::Machine(e)) => panic!("{e}"),
        }
    };
    let row = format!("('{SHA256}','{SHA1}','{MD5}'");
    let minimal = format!(
        "CREATE TABLE FILE (sha256 VARCHAR, sha1 VARCHAR, md5 VARCHAR, crc32 VARCHAR, file_name VARCHAR, file_size INTEGER, package_id INTEGER); INSERT INTO FILE VALUES {row}, '0', 'a', 0, 1);"
    );
    let found = make("minimal.db", &minimal).unwrap();
    assert!(found.iter().all(|h| h.sha256.is_some() && h.sha1.is_some() && h.md5.is_some()) && found.len() == 1);
    // The full one: the table is METADATA, FILE a view that would join.
    let full = format!(
        "CREATE TABLE METADATA (object_id INTEGER, sha1 VARCHAR, sha256 VARCHAR, md5 VARCHAR); INSERT INTO METADATA VALUES (1, '{SHA1}', '{SHA256}', NULL), (2, '{SHA1}', NULL, '{MD5}'); CREATE VIEW FILE AS SELECT sha256 FROM METADATA LIMIT 1;"
    );
    assert_eq!(make("full.db", &full).unwrap().len(), 2);
    let other = make("other.db", "CREATE TABLE hashes (value TEXT); CREATE TABLE FILE (name TEXT);").unwrap_err();
    assert!(other.contains("expected a table METADATA or FILE") && other.contains("found FILE, hashes"), "{other}");
    let wrong = make("wrong.db", &minimal.replace(MD5, "zz")).unwrap_err();
    assert!(wrong.contains("FILE row 1") && wrong.contains("is no md5"), "{wrong}");
    // Cut in the middle.
    let path = dir.path().join("minimal.db");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, bytes.get(..bytes.len() / 2 + 100).unwrap()).unwrap();
    match of(&path, None).unwrap().read(&path, &mut |_| Ok(())) {
        Err(Fault::List(0, what)) => assert!(what.contains("cut short"), "{what}"),
        other => panic!("{other:?}"),
    }
}

/// Tables, views, columns and keys as NIST publishes them with RDS 3 (`schema.sql` of 2026.09.1, modern minimal, beside its
/// deltas); of the full layout those of its names that tools which read it ask for.
const PUBLISHED_MINIMAL: &str = "
CREATE TABLE FILE (sha256 VARCHAR NOT NULL, sha1 VARCHAR NOT NULL, md5 VARCHAR NOT NULL, crc32 VARCHAR NOT NULL,
  file_name VARCHAR NOT NULL, file_size INTEGER NOT NULL, package_id INTEGER NOT NULL,
  CONSTRAINT PK_FILE__FILE PRIMARY KEY (sha256, sha1, md5, crc32, file_name, file_size, package_id));
CREATE TABLE MFG (manufacturer_id INTEGER NOT NULL, name VARCHAR NOT NULL,
  CONSTRAINT PK_MFG__MFG_ID PRIMARY KEY (manufacturer_id));
CREATE TABLE OS (operating_system_id INTEGER NOT NULL, name VARCHAR NOT NULL, version VARCHAR NOT NULL,
  manufacturer_id INTEGER NOT NULL, CONSTRAINT PK_OS__OS_ID PRIMARY KEY (operating_system_id, manufacturer_id));
CREATE TABLE PKG (package_id INTEGER NOT NULL, name VARCHAR NOT NULL, version VARCHAR NOT NULL,
  operating_system_id INTEGER NOT NULL, manufacturer_id INTEGER NOT NULL, language VARCHAR NOT NULL,
  application_type VARCHAR NOT NULL, CONSTRAINT PK_PGK__PKG_ID
  PRIMARY KEY (package_id, operating_system_id, manufacturer_id, language, application_type));
CREATE TABLE VERSION (version VARCHAR UNIQUE NOT NULL, build_set VARCHAR NOT NULL,
  build_date TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL, release_date TIMESTAMP NOT NULL, description VARCHAR NOT NULL,
  CONSTRAINT PK_VERSION__VERSION PRIMARY KEY (version));
CREATE VIEW DISTINCT_HASH AS SELECT DISTINCT sha256, sha1, md5, crc32 FROM FILE;
INSERT INTO VERSION (version, build_set, release_date, description) VALUES ('2026.09.1', 'full', '2026-09-01', 'x');
";
const PUBLISHED_FULL: &str = "
CREATE TABLE METADATA (object_id INTEGER NOT NULL, sha256 VARCHAR, sha1 VARCHAR, md5 VARCHAR, file_name VARCHAR,
  extension VARCHAR, bytes INTEGER);
CREATE TABLE PACKAGE_OBJECT (package_id INTEGER NOT NULL, object_id INTEGER NOT NULL);
CREATE TABLE APPLICATION (package_id INTEGER NOT NULL, name VARCHAR);
CREATE TABLE MANUFACTURER (manufacturer_id INTEGER NOT NULL, name VARCHAR);
CREATE TABLE MANUFACTURER_APPLICATION (manufacturer_id INTEGER NOT NULL, package_id INTEGER NOT NULL);
CREATE VIEW FILE AS SELECT m.sha256, m.sha1, m.md5, m.file_name, m.bytes AS file_size, p.package_id
  FROM METADATA m JOIN PACKAGE_OBJECT p ON p.object_id = m.object_id;
CREATE VIEW PKG AS SELECT package_id, name FROM APPLICATION;
CREATE VIEW MFG AS SELECT manufacturer_id, name FROM MANUFACTURER;
";

#[test]
fn nsrl_as_it_is_published() {
    let dir = tempfile::tempdir().unwrap();
    let (sha256, sha1, md5) = (SHA256.to_uppercase(), SHA1.to_uppercase(), MD5.to_uppercase());
    let import = |name: &str, sql: &str| {
        let path = dir.path().join(name);
        rusqlite::Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        let (mut rows, mut distinct) = (0, std::collections::BTreeSet::new());
        let mut take = |h: &Hashes| {
            rows += 1;
            distinct.insert(format!("{h:?}"));
            Ok(())
        };
        let read = of(&path, None).unwrap().read(&path, &mut take);
        assert!(read.is_ok(), "{name}: {read:?}");
        (rows, distinct)
    };
    // One content in three products; a delta's statements as they are run in the database before.
    let insert = |content: &str, name: &str, package: u8| {
        format!(
            "INSERT INTO FILE(sha256,sha1,md5,crc32,file_name,file_size,package_id) VALUES('{content}','{sha1}','{md5}','00000000','{name}',0,{package});"
        )
    };
    let other = sha256.replace('E', "F");
    let delta = format!(
        "BEGIN TRANSACTION;{}{}DELETE FROM FILE WHERE file_name='a' AND package_id=2;COMMIT;",
        insert(&sha256, "it''s 100%_\u{4f60}.dll", 3),
        insert(&other, "b", 1)
    );
    let rows = insert(&sha256, "a", 1) + &insert(&sha256, "a", 2);
    let (count, minimal) = import("RDS_2026.09.1_modern_minimal.db", &format!("{PUBLISHED_MINIMAL}{rows}{delta}"));
    assert_eq!((count, minimal.len()), (3, 2));
    // Of the full layout each content of METADATA once, however many products have it.
    let rows = format!(
        "INSERT INTO METADATA VALUES (1,'{sha256}','{sha1}','{md5}','a','dll',0),(2,'{other}','{sha1}','{md5}','b','',0);
         INSERT INTO PACKAGE_OBJECT VALUES (1,1),(2,1),(3,1);"
    );
    let (count, full) = import("RDS_2026.09.1_modern.db", &format!("{PUBLISHED_FULL}{rows}"));
    assert_eq!(count, 2);
    assert_eq!(full, minimal);
    // A delta by itself is a text of statements, no list.
    is_refused(&delta, "");
}
