//! The worker's pipeline: phases A to D.
