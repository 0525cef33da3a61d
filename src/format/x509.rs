//! Certificates (X.509, RFC 5280) in their files: PEM (RFC 7468) with any text around, or DER. What a certificate says is
//! told; no signature is verified.
use crate::base::{Digest, Run, Time};
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use memchr::memmem;
use sha2::{Digest as _, Sha256};
use x509_parser::prelude::{FromDer, GeneralName, ParsedExtension, X509Certificate, X509Name};

/// Longest certificate; the largest known have some kilobytes.
const MAX_DER: usize = 256 << 10;
/// Shortest text of one: a key of 256 bits and a signature alone have more.
const MIN_TEXT: usize = 200;
/// Certificates of one file.
pub const MAX: usize = 20_000;
/// Names of one certificate.
const MAX_NAMES: usize = 200;
const BEGIN: &[u8] = b"-----BEGIN ";
/// What stands behind it for a certificate.
const LABELS: [&[u8]; 3] = [b"CERTIFICATE-----", b"X509 CERTIFICATE-----", b"TRUSTED CERTIFICATE-----"];

/// What a certificate says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificate {
    pub subject: String,
    pub issuer: String,
    /// Hex.
    pub serial: String,
    pub fingerprint: Option<Digest>,
    pub not_before: Option<Time>,
    pub not_after: Option<Time>,
    /// `rsa 2048`
    pub key: String,
    pub signature: String,
    pub authority: Option<bool>,
    pub self_issued: bool,
    pub names: Vec<String>,
}

/// A certificate's bytes in its file, or what is wrong with them.
pub struct Found {
    pub run: Run,
    /// 1-based.
    pub line: Option<u32>,
    /// Its text is long enough to be one, and no example that stands for one.
    pub plausible: bool,
    pub read: Result<Certificate, String>,
}

/// Whether a text has the first line of a certificate.
pub fn has_pem(text: &[u8]) -> bool {
    memmem::find_iter(text, BEGIN).any(|at| label(text, at).is_some())
}
/// Whether these may be the first bytes of a certificate in DER: a sequence in which a sequence begins.
pub fn is_der(head: &[u8]) -> bool {
    matches!(head, [0x30, 0x82, _, _, 0x30, 0x82 | 0x81, ..] | [0x30, 0x81, _, 0x30, 0x81, ..])
}

fn label(text: &[u8], at: usize) -> Option<usize> {
    let rest = text.get(at.checked_add(BEGIN.len())?..)?;
    let label = LABELS.iter().find(|l| rest.starts_with(l))?;
    at.checked_add(BEGIN.len())?.checked_add(label.len())
}

/// Every certificate of a text, in order, at most [`MAX`].
pub fn pem(text: &[u8]) -> Vec<Found> {
    let lenient = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let engine = GeneralPurpose::new(&STANDARD, lenient);
    let mut all = Vec::new();
    let (mut line, mut counted) = (1_u32, 0_usize);
    let mut at = 0_usize;
    while all.len() < MAX
        && let Some(start) = text.get(at..).and_then(|t| memmem::find(t, BEGIN)).and_then(|n| n.checked_add(at))
    {
        let lines = memchr::memchr_iter(b'\n', text.get(counted..start).unwrap_or_default()).count();
        line = line.saturating_add(u32::try_from(lines).unwrap_or(u32::MAX));
        counted = start;
        let Some(body) = label(text, start) else {
            at = start.saturating_add(BEGIN.len());
            continue;
        };
        let rest = text.get(body..).unwrap_or_default();
        let len = memmem::find(rest, b"-----").unwrap_or(rest.len());
        let encoded = rest.get(..len).unwrap_or_default();
        at = body.saturating_add(len);
        // The line that ends it is none that begins the next.
        at = at.saturating_add(if rest.get(len..).is_some_and(|r| r.starts_with(b"-----END")) { 8 } else { 0 });
        let read = if encoded.len() > MAX_DER.saturating_mul(2) {
            Err("budget: certificate".to_owned())
        } else {
            let plain: Vec<u8> = encoded.iter().filter(|b| !b.is_ascii_whitespace()).copied().collect();
            engine.decode(plain).map_err(|e| e.to_string()).and_then(|der| read(&der))
        };
        let run = Run::new(start as u64, at.saturating_sub(start) as u64);
        all.push(Found { run, line: Some(line), plausible: encoded.len() >= MIN_TEXT, read });
    }
    all
}

