//! From what the examiner has to the key of the volume: passwords and recovery passwords are stretched, key files
//! hold a key; each unwraps the master key of its protector, and that the volume's own.
use super::entry::{EXTERNAL, Entries, Entry, KEY, STRETCH, VOLUME_KEY, WRAPPED, guid, short, word};
use super::metadata::{CLEAR, Metadata, PASSWORD, Protector, RECOVERY, STARTUP_KEY};
use ccm::Ccm;
use ccm::aead::{Aead, KeyInit};
use ccm::consts::{U12, U16};
use sha2::{Digest as _, Sha256};

/// Rounds in which a password is stretched.
const ROUNDS: u64 = 0x10_0000;
/// Protectors that one key is tried on; a volume has three or four.
const MAX_TRIED: usize = 16;
/// Groups of a recovery password, and digits of each.
const GROUPS: usize = 8;
const DIGITS: usize = 6;
/// In front of a key that was unwrapped: an entry's head, the key's kind.
const KEY_AT: usize = 12;
/// Longest password that Windows takes, in characters, with much to spare.
const MAX_PASSWORD: usize = 4096;

/// The key of a volume.
pub(super) struct VolumeKey {
    /// How the volume is encrypted.
    pub method: u16,
    pub key: Vec<u8>,
}

/// What a key from the examiner turned out to be.
pub(super) enum Given {
    /// Of a key file: the identifier of its protector, the key.
    File { id: String, key: Vec<u8> },
    /// Eight numbers.
    Recovery([u16; GROUPS]),
    /// As it is.
    Password(Vec<u16>),
}

impl Given {
    /// All that the bytes can be; an error tells what is wrong with a recovery password.
    pub(super) fn of(bytes: &[u8]) -> Result<Vec<Self>, String> {
        if let Some(file) = key_file(bytes) {
            return Ok(vec![file]);
        }
        let text = text(bytes);
        let mut all = Vec::new();
        let groups = recovery_groups(&text);
        let numbers = groups.as_deref().map(recovery_numbers);
        match numbers {
            Some(Ok(numbers)) => all.push(Self::Recovery(numbers)),
            // It may be a password all the same; nothing else is said of it.
            Some(Err(what))
                if text.trim().len() == GROUPS.saturating_mul(DIGITS.saturating_add(1)).saturating_sub(1) =>
            {
                return Err(what);
            }
            _ => {}
        }
        let line = text.strip_suffix('\n').map(|t| t.strip_suffix('\r').unwrap_or(t));
        for text in [Some(text.as_str()), line].into_iter().flatten() {
            let units: Vec<u16> = text.encode_utf16().collect();
            if units.len() <= MAX_PASSWORD {
                all.push(Self::Password(units));
            }
        }
        Ok(all)
    }
    fn fits(&self, protector: &Protector<'_>) -> bool {
        match self {
            Self::File { id, .. } => protector.kind == STARTUP_KEY && protector.id == *id,
            Self::Recovery(_) => protector.kind == RECOVERY,
            Self::Password(_) => protector.kind == PASSWORD,
        }
    }
    /// The key that unwraps the master key of this protector.
    fn wrapping(&self, protector: &Protector<'_>) -> Option<Vec<u8>> {
        let first = match self {
            Self::File { key, .. } => return Some(key.clone()),
            Self::Recovery(numbers) => Sha256::digest(numbers.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<_>>()),
            Self::Password(units) => {
                let bytes: Vec<u8> = units.iter().flat_map(|u| u.to_le_bytes()).collect();
                Sha256::digest(Sha256::digest(bytes))
            }
        };
        let salt = protector.parts.clone().of(STRETCH)?.value.get(4..20)?;
        Some(stretch(&first, salt))
    }
}

/// Text of a file: UTF-16 with its mark, as Windows writes recovery passwords, or UTF-8.
fn text(bytes: &[u8]) -> String {
    let units = |from: fn([u8; 2]) -> u16| {
        let units = bytes.as_chunks::<2>().0.iter().skip(1).map(|c| from(*c));
        char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
    };
    match bytes {
        [0xff, 0xfe, ..] => units(u16::from_le_bytes),
        [0xfe, 0xff, ..] => units(u16::from_be_bytes),
        _ => String::from_utf8_lossy(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)).into_owned(),
    }
}

