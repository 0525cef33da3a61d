//! Rows on their way into the inventory. Those of a very large disk are kept as they were sent, and packed, a tenth of
//! the size, until the worker and its memory are gone.
use super::Failure;
use crate::base::parallel::{split, stream};
use crate::inventory::{Inventory, Row};
use std::sync::{Mutex, PoisonError};

/// Rows that are taken into the inventory at once: more than an ordinary disk of a computer has.
const AT_ONCE: usize = 100_000;
/// Rows that are packed together.
const TOGETHER: usize = 5000;

#[derive(Default)]
pub(super) struct Rows {
    packed: Vec<Vec<u8>>,
}

impl Rows {
    /// Takes rows in, now or later.
    pub(super) fn take(&mut self, rows: Vec<Row>, inventory: &mut Inventory) -> Result<(), Failure> {
        if !self.packed.is_empty() {
            return self.pack(&rows);
        }
        // They were unpacked meanwhile, for somebody who looks at them.
        if inventory.rows() > AT_ONCE {
            return self.pack(&rows);
        }
        if inventory.rows().saturating_add(rows.len()) > AT_ONCE {
            // It has become many: what came before is packed as well.
            for before in std::mem::take(inventory).into_rows().chunks(TOGETHER) {
                self.pack(before)?;
            }
        }
        rows.into_iter().map(path_once).for_each(|row| inventory.push(row));
        Ok(())
    }
    fn pack(&mut self, rows: &[Row]) -> Result<(), Failure> {
        let plain = postcard::to_allocvec(rows).map_err(|e| failed(&e))?;
        // Rows of one folder have most of their bytes in common.
        let mut packed = lz4_flex::block::compress_prepend_size(&plain);
        packed.shrink_to_fit();
        self.packed.push(packed);
        Ok(())
    }
    /// The inventory is to have all of them.
    pub(super) fn unpack(&mut self, inventory: &mut Inventory) -> Result<(), Failure> {
        // Each part is freed when it is unpacked. One that was taken already would be no list of rows.
        let packed: Vec<_> = std::mem::take(&mut self.packed).into_iter().map(Mutex::new).collect();
        let work = |range: std::ops::Range<usize>| -> Result<Vec<Row>, Failure> {
            let one = |part: &Mutex<Vec<u8>>| {
                let bytes = std::mem::take(&mut *part.lock().unwrap_or_else(PoisonError::into_inner));
                let plain = lz4_flex::block::decompress_size_prepended(&bytes).map_err(|e| failed(&e))?;
                postcard::from_bytes::<Vec<Row>>(&plain).map_err(|e| failed(&e))
            };
            let all = packed.get(range).unwrap_or_default().iter().map(one).collect::<Result<Vec<_>, _>>()?;
            Ok(all.into_iter().flatten().collect())
        };
        stream("rows", &split(packed.len(), packed.len()), &work, &mut |rows| {
            rows?.into_iter().map(path_once).for_each(|row| inventory.push(row));
            Ok(())
        })
    }
}

/// A file's path mostly is that of its evidence: one text for both.
fn path_once(mut row: Row) -> Row {
    if let Row::File(file) = &mut row
        && file.path == file.evidence.path
    {
        file.evidence.path = file.path.clone();
    }
    row
}

fn failed(e: &dyn std::fmt::Display) -> Failure {
    Failure::environment(format!("rows cannot be kept: {e}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::base::Name;
    use crate::inventory::File;

    #[test]
    fn what_is_kept_packed_comes_out_whole() {
        let row = |n: usize| File { path: Name::from(format!("/{n}")), size: n as u64, ..File::default() };
        let (mut rows, mut inventory) = (Rows::default(), Inventory::default());
        let count = AT_ONCE + 5000;
        for from in (0..count).step_by(1000) {
            rows.take((from..from + 1000).map(|n| row(n).into()).collect(), &mut inventory).unwrap();
        }
        // What came before it were many, and what came after; a part is in the inventory at any moment.
        assert_eq!((inventory.rows(), rows.packed.len()), (1000, AT_ONCE / TOGETHER + 4));
        let bytes = rows.packed.iter().map(Vec::len).sum::<usize>();
        assert!(bytes < count * 100, "{bytes}");
        rows.unpack(&mut inventory).unwrap();
        inventory.sort();
        let mut paths: Vec<_> = (0..count).map(row).collect();
        paths.sort_by(|a, b| a.path.cmp(&b.path));
        assert!(inventory.files.iter().eq(&paths));
        assert_eq!((inventory.rows(), rows.packed.len()), (count, 0));
    }
}