/// One certificate in DER; what follows it (OpenSSL's trust settings) is left alone.
pub fn read(der: &[u8]) -> Result<Certificate, String> {
    if der.len() > MAX_DER {
        return Err("budget: certificate".to_owned());
    }
    let (rest, all) = X509Certificate::from_der(der).map_err(|e| e.to_string())?;
    let own = der.get(..der.len().saturating_sub(rest.len())).unwrap_or_default();
    let key = all.public_key();
    let bits = key.parsed().map_or(0, |k| k.key_size());
    let kind = algorithm(&key.algorithm.algorithm.to_id_string());
    let (mut authority, mut names) = (None, Vec::new());
    for extension in all.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::BasicConstraints(constraints) => authority = Some(constraints.ca),
            ParsedExtension::SubjectAlternativeName(alternative) => {
                names.extend(alternative.general_names.iter().take(MAX_NAMES).map(general));
            }
            _ => {}
        }
    }
    let time = |t: i64| Some(Time::seconds(t));
    Ok(Certificate {
        subject: name(all.subject()),
        issuer: name(all.issuer()),
        serial: crate::base::hex(all.raw_serial()),
        fingerprint: Some(Digest(Sha256::digest(own).into())),
        not_before: time(all.validity().not_before.timestamp()),
        not_after: time(all.validity().not_after.timestamp()),
        key: if bits > 0 { format!("{kind} {bits}") } else { kind },
        signature: algorithm(&all.signature_algorithm.algorithm.to_id_string()),
        authority,
        self_issued: all.subject().as_raw() == all.issuer().as_raw(),
        names,
    })
}

/// `CN=…, O=…`: the fields in their order; what is no text in hex.
fn name(name: &X509Name<'_>) -> String {
    let field = |attribute: &x509_parser::x509::AttributeTypeAndValue<'_>| {
        let oid = attribute.attr_type().to_id_string();
        let key = ATTRIBUTES.iter().find(|(id, _)| *id == oid).map_or(oid.as_str(), |(_, key)| key);
        let value = attribute.as_str().map_or_else(|_| text(attribute.attr_value()), str::to_owned);
        format!("{key}={value}")
    };
    name.iter_attributes().take(100).map(field).collect::<Vec<_>>().join(", ")
}

/// Of the kinds of text that are no UTF-8: UTF-16 and what is one byte a character.
fn text(value: &x509_parser::der_parser::asn1_rs::Any<'_>) -> String {
    match value.header.tag().0 {
        30 => {
            let units = value.data.chunks_exact(2).filter_map(|p| p.try_into().ok().map(u16::from_be_bytes));
            char::decode_utf16(units).map(|c| c.unwrap_or('\u{fffd}')).collect()
        }
        20 => value.data.iter().map(|b| char::from(*b)).collect(),
        _ => String::from_utf8_lossy(value.data).into_owned(),
    }
}

fn general(name: &GeneralName<'_>) -> String {
    match name {
        GeneralName::DNSName(dns) => (*dns).to_owned(),
        GeneralName::RFC822Name(mail) => (*mail).to_owned(),
        GeneralName::URI(uri) => (*uri).to_owned(),
        GeneralName::IPAddress([a, b, c, d]) => format!("{a}.{b}.{c}.{d}"),
        GeneralName::IPAddress(raw) => match <[u8; 16]>::try_from(*raw) {
            Ok(six) => std::net::Ipv6Addr::from(six).to_string(),
            Err(_) => crate::base::hex(raw),
        },
        GeneralName::DirectoryName(directory) => self::name(directory),
        other => format!("{other:?}").chars().take(100).collect(),
    }
}

fn algorithm(oid: &str) -> String {
    ALGORITHMS.iter().find(|(id, _)| *id == oid).map_or(oid, |(_, name)| name).to_owned()
}

