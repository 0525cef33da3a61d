//! Hashes in the logs of imaging programs: ewfacquire, dc3dd, dcfldd, FTK Imager, Guymager, EnCase's reports,
//! and the lists of md5sum, sha1sum and sha256sum (GNU and BSD notation). These logs have no common
//! format; what they share is a line with an algorithm's name and one hash of its length.

/// A hash that a log states.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stated {
    /// `md5`, `sha1`, `sha256`.
    pub algorithm: &'static str,
    /// Lower-case hex.
    pub hex: String,
    /// File name, where the line names one (checksum lists).
    pub file: Option<String>,
}

/// Length of a hash in hex digits.
const LENGTHS: &[(&str, usize)] = &[("md5", 32), ("sha1", 40), ("sha256", 64)];

/// The algorithm that a hash of so many hex digits would be of.
pub(super) fn by_length(digits: usize) -> Option<&'static str> {
    LENGTHS.iter().find(|(_, len)| *len == digits).map(|(name, _)| *name)
}

/// A hash in lower-case hex, if `text` is one of the algorithm's length.
pub(super) fn valid(algorithm: &str, text: &str) -> Option<String> {
    let fits = by_length(text.len()) == Some(algorithm) && text.bytes().all(|b| b.is_ascii_hexdigit());
    fits.then(|| text.to_ascii_lowercase())
}

/// Reads a log's bytes as text: UTF-16 by its mark, otherwise UTF-8 with what is no UTF-8 replaced.
pub(super) fn decode(bytes: &[u8]) -> String {
    let wide = |rest: &[u8], read: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = rest.as_chunks::<2>().0.iter().map(|pair| read(*pair)).collect();
        String::from_utf16_lossy(&units)
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// Every hash of a whole image that the log states, each once, in the order of the log.
pub(super) fn parse(log: &str) -> Vec<Stated> {
    let mut found: Vec<Stated> = Vec::new();
    for line in log.lines() {
        if let Some(stated) = list_line(line).or_else(|| named_line(line))
            && !found.contains(&stated)
        {
            found.push(stated);
        }
    }
    found
}

/// `hash  name`, `hash *name` or `SHA256 (name) = hash`.
fn list_line(line: &str) -> Option<Stated> {
    let line = line.trim_end();
    if let Some((name, rest)) = line.split_once(" (")
        && let Some((file, hex)) = rest.rsplit_once(") = ")
    {
        let algorithm = algorithm_of(name)?;
        return Some(Stated { algorithm, hex: valid(algorithm, hex.trim())?, file: Some(base_name(file)) });
    }
    let (hex, rest) = line.split_once(' ')?;
    let file = rest.strip_prefix([' ', '*'])?;
    let algorithm = by_length(hex.len())?;
    let hex = valid(algorithm, hex)?;
    // A dc3dd line is `hash (md5)`; it has one space and no file.
    (!file.is_empty()).then(|| Stated { algorithm, hex, file: Some(base_name(file)) })
}

/// A line with an algorithm's name and exactly one hash of its length.
fn named_line(line: &str) -> Option<Stated> {
    if is_piece(line) {
        return None;
    }
    let words: Vec<&str> = line.split(|c: char| !(c.is_alphanumeric() || c == '-')).filter(|w| !w.is_empty()).collect();
    let algorithm = words.iter().find_map(|w| algorithm_of(w))?;
    let mut hashes = words.iter().filter_map(|w| valid(algorithm, w));
    let hex = hashes.next()?;
    hashes.next().is_none().then_some(Stated { algorithm, hex, file: None })
}

fn algorithm_of(word: &str) -> Option<&'static str> {
    match word.to_ascii_lowercase().as_str() {
        "md5" => Some("md5"),
        "sha1" | "sha-1" => Some("sha1"),
        "sha256" | "sha-256" | "sha2-256" => Some("sha256"),
        _ => None,
    }
}

/// Whether a line gives the hash of a part: dc3dd's `, sectors 0 - 4095`, dcfldd's `0 - 1048576: `.
fn is_piece(line: &str) -> bool {
    let lower = line.to_ascii_lowercase();
    if lower.contains(", sectors ") || lower.contains(", bytes ") {
        return true;
    }
    let mut words = lower.split_whitespace();
    let number = |w: Option<&str>| w.is_some_and(|w| w.trim_end_matches(':').bytes().all(|b| b.is_ascii_digit()));
    number(words.next()) && words.next() == Some("-") && number(words.next())
}

