//! Certificates, wherever they lie → `certificates`: files of PEM and DER, and the databases of NSS (`cert9.db`: SQLite,
//! table `nssPublic`, a certificate's DER in the column of CKA_VALUE), Java's key stores, and stores of PKCS #12.
use super::{Content, Out, Sight};
use crate::base::{Evidence, Run};
use crate::evidence::Entry;
use crate::format::bytes::Bytes;
use crate::format::sqlite::{Database, MAGIC, Value};
use crate::format::{jks, pkcs12, x509};
use crate::inventory::Certificate;
use memchr::memmem;

pub(super) const CONTENT: Content = Content {
    name: "certificates",
    about: "X.509 certificates in PEM and DER, in NSS databases, Java's key stores (JKS) and stores of PKCS #12 (those that are plain or have the password they are shipped with): whom they name, their key, their time, the store they lie in",
    wants,
    consume,
};

/// Longer files are no collections of certificates.
const MAX_LEN: u64 = 32 << 20;
/// Endings of files that ought to be nothing else.
const ENDINGS: [&[u8]; 6] = [b".pem", b".crt", b".cer", b".der", b".cert", b".p11-kit"];

fn is_named(path: &[u8]) -> bool {
    ENDINGS.iter().any(|e| path.to_ascii_lowercase().ends_with(e))
}

fn is_nss(path: &[u8]) -> bool {
    path.ends_with(b"/cert9.db")
}

fn wants(entry: &Entry, head: &[u8]) -> bool {
    let path = entry.path.bytes();
    entry.is_file()
        && entry.len() <= MAX_LEN
        && !head.starts_with(b"\x7fELF")
        && !head.starts_with(b"#!")
        && (x509::has_pem(head)
            || jks::is_store(head)
            || pkcs12::is_store(head)
            || (is_named(path) && x509::is_der(head))
            || (!store(path).is_empty() && !head.contains(&0))
            || (is_nss(path) && head.starts_with(MAGIC)))
}

/// Which store of trusted authorities a file belongs to.
fn store(path: &[u8]) -> &'static str {
    const SYSTEM: &[&[u8]] = &[
        b"/etc/ssl/certs/",
        b"/etc/ssl/cert.pem",
        b"/etc/pki/tls/cert",
        b"/etc/pki/ca-trust/extracted/",
        b"/var/lib/ca-certificates/",
        b"/usr/lib/ssl/certs/",
        b"/system/etc/security/cacerts/",
    ];
    const SOURCE: &[&[u8]] = &[
        b"/usr/local/share/ca-certificates/",
        b"/usr/share/ca-certificates/",
        b"/etc/pki/ca-trust/source/",
        b"/usr/share/pki/",
        b"/etc/pki/trust/",
        b"/etc/ca-certificates/trust-source/",
        b"/usr/share/ca-certificates/trust-source/",
    ];
    let below = |all: &[&[u8]]| all.iter().any(|p| path.starts_with(p));
    if below(SYSTEM) {
        "system"
    } else if below(SOURCE) {
        "source"
    } else if is_nss(path) {
        "nss"
    } else if path.ends_with(b"/certifi/cacert.pem")
        || path.ends_with(b"/lib/security/cacerts")
        || path.ends_with(b"/ca-bundle.crt")
    {
        "program"
    } else {
        ""
    }
}

fn consume(sight: &Sight<'_>, content: &[u8], out: &Out) {
    let entry = sight.entry;
    let path = entry.path.bytes();
    if content.starts_with(MAGIC) {
        nss(sight, content, out);
        return;
    }
    if jks::is_store(content) {
        java(sight, content, out);
        return;
    }
    if pkcs12::is_store(content) {
        personal(sight, content, out);
        return;
    }
    if x509::is_der(content) && !x509::has_pem(content) {
        match x509::read(content) {
            Ok(read) => out.push(row(sight, 1, read, false, sight.evidence.clone())),
            Err(what) => out.gap(entry, format!("no certificate that can be read: {what}")),
        }
        return;
    }
    let private = memmem::find(content, b"PRIVATE KEY-----").is_some();
    let found = x509::pem(content);
    if found.len() >= x509::MAX {
        out.gap(entry, "budget: certificates; the rest was not listed");
    }
    let mut bad = None;
    for (number, one) in (1_u32..).zip(found) {
        let evidence = Evidence { line: one.line, ..sight.part(one.run) };
        match one.read {
            Ok(read) => out.push(row(sight, number, read, private, evidence)),
            // A text about certificates shows some that are none.
            Err(what) if !store(path).is_empty() || (is_named(path) && one.plausible) => {
                bad = bad.or(Some(format!("line {}: no certificate that can be read: {what}", one.line.unwrap_or(0))));
            }
            Err(_) => {}
        }
    }
    if let Some(what) = bad {
        out.gap(entry, what);
    }
}

