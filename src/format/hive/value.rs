//! Values (`vk`) and their data: in the value itself, in a cell, or in several (`db`).
use super::{Hive, Key, NOTHING, u16_at, u32_at};
use crate::base::{Name, Run, utf16};

/// Types of values.
pub mod kinds {
    pub const SZ: u32 = 1;
    pub const EXPAND_SZ: u32 = 2;
    pub const BINARY: u32 = 3;
    pub const DWORD: u32 = 4;
    pub const LINK: u32 = 6;
    pub const MULTI_SZ: u32 = 7;
    pub const QWORD: u32 = 11;
}
/// Bytes of a value before its name.
const HEAD: usize = 20;
/// The bit of a length that says that the data stand in place of their offset.
const RESIDENT: u32 = 0x8000_0000;
/// Data of more bytes stand in several cells, from version 1.4 on, each with so many at most.
const SEGMENT: usize = 16_344;
/// The name is kept in one byte a letter.
const NARROW: u16 = 1;

/// A value as it stands in its cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    pub cell: u32,
    /// Bytes of the hive that its cell takes.
    pub run: Run,
    /// Empty for the value without a name.
    pub name: Name,
    /// As stored; [`kinds`] has those that are known.
    pub kind: u32,
    /// Bytes of its data, as it says.
    pub len: u32,
    data: u32,
    is_resident: bool,
}