const ATTRIBUTES: &[(&str, &str)] = &[
    ("2.5.4.3", "CN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.97", "organizationIdentifier"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
];
const ALGORITHMS: &[(&str, &str)] = &[
    ("1.2.840.113549.1.1.1", "rsa"),
    ("1.2.840.10045.2.1", "ec"),
    ("1.2.840.10040.4.1", "dsa"),
    ("1.3.101.112", "ed25519"),
    ("1.3.101.113", "ed448"),
    ("1.2.840.113549.1.1.2", "rsa-md2"),
    ("1.2.840.113549.1.1.4", "rsa-md5"),
    ("1.2.840.113549.1.1.5", "rsa-sha1"),
    ("1.2.840.113549.1.1.10", "rsa-pss"),
    ("1.2.840.113549.1.1.11", "rsa-sha256"),
    ("1.2.840.113549.1.1.12", "rsa-sha384"),
    ("1.2.840.113549.1.1.13", "rsa-sha512"),
    ("1.2.840.10045.4.1", "ecdsa-sha1"),
    ("1.2.840.10045.4.3.2", "ecdsa-sha256"),
    ("1.2.840.10045.4.3.3", "ecdsa-sha384"),
    ("1.2.840.10045.4.3.4", "ecdsa-sha512"),
    ("1.2.156.10197.1.501", "sm2-sm3"),
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]
    use super::*;
    use std::process::Command;

    fn openssl(arguments: &[&str]) -> Option<String> {
        let out = Command::new("timeout").args(["60", "openssl"]).args(arguments).output().ok()?;
        out.status.success().then(|| String::from_utf8_lossy(&out.stdout).into_owned())
    }

    /// Made by openssl, and read as openssl reads it.
    #[test]
    fn agrees_with_openssl() {
        let dir = tempfile::tempdir().unwrap();
        for (kind, option, key) in
            [("rsa:2048", "", "rsa 2048"), ("ec", "ec_paramgen_curve:prime256v1", "ec 256"), ("ed25519", "", "ed25519")]
        {
            let (file, secret) = (dir.path().join("c.pem"), dir.path().join("k.pem"));
            let (file, secret) = (file.to_str().unwrap(), secret.to_str().unwrap());
            let mut arguments =
                vec!["req", "-x509", "-newkey", kind, "-nodes", "-keyout", secret, "-out", file, "-days", "77"];
            if !option.is_empty() {
                arguments.extend(["-pkeyopt", option]);
            }
            arguments.extend([
                "-subj",
                "/C=CN/O=岸桥/CN=crane ca",
                "-utf8",
                "-addext",
                "subjectAltName=DNS:a.example,IP:10.0.0.1,IP:fd00::1",
            ]);
            if openssl(&arguments).is_none() {
                eprintln!("skipped: no openssl on this machine");
                return;
            }
            let text = std::fs::read(file).unwrap();
            let both = [b"some text\n".as_slice(), &text, &text].concat();
            let found = pem(&both);
            let all: Vec<_> = found.iter().map(|f| f.read.clone().unwrap()).collect();
            assert_eq!(all.len(), 2);
            assert_eq!(all[0], all[1]);
            assert_eq!(found[0].line, Some(2));
            let run = &found[1].run;
            let bytes = &both[run.offset as usize..run.end() as usize];
            assert!(bytes.starts_with(b"-----BEGIN") && !bytes.ends_with(b"\n\n"));
            let said = |what: &str| openssl(&["x509", "-in", file, "-noout", what]).unwrap();
            let first = &all[0];
            assert_eq!(
                (first.subject.as_str(), first.self_issued, first.authority),
                ("C=CN, O=岸桥, CN=crane ca", true, Some(true))
            );
            assert_eq!(first.key, key);
            assert_eq!(first.names, ["a.example", "10.0.0.1", "fd00::1"]);
            let print = openssl(&["x509", "-in", file, "-noout", "-fingerprint", "-sha256"]).unwrap();
            let print = print.split('=').nth(1).unwrap().trim().replace(':', "").to_lowercase();
            assert_eq!(first.fingerprint.unwrap().to_string(), print);
            let serial = said("-serial").split('=').nth(1).unwrap().trim().to_lowercase();
            assert_eq!(first.serial.trim_start_matches("00"), serial.trim_start_matches("00"));
            let end = openssl(&["x509", "-in", file, "-noout", "-enddate", "-dateopt", "iso_8601"]).unwrap();
            let end = end.split('=').nth(1).unwrap().trim().replace(' ', "T");
            assert_eq!(first.not_after.unwrap().to_string(), end);
            let der = dir.path().join("c.der");
            openssl(&["x509", "-in", file, "-outform", "DER", "-out", der.to_str().unwrap()]).unwrap();
            let der = std::fs::read(der).unwrap();
            assert!(is_der(&der));
            assert_eq!(&read(&der).unwrap(), first);
            // Cut off and changed: an error or another certificate, never a panic.
            for len in 0..der.len() {
                assert!(read(&der[..len]).is_err());
            }
            let mut seed = 11_u32;
            for _ in 0..5_000 {
                let mut bytes = der.clone();
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let at = (seed >> 8) as usize % bytes.len();
                bytes[at] ^= (seed as u8) | 1;
                drop(read(&bytes));
            }
        }
    }

    #[test]
    fn what_is_none_is_told_and_the_next_is_found() {
        let found = pem(b"-----BEGIN CERTIFICATE-----\n...\n-----END CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n-----BEGIN CERTIFICATE-----\nAAAA");
        let told: Vec<_> = found.iter().map(|f| (f.line, f.read.is_err())).collect();
        assert_eq!(told, [(Some(1), true), (Some(7), true)]);
        assert!(has_pem(b"x\n-----BEGIN CERTIFICATE-----") && !has_pem(b"-----BEGIN CERTIFICATE REQUEST-----"));
    }
}
