//! Host keys that PuTTY remembers: `~/.putty/sshhostkeys`, one a line: `kind@port:host numbers`. The numbers are those
//! of the key in hexadecimal; they are put together as RFC 4253, 5656 and 8709 write a public key.
use super::sshkey::PublicKey;

/// A line of that file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredHost {
    pub host: String,
    pub port: String,
    pub key: PublicKey,
}

/// Digits of one number: RSA of 16,384 bits has 4096.
const MAX_DIGITS: usize = 8192;

impl StoredHost {
    pub fn parse(line: &str) -> Option<Self> {
        let (name, numbers) = line.trim().split_once(char::is_whitespace)?;
        let (kind, place) = name.split_once('@')?;
        let (port, host) = place.split_once(':')?;
        let parts: Vec<&str> = numbers.trim().split(',').collect();
        let mut blob = Vec::new();
        match (kind, parts.as_slice()) {
            ("rsa2", [e, n]) => {
                put(&mut blob, b"ssh-rsa")?;
                put(&mut blob, &signed(e)?)?;
                put(&mut blob, &signed(n)?)?;
            }
            ("dss", [p, q, g, y]) => {
                put(&mut blob, b"ssh-dss")?;
                for part in [p, q, g, y] {
                    put(&mut blob, &signed(part)?)?;
                }
            }
            ("ssh-ed25519", [x, y]) => {
                let mut point = number(y)?;
                // Little-endian, with the last bit of x on top.
                point.reverse();
                point.resize(32, 0);
                let odd = number(x)?.last().copied().unwrap_or(0) & 1;
                if let Some(top) = point.last_mut() {
                    *top |= odd << 7;
                }
                put(&mut blob, b"ssh-ed25519")?;
                put(&mut blob, &point)?;
            }
            (kind, [curve, x, y]) if kind.starts_with("ecdsa-sha2-") => {
                let len = match *curve {
                    "nistp256" => 32,
                    "nistp384" => 48,
                    "nistp521" => 66,
                    _ => return None,
                };
                let mut point = vec![4_u8];
                for part in [x, y] {
                    let value = number(part)?;
                    point.resize(point.len().checked_add(len)?.checked_sub(value.len())?, 0);
                    point.extend(value);
                }
                put(&mut blob, kind.as_bytes())?;
                put(&mut blob, curve.as_bytes())?;
                put(&mut blob, &point)?;
            }
            _ => return None,
        }
        let key = PublicKey::parse(&blob)?;
        Some(Self { host: host.to_owned(), port: port.to_owned(), key })
    }
}

fn put(blob: &mut Vec<u8>, part: &[u8]) -> Option<()> {
    blob.extend_from_slice(&u32::try_from(part.len()).ok()?.to_be_bytes());
    blob.extend_from_slice(part);
    Some(())
}

/// Bytes of a hexadecimal number, the most significant first, without zeros before it.
fn number(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("0x")?.trim_start_matches('0');
    if digits.len() > MAX_DIGITS {
        return None;
    }
    let padded = if digits.len() % 2 == 1 { format!("0{digits}") } else { digits.to_owned() };
    padded.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}
/// The same with a zero before it where the first bit would be a sign.
fn signed(text: &str) -> Option<Vec<u8>> {
    let mut bytes = number(text)?;
    if bytes.first().is_some_and(|b| b & 0x80 != 0) {
        bytes.insert(0, 0);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys of ssh-keygen, written as PuTTY writes them, with the fingerprints that `ssh-keygen -l` gives.
    #[test]
    fn fingerprints_are_those_of_ssh_keygen() {
        for (line, fingerprint) in [
            (
                "rsa2@22:crane7 0x10001,0xae6c39a4d49ff789d74db8a01f72c8c8cce21b580c2be228cd2e6f04dc5f1dfffdfd8ef1d8f4680b41f69b9998109ee27ed8cf64b32c04daaa3dfaf0a155df31ac2d415d3aeb200e216d1be16ec7e1b3bfde1534c85537e3a14520a5cbde55c92ea3b43115b343ec2fb2b32f8da737285c56aeebb279329dc9c28bffdedad8fd",
                "SHA256:WlZE574iZsu0K9yfCDuQ55pkXuQx9yq+CZrkjLqZPM4",
            ),
            (
                "ecdsa-sha2-nistp256@2222:10.0.0.9 nistp256,0x346bdb4f2a467e0003042507841ba8dec39eaa47b3cd077f7049a0079a33eef2,0xa3b5da389dbcf7784a06f06830c931628df7734bfa6a6defa61f2836a2e4af2a",
                "SHA256:DEfR96g4l3ViRjZ3VmlFtxpzelxmhWMkdha1owH1cNc",
            ),
            (
                "ecdsa-sha2-nistp521@2222:10.0.0.9 nistp521,0x1f3f6ffb9e7e2a387a92f901061f961aa94cbc625ef1ab79aeaa7199e5179c3242370a604563ebb077793457c4885bf195feb5717cdd2f8f3c216a769e4959e3fa9,0xda455aa4a83883344be9cf0b95924ea5b1d503179e3ecd69b9d8ca34e5d2cd4f708092ab5af42f97ae54dfc0153e0203baa8f4782f4b5910843934ea0aa0e4728d",
                "SHA256:WpZfmuUevrPJpYFqpomXMDoEGucyskZqffKv+P6uSRQ",
            ),
            (
                "ssh-ed25519@22:relay.vendor.cn 0x2bd084ed78f9688882dac6f5bbbe6fa9bf62f69399b720f8e8db8f815b591e63,0x79091da803df872fe1c0dd9869688f5288c699072a3f0e873a02a53a00af5b41",
                "SHA256:3RAqH9w5uood3W+i5M9hLmUxAM1KB4rEStr2iMxR+mA",
            ),
        ] {
            let found = StoredHost::parse(line).map(|s| s.key.fingerprint());
            assert_eq!(found.as_deref(), Some(fingerprint), "{line}");
        }
    }
    #[test]
    fn what_is_no_key_is_none() {
        for line in [
            "",
            "rsa2@22:h",
            "rsa2@22:h 0x1",
            "rsa2@22:h 0xzz,0x1",
            "ssh-ed25519@22:h 1,2",
            "ecdsa-sha2-nistp256@22:h nistp999,0x1,0x2",
            "rsa2@h 0x1,0x2",
        ] {
            assert_eq!(StoredHost::parse(line), None, "{line}");
        }
        let long = format!("ecdsa-sha2-nistp256@22:h nistp256,0x{},0x2", "f".repeat(100));
        assert_eq!(StoredHost::parse(&long), None);
    }
}
