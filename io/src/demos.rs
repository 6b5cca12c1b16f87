//! Generators of demonstrations, examples and exercises: each gives the same records each time, with event times of its own.
//!
//! | generator | what happens | where it is used |
//! | --- | --- | --- |
//! | [`Clicks`] | clicks on six pages, 1000 on each in every window | `examples/click_count.rs` |
//! | [`Sensors`] | readings of sensors, and limits that change | `examples/sensor_alerts.rs` |
//! | [`Transactions`] | payments by card | `examples/fraud.rs`, `examples/enrichment.rs` |
//! | [`Visits`] | page views of visitors, a few of them very late | `examples/sessions.rs`, `examples/top_pages.rs` |
//! | [`Trades`] | trades on a market, in microseconds, a few of them very late | `examples/market_bars.rs` |
//! | [`Taxis`] | taxi rides and fares, up to a minute out of order | `examples/taxi.rs` |

mod arrivals;
pub mod clicks;
mod dice;
pub mod sensors;
pub mod taxi;
pub mod trades;
pub mod transactions;
pub mod visits;

pub use clicks::{Click, Clicks};
pub use sensors::{Limit, Reading, Sensors};
pub use taxi::{Fare, Position, RideEvent, RideKind, Taxis, Trip};
pub use trades::{Trade, Trades};
pub use transactions::{Transaction, Transactions};
pub use visits::{PageView, Visits};