fn row(sight: &Sight<'_>, number: u32, read: x509::Certificate, private_key: bool, evidence: Evidence) -> Certificate {
    Certificate {
        subject: read.subject,
        issuer: read.issuer,
        serial: read.serial,
        fingerprint: read.fingerprint,
        not_before: read.not_before,
        not_after: read.not_after,
        key: read.key,
        signature: read.signature,
        authority: read.authority,
        self_issued: read.self_issued,
        names: read.names,
        path: sight.entry.path.clone(),
        number,
        store: store(sight.entry.path.bytes()).into(),
        private_key,
        covered: sight.entry.covered.as_str().into(),
        evidence,
        ..Certificate::default()
    }
}

/// The certificates of a key store: DER, the bytes of the file that tell of it, whether a private key lies beside it, and
/// what it is called there.
fn stored_in<'c>(sight: &Sight<'_>, stored: impl Iterator<Item = (&'c [u8], Run, bool, String)>, out: &Out) {
    for (number, (der, run, private_key, key)) in (1_u32..).zip(stored) {
        if number as usize > x509::MAX {
            out.gap(sight.entry, "budget: certificates; the rest was not listed");
            break;
        }
        match x509::read(der) {
            Ok(read) => {
                let evidence = Evidence { key: Some(key), ..sight.part(run) };
                out.push(row(sight, number, read, private_key, evidence));
            }
            Err(what) => {
                out.gap_in(sight.entry, run.offset, format!("no certificate that can be read: {what}"), run.len);
            }
        }
    }
}

/// A key store of Java.
fn java(sight: &Sight<'_>, content: &[u8], out: &Out) {
    let (found, fault) = jks::certificates(content);
    let stored = found.iter().map(|stored| {
        let at = usize::try_from(stored.run.offset).unwrap_or(usize::MAX);
        let end = usize::try_from(stored.run.end()).unwrap_or(usize::MAX);
        let key = format!("alias {}", stored.alias);
        (content.get(at..end).unwrap_or_default(), stored.run, stored.private_key, key)
    });
    stored_in(sight, stored, out);
    if let Some((at, what)) = fault {
        let rest = (content.len() as u64).saturating_sub(at);
        out.gap_in(sight.entry, at, format!("the key store was not read from here on: {what}"), rest);
    }
}

/// A store of PKCS #12.
fn personal(sight: &Sight<'_>, content: &[u8], out: &Out) {
    let store = pkcs12::read(content);
    let stored = (1_u32..).zip(&store.certificates).map(|(number, stored)| {
        let words = if stored.sealed { ", decrypted with the password that stores are shipped with" } else { "" };
        (stored.der.as_slice(), stored.run, store.private_key, format!("bag {} {number}{words}", stored.alias))
    });
    stored_in(sight, stored, out);
    for (run, what) in store.unread {
        out.gap_in(sight.entry, run.offset, format!("key store of PKCS #12: {what}"), run.len);
    }
}

