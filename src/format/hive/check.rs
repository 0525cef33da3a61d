//! A whole hive gone through once: every key from the root on, every value, and every cell, so that what is damaged
//! anywhere is told, and what no list leads to any more.
use super::key::{Listed, flags};
use super::{BIN_HEAD, Hive, Key, MAX_DEPTH, NOTHING, Value, place, u16_at};
use std::collections::BTreeSet;

/// Keys and values without a way to them that are told one by one.
const MAX_LOST: usize = 100;

/// A key, as it is come by.
pub struct Visit<'a> {
    /// Names from below the root on, with a backslash between them; empty for the root.
    pub path: &'a [u8],
    pub key: &'a Key,
    pub values: &'a [Value],
}

/// The keys of one level that are still to come.
struct Level {
    keys: std::vec::IntoIter<Listed>,
    /// Of the key that came last.
    before: Option<Vec<u8>>,
    /// Bytes of the path above.
    path: usize,
    above: u32,
}

/// One bit for every place at which a cell can begin.
struct Marks(Vec<u64>);
impl Marks {
    fn new(len: usize) -> Self {
        Self(vec![0; len / 512 + 1])
    }
    /// Whether it was not there before.
    fn insert(&mut self, cell: u32) -> bool {
        let (word, bit) = (cell as usize / 512, cell / 8 % 64);
        let Some(word) = self.0.get_mut(word) else { return true };
        let is_new = *word >> bit & 1 == 0;
        *word |= 1 << bit;
        is_new
    }
    fn holds(&self, cell: u32) -> bool {
        self.0.get(cell as usize / 512).is_some_and(|word| word >> (cell / 8 % 64) & 1 == 1)
    }
}

