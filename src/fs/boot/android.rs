//! Android boot images: kernel, ramdisk and more, each in whole pages.
//! Format: `system/tools/mkbootimg/include/bootimg/bootimg.h` of Android, header versions 0 to 4.
use super::{Body, File, Parts, info, label};
use crate::base::{Gaps, Run};
use crate::fs::FsError;
use crate::fs::raw::{corrupt, u32_at, u64_at};
use crate::image::{Source, read_exact};

/// Bytes of a page since version 3.
const PAGE: u64 = 4096;

struct Header {
    head: Vec<u8>,
    version: u32,
    page: u64,
    /// Names and bytes, in order.
    parts: Vec<(&'static str, u64)>,
}

fn header(source: &Source) -> Option<Header> {
    let head = read_exact(&**source, 0, 1660).ok()??;
    if !head.starts_with(b"ANDROID!") {
        return None;
    }
    let field = |at| u32_at(&head, at).map(u64::from);
    let version = u32_at(&head, 40)?;
    let (page, parts) = if (3..=4).contains(&version) {
        (PAGE, vec![("kernel", field(8)?), ("ramdisk", field(12)?)])
    } else {
        let mut parts = vec![("kernel", field(8)?), ("ramdisk", field(16)?), ("second", field(24)?)];
        // Before versions existed this was the size of a device tree.
        parts.push(if version <= 2 {
            ("recovery-dtbo", if version == 0 { 0 } else { field(1632)? })
        } else {
            ("dt", u64::from(version))
        });
        if version == 2 {
            parts.push(("dtb", field(1648)?));
        }
        (field(36)?, parts)
    };
    let holds = page.is_power_of_two() && (2048..=1 << 17).contains(&page) && parts.iter().any(|(_, len)| *len > 0);
    let this = Header { head, version, page, parts };
    (holds && this.end() <= source.len().saturating_add(this.page)).then_some(this)
}
impl Header {
    fn end(&self) -> u64 {
        self.parts.iter().fold(self.page, |sum, (_, len)| sum.saturating_add(len.next_multiple_of(self.page)))
    }
}

pub(super) fn size(source: &Source) -> Option<u64> {
    header(source).map(|h| h.end().min(source.len()))
}

pub(super) fn open(source: &Source, _: &Gaps) -> Result<Parts, FsError> {
    let header = header(source).ok_or_else(|| corrupt(0, "no header of an Android boot image that holds"))?;
    let mut at = header.page;
    let mut files = Vec::new();
    for (name, len) in &header.parts {
        if *len > 0 {
            files.push(File { name: (*name).to_owned(), body: Body::Run(Run::new(at, *len)) });
        }
        at = at.saturating_add(len.next_multiple_of(header.page));
    }
    let version = if header.version <= 4 { header.version } else { 0 };
    let (name, arguments) = if version >= 3 { (0..0, 44..1580) } else { (48..64, 64..576) };
    let text = |range: std::ops::Range<usize>| label(header.head.get(range).unwrap_or_default());
    let mut features = vec![format!("version-{version}"), format!("page-{}", header.page)];
    let arguments = text(arguments);
    if !arguments.is_empty() {
        features.push(format!("cmdline={}", crate::base::secret::masked_command(&arguments)));
    }
    let patch = u64_at(&header.head, 44).filter(|_| version < 3).unwrap_or(0) & 0xffff_ffff;
    if patch != 0 {
        features.push(format!("os-version-{patch:#x}"));
    }
    Ok(Parts { files, info: info("android-boot", text(name), None, features), size: header.end() })
}
