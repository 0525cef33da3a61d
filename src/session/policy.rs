//! The delivery policy: read before anything is opened, and drafted from a saved case.
use super::Failure;
use super::examine::load_knowledge;
use crate::judge::{self, Policy};
use std::path::Path;

/// Reads and checks a policy; without one, nothing is assessed. All its faults are told, one a line.
pub fn load_policy(path: Option<&Path>) -> Result<Policy, Failure> {
    let Some(path) = path else { return Ok(Policy::default()) };
    Policy::load(path).map_err(|errors| {
        let mut lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        lines.push(format!("{}: the policy cannot be used; `cranescope policy check` says the same", path.display()));
        Failure::usage(lines.join("\n"))
    })
}

/// The text of a policy that declares everything a saved case holds.
pub fn draft_policy(case: &Path) -> Result<String, Failure> {
    let data = super::allowed(case, super::open_case(case)?, false)?;
    let knowledge = load_knowledge(&[])?;
    let crane = &data.scope.crane;
    let file = case.file_stem().unwrap_or_default().to_string_lossy();
    let name = format!("Draft from {}", if crane.is_empty() { &file } else { crane.as_str() });
    Ok(judge::draft_policy(&knowledge, &data.scope.delivered(), &name, &data.scene, &data.inventory, &data.gaps))
}
