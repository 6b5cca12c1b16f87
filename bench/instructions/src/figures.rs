//! The checked-in figures: how many instructions each workload takes, how much of that it may be off, and what it was counted with.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::workloads::Workload;

/// Of the file's layout.
const VERSION: u32 = 1;

/// For workloads that are new in the file.
const BAND_PERCENT: f64 = 3.0;

/// Other compilers inline other things.
const BAND_PERCENT_OTHER_TOOLCHAIN: f64 = 20.0;

/// What the file holds.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Figures {
    version: u32,
    toolchain: Toolchain,
    valgrind: String,
    /// How far figures may be off where another toolchain has built what is counted; where that is more than the workload's own band.
    band_percent_other_toolchain: f64,
    workloads: BTreeMap<String, Figure>,
}

/// One workload's figure.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Figure {
    pub instructions: f64,
    pub band_percent: f64,
}

/// What compiles.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Toolchain {
    rustc: String,
    target: String,
}

impl Toolchain {
    /// That of this build, as far as it can be told afterwards: the compiler that cargo takes here.
    pub fn of_this_build() -> Toolchain {
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let said =
            Command::new(rustc).arg("--version").output().ok().filter(|output| output.status.success());
        let said = said.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
        Toolchain {
            rustc: said.unwrap_or_else(|| "unknown".to_owned()),
            target: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
        }
    }
}

impl Figures {
    /// Reads the file; where figures are to be updated there need not be one.
    ///
    /// # Errors
    /// It cannot be read, is malformed, or is for another kind of processor.
    pub fn read(path: &Path, to_update: bool, toolchain: &Toolchain) -> Result<Figures, String> {
        let text = match fs::read_to_string(path) {
            Err(error) if to_update && error.kind() == ErrorKind::NotFound => {
                return Ok(Figures::none(toolchain));
            }
            text => text.map_err(|error| format!("cannot read the figures, {}: {error}", path.display()))?,
        };
        let malformed = |what: String| format!("{} holds no figures: {what}", path.display());
        let figures: Figures = serde_json::from_str(&text).map_err(|error| malformed(error.to_string()))?;
        if figures.version != VERSION {
            return Err(malformed(format!(
                "its version is {}, this program knows {VERSION}",
                figures.version
            )));
        }
        for (name, figure) in &figures.workloads {
            if !(figure.instructions > 0.0 && figure.band_percent > 0.0) {
                return Err(malformed(format!("the figure and band of {name} have to be more than 0")));
            }
        }
        if figures.toolchain.target != toolchain.target && !to_update {
            return Err(format!(
                "{} is for {}, and this is {}: counts of other processors say nothing; give a file of your own with --figures FILE --update",
                path.display(),
                figures.toolchain.target,
                toolchain.target
            ));
        }
        Ok(figures)
    }

    fn none(toolchain: &Toolchain) -> Figures {
        Figures {
            version: VERSION,
            toolchain: toolchain.clone(),
            valgrind: String::new(),
            band_percent_other_toolchain: BAND_PERCENT_OTHER_TOOLCHAIN,
            workloads: BTreeMap::new(),
        }
    }

    /// The figure of a workload, with the band that holds for this toolchain.
    pub fn of(&self, workload: &str, toolchain: &Toolchain) -> Option<Figure> {
        let figure = *self.workloads.get(workload)?;
        let other = self.toolchain != *toolchain;
        let band_percent = if other {
            figure.band_percent.max(self.band_percent_other_toolchain)
        } else {
            figure.band_percent
        };
        Some(Figure { band_percent, ..figure })
    }

    /// In order.
    #[cfg(test)]
    pub fn names(&self) -> Vec<&str> {
        self.workloads.keys().map(String::as_str).collect()
    }

    /// What is not as it was when the figures were taken.
    pub fn differences(&self, toolchain: &Toolchain, valgrind: &str) -> Vec<String> {
        let mut notes = Vec::new();
        if self.toolchain != *toolchain {
            notes.push(format!(
                "the figures were taken with {}, this is {}: bands are {} % wide instead; take them again with --update",
                self.toolchain.rustc, toolchain.rustc, self.band_percent_other_toolchain
            ));
        }
        if self.valgrind != valgrind {
            notes.push(format!("the figures were taken with {}, this is {valgrind}", self.valgrind));
        }
        notes
    }

