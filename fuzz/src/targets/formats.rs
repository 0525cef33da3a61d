//! Parsers of `format`, and all artifacts over one file of any content.
use crate::kit::Disk;
use cranescope::extract::examine_fs;
use cranescope::format;
use cranescope::fs::MemFs;
use cranescope::image::ReadAt;

pub(super) fn elf(data: &[u8]) {
    if let Some(elf) = format::elf::Elf::parse(data) {
        for address in [0, 0x1000, 0x40_0000, u64::MAX] {
            elf.at_address(data, address);
        }
        format::gobuild::parse(data, Some(&elf));
    }
    format::elf::sections(data);
}
pub(super) fn pe(data: &[u8]) {
    format::pe::recognise(data);
    format::pe::parse(data);
}
pub(super) fn kmod(data: &[u8]) {
    if let Some(module) = format::kmod::parse(data) {
        module.get("license");
        module.all("alias").count();
    }
}
pub(super) fn gobuild(data: &[u8]) {
    format::gobuild::parse(data, None);
}
pub(super) fn rustcrates(data: &[u8]) {
    format::rustcrates::parse(data);
}
pub(super) fn deb822(data: &[u8]) {
    for stanza in format::deb822::stanzas(data).take(1000) {
        for name in ["Package", "Depends", "Conffiles"] {
            stanza.get(name);
            stanza.text(name);
            stanza.lines(name).count();
        }
    }
}
pub(super) fn ini(data: &[u8]) {
    let ini = format::ini::Ini::parse(data);
    ini.get("connection", "id");
    ini.all("Peer").count();
}
pub(super) fn uci(data: &[u8]) {
    format::uci::parse(data);
}
pub(super) fn unitfile(data: &[u8]) {
    for item in format::unitfile::parse(data).items.iter().take(1000) {
        format::unitfile::words(&item.value);
        format::unitfile::commands(&item.value);
        let expanded = format::unitfile::expand(&item.value, "a@b.service", Some("/root"));
        format::unitfile::unescape(&expanded);
    }
}
pub(super) fn syslog(data: &[u8]) {
    for line in data.split(|b| *b == b'\n').take(1000) {
        format::syslog::parse(line);
        format::syslog::stamp(line);
        format::syslog::repeated(line);
    }
}
pub(super) fn utmp(data: &[u8]) {
    let len = format::utmp::record_len(data);
    for record in data.chunks(len.max(1)).take(1000) {
        format::utmp::Record::parse(record);
        format::utmp::last_login(record);
    }
}
pub(super) fn sshkey(data: &[u8]) {
    use format::sshkey::{HostLine, KeyLine, PrivateKey, PublicKey};
    if let Some(key) = PublicKey::parse(data) {
        key.fingerprint();
        key.bits();
    }
    PrivateKey::looks_like(data);
    PrivateKey::parse(data);
    PrivateKey::parse_dropbear(data);
    for line in format::lines::decode(data).lines().take(1000) {
        KeyLine::parse(line);
        HostLine::parse(line);
    }
}
pub(super) fn der(data: &[u8]) {
    format::der::next(data);
    format::der::values(data);
    format::der::common_name(data);
}
pub(super) fn decompress(data: &[u8]) {
    if let Some(codec) = format::decompress::Compression::recognise(data)
        && let Ok(plain) = codec.decode(data, 8 << 20)
    {
        assert!(plain.len() <= 8 << 20, "more than was asked for");
    }
}
pub(super) fn script(data: &[u8]) {
    format::script::parse(data);
    format::script::constructs(data);
}
pub(super) fn tree(data: &[u8]) {
    use format::tree::Tree;
    for tree in [Tree::json(data), Tree::toml(data), Tree::yaml(data), Tree::guess(b"config", data)] {
        tree.leaf("a.b");
        tree.named("key");
        tree.below("a").count();
        tree.groups("a");
    }
}
pub(super) fn at(data: &[u8]) {
    format::at::looks_like(data);
    format::at::read(&format::lines::decode(data));
}
pub(super) fn usn(data: &[u8]) {
    format::usn::look(data);
}
pub(super) fn euicc(data: &[u8]) {
    format::euicc::read(&format::lines::decode(data));
}
pub(super) fn tags(data: &[u8]) {
    format::tags::tags(data);
    format::traces::scan(data);
    format::lines::is_text(data);
    for line in format::lines::lines(data).take(1000) {
        format::lines::words(&line.text);
    }
}
pub(super) fn jar(data: &[u8]) {
    let _ = format::jar::read(data);
}
pub(super) fn kernel_image(data: &[u8]) {
    format::kernel_image::recognise(data);
    format::kernel_image::read(data, true);
    format::kernel_image::configuration(data);
}
/// A driver and an alias on each line.
pub(super) fn modem_alias(data: &[u8]) {
    for line in format::lines::decode(data).lines().take(1000) {
        let (driver, alias) = line.split_once(' ').unwrap_or(("option", line));
        format::usbids::modem(alias, driver);
        format::usbids::usb(driver, alias);
        format::usbids::pci(driver, alias, Some((alias, driver)));
    }
}