/// The groups of a recovery password that stands somewhere in the text.
fn recovery_groups(text: &str) -> Option<Vec<&str>> {
    let of_length = |word: &&str| word.len() == GROUPS.saturating_mul(DIGITS.saturating_add(1)).saturating_sub(1);
    text.split_whitespace().filter(of_length).find_map(|word| {
        let groups: Vec<&str> = word.split('-').collect();
        let is_group = |g: &&str| g.len() == DIGITS && g.bytes().all(|b| b.is_ascii_digit());
        (groups.len() == GROUPS && groups.iter().all(is_group)).then_some(groups)
    })
}

/// The numbers; each group is one times eleven, so that what was mistyped shows.
fn recovery_numbers(groups: &[&str]) -> Result<[u16; GROUPS], String> {
    let mut numbers = [0; GROUPS];
    for (place, (to, group)) in numbers.iter_mut().zip(groups).enumerate() {
        let number = group.parse::<u32>().ok().filter(|n| n.is_multiple_of(11)).map(|n| n.div_euclid(11));
        let wrong = || format!("group {} of the recovery password is mistyped", place.saturating_add(1));
        *to = number.and_then(|n| u16::try_from(n).ok()).ok_or_else(wrong)?;
    }
    Ok(numbers)
}

/// A key file (.BEK): a header like that of the metadata, and a key with the identifier of its protector.
fn key_file(bytes: &[u8]) -> Option<Given> {
    let len = usize::try_from(word(bytes, 0)?).ok()?;
    let start = usize::try_from(word(bytes, 8)?).ok().filter(|n| *n >= 48)?;
    let entries = Entries(bytes.get(start..len.min(bytes.len()))?);
    let external = entries.of(EXTERNAL)?;
    let key = external.inner(24).of(KEY)?.value.get(4..)?.to_vec();
    (key.len() == 32).then(|| Given::File { id: guid(external.value, 0), key })
}

/// Makes guessing slow.
fn stretch(first: &[u8], salt: &[u8]) -> Vec<u8> {
    let mut state = [0; 88];
    let (last, rest) = state.split_at_mut(32);
    rest.iter_mut().zip(first.iter().chain(salt)).for_each(|(to, from)| *to = *from);
    let mut hash = Sha256::default();
    for round in 0..ROUNDS {
        if let Some(count) = rest.get_mut(48..) {
            count.copy_from_slice(&round.to_le_bytes());
        }
        hash.update(&*last);
        hash.update(&*rest);
        last.copy_from_slice(&hash.finalize_reset());
    }
    last.to_vec()
}

/// What a wrapped entry holds, if the key is the right one: its authentication code fits.
pub(super) fn unwrap(key: &[u8], wrapped: &[u8]) -> Option<Vec<u8>> {
    let nonce: [u8; 12] = wrapped.get(..12)?.try_into().ok()?;
    let (code, data) = (wrapped.get(12..28)?, wrapped.get(28..)?);
    let cipher = Ccm::<aes::Aes256, U16, U12>::new_from_slice(key).ok()?;
    cipher.decrypt(&nonce.into(), [data, code].concat().as_slice()).ok()
}

/// The key that an unwrapped entry holds.
fn held(plain: &[u8]) -> Option<&[u8]> {
    plain.get(KEY_AT..usize::from(short(plain, 0)?).min(plain.len()))
}

fn master_key(protector: &Protector<'_>, wrapping: &[u8]) -> Option<Vec<u8>> {
    let mut wrapped = protector.parts.clone().filter(|e| e.kind == WRAPPED);
    let plain = wrapped.find_map(|e| unwrap(wrapping, e.value))?;
    held(&plain).map(<[u8]>::to_vec)
}

/// The master key that stands unprotected on the volume while its protection is suspended.
pub(super) fn clear_key(metadata: &Metadata) -> Option<Vec<u8>> {
    metadata.protectors().filter(|p| p.kind == CLEAR).find_map(|p| {
        let key = p.parts.clone().of(KEY)?.value.get(4..)?;
        master_key(&p, key)
    })
}

