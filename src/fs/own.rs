//! The two names that a directory of Unix has for itself and for the one above.
use super::damage::Damage;

#[derive(Default)]
pub(super) struct OwnNames {
    here: bool,
    above: bool,
}
impl OwnNames {
    /// Whether a name is one of the two; `is_own`: it leads to the directory itself.
    pub(super) fn take(&mut self, name: &[u8], is_own: bool) -> bool {
        match name {
            b"." => self.here |= is_own,
            b".." => self.above = true,
            _ => return false,
        }
        true
    }
    /// Tells of a directory that lacks one of them: what was listed is another's, or a part was lost.
    pub(super) fn check(&self, damage: &Damage, number: u64, at: u64) {
        if !(self.here && self.above) {
            let what = "directory without the names that lead to itself and to the one above";
            damage.note(what, number, at, 0);
        }
    }
}
