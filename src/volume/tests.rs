//! Tables made by sfdisk and sgdisk, read here and compared with what the maker lists; then damaged.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]
use super::*;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;

const MIB: usize = 1 << 20;

fn source(bytes: &[u8]) -> Source {
    Arc::new(bytes.to_vec())
}

/// Scheme, parts and gaps of an image; the parts must cover it.
fn parts(bytes: &[u8]) -> (&'static str, Vec<Part>, Vec<String>) {
    let source = source(bytes);
    let scheme = recognise(&source).unwrap();
    let gaps = Gaps::default();
    let parts = (scheme.read)(&source, &gaps, Budget::default()).unwrap();
    let mut reach = 0;
    for part in &parts {
        assert!(part.run.offset <= reach, "hole before {part:?}");
        reach = reach.max(part.run.end());
    }
    assert_eq!(reach, bytes.len() as u64);
    assert!(parts.is_sorted_by_key(|p| p.run.offset));
    let said = gaps.take().into_iter().map(|g| format!("{}: {}", g.at.offset.unwrap().1, g.what)).collect();
    (scheme.name, parts, said)
}

fn partitions(parts: &[Part]) -> Vec<&Part> {
    parts.iter().filter(|p| p.kind == PartKind::Partition).collect()
}

/// Runs a program on a sparse file of `len` bytes; `None`, with a message, where there is no such program.
fn made(len: usize, program: &str, args: &[&str], input: &str) -> Option<(Vec<u8>, String)> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&vec![0; len]).unwrap();
    let path = file.path().to_str().unwrap();
    let Ok(mut child) = Command::new(program)
        .args(args)
        .arg(path)
        .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
    else {
        eprintln!("skipped: {program} is not installed");
        return None;
    };
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success(), "{program} failed");
    // Number, start and size in sectors, by sfdisk's own dump.
    let dump = Command::new("sfdisk").arg("--dump").arg(path).env("PATH", "/usr/sbin:/sbin").output().unwrap();
    Some((std::fs::read(path).unwrap(), String::from_utf8(dump.stdout).unwrap()))
}

