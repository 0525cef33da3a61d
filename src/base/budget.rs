//! Limits counted in steps and bytes per item, never in time, so that a result does not depend on load.

/// What one item (a directory, a file, a table) may cost.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Structure elements visited: directory blocks, extent nodes, table entries.
    pub steps: u64,
    /// Bytes read or decoded.
    pub bytes: u64,
    /// Nesting: extent tree, directories, links.
    pub depth: u32,
}

/// Which limit was reached; the text goes into the Gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exceeded(pub &'static str);

impl Default for Budget {
    fn default() -> Self {
        Self { steps: 50_000_000, bytes: 1 << 40, depth: 4096 }
    }
}

impl Budget {
    pub fn step(&mut self, n: u64) -> Result<(), Exceeded> {
        self.steps = self.steps.checked_sub(n).ok_or(Exceeded("budget: steps"))?;
        Ok(())
    }
    pub fn take(&mut self, bytes: u64) -> Result<(), Exceeded> {
        self.bytes = self.bytes.checked_sub(bytes).ok_or(Exceeded("budget: bytes"))?;
        Ok(())
    }
    /// The budget of one level further down.
    pub fn deeper(self) -> Result<Self, Exceeded> {
        let depth = self.depth.checked_sub(1).ok_or(Exceeded("budget: depth"))?;
        Ok(Self { depth, ..self })
    }
}
