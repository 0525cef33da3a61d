//! Keys (`nk`) and the lists that lead to their subkeys (`lf`, `lh`, `li`, `ri`).
use super::{Hive, NOTHING, u16_at, u32_at, u64_at};
use crate::base::{Name, Run, Time, utf16};
use std::collections::BTreeSet;

/// Bits of a key's flags.
pub mod flags {
    /// The root of its hive.
    pub const ROOT: u16 = 0x4;
    /// It leads to another key.
    pub const LINK: u16 = 0x10;
    /// Its name is kept in one byte a letter.
    pub const NARROW: u16 = 0x20;
}
/// Bytes of a key before its name.
const HEAD: usize = 76;
/// Subkeys of one key that are given; a real system has some thousand services.
const MAX_LISTED: usize = 10_000;

/// A key as it stands in its cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Offset of its cell among the bins.
    pub cell: u32,
    /// Bytes of the hive that its cell takes.
    pub run: Run,
    pub name: Name,
    /// When it, or a value of it, was changed last.
    pub written: Option<Time>,
    /// Bits of [`flags`].
    pub flags: u16,
    /// Cell of the key above, as it says.
    pub parent: u32,
    /// Subkeys it says it has.
    pub subkeys: u32,
    /// Values it says it has.
    pub values: u32,
    pub(super) list: u32,
    pub(super) value_list: u32,
    pub(super) security: u32,
    pub(super) class: (u32, u16),
}

/// A key as a list leads to it.
#[derive(Clone, Copy)]
pub(super) struct Listed {
    pub(super) cell: u32,
    hint: Hint,
}
/// What a list says of a key's name, by which Windows finds it.
#[derive(Clone, Copy)]
enum Hint {
    None,
    /// Its first four letters, zeros behind a shorter one (`lf`).
    First([u8; 4]),
    /// The hash of the whole name (`lh`).
    Hash(u32),
}
impl Listed {
    /// Whether the list and the key's name say the same; `None` where that is not known: of names that are not all ASCII.
    pub(super) fn fits(&self, name: &Name) -> Option<bool> {
        let name = name.bytes();
        match self.hint {
            Hint::None => None,
            _ if !name.is_ascii() => None,
            Hint::First(letters) => {
                let mut own = [0; 4];
                own.iter_mut().zip(name).for_each(|(to, from)| *to = *from);
                Some(own.eq_ignore_ascii_case(&letters))
            }
            Hint::Hash(hash) => {
                let add = |sum: u32, b: &u8| sum.wrapping_mul(37).wrapping_add(u32::from(b.to_ascii_uppercase()));
                Some(hash == name.iter().fold(0, add))
            }
        }
    }
}