impl Hive {
    /// Goes through all of it. Each key comes once, those of one list in its order, what is below a key right behind it.
    pub fn check(&self, visit: &mut dyn FnMut(&Visit<'_>)) {
        let mut reached = Marks::new(self.end);
        if let Some(root) = self.root() {
            reached.insert(root.cell);
            self.walk(root, &mut reached, visit);
        }
        self.cells(&reached);
    }
    fn walk(&self, root: Key, reached: &mut Marks, visit: &mut dyn FnMut(&Visit<'_>)) {
        let mut path: Vec<u8> = Vec::new();
        let mut levels: Vec<Level> = Vec::new();
        let mut next = Some(root);
        loop {
            if let Some(key) = next.take() {
                if self.step(1).is_none() {
                    return;
                }
                let mut shared = false;
                let values = self.values_of(&key, &mut |cell| shared |= !reached.insert(cell));
                if shared {
                    self.tell(key.cell, "a key that leads to values which are another key's as well");
                }
                self.names(&values);
                for value in &values {
                    let mut shared = false;
                    self.pieces(value, value.len as usize, &mut |cell| shared |= !reached.insert(cell), &mut |_, _| ());
                    if shared {
                        self.tell(value.cell, "a value whose data are another value's as well");
                    }
                }
                self.beside(&key, reached);
                visit(&Visit { path: &path, key: &key, values: &values });
                let mut lists = Vec::new();
                let mut keys = self.listed(&key, &mut |cell| lists.push(cell));
                let mut shared = false;
                for list in lists {
                    shared |= !reached.insert(list);
                }
                if shared {
                    self.tell(key.cell, "a key whose list of subkeys is another key's as well");
                }
                // A key that was come by already is one of a loop, or stands in two lists. Telling costs more than a look.
                let mut again = 0;
                keys.retain(|listed| {
                    let is_new = reached.insert(listed.cell);
                    if !is_new {
                        again += 1;
                        if again <= MAX_LOST {
                            self.tell(listed.cell, "a key that stands in more than one place; listed once");
                        }
                    }
                    is_new
                });
                if self.step(again.min(MAX_LOST).saturating_mul(50)).is_none() {
                    return;
                }
                if !keys.is_empty() {
                    if levels.len() >= MAX_DEPTH {
                        self.tell(key.cell, format!("budget: {MAX_DEPTH} levels of keys; what is below was not read"));
                    } else {
                        let level = Level { keys: keys.into_iter(), before: None, path: path.len(), above: key.cell };
                        levels.push(level);
                    }
                }
            }
            let Some(level) = levels.last_mut() else { return };
            path.truncate(level.path);
            let Some(listed) = level.keys.next() else {
                levels.pop();
                continue;
            };
            let Some(key) = self.key(listed.cell) else {
                self.tell(level.above, "a key below which not all were read");
                continue;
            };
            if listed.fits(&key.name) == Some(false) {
                self.tell(key.cell, "a key of another name than its list says, by which Windows does not find it");
            }
            if key.parent != level.above {
                self.tell(key.cell, "a key that says it belongs below another one than the one that leads to it");
            }
            let upper = key.name.bytes().is_ascii().then(|| key.name.bytes().to_ascii_uppercase());
            if let Some((before, own)) = level.before.as_ref().zip(upper.as_ref())
                && before >= own
            {
                let what = if before == own {
                    "a key whose name stands twice in its list"
                } else {
                    "a key out of the order of its list, in which Windows may not find it"
                };
                self.tell(key.cell, what);
            }
            level.before = upper;
            if !path.is_empty() {
                path.push(b'\\');
            }
            path.extend_from_slice(key.name.bytes());
            next = Some(key);
        }
    }
    /// Tells of values of a key that have one name: Windows reaches the first.
    fn names(&self, values: &[Value]) {
        let mut seen = BTreeSet::new();
        for value in values {
            if !seen.insert(value.name.bytes().to_ascii_lowercase()) {
                self.tell(value.cell, "a value whose name another value of its key has");
            }
        }
    }
    /// What else a key leads to: its class, and who may use it.
    fn beside(&self, key: &Key, reached: &mut Marks) {
        let (class, len) = key.class;
        if class != NOTHING && len > 0 {
            reached.insert(class);
            if self.cell(class, "class of a key").is_some_and(|c| c.len() < usize::from(len)) {
                self.tell(key.cell, "a key whose class goes over the end of its cell");
            }
        }
        if key.security != NOTHING {
            let is_new = reached.insert(key.security);
            if is_new && self.cell(key.security, "security of a key").is_some_and(|c| !c.starts_with(b"sk")) {
                self.tell(key.security, "no security descriptor stands here, though a key leads here");
            }
        }
    }
    /// Every cell of every bin: offset, content, whether it is free. Where a cell's size is none, the rest of its bin is
    /// told and left.
    pub(super) fn each_cell(&self, each: &mut dyn FnMut(u32, &[u8], bool)) {
        for (start, end) in &self.bins {
            let mut at = start.saturating_add(BIN_HEAD);
            while at < *end {
                let size = self.bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |b| i32::from_le_bytes(*b));
                let len = size.unsigned_abs() as usize;
                if len < 8 || !len.is_multiple_of(8) || len > end.saturating_sub(at) {
                    let rest = end.saturating_sub(at) as u64;
                    self.tell_at(at, "a cell whose size is none; the rest of its bin was not gone through", rest);
                    break;
                }
                if self.step(1).is_none() {
                    return;
                }
                let content = self.bytes.get(at.saturating_add(4)..at.saturating_add(len)).unwrap_or_default();
                if let Ok(offset) = u32::try_from(at.saturating_sub(place(0))) {
                    each(offset, content, size > 0);
                }
                at = at.saturating_add(len);
            }
        }
    }
    /// Tells of keys and values in cells in use that nothing leads to.
    fn cells(&self, reached: &Marks) {
        let mut lost = 0_usize;
        let mut first = None;
        self.each_cell(&mut |offset, content, free| {
            if free || reached.holds(offset) {
                return;
            }
            let head = match content.get(..2) {
                Some(b"nk") => 76,
                Some(b"vk") => 20,
                _ => return,
            };
            let name = if head == 76 { u16_at(content, 72) } else { u16_at(content, 2) }.map_or(0, usize::from);
            // Data of a value may begin with the same letters: a cell is as long as what is in it needs.
            let need = name.saturating_add(head).saturating_add(4).next_multiple_of(8);
            let is_key = head == 76 && u16_at(content, 2).is_some_and(|f| f & !0x1ff == 0);
            if content.len() < head || need > content.len().saturating_add(4) || !(is_key || head == 20) {
                return;
            }
            lost = lost.saturating_add(1);
            if lost <= MAX_LOST {
                let is_narrow = if is_key {
                    u16_at(content, 2).is_some_and(|f| f & flags::NARROW != 0)
                } else {
                    u16_at(content, 16).is_some_and(|f| f & 1 != 0)
                };
                let name = content.get(head..head.saturating_add(name)).unwrap_or_default();
                let what = if is_key { "key" } else { "value" };
                self.tell(
                    offset,
                    format!("the {what} '{}' is in use, and nothing leads to it", super::key::spelled(name, is_narrow)),
                );
            } else {
                first.get_or_insert(offset);
            }
        });
        if let Some(offset) = first {
            self.tell(
                offset,
                format!(
                    "{} further keys and values are in use, and nothing leads to them",
                    lost.saturating_sub(MAX_LOST)
                ),
            );
        }
    }
}
