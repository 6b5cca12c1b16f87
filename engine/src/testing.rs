//! Instruments for tests, public: users test their own jobs with them.