/// (number, first byte, bytes) of every partition but extended ones, from a dump.
fn dumped(dump: &str) -> Vec<(u32, u64, u64)> {
    let field = |line: &str, name: &str| -> Option<u64> {
        line.split_once(&format!("{name}="))?.1.trim_start().split([',', ' ']).next()?.trim().parse().ok()
    };
    let mut all: Vec<_> = dump
        .lines()
        .filter(|l| l.starts_with('/') && !["type=5", "type=f"].iter().any(|t| l.ends_with(t)))
        .map(|l| {
            let device = l.split(' ').next().unwrap();
            let number = device.rsplit(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap();
            (number, field(l, "start").unwrap() * 512, field(l, "size").unwrap() * 512)
        })
        .collect();
    all.sort_by_key(|p| p.1);
    all
}
fn read_back(parts: &[Part]) -> Vec<(u32, u64, u64)> {
    partitions(parts).iter().map(|p| (p.index, p.run.offset, p.run.len)).collect()
}

fn put_entry(disk: &mut [u8], sector: usize, slot: usize, code: u8, start: u32, sectors: u32) {
    let at = sector * 512 + 446 + slot * 16;
    disk[at + 4] = code;
    disk[at + 8..at + 12].copy_from_slice(&start.to_le_bytes());
    disk[at + 12..at + 16].copy_from_slice(&sectors.to_le_bytes());
    disk[sector * 512 + 510..sector * 512 + 512].copy_from_slice(&[0x55, 0xaa]);
}

const LOGICAL: &str = "label: dos\nlabel-id: 0x1234abcd\n\
    start=2048, size=4096, type=83, bootable\n\
    start=8192, size=20480, type=f\n\
    start=30720, size=2048, type=82\n\
    start=10240, size=2048, type=83\n\
    start=14336, size=4096, type=8e\n\
    start=20480, size=2048, type=fd\n";

#[test]
fn mbr_with_logical_partitions_reads_as_its_maker_lists_it() {
    let Some((disk, dump)) = made(16 * MIB, "sfdisk", &["-q"], LOGICAL) else { return };
    let (scheme, parts, gaps) = parts(&disk);
    assert_eq!(scheme, "mbr");
    assert_eq!(read_back(&parts), dumped(&dump));
    assert_eq!(read_back(&parts).len(), 5);
    assert_eq!(gaps, Vec::<String>::new());
    let named: Vec<_> = partitions(&parts).iter().map(|p| (p.type_name.as_str(), p.uuid.as_str())).collect();
    assert_eq!(
        named,
        [
            ("Linux filesystem", "1234abcd-01"),
            ("Linux filesystem", "1234abcd-05"),
            ("Linux LVM", "1234abcd-06"),
            ("Linux RAID autodetect", "1234abcd-07"),
            ("Linux swap", "1234abcd-03"),
        ]
    );
    let tables: Vec<_> = parts.iter().filter(|p| p.kind == PartKind::Table).map(|p| p.type_name.as_str()).collect();
    assert_eq!(tables, ["MBR", "EBR", "EBR", "EBR"]);
}

#[test]
fn a_chain_of_ebrs_that_loops_ends_and_says_where() {
    let mut disk = vec![0; 4 * MIB];
    put_entry(&mut disk, 0, 0, 0x05, 1000, 6000);
    put_entry(&mut disk, 1000, 0, 0x83, 10, 100);
    put_entry(&mut disk, 1000, 1, 0x05, 500, 500);
    put_entry(&mut disk, 1500, 0, 0x83, 10, 100);
    // Relative to the extended partition: back to its first record.
    put_entry(&mut disk, 1500, 1, 0x05, 0, 500);
    let (_, found, gaps) = parts(&disk);
    assert_eq!(read_back(&found), [(5, 1010 * 512, 51200), (6, 1510 * 512, 51200)]);
    assert_eq!(
        gaps,
        [format!("{}: the chain of extended boot records returns to this sector; it was read once", 512_000)]
    );
    // A record that leads to itself, and one that leads out of the disk.
    put_entry(&mut disk, 1000, 1, 0x05, 0, 500);
    assert!(parts(&disk).2[0].contains("returns to this sector"));
    put_entry(&mut disk, 1000, 1, 0x05, 9_000_000, 500);
    let said = parts(&disk).2;
    assert!(said.iter().any(|g| g.contains("beyond the end of the disk")), "{said:?}");
    assert!(said.iter().any(|g| g.contains("outside its extended partition")), "{said:?}");
}

#[test]
fn a_chain_as_long_as_the_disk_is_cut_by_the_budget() {
    let mut disk = vec![0; 8 * MIB];
    put_entry(&mut disk, 0, 0, 0x05, 1, 16383);
    for sector in 1..16000 {
        put_entry(&mut disk, sector, 1, 0x05, sector as u32, 1);
    }
    let (_, found, gaps) = parts(&disk);
    assert_eq!(found.iter().filter(|p| p.type_name == "EBR").count(), 4096);
    assert_eq!(gaps, [format!("{}: budget: EBR chain; what follows was not read", 4097 * 512)]);
}

#[test]
fn overlaps_and_entries_beyond_the_disk_are_named() {
    let mut disk = vec![0; MIB];
    put_entry(&mut disk, 0, 0, 0x83, 100, 200);
    put_entry(&mut disk, 0, 1, 0x83, 250, 200);
    put_entry(&mut disk, 0, 2, 0x77, 2000, 96);
    put_entry(&mut disk, 0, 3, 0x83, 5_000_000, 96);
    let (_, found, gaps) = parts(&disk);
    assert_eq!(read_back(&found), [(1, 51200, 102_400), (2, 128_000, 102_400), (3, 1_024_000, 24576)]);
    assert_eq!(partitions(&found)[2].type_name, "0x77");
    assert_eq!(gaps.len(), 3, "{gaps:?}");
    assert!(gaps.iter().any(|g| g.starts_with("1024000: partition 3 claims")), "{gaps:?}");
    assert!(gaps.iter().any(|g| g.starts_with("2560000000: partition 4 claims")), "{gaps:?}");
    assert!(gaps.contains(&"128000: partition 2 overlaps partition 1 by 25600 bytes".to_owned()), "{gaps:?}");
}

#[test]
fn boot_sectors_and_bare_file_systems_are_no_tables() {
    assert!(recognise(&source(&vec![0; MIB])).is_none());
    assert!(recognise(&source(&[])).is_none());
    assert!(recognise(&source(&[0x55; 511])).is_none());
    // FAT and NTFS, as their makers write the first sector: parameter block, boot code, signature.
    let mut fat = vec![0; MIB];
    fat[..30].copy_from_slice(
        b"\xeb\x3c\x90mkfs.fat\x00\x02\x04\x04\x00\x02\x00\x02\x00\x08\xf8\x02\x00\x20\x00\x02\x00\x00\x00",
    );
    fat[510..512].copy_from_slice(&[0x55, 0xaa]);
    assert!(recognise(&source(&fat)).is_none());
    for (i, b) in fat[62..510].iter_mut().enumerate() {
        *b = b"This is not a bootable disk.  Please insert a bootable floppy "[i % 62];
    }
    assert!(recognise(&source(&fat)).is_none());
    let mut ntfs = fat.clone();
    ntfs[3..11].copy_from_slice(b"NTFS    ");
    assert!(recognise(&source(&ntfs)).is_none());
    // Made ones, where the tools are at hand.
    for (program, args) in [("mke2fs", ["-q", "-F"]), ("mkfs.fat", ["-F", "16"]), ("mkntfs", ["-q", "-F"])] {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(16 << 20).unwrap();
        let run = Command::new(program)
            .args(args)
            .arg(file.path())
            .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        match run {
            Ok(status) if status.success() => {
                let bytes = std::fs::read(file.path()).unwrap();
                assert!(recognise(&source(&bytes)).is_none(), "{program}");
            }
            _ => eprintln!("skipped: {program} is not installed"),
        }
    }
}

#[test]
fn a_table_over_a_file_system_says_that_both_are_there() {
    let mut disk = vec![0; MIB];
    put_entry(&mut disk, 0, 0, 0x83, 100, 200);
    disk[1024..1032].copy_from_slice(&[1, 0, 0, 0, 1, 0, 0, 0]);
    disk[1080..1082].copy_from_slice(&[0x53, 0xef]);
    let (scheme, found, gaps) = parts(&disk);
    assert_eq!((scheme, partitions(&found).len()), ("mbr", 1));
    assert!(gaps[0].contains("first structures of ext"), "{gaps:?}");
}

#[test]
fn what_is_left_of_a_partition_whose_size_or_type_is_gone_is_told() {
    let mut disk = vec![0; MIB];
    put_entry(&mut disk, 0, 0, 0x83, 100, 200);
    assert_eq!(parts(&disk).2, [""; 0]);
    for (code, sectors, words) in [(0x83, 0, "a type and no sectors"), (0, 300, "sectors and no type")] {
        put_entry(&mut disk, 0, 1, code, 400, sectors);
        let (_, found, gaps) = parts(&disk);
        assert_eq!(partitions(&found).len(), 1);
        assert!(gaps.len() == 1 && gaps[0].contains(words) && gaps[0].contains("sector 400"), "{gaps:?}");
    }
}

#[test]
fn mbr_of_a_disk_with_large_sectors() {
    let mut disk = vec![0; 8 * MIB];
    put_entry(&mut disk, 0, 0, 0x83, 256, 1000);
    assert_eq!(read_back(&parts(&disk).1), [(1, 256 * 512, 512_000)]);
    // Only at 256 times 4096 does something begin.
    disk[256 * 4096 + 1024..256 * 4096 + 1032].copy_from_slice(&[1, 0, 0, 0, 1, 0, 0, 0]);
    disk[256 * 4096 + 1080..256 * 4096 + 1082].copy_from_slice(&[0x53, 0xef]);
    assert_eq!(read_back(&parts(&disk).1), [(1, 256 * 4096, 4_096_000)]);
}

const GPT: &str = "label: gpt\nlabel-id: 11111111-2222-3333-4444-555555555555\n\
    start=2048, size=4096, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, name=\"EFI\", uuid=AAAAAAAA-0000-0000-0000-000000000001\n\
    start=8192, size=10240, type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709, name=\"岸桥 root\", uuid=AAAAAAAA-0000-0000-0000-000000000002\n\
    start=20480, size=2048, type=12345678-1234-1234-1234-123456789ABC, uuid=AAAAAAAA-0000-0000-0000-000000000003\n";

#[test]
fn gpt_reads_as_its_maker_lists_it() {
    let Some((disk, dump)) = made(16 * MIB, "sfdisk", &["-q"], GPT) else { return };
    let (scheme, found, gaps) = parts(&disk);
    assert_eq!((scheme, gaps), ("gpt", Vec::new()));
    assert_eq!(read_back(&found), dumped(&dump));
    let named: Vec<_> = partitions(&found).iter().map(|p| (p.type_name.as_str(), p.label.as_str())).collect();
    assert_eq!(
        named,
        [("EFI system", "EFI"), ("Linux root (x86-64)", "岸桥 root"), ("12345678-1234-1234-1234-123456789abc", "")]
    );
    assert_eq!(partitions(&found)[0].uuid, "aaaaaaaa-0000-0000-0000-000000000001");
    let tables: Vec<_> =
        found.iter().filter(|p| p.kind == PartKind::Table).map(|p| (p.type_name.as_str(), p.run.len)).collect();
    assert_eq!(
        tables,
        [
            ("protective MBR", 512),
            ("GPT header", 512),
            ("GPT entries", 16384),
            ("GPT backup entries", 16384),
            ("GPT backup header", 512)
        ]
    );
}

#[test]
fn a_damaged_gpt_is_read_from_its_backup_and_says_so() {
    let Some((disk, dump)) = made(16 * MIB, "sfdisk", &["-q"], GPT) else { return };
    // The header gone, the header altered, an entry altered: each time the backup has the truth.
    for (from, to, words) in [
        (512, 1024, "no primary GPT header here"),
        (512 + 40, 512 + 41, "primary GPT header: its CRC32 is"),
        (1024 + 128 + 32, 1024 + 128 + 34, "primary GPT entries: their CRC32 is"),
    ] {
        let mut disk = disk.clone();
        disk[from..to].iter_mut().for_each(|b| *b = b.wrapping_add(77) & if to - from > 100 { 0 } else { 0xff });
        let (_, found, gaps) = parts(&disk);
        assert_eq!(read_back(&found), dumped(&dump), "{words}");
        assert!(gaps.iter().any(|g| g.contains(words)), "{words}: {gaps:?}");
        assert!(gaps.iter().any(|g| g.contains("the backup GPT was followed")), "{gaps:?}");
    }
    // The backup gone: the primary is used, and the gap says what is missing.
    let mut short = disk.clone();
    let end = short.len();
    short[end - 512..].fill(0);
    let (_, found, gaps) = parts(&short);
    assert_eq!(read_back(&found), dumped(&dump));
    assert_eq!(gaps, [format!("{}: no backup GPT header here", end - 512)]);
    // The image cut short.
    let (_, found, gaps) = parts(&disk[..12 * MIB]);
    assert_eq!(read_back(&found).len(), 3);
    assert!(gaps.iter().any(|g| g.contains("the image ends at 12582912")), "{gaps:?}");
    // Front and MBR wiped: the backup alone still tells.
    let mut wiped = disk.clone();
    wiped[..MIB].fill(0);
    let (scheme, found, gaps) = parts(&wiped);
    assert_eq!((scheme, read_back(&found)), ("gpt", dumped(&dump)));
    assert!(gaps.iter().any(|g| g.contains("no protective MBR")), "{gaps:?}");
}

#[test]
fn primary_and_backup_that_differ_are_compared_entry_by_entry() {
    let Some((disk, _)) = made(16 * MIB, "sfdisk", &["-q"], GPT) else { return };
    // A fourth partition only in the backup, with good checksums.
    let mut disk = disk;
    let end = disk.len();
    let entries = end - 512 - 16384;
    let copy = disk[entries + 128..entries + 256].to_vec();
    disk[entries + 384..entries + 512].copy_from_slice(&copy);
    let crc = crc32fast::hash(&disk[entries..entries + 16384]);
    disk[end - 512 + 88..end - 512 + 92].copy_from_slice(&crc.to_le_bytes());
    disk[end - 512 + 16..end - 512 + 20].fill(0);
    let crc = crc32fast::hash(&disk[end - 512..end - 512 + 92]);
    disk[end - 512 + 16..end - 512 + 20].copy_from_slice(&crc.to_le_bytes());
    let (_, found, gaps) = parts(&disk);
    assert_eq!(read_back(&found).len(), 3);
    assert_eq!(gaps.len(), 1);
    assert!(gaps[0].contains("differ in entry 4: no entry and sectors 8192 to 18431"), "{gaps:?}");
}

#[test]
fn hybrid_and_stale_tables_are_told_apart() {
    let Some((disk, dump)) = made(16 * MIB, "sfdisk", &["-q"], GPT) else { return };
    let mut hybrid = disk.clone();
    put_entry(&mut hybrid, 0, 1, 0x83, 8192, 10240);
    put_entry(&mut hybrid, 0, 2, 0x83, 24576, 2048);
    let (scheme, found, gaps) = parts(&hybrid);
    assert_eq!((scheme, read_back(&found)), ("gpt", dumped(&dump)));
    assert_eq!(gaps.len(), 2);
    assert!(gaps[0].contains("same bytes as GPT partition 2"), "{gaps:?}");
    assert!(gaps[1].contains("is no partition of the GPT"), "{gaps:?}");
    // An MBR without a protective entry is what Linux follows.
    let mut stale = disk.clone();
    stale[446..462].fill(0);
    put_entry(&mut stale, 0, 0, 0x83, 2048, 2048);
    let (scheme, found, gaps) = parts(&stale);
    assert_eq!((scheme, read_back(&found)), ("mbr", vec![(1, MIB as u64, MIB as u64)]));
    assert!(gaps[0].contains("a GPT header is present"), "{gaps:?}");
    // Protected, but both headers are gone.
    let mut gone = disk.clone();
    gone[512..1024].fill(0);
    let end = gone.len();
    gone[end - 512..].fill(0);
    let (scheme, _, gaps) = parts(&gone);
    assert_eq!(scheme, "mbr");
    assert!(gaps.iter().any(|g| g.contains("no GPT header could be read")), "{gaps:?}");
    // A file system made over the whole disk later: the old backup does not count.
    let mut reused = disk;
    reused[..MIB].fill(0);
    reused[1024..1032].copy_from_slice(&[1, 0, 0, 0, 1, 0, 0, 0]);
    reused[1080..1082].copy_from_slice(&[0x53, 0xef]);
    assert!(recognise(&source(&reused)).is_none());
}

#[test]
fn gpt_with_large_sectors() {
    // sgdisk takes its sector size from the device, so the table is moved by hand: same fields, other unit.
    let Some((small, _)) = made(16 * MIB, "sfdisk", &["-q"], GPT) else { return };
    let mut disk = vec![0; 128 * MIB];
    let sectors = disk.len() / 4096;
    disk[..512].copy_from_slice(&small[..512]);
    disk[8192..8192 + 16384].copy_from_slice(&small[1024..1024 + 16384]);
    let backup = disk.len() - 4096;
    disk.copy_within(8192..8192 + 16384, backup - 16384);
    for (at, this, other, entries) in [(4096, 1, sectors - 1, 2), (backup, sectors - 1, 1, sectors - 5)] {
        let mut header = small[512..604].to_vec();
        for (field, value) in [(24, this), (32, other), (40, 6), (48, sectors - 6), (72, entries)] {
            header[field..field + 8].copy_from_slice(&(value as u64).to_le_bytes());
        }
        header[16..20].fill(0);
        let crc = crc32fast::hash(&header);
        header[16..20].copy_from_slice(&crc.to_le_bytes());
        disk[at..at + 92].copy_from_slice(&header);
    }
    let (scheme, found, gaps) = parts(&disk);
    assert_eq!((scheme, gaps), ("gpt", Vec::new()));
    assert_eq!(
        read_back(&found),
        [(1, 2048 * 4096, 4096 * 4096), (2, 8192 * 4096, 10240 * 4096), (3, 20480 * 4096, 2048 * 4096)]
    );
}

#[test]
fn any_byte_of_the_tables_may_be_wrong() {
    let Some((gpt, _)) = made(2 * MIB, "sgdisk", &["-a1", "-n1:64:+100", "-n2:200:+300"], "") else { return };
    let Some((mbr, _)) = made(16 * MIB, "sfdisk", &["-q"], LOGICAL) else { return };
    assert_eq!(read_back(&parts(&gpt).1).len(), 2);
    for at in (0..600).chain(1024..1300).chain(2 * MIB - 600..2 * MIB) {
        let mut bytes = gpt.clone();
        bytes[at] ^= 0xff;
        let source = source(&bytes);
        if let Some(scheme) = recognise(&source) {
            let gaps = Gaps::default();
            let read = (scheme.read)(&source, &gaps, Budget::default()).unwrap();
            assert_eq!(read.iter().map(|p| p.run.end()).max(), Some(bytes.len() as u64));
            // What a checksum guards, or what guards the table, is never wrong in silence.
            if (512..604).contains(&at) || (446..462).contains(&at) && at % 16 == 2 || (1024..1300).contains(&at) {
                assert!(!gaps.take().is_empty(), "byte {at}");
            }
        }
    }
    let ebr = partitions(&parts(&mbr).1)[1].run.offset as usize - MIB;
    for at in (440..512).chain(ebr + 440..ebr + 512) {
        for value in [0, 1, 0x7f, 0xff] {
            let mut bytes = mbr.clone();
            bytes[at] = value;
            let source: Source = Arc::new(bytes);
            if let Some(scheme) = recognise(&source) {
                let read = (scheme.read)(&source, &Gaps::default(), Budget::default()).unwrap();
                assert_eq!(read.iter().map(|p| p.run.end()).max(), Some(mbr.len() as u64));
            }
        }
    }
}

/// A file of the shared corpus, unpacked; `None`, with a message, where there is no corpus.
fn corpus(name: &str) -> Option<Vec<u8>> {
    let shared = std::env::var("CRANESCOPE_SHARED").unwrap_or(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared").into());
    let Ok(bytes) = std::fs::read(format!("{shared}/corpus/{name}")) else {
        eprintln!("skipped: {name} is not there");
        return None;
    };
    let mut out = Vec::new();
    match name.rsplit('.').next() {
        Some("gz") => std::io::copy(&mut flate2::read::GzDecoder::new(&*bytes), &mut out).unwrap(),
        Some("zst") => std::io::copy(&mut ruzstd::decoding::StreamingDecoder::new(&*bytes).unwrap(), &mut out).unwrap(),
        _ => return Some(bytes),
    };
    Some(out)
}

#[test]
fn disks_of_others_read_as_sfdisk_lists_them() {
    let s = 512_u64;
    for (name, scheme, expected) in [
        ("dfvfs_big/gpt.raw.zst", "gpt", vec![(1, 2048 * s, 128 * s), (2, 4096 * s, 128 * s)]),
        ("dfvfs_big/mbr.raw.zst", "mbr", vec![(1, s, 129 * s), (5, 131 * s, 129 * s)]),
        ("dfvfs_big/gpt_empty_with_mbr.raw.zst", "mbr", vec![(1, 48 * s, 257 * s)]),
        ("dfir_ntfs/gpt-512-0p.raw.gz", "gpt", vec![]),
        (
            "dfir_ntfs/mbr-512-p1e2.bin.gz",
            "mbr",
            vec![(5, 2 * s, 511 * s), (6, 514 * s, 511 * s), (2, 1025 * s, 1023 * s)],
        ),
        // Sectors of 4096 bytes, which sfdisk cannot know of a file.
        ("dfir_ntfs/mbr-4096-p1e1.bin.gz", "mbr", vec![(1, 3 * 4096, 2 * 4096), (5, 9 * 4096, 2 * 4096)]),
    ] {
        let Some(disk) = corpus(name) else { continue };
        let (found, parts, gaps) = parts(&disk);
        assert_eq!((found, read_back(&parts)), (scheme, expected), "{name}: {gaps:?}");
    }
    for name in
        ["dfvfs_big/fat12.raw.zst", "dfvfs_big/ext2.raw.zst", "dfvfs_big/lvm.raw.zst", "dfvfs_big/luks1.raw.zst"]
    {
        let Some(disk) = corpus(name) else { continue };
        assert!(recognise(&source(&disk)).is_none(), "{name}");
    }
}

#[test]
fn damaged_fat_and_ext_images_are_no_tables() {
    let shared = std::env::var("CRANESCOPE_SHARED").unwrap_or(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared").into());
    let mut seen = 0;
    for folder in ["syzkaller/fat", "syzkaller/exfat", "syzkaller/ext4"] {
        let Ok(files) = std::fs::read_dir(format!("{shared}/corpus/{folder}")) else { continue };
        for file in files.flatten().filter(|f| f.path().extension().is_some_and(|e| e == "img")) {
            let source = source(&std::fs::read(file.path()).unwrap());
            assert!(recognise(&source).is_none(), "{}", file.path().display());
            seen += 1;
        }
    }
    if seen == 0 {
        eprintln!("skipped: the corpus is not there");
    }
}
