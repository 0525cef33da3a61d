//! Judging: the inventory against knowledge. Sees the inventory only, so a saved case can be judged
//! again without its image.
mod finding;

pub use finding::{
    BaselineVerdict, Category, Confidence, Conformity, Finding, Review, Rung, Searched, Severity, Standing, Unexamined,
};
