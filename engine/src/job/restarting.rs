//! The restart strategy by parameter, with Flink's keys and defaults
//! ([Flink: Task Failure Recovery](https://nightlies.apache.org/flink/flink-docs-stable/docs/ops/state/task_failure_recovery/)).

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::JobError;
use crate::params::{Length, ParamError, Params};
use crate::runtime::restart::RestartStrategy;

/// What the program says, else what the parameters say.
pub(super) fn settle(
    strategy: &mut Option<RestartStrategy>,
    params: &Params,
    compat: bool,
) -> Result<(), JobError> {
    let by_params = ByParams(params).strategy()?;
    if strategy.is_none() {
        *strategy = by_params;
    }
    if let (true, Some(RestartStrategy::FailureRate { flink_exact, .. })) = (compat, strategy) {
        *flink_exact = true;
    }
    Ok(())
}

struct ByParams<'a>(&'a Params);

impl ByParams<'_> {
    fn get<T: FromStr<Err: fmt::Display>>(&self, key: &str) -> Result<Option<T>, JobError> {
        let wrong = |error: ParamError| JobError::Setting { setting: "restart", problem: error.to_string() };
        self.0.get(key).map_err(wrong)
    }

    fn or<T: FromStr<Err: fmt::Display>>(&self, key: &str, default: T) -> Result<T, JobError> {
        Ok(self.get(key)?.unwrap_or(default))
    }

    fn length(&self, key: &str, default: Duration) -> Result<Duration, JobError> {
        Ok(self.get::<Length>(key)?.map_or(default, |length| length.0))
    }

    fn strategy(&self) -> Result<Option<RestartStrategy>, JobError> {
        let (new, old) =
            (self.get::<String>("restart-strategy.type")?, self.get::<String>("restart-strategy")?);
        let Some(name) = new.or(old) else { return Ok(None) };
        let letters: String = name.chars().filter(char::is_ascii_alphabetic).collect();
        let second = Duration::from_secs(1);
        Ok(Some(match letters.to_ascii_lowercase().as_str() {
            "none" | "off" | "disable" => RestartStrategy::None,
            "fixeddelay" => RestartStrategy::FixedDelay {
                attempts: self.or("restart-strategy.fixed-delay.attempts", 1)?,
                delay: self.length("restart-strategy.fixed-delay.delay", second)?,
            },
            "failurerate" => RestartStrategy::FailureRate {
                max_failures: self.or("restart-strategy.failure-rate.max-failures-per-interval", 1)?,
                interval: self
                    .length("restart-strategy.failure-rate.failure-rate-interval", Duration::from_secs(60))?,
                delay: self.length("restart-strategy.failure-rate.delay", second)?,
                flink_exact: false,
            },
            "exponentialdelay" => RestartStrategy::ExponentialDelay {
                initial: self.length("restart-strategy.exponential-delay.initial-backoff", second)?,
                max: self
                    .length("restart-strategy.exponential-delay.max-backoff", Duration::from_secs(60))?,
                multiplier: self.or("restart-strategy.exponential-delay.backoff-multiplier", 1.5)?,
                reset_after: self.length(
                    "restart-strategy.exponential-delay.reset-backoff-threshold",
                    Duration::from_secs(3600),
                )?,
                jitter: self.or("restart-strategy.exponential-delay.jitter-factor", 0.1)?,
            },
            _ => {
                return Err(JobError::Setting {
                    setting: "restart",
                    problem: format!(
                        "there is no restart strategy `{name}`; say none, fixed-delay, failure-rate or exponential-delay"
                    ),
                });
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(
        said: Option<RestartStrategy>,
        args: &[&str],
        compat: bool,
    ) -> Result<Option<RestartStrategy>, JobError> {
        let mut strategy = said;
        settle(&mut strategy, &Params::from_args(args.iter().copied()).unwrap(), compat)?;
        Ok(strategy)
    }

    #[test]
    fn rs_03_to_rs_05_by_flinks_keys() {
        let fixed = [
            "-Drestart-strategy=fixed-delay",
            "-Drestart-strategy.fixed-delay.attempts=3",
            "-Drestart-strategy.fixed-delay.delay=10 s",
        ];
        let ten_seconds = Duration::from_secs(10);
        assert_eq!(settled(None, &fixed, false).unwrap(), Some(RestartStrategy::fixed_delay(3, ten_seconds)));
        assert_eq!(settled(Some(RestartStrategy::None), &fixed, false).unwrap(), Some(RestartStrategy::None));
        let rate = [
            "-Drestart-strategy.type=failurerate",
            "-Drestart-strategy.failure-rate.max-failures-per-interval=3",
            "-Drestart-strategy.failure-rate.failure-rate-interval=5 min",
            "-Drestart-strategy.failure-rate.delay=10 s",
        ];
        let five_minutes = Duration::from_secs(300);
        let expected = RestartStrategy::failure_rate(3, five_minutes, ten_seconds);
        assert_eq!(settled(None, &rate, false).unwrap(), Some(expected));
        let exponential = settled(None, &["--restart-strategy", "exponential-delay"], false).unwrap();
        let Some(RestartStrategy::ExponentialDelay { initial, multiplier, jitter, .. }) = exponential else {
            panic!("{exponential:?}")
        };
        assert_eq!((initial, multiplier, jitter), (Duration::from_secs(1), 1.5, 0.1));
        assert_eq!(settled(None, &[], false).unwrap(), None);
        let error = settled(None, &["--restart-strategy", "sometimes"], false).unwrap_err();
        assert!(error.to_string().contains("no restart strategy `sometimes`"), "{error}");
    }

    #[test]
    fn rs_04_flink_compat_counts_as_flink_does() {
        let rate = RestartStrategy::failure_rate(3, Duration::from_secs(30), Duration::ZERO);
        let settled = settled(Some(rate), &[], true).unwrap();
        assert!(
            matches!(settled, Some(RestartStrategy::FailureRate { flink_exact: true, .. })),
            "{settled:?}"
        );
    }
}