/// The master key, if what was given opens one of the protectors.
pub(super) fn try_given(metadata: &Metadata, given: &Given) -> Option<Vec<u8>> {
    let mut fitting = metadata.protectors().filter(|p| given.fits(p)).take(MAX_TRIED);
    fitting.find_map(|p| master_key(&p, &given.wrapping(&p)?))
}

/// The volume's own key.
pub(super) fn volume_key(metadata: &Metadata, master: &[u8]) -> Result<VolumeKey, String> {
    let mut wrapped = metadata.entries().filter(|e: &Entry<'_>| e.role == VOLUME_KEY && e.kind == WRAPPED);
    let plain = wrapped.find_map(|e| unwrap(master, e.value));
    let plain = plain.ok_or("the master key was found, but the volume's key is absent or damaged")?;
    let key = held(&plain).ok_or("the volume's key is cut short")?.to_vec();
    let method = short(&plain, 8).filter(|m| matches!(m, 0x8000..=0x8005)).unwrap_or(metadata.method);
    Ok(VolumeKey { method, key })
}

/// Whether the metadata is as it was sealed; `None` where it was not.
pub(super) fn is_sealed(metadata: &Metadata, master: &[u8]) -> Option<bool> {
    let plain = unwrap(master, metadata.seal.as_deref()?);
    let hash = Sha256::digest(&metadata.bytes);
    Some(plain.as_deref().and_then(held) == Some(hash.as_slice()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const RECOVERY_TEXT: &str = "471207-278498-422125-177177-561902-537405-468006-693451";

    #[test]
    fn recovery_passwords_are_found_in_what_windows_writes() {
        let told = format!(
            "BitLocker Drive Encryption recovery key\r\n\r\nIdentifier:\r\n\r\n\t3E55195C\r\n\r\nRecovery Key:\r\n\r\n\t{RECOVERY_TEXT}\r\n"
        );
        let wide: Vec<u8> = [0xfeff].into_iter().chain(told.encode_utf16()).flat_map(u16::to_le_bytes).collect();
        for bytes in [told.as_bytes(), &wide, RECOVERY_TEXT.as_bytes(), format!("{RECOVERY_TEXT}\n").as_bytes()] {
            let given = Given::of(bytes).unwrap();
            assert!(matches!(given.first(), Some(Given::Recovery([42837, 25318, ..]))));
        }
        let wrong = Given::of(RECOVERY_TEXT.replace("177177", "177178").as_bytes()).err().unwrap();
        assert_eq!(wrong, "group 4 of the recovery password is mistyped");
        assert!(Given::of(RECOVERY_TEXT.replace("177177", "999999").as_bytes()).is_err());
    }

    #[test]
    fn passwords_are_taken_with_and_without_a_line_end() {
        let units = |text: &str| text.encode_utf16().collect::<Vec<_>>();
        let all: Vec<_> = Given::of("岸桥\r\n".as_bytes()).unwrap();
        let all: Vec<_> =
            all.iter().filter_map(|g| if let Given::Password(p) = g { Some(p.clone()) } else { None }).collect();
        assert_eq!(all, [units("岸桥\r\n"), units("岸桥")]);
    }

    #[test]
    fn key_files_are_survived_cut_and_altered() {
        let mut file = vec![0; 48];
        let key = [&[44_u8, 0, 0, 0, 1, 0, 1, 0, 2, 0x20, 0, 0][..], &[7; 32]].concat();
        let len = u16::try_from(32 + key.len()).unwrap().to_le_bytes();
        file.extend([&len[..], &[6, 0, 9, 0, 1, 0], &[9; 24], &key].concat());
        let all = u32::try_from(file.len()).unwrap().to_le_bytes();
        file.splice(0..4, all);
        file.splice(8..9, [48]);
        assert!(matches!(key_file(&file), Some(Given::File { key, .. }) if key == [7; 32]));
        for end in 0..file.len() {
            assert!(key_file(file.get(..end).unwrap()).is_none(), "{end}");
        }
    }
}