fn base_name(path: &str) -> String {
    path.rsplit(['/', '\\']).next().unwrap_or(path).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MD5: &str = "0cc175b9c0f1b6a831c399e269772661";
    const SHA1: &str = "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8";
    const SHA256: &str = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb";

    fn found(log: &str) -> Vec<(&'static str, String)> {
        parse(log).into_iter().map(|s| (s.algorithm, s.hex)).collect()
    }
    fn all() -> Vec<(&'static str, String)> {
        vec![("md5", MD5.into()), ("sha1", SHA1.into()), ("sha256", SHA256.into())]
    }

    #[test]
    fn logs_of_the_usual_imagers() {
        let upper = |s: &str| s.to_ascii_uppercase();
        for (name, log) in [
            (
                "ewfacquire",
                format!(
                    "ewfacquire 20140816\n\nWritten: 1.0 GiB (1073741824 bytes) in 9 second(s).\nMD5 hash calculated over data:\t\t{MD5}\nSHA1 hash calculated over data:\t\t{SHA1}\nSHA256 hash calculated over data:\t{SHA256}\newfacquire: SUCCESS\n"
                ),
            ),
            (
                "dc3dd",
                format!(
                    "input results for device `/dev/sdb':\n   2048 sectors in\n   0 bad sectors replaced by zeros\n   {MD5} (md5)\n   {SHA1} (sha1)\n   {SHA256} (sha256)\n      d41d8cd98f00b204e9800998ecf8427e (md5), sectors 0 - 1023\n\noutput results for file `a.dd':\n   2048 sectors out\n   [ok] {MD5} (md5)\n"
                ),
            ),
            (
                "dcfldd",
                format!(
                    "0 - 1048576: d41d8cd98f00b204e9800998ecf8427e\n1048576 - 2097152: d41d8cd98f00b204e9800998ecf8427f\nTotal (md5): {MD5}\nTotal (sha1): {SHA1}\nTotal (sha256): {SHA256}\n"
                ),
            ),
            (
                "FTK Imager",
                format!(
                    "Created By AccessData FTK Imager\r\n\r\n[Computed Hashes]\r\n MD5 checksum:    {MD5}\r\n SHA1 checksum:   {SHA1}\r\n\r\nImage Verification Results:\r\n MD5 checksum:    {MD5} : verified\r\n SHA1 checksum:   {SHA1} : verified\r\nSHA256 checksum: {SHA256}\r\n"
                ),
            ),
            (
                "Guymager",
                format!(
                    "Hash calculation    : MD5, SHA-1 and SHA-256\nMD5 hash                   : {MD5}\nMD5 hash verified source   : {MD5}\nSHA1 hash                  : {SHA1}\nSHA1 hash verified image   : --\nSHA256 hash                : {SHA256}\nSHA256 hash verified image : {SHA256}\n"
                ),
            ),
            (
                "EnCase",
                format!(
                    "Acquisition MD5: {}\nAcquisition SHA1: {}\nSHA-256\t{}\n",
                    upper(MD5),
                    upper(SHA1),
                    upper(SHA256)
                ),
            ),
        ] {
            assert_eq!(found(&log), all(), "{name}");
        }
    }

    #[test]
    fn lists_of_checksums_name_their_files() {
        let log = format!("{MD5}  /cases/a.001\n{SHA256} *b.dd\nSHA1 (c d.dd) = {SHA1}\n");
        let named: Vec<_> = parse(&log).into_iter().map(|s| (s.algorithm, s.file.unwrap_or_default())).collect();
        assert_eq!(named, [("md5", "a.001".into()), ("sha256", "b.dd".into()), ("sha1", "c d.dd".into())]);
    }

    #[test]
    fn what_is_no_hash_is_left_out() {
        assert_eq!(found(&format!("MD5 of {SHA1}\nserial {MD5}\nMD5 {MD5} {MD5}\nMD5: {}\n", &MD5[1..])), []);
    }

    #[test]
    fn utf_16_logs_are_read() {
        let text = format!("MD5 checksum:    {MD5}\r\n");
        let wide: Vec<u8> = [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
        assert_eq!(found(&decode(&wide)), [("md5", MD5.to_owned())]);
        let big: Vec<u8> = [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_be_bytes).collect();
        assert_eq!(found(&decode(&big)), [("md5", MD5.to_owned())]);
    }
}
