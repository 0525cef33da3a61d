//! Rows on their way into the inventory. Those of a very large disk are kept as they were sent, a third of the size,
//! until the worker and its memory are gone.
use super::Failure;
use crate::base::parallel::{split, stream};
use crate::inventory::{Inventory, Row};

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
            rows.into_iter().for_each(|row| inventory.push(row));
            return Ok(());
        }
        let mut packed = postcard::to_allocvec(&rows).map_err(|e| failed(&e))?;
        packed.shrink_to_fit();
        self.packed.push(packed);
        Ok(())
    }
    /// The inventory is to have all of them.
    pub(super) fn unpack(&mut self, inventory: &mut Inventory) -> Result<(), Failure> {
        let packed = std::mem::take(&mut self.packed);
        let work = |range: std::ops::Range<usize>| -> Result<Vec<Row>, Failure> {
            let one = |bytes: &Vec<u8>| postcard::from_bytes::<Vec<Row>>(bytes).map_err(|e| failed(&e));
            let all = packed.get(range).unwrap_or_default().iter().map(one).collect::<Result<Vec<_>, _>>()?;
            Ok(all.into_iter().flatten().collect())
        };
        stream("rows", &split(packed.len(), packed.len()), &work, &mut |rows| {
            rows?.into_iter().for_each(|row| inventory.push(row));
            Ok(())
        })
    }
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
