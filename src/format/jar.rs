//! What a Java archive says of itself: the manifest (JAR file specification) and Maven's `pom.properties` of each project
//! that was put into it. The archive is a zip (APPNOTE 6.3.3: end record, central directory, local headers).
use flate2::read::DeflateDecoder;
use memchr::memmem;
use std::io::Read as _;

/// Members of the directory that are looked at.
const MAX_MEMBERS: usize = 200_000;
/// Projects of one archive.
const MAX_PARTS: usize = 2_000;
/// Longest manifest or property file.
const MAX_TEXT: u64 = 1 << 20;
const MANIFEST: &[u8] = b"META-INF/MANIFEST.MF";

/// A project that the archive holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// `group:artifact`, or what the manifest calls it.
    pub name: String,
    pub version: String,
    /// The member that tells.
    pub member: String,
}
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Jar {
    pub parts: Vec<Part>,
    pub problems: Vec<String>,
}

/// Reads the whole archive's bytes. The error says why it is none.
pub fn read(bytes: &[u8]) -> Result<Jar, String> {
    let mut jar = Jar::default();
    let mut manifest = None;
    let mut at = directory(bytes)?;
    for _ in 0..MAX_MEMBERS {
        let Some(head) = bytes.get(at..at.saturating_add(46)).filter(|h| h.starts_with(b"PK\x01\x02")) else { break };
        let word = |n: usize| short(head, n).unwrap_or(0);
        let (name_len, extra, comment) = (word(28), word(30), word(32));
        let name = bytes.get(at.saturating_add(46)..).and_then(|b| b.get(..name_len)).unwrap_or_default();
        if name == MANIFEST || (name.starts_with(b"META-INF/maven/") && name.ends_with(b"/pom.properties")) {
            match member(bytes, head) {
                Ok(text) if name == MANIFEST => manifest = Some(text),
                Ok(text) if jar.parts.len() < MAX_PARTS => {
                    let get = |key: &str| value(&text, key, '=');
                    let (group, artifact) = (get("groupId"), get("artifactId"));
                    let member = String::from_utf8_lossy(name).into_owned();
                    jar.parts.push(Part { name: format!("{group}:{artifact}"), version: get("version"), member });
                }
                Ok(_) => {
                    jar.problems.push("budget: projects; the rest was not listed".to_owned());
                    break;
                }
                Err(what) => jar.problems.push(format!("{}: {what}", String::from_utf8_lossy(name))),
            }
        }
        at = at.saturating_add(46).saturating_add(name_len).saturating_add(extra).saturating_add(comment);
    }
    if let Some(text) = manifest.filter(|_| jar.parts.is_empty()) {
        let first =
            |keys: &[&str]| keys.iter().map(|k| value(&text, k, ':')).find(|v| !v.is_empty()).unwrap_or_default();
        let name = first(&["Bundle-SymbolicName", "Automatic-Module-Name", "Implementation-Title", "Main-Class"]);
        let version = first(&["Bundle-Version", "Implementation-Version", "Specification-Version"]);
        let name = name.split(';').next().unwrap_or_default().to_owned();
        if !name.is_empty() {
            jar.parts.push(Part { name, version, member: String::from_utf8_lossy(MANIFEST).into_owned() });
        }
    }
    jar.parts.sort_by(|a, b| (&a.name, &a.version, &a.member).cmp(&(&b.name, &b.version, &b.member)));
    Ok(jar)
}

/// Where the central directory begins, by the last end record that fits.
fn directory(bytes: &[u8]) -> Result<usize, String> {
    let from = bytes.len().saturating_sub(22 + 0xffff);
    let tail = bytes.get(from..).unwrap_or_default();
    let end = memmem::rfind(tail, b"PK\x05\x06").and_then(|n| tail.get(n..)).ok_or("it has no end record")?;
    long(end, 16).filter(|at| *at < bytes.len()).ok_or_else(|| "its directory lies outside of it".to_owned())
}

