//! BitLocker of Windows Vista and later, and BitLocker To Go.
//! Formats: J. Metz, "BitLocker Drive Encryption (BDE) format specification" (libbde); N. Ferguson, "AES-CBC +
//! Elephant diffuser"; the state of parts that are encrypted on write as dissect.fve describes it.
mod boot;
mod entry;
mod key;
mod metadata;
mod on_write;
mod view;

use super::cipher::{Decrypted, SectorCipher};
use super::encryption::{Content, Encryption, Keys, Locked, Sealed};
use crate::base::{Budget, Gaps, Run, Secret};
use crate::image::{Mapped, ReadError, Source};
use boot::{Boot, Kind};
use entry::{DESCRIPTION, TEXT, moment};
use key::Given;
use metadata::{CLEAR, DECRYPTED, ENCRYPTED, Metadata};
use on_write::OnWrite;
use std::sync::Arc;

pub(super) const ENCRYPTION: Encryption = Encryption {
    name: "bitlocker",
    about: "BitLocker and BitLocker To Go of Windows Vista to 11, opened with a password, a recovery password (also the \
            text file that Windows writes) or a startup key file (.BEK); opened without one where protection is suspended",
    limits: "nothing that needs the computer's TPM or a smart card opens without a recovery password; the log of a \
             conversion that was interrupted is not read; the files that BitLocker To Go shows to other systems are not listed",
    probe: |source| matches!(Boot::read(source), Ok(Some(_))),
    open,
};

/// The reader's name in gaps.
const BY: &str = "bitlocker";
/// Protectors that are described.
const MAX_TOLD: usize = 32;

fn open(source: &Source, keys: &Keys<'_>, gaps: &Gaps, _budget: Budget) -> Result<Sealed, ReadError> {
    let broken = |what: String| ReadError { offset: 0, what };
    let boot = Boot::read(source)?.ok_or_else(|| broken("no boot sector of BitLocker".into()))?;
    let metadata = Metadata::read(source, &boot, gaps).map_err(broken)?;
    let keys = keys.of(&metadata.id);
    let description = metadata.entries().find(|e| e.role == DESCRIPTION && e.kind == TEXT).map(|e| e.text());
    Ok(Sealed {
        type_name: if boot.kind == Kind::ToGo { "BitLocker To Go" } else { "BitLocker" }.into(),
        label: description.unwrap_or_default(),
        uuid: metadata.id.clone(),
        about: about(&boot, &metadata),
        content: content(source, &boot, &metadata, &keys, gaps),
    })
}

/// What the header tells without a key, in one line.
fn about(boot: &Boot, metadata: &Metadata) -> String {
    let method = match metadata.method {
        0x8000 => "AES-CBC 128 with diffuser".into(),
        0x8001 => "AES-CBC 256 with diffuser".into(),
        0x8002 => "AES-CBC 128".into(),
        0x8003 => "AES-CBC 256".into(),
        0x8004 => "AES-XTS 128".into(),
        0x8005 => "AES-XTS 256".into(),
        other => format!("method {other:#06x}"),
    };
    let age = if metadata.version == 1 { "of Windows Vista" } else { "of Windows 7 or later" };
    let mut words = vec![age.to_owned(), method, format!("identifier {}", metadata.id)];
    let created = moment(metadata.created);
    if !created.is_empty() {
        words.push(format!("created {created}"));
    }
    if let Some(text) = metadata.entries().find(|e| e.role == DESCRIPTION && e.kind == TEXT) {
        words.push(format!("described as “{}”", text.text().escape_debug()));
    }
    if boot.sector != 512 {
        words.push(format!("sectors of {} bytes", boot.sector));
    }
    match metadata.state {
        ENCRYPTED => {}
        DECRYPTED => words.push("not encrypted any more".into()),
        other => words.push(format!("in conversion (state {other}, next {})", metadata.next_state)),
    }
    let protector = |p: metadata::Protector<'_>| {
        let label = p.parts.clone().of(TEXT).map(|t| t.text()).filter(|t| !t.is_empty());
        let label = label.map(|l| format!(" “{}”", l.escape_debug())).unwrap_or_default();
        let changed = match moment(p.changed) {
            at if at.is_empty() => at,
            at => format!(" of {at}"),
        };
        format!("{}{label} {}{changed}", p.name(), p.id)
    };
    let mut protectors: Vec<String> = metadata.protectors().take(MAX_TOLD).map(protector).collect();
    if protectors.is_empty() {
        protectors.push("none".into());
    }
    words.push(format!("protectors: {}", protectors.join("; ")));
    words.join(", ")
}