fn nss(sight: &Sight<'_>, content: &[u8], out: &Out) {
    let read = |at: u64, to: &mut [u8]| -> Result<usize, String> {
        let from = usize::try_from(at).unwrap_or(usize::MAX);
        let rest = content.get(from..).unwrap_or_default();
        let len = rest.len().min(to.len());
        if let (Some(to), Some(rest)) = (to.get_mut(..len), rest.get(..len)) {
            to.copy_from_slice(rest);
        }
        Ok(len)
    };
    let mut damaged = |at: u64, what: String| out.gap_in(sight.entry, at, what, 0);
    let database = match Database::open(Bytes { len: content.len() as u64, read: &read }, None) {
        Ok(database) => database,
        Err(what) => {
            out.gap(sight.entry, format!("database of certificates not read: {what}"));
            return;
        }
    };
    let Some(root) = database.table("nssPublic", &mut damaged) else { return };
    let mut number = 0_u32;
    database.rows(root, &mut damaged, &mut |found| {
        for value in &found.values {
            let Value::Blob(blob) = value else { continue };
            if !x509::is_der(blob) {
                continue;
            }
            match x509::read(blob) {
                Ok(read) => {
                    number = number.saturating_add(1);
                    let key = Some(format!("nssPublic row {}", found.rowid));
                    let place = found.place.map_or_else(|| sight.evidence.clone(), |p| sight.part(p));
                    let evidence = Evidence { key, ..place };
                    out.push(row(sight, number, read, false, evidence));
                }
                Err(what) => {
                    let at = found.place.map_or(0, |p| p.offset);
                    out.gap_in(sight.entry, at, format!("no certificate that can be read: {what}"), 0);
                }
            }
        }
        (number as usize) < x509::MAX
    });
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::super::linux::testing::{system, system_of};
    use super::*;
    use crate::fs::MemFs;
    use crate::inventory::Row;
    use std::path::Path;
    use std::process::Command;

    /// A store of Java as its own tool makes it, whole and cut.
    #[test]
    fn what_keytool_puts_into_a_store() {
        let dir = tempfile::tempdir().unwrap();
        if made(dir.path()).is_none() {
            return;
        }
        let (pem, store) = (dir.path().join("c.pem"), dir.path().join("cacerts"));
        for alias in ["own-root", "twice"] {
            let done = Command::new("timeout")
                .args([
                    "120",
                    "keytool",
                    "-importcert",
                    "-noprompt",
                    "-storetype",
                    "JKS",
                    "-storepass",
                    "changeit",
                    "-alias",
                    alias,
                ])
                .args([Path::new("-file"), &pem, Path::new("-keystore"), &store])
                .output();
            if !done.is_ok_and(|d| d.status.success()) {
                eprintln!("skipped: no keytool on this machine");
                return;
            }
        }
        let bytes = std::fs::read(&store).unwrap();
        let of = |content: &[u8]| {
            let mut fs = MemFs::default();
            fs.add("/etc/ssl/certs/java/cacerts", content.to_vec());
            let system = system_of(fs);
            let entry = system.get("/etc/ssl/certs/java/cacerts").unwrap();
            assert!(wants(entry, &content[..content.len().min(4096)]));
            let out = Out::new(Some(0), CONTENT.name);
            consume(&Sight { entry, system: Some(&system), evidence: system.evidence(entry) }, content, &out);
            out.take()
        };
        let (rows, gaps) = of(&bytes);
        assert!(gaps.is_empty(), "{gaps:?}");
        let mut shown: Vec<_> = rows
            .iter()
            .map(|r| match r {
                Row::Certificate(c) => {
                    (c.subject.as_str(), &*c.store, c.private_key, c.evidence.key.clone().unwrap_or_default())
                }
                other => unreachable!("{other:?}"),
            })
            .collect();
        // Their order in the store is that of Java's hash table.
        shown.sort();
        assert_eq!(
            shown,
            [
                ("CN=own root", "system", false, "alias own-root".to_owned()),
                ("CN=own root", "system", false, "alias twice".to_owned())
            ]
        );
        let (rows, gaps) = of(&bytes[..bytes.len() - 200]);
        assert_eq!((rows.len(), gaps.len()), (1, 1), "{gaps:?}");
    }

    /// A certificate of its own authority, made by openssl.
    fn made(at: &Path) -> Option<Vec<u8>> {
        let (file, secret) = (at.join("c.pem"), at.join("k.pem"));
        let done = Command::new("timeout")
            .args(["60", "openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-subj", "/CN=own root"])
            .args([Path::new("-keyout"), &secret, Path::new("-out"), &file])
            .output();
        if !done.is_ok_and(|d| d.status.success()) {
            eprintln!("skipped: no openssl on this machine");
            return None;
        }
        Some(std::fs::read(file).unwrap())
    }

    fn told(path: &str, content: &[u8]) -> (Vec<String>, usize) {
        let mut fs = MemFs::parse("");
        fs.add(path, content.to_vec());
        let s = system_of(fs);
        let entry = s.get(path).unwrap();
        assert!(wants(entry, content.get(..4096).unwrap_or(content)), "{path}");
        let out = Out::new(Some(0), "certificates");
        consume(&Sight { entry, system: Some(&s), evidence: s.evidence(entry) }, content, &out);
        let (rows, gaps) = out.take();
        let rows = rows.iter().map(|r| match r {
            Row::Certificate(c) => {
                format!("{} {} [{}] {:?} {}", c.number, c.subject, c.store, c.authority, c.private_key)
            }
            other => panic!("{other:?}"),
        });
        (rows.collect(), gaps.len())
    }

    #[test]
    fn stores_and_files() {
        let dir = tempfile::tempdir().unwrap();
        let Some(one) = made(dir.path()) else { return };
        let root = "CN=own root";
        assert_eq!(
            told("/usr/local/share/ca-certificates/own.crt", &one),
            (vec![format!("1 {root} [source] Some(true) false")], 0)
        );
        let both = [one.clone(), b"-----BEGIN PRIVATE KEY-----\n".to_vec(), one.clone()].concat();
        let (rows, gaps) = told("/etc/nginx/site.pem", &both);
        assert_eq!((rows.len(), gaps), (2, 0));
        assert_eq!(rows[1], format!("2 {root} [] Some(true) true"));
        // A text that shows how one looks is none; among the trusted ones it is told.
        let text = b"-----BEGIN CERTIFICATE-----\n...\n-----END CERTIFICATE-----\n";
        assert_eq!(told("/usr/share/doc/x/README", text), (vec![], 0));
        assert_eq!(told("/usr/share/doc/x/example.crt", text), (vec![], 0));
        let long = [b"-----BEGIN CERTIFICATE-----\n".as_slice(), &[b'A'; 300]].concat();
        assert_eq!(told("/opt/x.crt", &long), (vec![], 1));
        assert_eq!(told("/etc/ssl/certs/broken.pem", text), (vec![], 1));
        assert_eq!(told("/opt/x.der", b"\x30\x82\x01\x00\x30\x82 and no more"), (vec![], 1));
        let s = system("/bin/x\n    #!/bin/sh\n");
        assert!(!wants(s.get("/bin/x").unwrap(), b"#!/bin/sh\n-----BEGIN CERTIFICATE-----"));
    }

    #[test]
    fn a_store_of_pkcs12() {
        let dir = tempfile::tempdir().unwrap();
        let Some(_) = made(dir.path()) else { return };
        let store = dir.path().join("s.p12");
        let one = |password: &str| {
            let done = Command::new("timeout")
                .args(["60", "openssl", "pkcs12", "-export", "-passout", &format!("pass:{password}"), "-name", "own"])
                .args([Path::new("-inkey"), &dir.path().join("k.pem"), Path::new("-in"), &dir.path().join("c.pem")])
                .args([Path::new("-out"), &store])
                .output();
            assert!(done.unwrap().status.success());
            told("/etc/openvpn/client.p12", &std::fs::read(&store).unwrap())
        };
        assert_eq!(one("changeit"), (vec!["1 CN=own root [] Some(true) true".to_owned()], 0));
        assert_eq!(one("of-nobody-else"), (vec![], 1));
    }

    #[test]
    fn a_database_of_nss() {
        let dir = tempfile::tempdir().unwrap();
        let Some(one) = made(dir.path()) else { return };
        let der = dir.path().join("c.der");
        std::fs::write(dir.path().join("in.pem"), &one).unwrap();
        let done = Command::new("openssl")
            .args(["x509", "-outform", "DER", "-in"])
            .arg(dir.path().join("in.pem"))
            .arg("-out")
            .arg(&der)
            .output();
        assert!(done.unwrap().status.success());
        let at = dir.path().join("cert9.db");
        let database = rusqlite::Connection::open(&at).unwrap();
        database.execute_batch("CREATE TABLE nssPublic (id PRIMARY KEY, a0, a3, a11);").unwrap();
        let insert = "INSERT INTO nssPublic VALUES (1, x'01', 'own', ?1)";
        database.execute(insert, [std::fs::read(&der).unwrap()]).unwrap();
        database.execute("INSERT INTO nssPublic VALUES (2, x'02', 'no', x'3082000030820000')", []).unwrap();
        drop(database);
        let bytes = std::fs::read(&at).unwrap();
        assert_eq!(
            told("/etc/pki/nssdb/cert9.db", &bytes),
            (vec!["1 CN=own root [nss] Some(true) false".to_owned()], 1)
        );
        let short = told("/home/x/.pki/nssdb/cert9.db", &bytes[..bytes.len() / 2]);
        assert!(short.0.is_empty() && short.1 > 0);
    }
}
