//! What a job says to its graph before that is built.

use super::{JobShards, RuntimeMode};
use crate::embed::endpoints::Endpoints;
use crate::params::Params;
use crate::time::Tick;

/// See the [module](self).
#[derive(Clone, Debug, Default)]
pub(crate) struct Setting {
    pub(crate) tick: Tick,
    pub(crate) shards: JobShards,
    pub(crate) params: Params,
    /// The mode that is asked for, and who asks for it; none where nobody does.
    pub(crate) mode: (RuntimeMode, Option<&'static str>),
    /// The ends in the host program.
    pub(crate) endpoints: Endpoints,
}