fn content(
    source: &Source,
    boot: &Boot,
    metadata: &Metadata,
    keys: &[&Secret],
    gaps: &Gaps,
) -> Result<Content, Locked> {
    let on_write = states(source, boot, metadata, gaps);
    if metadata.state == DECRYPTED {
        let view = view::View::new(source.clone(), source.clone(), boot, metadata, None);
        return Ok(Content { source: Arc::new(Mapped(view)), offset: 0 });
    }
    let master = master_key(metadata, keys, gaps)?;
    let key = key::volume_key(metadata, &master).map_err(Locked::Unsupported)?;
    let cipher = SectorCipher::bitlocker(key.method, &key.key, boot.sector).map_err(Locked::Unsupported)?;
    if key::is_sealed(metadata, &master) == Some(false) {
        let what = "the metadata differs from what was sealed with the master key: it was altered by other means";
        gaps.add_at(BY, "volume_offset", metadata.at, what, 0);
    }
    told(metadata, on_write.as_ref(), source.len(), gaps);
    let sector = boot.sector as u64;
    let len = source.len().saturating_sub(source.len().checked_rem(sector).unwrap_or(0));
    if len < source.len() {
        let what = "the volume ends within a sector, which cannot be decrypted";
        gaps.add_at(BY, "volume_offset", len, what, source.len().saturating_sub(len));
    }
    let plain = Decrypted { source: source.clone(), run: Run::new(0, len), cipher, unit: boot.sector, first: 0 };
    let view = view::View::new(source.clone(), Arc::new(plain), boot, metadata, on_write);
    Ok(Content { source: Arc::new(Mapped(view)), offset: 0 })
}

/// Which parts are encrypted, where the boot sector says that this is kept.
fn states(source: &Source, boot: &Boot, metadata: &Metadata, gaps: &Gaps) -> Option<OnWrite> {
    if boot.on_write.is_empty() || metadata.state == DECRYPTED {
        return None;
    }
    OnWrite::read(source, &boot.on_write, gaps)
        .inspect_err(|why| {
            let at = boot.on_write.first().copied().unwrap_or(0);
            let what = format!("the map of what is encrypted cannot be read ({why}); all is taken to be encrypted");
            gaps.add_at(BY, "volume_offset", at, what, 0);
        })
        .ok()
}

/// What of the volume is not encrypted, or was in work.
fn told(metadata: &Metadata, on_write: Option<&OnWrite>, len: u64, gaps: &Gaps) {
    let plain = match on_write {
        Some(on_write) => on_write.plain(),
        None if metadata.encrypted == 0 => 0,
        None => len.saturating_sub(metadata.encrypted),
    };
    if metadata.state != ENCRYPTED {
        let what = format!(
            "its conversion was not finished: about {plain} bytes are not encrypted and read as they are; what a log of \
             the conversion may hold is not read"
        );
        gaps.add_at(BY, "volume_offset", metadata.encrypted.min(len), what, 0);
    }
}

/// The master key, by the clear key that suspended protection leaves, or by one of the examiner's.
fn master_key(metadata: &Metadata, keys: &[&Secret], gaps: &Gaps) -> Result<Vec<u8>, Locked> {
    if let Some(master) = key::clear_key(metadata) {
        return Ok(master);
    }
    if metadata.protectors().any(|p| p.kind == CLEAR) {
        gaps.add_at(BY, "volume_offset", metadata.at, "its clear key does not open it: damaged", 0);
    }
    let mut mistyped = None;
    for Secret(bytes) in keys {
        match Given::of(bytes) {
            Ok(all) => {
                if let Some(master) = all.iter().find_map(|given| key::try_given(metadata, given)) {
                    return Ok(master);
                }
            }
            Err(what) => mistyped = Some(what),
        }
    }
    let mut all = metadata.protectors().peekable();
    if all.peek().is_some() && all.all(|p| p.needs_chip()) {
        let what = "only the TPM of its computer opens it: it has no recovery password that a key file could give";
        return Err(Locked::Unsupported(what.into()));
    }
    match mistyped {
        Some(what) => Err(Locked::Unsupported(what)),
        None if keys.is_empty() => Err(Locked::NoKey),
        None => Err(Locked::WrongKey(keys.len())),
    }
}
