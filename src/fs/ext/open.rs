//! Opening: the superblock or a backup of it, the group descriptors, the journal.
use super::blocks::Blocks;
use super::damage::{BY, Damage};
use super::features::{COMPRESSION, ENCRYPT, HAS_JOURNAL, JOURNAL_DEV};
use super::journal::Journal;
use super::superblock::{AT, LEN, Super, backup};
use super::{ExtFs, Volume, group, table, xattr};
use crate::base::{Gaps, NodeId};
use crate::fs::{FsError, Options};
use crate::image::{ReadAt, Source, read_exact};
use std::sync::Arc;

pub(super) fn open(source: &Source, options: &Options) -> Result<ExtFs, FsError> {
    let (at, sb) = superblock(source, &options.gaps)?;
    if sb.features.has_incompat(JOURNAL_DEV) {
        return Err(FsError::Unsupported("an external journal of ext, not a file system".to_owned()));
    }
    let info = sb.info();
    complain(&sb, at, &**source, &options.gaps);
    let volume = with_journal(source, at, sb, options);
    let volume = Arc::new(volume);
    volume.contradictions(at);
    let root = volume.slot(2).map_or(NodeId { number: 2, generation: 0 }, |i| i.id());
    Ok(ExtFs { volume, info, root })
}

/// The volume, with its journal laid over it if a mount would replay it.
fn with_journal(source: &Source, at: u64, sb: Super, options: &Options) -> Volume {
    let blocks = Blocks::new(source.clone(), sb.block_size);
    if !sb.features.has_compat(HAS_JOURNAL) {
        return volume(blocks, sb, options);
    }
    // Damage on the way to the journal may be what the journal repairs: it is not told yet.
    let unsaid = Gaps::default();
    let quiet = Options { gaps: unsaid, ..options.clone() };
    let raw = Arc::new(volume(blocks.clone(), sb.clone(), &quiet));
    let say = |offset: u64, what: String| options.gaps.add_at(BY, "volume_offset", offset, what, 0);
    let journal = match Journal::find(&raw) {
        Ok(journal) => journal,
        Err(what) => {
            let effect = if sb.needs_recovery() { "; what it holds was not replayed" } else { "" };
            say(at, format!("{what}{effect}"));
            return volume(blocks, sb, options);
        }
    };
    if journal.is_odd {
        say(journal.offset, "the journal's superblock has fields that one inside a file system has not".to_owned());
    }
    // A backup superblock does not know whether the journal is needed; the journal does.
    let wanted = journal.start != 0 && (sb.needs_recovery() || sb.copy_of_group != 0);
    if journal.start != 0 && !wanted {
        say(
            journal.offset,
            "the journal holds transactions that the superblock does not ask for; not replayed".to_owned(),
        );
    } else if wanted && !options.replay_journal {
        say(journal.offset, "the journal holds newer copies of blocks; left out as asked".to_owned());
    }
    if !wanted || !options.replay_journal {
        return volume(blocks, sb, options);
    }
    let damage = Damage::new(&options.gaps, sb.inodes_per_group);
    let overlay = journal.replay(&raw, &damage);
    if overlay.is_empty() {
        return volume(blocks, sb, options);
    }
    let mut blocks = blocks;
    blocks.lay_over(overlay);
    // The journal may hold a newer superblock, which must still be one.
    let newer = blocks.read(at, LEN).ok().and_then(|b| Super::parse(&b).ok());
    let sb = newer.filter(|new| new.block_size == sb.block_size).unwrap_or(sb);
    volume(blocks, sb, options)
}

fn volume(blocks: Blocks, sb: Super, options: &Options) -> Volume {
    let damage = Damage::new(&options.gaps, sb.inodes_per_group);
    let groups = group::load(&blocks, &sb, &damage);
    Volume {
        blocks,
        sb,
        groups,
        damage,
        cache: table::Cache::default(),
        xattrs: xattr::Cache::default(),
        budget: options.budget,
        named: super::named::Numbers::default(),
        listed: super::named::Numbers::default(),
        own: std::sync::OnceLock::new(),
    }
}

/// The primary superblock if it can be used, else a backup.
fn superblock(source: &Source, gaps: &Gaps) -> Result<(u64, Super), FsError> {
    let bytes = read_exact(&**source, AT, LEN);
    let primary = match &bytes {
        Ok(Some(bytes)) => Super::parse(bytes),
        Ok(None) => Err("the volume ends before it".to_owned()),
        Err(e) => Err(e.to_string()),
    };
    match primary {
        Ok(sb) if sb.checksum_fits => Ok((AT, sb)),
        Ok(sb) => {
            // A backup with another geometry shows that it is not only a counter that differs.
            if let Some((at, copy)) = backup(source).filter(|(_, copy)| !same_geometry(&sb, copy)) {
                let what = format!("checksum and geometry of the superblock differ; its backup at byte {at} was used");
                gaps.add_at(BY, "volume_offset", AT, what, LEN as u64);
                return Ok((at, copy));
            }
            gaps.add_at(BY, "volume_offset", AT, "checksum of the superblock differs", LEN as u64);
            Ok((AT, sb))
        }
        Err(what) => match backup(source) {
            Some((at, copy)) => {
                let what = format!("superblock damaged ({what}); its backup at byte {at} was used");
                gaps.add_at(BY, "volume_offset", AT, what, LEN as u64);
                Ok((at, copy))
            }
            None => match bytes {
                Err(e) => Err(e.into()),
                Ok(_) => Err(FsError::Corrupt { at: AT, what }),
            },
        },
    }
}

fn same_geometry(a: &Super, b: &Super) -> bool {
    let of = |s: &Super| {
        (s.blocks, s.inodes, s.block_size, s.blocks_per_group, s.inodes_per_group, s.inode_size, s.first_data_block)
    };
    of(a) == of(b) && a.features.incompat & !4 == b.features.incompat & !4
}

/// What limits the whole file system, said once.
fn complain(sb: &Super, at: u64, source: &dyn ReadAt, gaps: &Gaps) {
    let add = |what: String, bytes| gaps.add_at(BY, "volume_offset", at, what, bytes);
    let stated = sb.blocks.saturating_mul(u64::from(sb.block_size));
    if stated > source.len() {
        let missing = stated.saturating_sub(source.len());
        add(format!("the file system has {stated} bytes, {} of them exist", source.len()), missing);
    }
    let unknown = sb.features.unknown_incompat();
    if unknown != 0 {
        add(format!("unknown incompatible features {unknown:#x}; what they change may be read wrongly"), 0);
    }
    if sb.features.has_incompat(ENCRYPT) {
        add("feature encrypt: encrypted contents are not read, encrypted names are listed as stored".to_owned(), 0);
    }
    if sb.features.has_incompat(COMPRESSION) {
        add("feature compression: compressed contents are not read".to_owned(), 0);
    }
    if sb.features.has_incompat(super::features::BIT64) && sb.desc_size != sb.desc_size_stated {
        add(format!("group descriptors of {} bytes are not possible; 64 were taken", sb.desc_size_stated), 0);
    }
}
