//! Instruments for tests, public: users test their own jobs with them.

pub mod sim_disk;