    /// Takes over what was counted. All that was not counted goes, or, where only some was, stays.
    ///
    /// # Errors
    /// Some would stay that were taken with another toolchain.
    pub fn replace(
        &mut self,
        counted: &[(&'static Workload, f64)],
        all: bool,
        toolchain: Toolchain,
        valgrind: &str,
    ) -> Result<(), Box<dyn Error>> {
        if !all && self.toolchain != toolchain && !self.workloads.is_empty() {
            return Err(format!(
                "the other figures were taken with {}, and this is {}: update all of them, without --only",
                self.toolchain.rustc, toolchain.rustc
            )
            .into());
        }
        let bands: BTreeMap<String, f64> =
            self.workloads.iter().map(|(name, figure)| (name.clone(), figure.band_percent)).collect();
        if all {
            self.workloads.clear();
        }
        for (workload, counted) in counted {
            let band_percent = bands.get(workload.name).copied().unwrap_or(BAND_PERCENT);
            // Hundredths are more than is the same from run to run.
            let instructions = (counted * 100.0).round() / 100.0;
            self.workloads.insert(workload.name.to_owned(), Figure { instructions, band_percent });
        }
        (self.toolchain, self.valgrind) = (toolchain, valgrind.to_owned());
        Ok(())
    }

    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), Box<dyn Error>> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()).into())
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::workloads::WORKLOADS;

    pub fn toolchain(rustc: &str) -> Toolchain {
        Toolchain { rustc: rustc.to_owned(), target: "x86_64-linux".to_owned() }
    }

    pub fn figures(instructions: f64, band_percent: f64) -> Figures {
        let workloads = [(WORKLOADS[0].name.to_owned(), Figure { instructions, band_percent })];
        Figures { workloads: workloads.into(), ..Figures::none(&toolchain("rustc 1")) }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("figures.json");
        assert!(
            Figures::read(&path, false, &toolchain("rustc 1"))
                .unwrap_err()
                .contains("cannot read the figures")
        );
        let mut figures = Figures::read(&path, true, &toolchain("rustc 1")).unwrap();
        let counted: Vec<_> = WORKLOADS.iter().map(|workload| (workload, 12.345)).collect();
        figures.replace(&counted, true, toolchain("rustc 2"), "valgrind-3").unwrap();
        figures.write(&path).unwrap();
        let read = Figures::read(&path, false, &toolchain("rustc 2")).unwrap();
        let first = read.of(WORKLOADS[0].name, &toolchain("rustc 2")).unwrap();
        assert_eq!((first.instructions, first.band_percent), (12.35, BAND_PERCENT));
        assert_eq!(read.differences(&toolchain("rustc 2"), "valgrind-3"), Vec::<String>::new());
        assert_eq!(read.differences(&toolchain("rustc 3"), "valgrind-4").len(), 2);
    }

    #[test]
    fn malformed_files_are_named_with_what_is_wrong() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("figures.json");
        let refused = |text: &str| {
            fs::write(&path, text).unwrap();
            Figures::read(&path, false, &toolchain("rustc 1")).unwrap_err()
        };
        let whole = serde_json::to_string(&figures(10.0, 2.0)).unwrap();
        assert!(refused("{").contains("figures.json holds no figures"));
        assert!(refused(&whole.replace("\"version\":1", "\"version\":2")).contains("its version is 2"));
        assert!(
            refused(&whole.replace("\"band_percent\":2.0", "\"band_percent\":0.0")).contains("more than 0")
        );
        assert!(refused(&whole.replace("band_percent\":2.0", "band\":2.0")).contains("unknown field `band`"));
        let elsewhere = refused(&whole.replace("x86_64-linux", "riscv64-linux"));
        assert!(elsewhere.contains("is for riscv64-linux") && elsewhere.contains("--update"), "{elsewhere}");
    }

    #[test]
    fn other_toolchains_have_wider_bands() {
        let figures = figures(100.0, 2.0);
        let band = |rustc| figures.of(WORKLOADS[0].name, &toolchain(rustc)).unwrap().band_percent;
        assert_eq!((band("rustc 1"), band("rustc 2")), (2.0, BAND_PERCENT_OTHER_TOOLCHAIN));
    }

    #[test]
    fn an_update_of_some_keeps_bands_and_the_rest_but_mixes_no_toolchains() {
        let mut figures = figures(100.0, 7.5);
        figures.replace(&[(&WORKLOADS[1], 5.0)], false, toolchain("rustc 1"), "v").unwrap();
        assert_eq!(figures.names().len(), 2);
        let refused = figures.replace(&[(&WORKLOADS[1], 6.0)], false, toolchain("rustc 2"), "v").unwrap_err();
        assert!(refused.to_string().contains("without --only"), "{refused}");
        figures.replace(&[(&WORKLOADS[0], 8.0)], true, toolchain("rustc 2"), "v").unwrap();
        assert_eq!(figures.names(), [WORKLOADS[0].name], "what is no workload any more goes");
        assert_eq!(figures.of(WORKLOADS[0].name, &toolchain("rustc 2")).unwrap().band_percent, 7.5);
    }
}