impl Hive {
    /// The values of a key, in the order of their list.
    pub fn values(&self, key: &Key) -> Vec<Value> {
        self.values_of(key, &mut |_| ())
    }
    /// The value of this name, whatever the letters' case.
    pub fn value(&self, key: &Key, name: &str) -> Option<Value> {
        self.values(key).into_iter().find(|v| v.name.bytes().eq_ignore_ascii_case(name.as_bytes()))
    }
    pub(super) fn values_of(&self, key: &Key, on: &mut dyn FnMut(u32)) -> Vec<Value> {
        if key.values == 0 {
            return Vec::new();
        }
        if key.value_list == NOTHING {
            self.tell(key.cell, format!("a key that says it has {} values, and leads to none", key.values));
            return Vec::new();
        }
        on(key.value_list);
        let Some(content) = self.cell(key.value_list, "list of values") else { return Vec::new() };
        let held = content.len() / 4;
        let count = key.values as usize;
        if count > held {
            let what = format!("a key that says it has {count} values, whose list has room for {held}");
            self.tell(key.cell, what);
        }
        if self.step(count.min(held)).is_none() {
            return Vec::new();
        }
        let elements = content.as_chunks::<4>().0.iter().take(count).map(|e| u32::from_le_bytes(*e));
        let mut values = Vec::new();
        let mut lost = 0_usize;
        for cell in elements {
            on(cell);
            match self.one(cell) {
                Some(value) => values.push(value),
                None => lost = lost.saturating_add(1),
            }
        }
        if lost > 0 {
            self.tell(key.cell, format!("a key of whose values {lost} were not read"));
        }
        values
    }
    fn one(&self, cell: u32) -> Option<Value> {
        let content = self.cell(cell, "value")?;
        let head = content.get(..HEAD).filter(|c| c.starts_with(b"vk"));
        let Some(head) = head else {
            self.tell(cell, "no value stands here, though a list of values leads here");
            return None;
        };
        let small = |at: usize| u16_at(head, at).unwrap_or(0);
        let size = u32_at(head, 4).unwrap_or(0);
        let mut name = content.get(HEAD..HEAD.saturating_add(usize::from(small(2))));
        if name.is_none() {
            self.tell(cell, "a value whose name goes over the end of its cell");
            name = content.get(HEAD..);
        }
        let name = self.spell(cell, "value", name.unwrap_or_default(), small(16) & NARROW != 0);
        Some(Value {
            cell,
            run: Self::run(cell, content.len()),
            name,
            kind: u32_at(head, 12).unwrap_or(0),
            len: size & !RESIDENT,
            data: u32_at(head, 8).unwrap_or(0),
            is_resident: size & RESIDENT != 0,
        })
    }
    /// The data of a value, at most `limit` bytes of them. What is missing of them is told.
    pub fn data(&self, value: &Value, limit: usize) -> Vec<u8> {
        let wanted = (value.len as usize).min(limit);
        let mut out = Vec::new();
        // Values may share their data: copying them counts.
        if self.step(wanted / 2).is_none() {
            return out;
        }
        self.pieces(value, wanted, &mut |_| (), &mut |_, piece| out.extend_from_slice(piece));
        out
    }
    /// Where the first of a value's data lie in the hive; `None` where it has none.
    pub fn data_run(&self, value: &Value) -> Option<Run> {
        let mut first = None;
        self.pieces(value, value.len as usize, &mut |_| (), &mut |run, _| {
            first.get_or_insert(run);
        });
        first
    }
    /// Gives the parts of a value's data, where they lie and what they are; `on` is told the cells.
    pub(super) fn pieces(
        &self,
        value: &Value,
        wanted: usize,
        on: &mut dyn FnMut(u32),
        each: &mut dyn FnMut(Run, &[u8]),
    ) {
        if value.is_resident {
            let field = value.data.to_le_bytes();
            if value.len > 4 {
                self.tell(
                    value.cell,
                    format!("a value that says it holds {} bytes itself, where 4 have room", value.len),
                );
            }
            let len = wanted.min(4);
            if len > 0 {
                // The size of the cell and eight bytes of the value stand before.
                each(Run::new(value.run.offset.saturating_add(12), len as u64), field.get(..len).unwrap_or_default());
            }
            return;
        }
        if value.len == 0 {
            return;
        }
        on(value.data);
        let Some(content) = self.cell(value.data, "data of a value") else { return };
        let is_split = value.len as usize > SEGMENT && self.header.version.1 >= 4 && content.starts_with(b"db");
        if is_split {
            self.segments(value, content, wanted, on, each);
            return;
        }
        if (value.len as usize) > content.len() {
            let what = format!("a value of {} bytes, whose data have room for {}", value.len, content.len());
            self.tell(value.cell, what);
        }
        let part = content.get(..wanted).unwrap_or(content);
        each(Run::new(super::place(value.data).saturating_add(4) as u64, part.len() as u64), part);
    }
    fn segments(
        &self,
        value: &Value,
        content: &[u8],
        wanted: usize,
        on: &mut dyn FnMut(u32),
        each: &mut dyn FnMut(Run, &[u8]),
    ) {
        let count = usize::from(u16_at(content, 2).unwrap_or(0));
        let list = u32_at(content, 4).unwrap_or(NOTHING);
        on(list);
        let Some(cells) = self.cell(list, "list of a value's parts") else { return };
        if count > cells.len() / 4 || self.step(count).is_none() {
            self.tell(list, format!("a list of {count} parts of a value, which has room for {}", cells.len() / 4));
        }
        let all = value.len as usize;
        let mut done = 0_usize;
        for cell in cells.as_chunks::<4>().0.iter().take(count).map(|c| u32::from_le_bytes(*c)) {
            let len = all.saturating_sub(done).min(SEGMENT);
            if len == 0 {
                self.tell(list, "a value that has more parts than its length needs");
                break;
            }
            on(cell);
            // What is behind a part that cannot be read would stand in the wrong place.
            let Some(part) = self.cell(cell, "part of a value") else { return };
            let give = len.min(wanted.saturating_sub(done)).min(part.len());
            if give > 0 {
                let run = Run::new(super::place(cell).saturating_add(4) as u64, give as u64);
                each(run, part.get(..give).unwrap_or_default());
            }
            if part.len() < len {
                self.tell(cell, format!("a part of a value of {len} bytes, which has room for {}", part.len()));
                return;
            }
            done = done.saturating_add(len);
        }
        if done < all {
            self.tell(value.cell, format!("a value of {all} bytes, whose parts hold {done}"));
        }
    }
}

/// The text of data of type SZ or EXPAND_SZ: to its end mark, or to the end.
pub fn string(data: &[u8]) -> String {
    let units: Vec<u8> = data.as_chunks::<2>().0.iter().take_while(|c| **c != [0, 0]).flatten().copied().collect();
    Name::from(utf16::name(&units)).lossy().into_owned()
}
/// The texts of data of type MULTI_SZ.
pub fn strings(data: &[u8]) -> Vec<String> {
    let mut out = Vec::new();
    for text in data.as_chunks::<2>().0.split(|c| *c == [0, 0]) {
        if text.is_empty() {
            break;
        }
        out.push(Name::from(utf16::name(text.as_flattened())).lossy().into_owned());
    }
    out
}
