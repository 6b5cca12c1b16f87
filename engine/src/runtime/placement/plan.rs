//! Who gets which cores, before anything runs.

use std::fmt;

use super::{CoreId, PlacementError, available_cores, cores_held, cpuset_text};

/// Deals the cores of a process out to its jobs; what is left is for the threads of the program that they are embedded in.
///
/// ```
/// use millstream_engine::runtime::placement::CorePlan;
///
/// let mut plan = CorePlan::of_cores(&[0, 1, 2, 3]);
/// let orders = plan.deal("orders", 2)?;
/// let alerts = plan.deal("alerts", 1)?;
/// assert_eq!((orders, alerts, plan.left()), (vec![0, 1], vec![2], vec![3]));
/// assert_eq!(plan.to_string(), "orders: 0-1; alerts: 2; left: 3");
/// # Ok::<(), millstream_engine::runtime::placement::PlacementError>(())
/// ```
///
/// What is dealt goes to [`Job::cores`](crate::job::Job::cores). What is left goes to the host's own runtime: so many workers, each confined by
/// [`confine_this_thread`](super::confine_this_thread).
#[derive(Clone, Debug)]
pub struct CorePlan {
    dealt: Vec<(String, Vec<CoreId>)>,
    left: Vec<CoreId>,
}

impl CorePlan {
    /// Deals out the cores that this process may use and that no job of it holds yet, one hardware thread of each physical core first.
    pub fn of_process() -> CorePlan {
        let held = cores_held();
        let left = available_cores().into_iter().filter(|core| !held.contains(core)).collect();
        CorePlan { dealt: Vec::new(), left }
    }

    /// Deals out these cores, by the operating system's numbers, in this order.
    pub fn of_cores(cores: &[usize]) -> CorePlan {
        CorePlan { dealt: Vec::new(), left: cores.iter().copied().map(CoreId).collect() }
    }

    /// The next so many cores: for the shards of one job, or whatever else is called so.
    ///
    /// # Errors
    /// There are not so many left.
    pub fn deal(&mut self, to: impl Into<String>, count: u16) -> Result<Vec<usize>, PlacementError> {
        let count = usize::from(count);
        if count > self.left.len() {
            let (available, cpuset) = (self.left.len(), cpuset_text(&self.left));
            return Err(PlacementError::NotEnoughCores { wanted: count, available, cpuset });
        }
        let dealt: Vec<CoreId> = self.left.drain(..count).collect();
        let numbers = dealt.iter().map(|core| core.0).collect();
        self.dealt.push((to.into(), dealt));
        Ok(numbers)
    }

    /// The cores that nobody has got, by the operating system's numbers.
    pub fn left(&self) -> Vec<usize> {
        let mut left: Vec<usize> = self.left.iter().map(|core| core.0).collect();
        left.sort_unstable();
        left
    }
}

impl fmt::Display for CorePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |cores: &[CoreId]| if cores.is_empty() { "none".to_owned() } else { cpuset_text(cores) };
        for (to, cores) in &self.dealt {
            write!(f, "{to}: {}; ", text(cores))?;
        }
        write!(f, "left: {}", text(&self.left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_gets_what_another_one_has() {
        let mut plan = CorePlan::of_cores(&[4, 0, 2]);
        assert_eq!(plan.deal("a", 1), Ok(vec![4]));
        assert_eq!(plan.deal("nobody", 0), Ok(vec![]));
        assert_eq!(plan.left(), [0, 2]);
        let error = plan.deal("b", 3).unwrap_err();
        assert!(error.to_string().starts_with("needs 3 cores, 2 available (cpuset 0,2)"), "{error}");
        assert_eq!(plan.deal("b", 2), Ok(vec![0, 2]));
        assert_eq!(plan.to_string(), "a: 4; nobody: none; b: 0,2; left: none");
    }

    #[test]
    fn a_process_deals_out_what_it_may_use() {
        let (all, left) = (available_cores(), CorePlan::of_process().left());
        assert!(left.iter().all(|core| all.contains(&CoreId(*core))), "{left:?} of {all:?}");
    }
}