fn member(bytes: &[u8], head: &[u8]) -> Result<String, String> {
    let cut = || "it is cut off".to_owned();
    let (method, packed, at) =
        (short(head, 10).ok_or_else(cut)?, long(head, 20).ok_or_else(cut)?, long(head, 42).ok_or_else(cut)?);
    let local = bytes.get(at..).filter(|l| l.starts_with(b"PK\x03\x04")).ok_or_else(cut)?;
    let skip = short(local, 26).zip(short(local, 28)).ok_or_else(cut)?;
    let from = skip.0.saturating_add(skip.1).saturating_add(30);
    let data = local.get(from..).and_then(|d| d.get(..packed)).ok_or_else(cut)?;
    let mut text = Vec::new();
    match method {
        0 => text.extend(data.iter().take(usize::try_from(MAX_TEXT).unwrap_or(usize::MAX))),
        8 => drop(DeflateDecoder::new(data).take(MAX_TEXT).read_to_end(&mut text).map_err(|e| e.to_string())?),
        other => return Err(format!("compression method {other}")),
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// The first value of a key; a manifest continues a line with a space.
fn value(text: &str, key: &str, mark: char) -> String {
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some((k, v)) = line.split_once(mark)
            && k.trim() == key
        {
            let mut all = v.trim().to_owned();
            if mark == ':' {
                lines.take_while(|l| l.starts_with(' ')).take(100).for_each(|l| all.push_str(l.trim()));
            }
            return all;
        }
    }
    String::new()
}

fn short(bytes: &[u8], at: usize) -> Option<usize> {
    let raw = bytes.get(at..at.checked_add(2)?)?.try_into().ok()?;
    Some(usize::from(u16::from_le_bytes(raw)))
}
fn long(bytes: &[u8], at: usize) -> Option<usize> {
    let raw = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
    usize::try_from(u32::from_le_bytes(raw)).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::cast_possible_truncation, clippy::indexing_slicing)]
    use super::*;
    use flate2::Compression;
    use flate2::write::DeflateEncoder;
    use std::io::Write as _;

    /// A zip of these members, every second one compressed.
    fn archive(members: &[(&str, &str)]) -> Vec<u8> {
        let (mut out, mut directory) = (Vec::new(), Vec::new());
        for (n, (name, text)) in members.iter().enumerate() {
            let packed = n % 2 == 1;
            let data = if packed {
                let mut to = DeflateEncoder::new(Vec::new(), Compression::default());
                to.write_all(text.as_bytes()).unwrap();
                to.finish().unwrap()
            } else {
                text.as_bytes().to_vec()
            };
            let at = out.len() as u32;
            let mut common = vec![20, 0, 0, 0, if packed { 8 } else { 0 }, 0];
            common.extend([0; 8]);
            common.extend((data.len() as u32).to_le_bytes());
            common.extend((text.len() as u32).to_le_bytes());
            common.extend((name.len() as u16).to_le_bytes());
            common.extend([0; 2]);
            out.extend(b"PK\x03\x04");
            out.extend(&common);
            out.extend(name.as_bytes());
            out.extend(&data);
            directory.extend(b"PK\x01\x02\x14\0");
            directory.extend(&common);
            directory.extend([0; 10]);
            directory.extend(at.to_le_bytes());
            directory.extend(name.as_bytes());
        }
        let at = out.len() as u32;
        let count = (members.len() as u16).to_le_bytes();
        out.extend(&directory);
        out.extend(b"PK\x05\x06\0\0\0\0");
        out.extend([count, count].concat());
        out.extend((directory.len() as u32).to_le_bytes());
        out.extend(at.to_le_bytes());
        out.extend([0; 2]);
        out
    }

    #[test]
    fn projects_of_maven_or_else_the_manifest() {
        let maven = archive(&[
            ("META-INF/MANIFEST.MF", "Implementation-Title: shaded\n"),
            ("META-INF/maven/a/b/pom.properties", "#x\ngroupId=a\nartifactId=b\nversion=1.2\n"),
            ("META-INF/maven/c/d/pom.properties", "version=2\ngroupId=c\nartifactId=d\n"),
        ]);
        let told = |jar: Jar| jar.parts.iter().map(|p| format!("{} {}", p.name, p.version)).collect::<Vec<_>>();
        assert_eq!(told(read(&maven).unwrap()), ["a:b 1.2", "c:d 2"]);
        let plain = archive(&[
            ("x.class", "code"),
            ("META-INF/MANIFEST.MF", "Bundle-SymbolicName: org.x\n .y;singleton:=true\nBundle-Version: 3\n"),
        ]);
        assert_eq!(told(read(&plain).unwrap()), ["org.x.y 3"]);
        // Whatever is cut off: told or empty, and never more than is there.
        for len in 0..maven.len() {
            match read(&maven[..len]) {
                Ok(jar) => assert!(jar.parts.len() <= 2),
                Err(what) => assert!(!what.is_empty()),
            }
        }
    }

    #[test]
    fn changed_bytes_never_panic() {
        let whole = archive(&[
            ("META-INF/maven/a/b/pom.properties", "groupId=a\nartifactId=b\nversion=1.2\n"),
            ("META-INF/MANIFEST.MF", "Implementation-Title: x\n"),
        ]);
        let mut seed = 7_u32;
        for _ in 0..20_000 {
            let mut bytes = whole.clone();
            for _ in 0..3 {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let at = (seed >> 8) as usize % bytes.len();
                bytes[at] = seed as u8;
            }
            drop(read(&bytes));
        }
    }
}