impl Hive {
    /// The topmost key. Where the base block does not lead to it, it is looked for by its mark.
    pub fn root(&self) -> Option<Key> {
        let is_root =
            |content: &[u8]| content.starts_with(b"nk") && u16_at(content, 2).is_some_and(|f| f & flags::ROOT != 0);
        if self.header.root != NOTHING
            && let Some(key) = self.key(self.header.root)
        {
            if key.flags & flags::ROOT == 0 {
                self.tell(key.cell, "the base block leads to a key that is not marked as the root");
            }
            return Some(key);
        }
        let mut found = None;
        self.each_cell(&mut |offset, content, free| {
            if !free && found.is_none() && is_root(content) {
                found = Some(offset);
            }
        });
        if let Some(offset) = found {
            self.tell(offset, "the base block does not lead to the root; this key is marked as one");
        } else {
            self.tell_in(0, 36, "the hive has no root: none of its keys was read", u64::from(self.header.bins));
        }
        self.key(found?)
    }
    /// The key whose cell lies here.
    pub fn key(&self, cell: u32) -> Option<Key> {
        let content = self.cell(cell, "key")?;
        if !content.starts_with(b"nk") {
            self.tell(cell, "no key stands here, though a list or the base block leads here");
            return None;
        }
        let Some(head) = content.get(..HEAD) else {
            self.tell(cell, "a key that is cut off");
            return None;
        };
        let field = |at: usize| u32_at(head, at).unwrap_or(NOTHING);
        let small = |at: usize| u16_at(head, at).unwrap_or(0);
        let len = usize::from(small(72));
        let mut name = content.get(HEAD..HEAD.saturating_add(len));
        if name.is_none() {
            self.tell(cell, "a key whose name goes over the end of its cell");
            name = content.get(HEAD..);
        }
        let flags = small(2);
        let name = self.spell(cell, "key", name.unwrap_or_default(), flags & flags::NARROW != 0);
        Some(Key {
            cell,
            run: Self::run(cell, content.len()),
            name,
            written: u64_at(head, 4).and_then(Time::from_filetime),
            flags,
            parent: field(16),
            subkeys: field(20),
            list: field(28),
            values: field(36),
            value_list: field(40),
            security: field(44),
            class: (field(48), small(74)),
        })
    }
    /// The name of a key or value; what Windows would not have written as one is told.
    pub(super) fn spell(&self, cell: u32, what: &str, bytes: &[u8], is_narrow: bool) -> Name {
        let name = spelled(bytes, is_narrow);
        if name.bytes().contains(&0) {
            self.tell(cell, format!("a {what} with a zero in its name, which programs of Windows do not reach by it"));
        }
        if !is_narrow && !bytes.len().is_multiple_of(2) {
            self.tell(cell, format!("a {what} whose name ends within a letter"));
        }
        name
    }
    /// The keys below a key, in the order of their list.
    pub fn subkeys(&self, key: &Key) -> Vec<Key> {
        let mut cells = self.listed(key, &mut |_| ());
        if cells.len() > MAX_LISTED {
            self.tell(key.cell, format!("budget: {MAX_LISTED} keys; the key has {} below it", cells.len()));
            cells.truncate(MAX_LISTED);
        }
        cells.into_iter().filter_map(|listed| self.key(listed.cell)).collect()
    }
    /// The key of this name below a key, whatever the letters' case.
    pub fn subkey(&self, key: &Key, name: &str) -> Option<Key> {
        let is = |k: &Key| k.name.bytes().eq_ignore_ascii_case(name.as_bytes());
        self.listed(key, &mut |_| ()).into_iter().filter_map(|listed| self.key(listed.cell)).find(is)
    }
    /// The key that a path of names leads to, from a key on.
    pub fn find(&self, from: &Key, path: &str) -> Option<Key> {
        path.split('\\').filter(|p| !p.is_empty()).try_fold(from.clone(), |key, name| self.subkey(&key, name))
    }
    /// A key's class, which a few keys have.
    pub fn class(&self, key: &Key) -> Option<Name> {
        let (cell, len) = key.class;
        if cell == NOTHING || len == 0 {
            return None;
        }
        let content = self.cell(cell, "class")?;
        Some(Name::from(utf16::name(content.get(..usize::from(len)).unwrap_or(content))))
    }
    /// The keys below a key, as its lists have them; `on` is told every cell of a list.
    pub(super) fn listed(&self, key: &Key, on: &mut dyn FnMut(u32)) -> Vec<Listed> {
        let mut cells = Vec::new();
        if key.list != NOTHING && (key.subkeys > 0 || key.list != 0) {
            // A list that belongs to nothing any more is left over now and then.
            if key.subkeys == 0 && self.is_list(key.list) {
                self.tell(key.cell, "a key that says it has no subkeys, and has a list of some");
            }
            if key.subkeys > 0 || self.is_list(key.list) {
                self.list(key.list, &mut cells, on);
            }
        }
        if cells.len() != key.subkeys as usize {
            let what = format!("a key that says it has {} subkeys, and leads to {}", key.subkeys, cells.len());
            self.tell(key.cell, what);
        }
        cells
    }
    /// Whether a cell in use holds a list; tells nothing.
    fn is_list(&self, cell: u32) -> bool {
        let at = super::place(cell);
        let head = self.bytes.get(at..at.saturating_add(6)).filter(|_| at < self.end);
        head.is_some_and(|h| {
            h.get(3).is_some_and(|b| b & 0x80 != 0) && matches!(h.get(4..), Some(b"lf" | b"lh" | b"li" | b"ri"))
        })
    }
    /// The elements of a list, and of the lists in it.
    fn list(&self, cell: u32, cells: &mut Vec<Listed>, on: &mut dyn FnMut(u32)) -> Option<()> {
        let mut lists = vec![cell];
        let mut seen = BTreeSet::new();
        let mut is_top = true;
        while let Some(cell) = lists.pop() {
            if !seen.insert(cell) {
                self.tell(cell, "a list that stands twice in a list of lists");
                continue;
            }
            on(cell);
            let Some(content) = self.cell(cell, "list of subkeys") else {
                is_top = false;
                continue;
            };
            let mark = content.get(..2);
            let (width, of_lists) = match mark {
                Some(b"lf" | b"lh") => (8, false),
                Some(b"li") => (4, false),
                Some(b"ri") if is_top => (4, true),
                Some(b"ri") => {
                    self.tell(cell, "a list of lists within a list of lists; not read");
                    continue;
                }
                _ => {
                    self.tell(cell, "no list of subkeys stands here, though a key leads here");
                    is_top = false;
                    continue;
                }
            };
            is_top = false;
            let count = usize::from(u16_at(content, 2).unwrap_or(0));
            let there = content.get(4..).unwrap_or_default();
            let held = there.len() / width;
            if count > held {
                self.tell(cell, format!("a list that says it has {count} elements, and has room for {held}"));
            }
            self.step(count.min(held))?;
            let elements = there.chunks_exact(width).take(count);
            if of_lists {
                lists.extend(elements.filter_map(|e| u32_at(e, 0)));
                lists.reverse();
                // Each leads to a list of its own, and those stay in their order.
            } else {
                let hint = |e: &[u8]| match (mark, e.get(4..)?.first_chunk()?) {
                    (Some(b"lh"), hash) => Some(Hint::Hash(u32::from_le_bytes(*hash))),
                    (_, letters) => Some(Hint::First(*letters)),
                };
                let listed = |e| Some(Listed { cell: u32_at(e, 0)?, hint: hint(e).unwrap_or(Hint::None) });
                cells.extend(elements.filter_map(listed));
            }
        }
        Some(())
    }
}

/// A name: one byte a letter, or two.
pub(super) fn spelled(bytes: &[u8], is_narrow: bool) -> Name {
    if !is_narrow {
        return Name::from(utf16::name(bytes));
    }
    if bytes.is_ascii() {
        return Name::new(bytes);
    }
    Name::from(bytes.iter().map(|b| char::from(*b)).collect::<String>().into_bytes())
}
