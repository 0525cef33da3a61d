//! Rows on their way into the inventory. Those of a very large disk are kept as they were sent, a third of the size,
//! until the worker and its memory are gone.
use super::Failure;
use crate::base::parallel::{split, stream};
use crate::inventory::{Inventory, Row};
use std::sync::{Mutex, PoisonError};

/// Rows that are taken into the inventory at once.
const AT_ONCE: usize = 200_000;

#[derive(Default)]
pub(super) struct Rows {
    packed: Vec<Vec<u8>>,
}

impl Rows {
    /// Takes rows in, now or later.
    pub(super) fn take(&mut self, rows: Vec<Row>, inventory: &mut Inventory) -> Result<(), Failure> {
        if self.packed.is_empty() && inventory.rows().saturating_add(rows.len()) <= AT_ONCE {
            rows.into_iter().map(path_once).for_each(|row| inventory.push(row));
            return Ok(());
        }
        let mut packed = postcard::to_allocvec(&rows).map_err(|e| failed(&e))?;
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
                postcard::from_bytes::<Vec<Row>>(&bytes).map_err(|e| failed(&e))
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

fn failed(e: &postcard::Error) -> Failure {
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
        assert_eq!((inventory.rows(), rows.packed.len()), (AT_ONCE, 5));
        rows.unpack(&mut inventory).unwrap();
        assert!(inventory.files.iter().enumerate().all(|(n, file)| *file == row(n)));
        assert_eq!((inventory.rows(), rows.packed.len()), (count, 0));
    }
}