pub(super) fn journal(file: Disk) {
    let disk = file.with_allowance(2 << 30);
    let read = |at: u64, buf: &mut [u8]| disk.read_at(at, buf).map_err(|e| e.what);
    if let Ok(header) = format::journal::header(disk.len(), &read) {
        format::journal::walk(&header, disk.len(), &read, &["MESSAGE", "_COMM", "SYSLOG_IDENTIFIER"], &mut drop);
    }
    assert!(!disk.is_exhausted(), "more than 2 GiB were read of a journal");
}
/// The first byte tells which attribute holds the rest.
pub(super) fn acl(data: &[u8]) {
    const NAMES: [&[u8]; 4] =
        [b"system.posix_acl_access", b"trusted.SGI_ACL_DEFAULT", b"SCHILY.acl.access", b"system.posix_acl_default"];
    if let Some((which, value)) = data.split_first() {
        let name = NAMES[usize::from(*which) % NAMES.len()];
        format::acl::text(|asked| (asked == name).then_some(value));
    }
}

/// The first word is the path of a file, the rest its content: every artifact that reads it does.
pub(super) fn artifacts(data: &[u8]) {
    let end = data.iter().position(|b| *b == b'\n').unwrap_or(data.len());
    let path = String::from_utf8_lossy(&data[..end]).into_owned();
    if !path.starts_with('/') || path.ends_with('/') || path.len() > 200 || path.contains("//") {
        return;
    }
    let mut fs = MemFs::parse(
        "/etc/os-release\n    ID=debian\n\n/etc/fstab\n    /dev/sda1 / ext4 defaults 0 1\n\n/bin/sh mode=755\n    #!/bin/true\n",
    );
    fs.add(&path, data.get(end + 1..).unwrap_or_default().to_vec());
    examine_fs(fs);
}

/// A reader over bytes in memory.
fn reader(data: &[u8]) -> impl Fn(u64, &mut [u8]) -> Result<usize, String> + '_ {
    move |at, to| {
        let rest = data.get(usize::try_from(at).unwrap_or(usize::MAX)..).unwrap_or_default();
        let n = rest.len().min(to.len());
        to[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }
}
pub(super) fn sqlite(data: &[u8]) {
    use format::{bytes::Bytes, sqlite::Database};
    // A log that follows the database, as far as there is one.
    let cut = data.windows(4).position(|w| w == b"\x37\x7f\x06\x82" || w == b"\x37\x7f\x06\x83");
    let (own, log) = data.split_at(cut.unwrap_or(data.len()));
    let (first, second) = (reader(own), reader(log));
    let log = (!log.is_empty()).then(|| Bytes { len: log.len() as u64, read: &second });
    if let Ok(database) = Database::open(Bytes { len: own.len() as u64, read: &first }, log) {
        database.table("Packages", &mut |_, _| ());
        for root in 1..5 {
            database.rows(root, &mut |_, _| (), &mut |_| true);
        }
    }
}
pub(super) fn rpm(data: &[u8]) {
    use format::{bytes::Bytes, rpm};
    let header = |blob: &[u8]| {
        if let Ok(header) = rpm::Header::parse(blob) {
            header.seal();
            header.texts(rpm::tag::BASE_NAMES);
            header.numbers(rpm::tag::DIR_INDEXES);
        }
    };
    header(data);
    let own = reader(data);
    let file = Bytes { len: data.len() as u64, read: &own };
    let _ = rpm::headers(file, None, &mut |_, _| (), &mut |stored| {
        header(&stored.blob);
        true
    });
}
