//! Where a run of a source lies, to its last byte.
use super::ReadAt;
use crate::base::{Piece, PieceKind, Run};

/// The pieces of the acquired images that hold `run`, exactly as long as it is: what a source that ends before has not
/// is absent. Of structures that say where bytes stand, and may say so of bytes behind the end.
pub fn pieces(source: &dyn ReadAt, run: Run) -> Vec<Piece> {
    let mut found = source.locate(run);
    let len = found.iter().fold(0_u64, |n, p| n.saturating_add(p.len));
    let rest = run.len.saturating_sub(len);
    found.extend((rest > 0).then_some(Piece { image: 0, offset: 0, len: rest, kind: PieceKind::Absent }));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_behind_the_end_is_absent() {
        let source = vec![7; 100];
        let at = |offset, len| {
            pieces(&source, Run::new(offset, len)).into_iter().map(|p| (p.offset, p.len, p.kind)).collect::<Vec<_>>()
        };
        assert_eq!(at(10, 20), [(10, 20, PieceKind::Decoded)]);
        assert_eq!(at(90, 20), [(90, 10, PieceKind::Decoded), (0, 10, PieceKind::Absent)]);
        assert_eq!(at(200, 20).iter().map(|p| p.1).sum::<u64>(), 20);
        assert_eq!(at(200, 20).last().map(|p| p.2), Some(PieceKind::Absent));
    }
}
